/** Known providers: a row of data each. A provider of a known dialect is added here and nowhere else. */
import type { DialectName } from './provider.ts';

/** What a preset fills in for a provider of the configuration. */
export interface Preset {
  readonly dialect: DialectName;
  /** URL before `/chat/completions` or `/messages`; null: the embedded simulator's own. */
  readonly baseUrl: string | null;
  /** Environment variable that usually holds the credential; null: needs none. */
  readonly credentialEnv: string | null;
  /** Models the demo routes to it when its credential is in the environment. */
  readonly models: readonly string[];
  /** The documentation page the row was read from. */
  readonly docs: string;
}

export const presets: Readonly<Record<string, Preset>> = {
  openai: {
    dialect: 'openai',
    baseUrl: 'https://api.openai.com/v1',
    credentialEnv: 'OPENAI_API_KEY',
    models: ['gpt-*', 'o1*', 'o3*', 'o4*', 'chatgpt-*', 'text-embedding-*'],
    docs: 'https://platform.openai.com/docs/api-reference',
  },
  anthropic: {
    dialect: 'anthropic',
    baseUrl: 'https://api.anthropic.com/v1',
    credentialEnv: 'ANTHROPIC_API_KEY',
    models: ['claude-*'],
    docs: 'https://docs.anthropic.com/en/api/messages',
  },
  gemini: {
    dialect: 'gemini',
    baseUrl: 'https://generativelanguage.googleapis.com/v1beta',
    credentialEnv: 'GEMINI_API_KEY',
    models: ['gemini-*', 'gemma-*'],
    docs: 'https://ai.google.dev/api/generate-content',
  },
  vertex: {
    dialect: 'gemini',
    // With a project: https://LOCATION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/LOCATION/publishers/google
    baseUrl: 'https://aiplatform.googleapis.com/v1/publishers/google',
    credentialEnv: null,
    models: [],
    docs: 'https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference',
  },
  simulator: {
    dialect: 'openai',
    baseUrl: null,
    credentialEnv: null,
    models: [],
    docs: 'README.md#simulator',
  },
  'simulator-gemini': {
    dialect: 'gemini',
    baseUrl: null,
    credentialEnv: null,
    models: [],
    docs: 'README.md#simulator',
  },
  'simulator-anthropic': {
    dialect: 'anthropic',
    baseUrl: null,
    credentialEnv: null,
    models: [],
    docs: 'README.md#simulator',
  },
};
