/** Input names of Replicate's language models, each of which has its own schema. */
import { entryOf } from '../../base/json.ts';

/** Names of a model's inputs; null or undefined: it has no such input. */
export interface Inputs {
  readonly system: string;
  readonly maxTokens: string;
  readonly temperature?: string;
  readonly topP?: string;
  readonly topK?: string;
  readonly frequencyPenalty?: string;
  readonly presencePenalty?: string;
  readonly seed?: string;
  readonly effort?: string;
  /** Stop sequences, separated by commas. */
  readonly stop?: string;
  readonly images: { readonly name: string; readonly many: boolean } | null;
}

/** Names in Meta's models, which most others use too. https://replicate.com/meta/meta-llama-3-70b-instruct/api */
const common: Inputs = {
  system: 'system_prompt',
  maxTokens: 'max_tokens',
  temperature: 'temperature',
  topP: 'top_p',
  topK: 'top_k',
  frequencyPenalty: 'frequency_penalty',
  presencePenalty: 'presence_penalty',
  seed: 'seed',
  stop: 'stop_sequences',
  images: null,
};

/** Vision models, recognized by their names, which accept one image. */
const vision: Inputs = { ...common, images: { name: 'image', many: false } };

/** Official models, by their owner. */
const owners: Readonly<Record<string, Inputs>> = {
  // https://replicate.com/openai/gpt-5/api
  openai: {
    system: 'system_prompt',
    maxTokens: 'max_completion_tokens',
    temperature: 'temperature',
    topP: 'top_p',
    frequencyPenalty: 'frequency_penalty',
    presencePenalty: 'presence_penalty',
    effort: 'reasoning_effort',
    images: { name: 'image_input', many: true },
  },
  // https://replicate.com/anthropic/claude-4-sonnet/api
  anthropic: {
    system: 'system_prompt',
    maxTokens: 'max_tokens',
    images: { name: 'image', many: false },
  },
  // https://replicate.com/google/gemini-2.5-flash/api
  google: {
    system: 'system_instruction',
    maxTokens: 'max_output_tokens',
    temperature: 'temperature',
    topP: 'top_p',
    images: { name: 'images', many: true },
  },
};

/** All names of the token limit, to find out whether a reply reached it. */
export const limitNames: readonly string[] = ['max_tokens', 'max_completion_tokens', 'max_output_tokens'];

/** The inputs of a model. */
export function inputsOf(model: string): Inputs {
  const [owner = ''] = model.split('/', 1);
  const own = entryOf(owners, owner);
  return own ?? (/llava|vision|-vl\b/.test(model) ? vision : common);
}

/** The path that creates a model's predictions, and the version that the body must contain (null: none). */
export interface PredictionEndpoint {
  readonly path: string;
  readonly version: string | null;
}

const namePattern = /^(deployments\/)?([\w.-]+)\/([\w.-]+)(?::([\w.-]+))?$/;

/**
 * The endpoint for a model: `owner/name` is an official model, `owner/name:version` a community model,
 * `deployments/owner/name` a private deployment. Null: the name is invalid. https://replicate.com/docs/topics/predictions/create-a-prediction
 */
export function endpointOf(model: string): PredictionEndpoint | null {
  const [, deployment, owner, name, version] = namePattern.exec(model) ?? [];
  if (owner === undefined || name === undefined) return null;
  // Segments of dots would change the path.
  if (/^\.+$/.test(owner) || /^\.+$/.test(name)) return null;
  if (version !== undefined) return deployment === undefined ? { path: '/predictions', version } : null;
  const kind = deployment === undefined ? 'models' : 'deployments';
  return { path: `/${kind}/${owner}/${name}/predictions`, version: null };
}
