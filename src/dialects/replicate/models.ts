/** What the inputs of Replicate's language models are called: each model has a schema of its own. */
import { entryOf } from '../../base/json.ts';

/** Names of a model's inputs; null or left out: it has none for that. */
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
  /** Takes sequences separated by commas. */
  readonly stop?: string;
  readonly images: { readonly name: string; readonly many: boolean } | null;
}

/** As Meta's models have them, whom most others follow. https://replicate.com/meta/meta-llama-3-70b-instruct/api */
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

/** Models that see and say so in their names take one picture. */
const seeing: Inputs = { ...common, images: { name: 'image', many: false } };

/** By the owner of official models. */
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

/** All names that a limit of tokens goes by, by which a reply that reached it is known. */
export const limitNames: readonly string[] = ['max_tokens', 'max_completion_tokens', 'max_output_tokens'];

export function inputsOf(model: string): Inputs {
  const [owner = ''] = model.split('/', 1);
  const own = entryOf(owners, owner);
  return own ?? (/llava|vision|-vl\b/.test(model) ? seeing : common);
}

/** Where a model's predictions are made, and the version the body must name; null: it is no name of a model. */
export interface Place {
  readonly path: string;
  readonly version: string | null;
}

const namePattern = /^(deployments\/)?([\w.-]+)\/([\w.-]+)(?::([\w.-]+))?$/;

/**
 * `owner/name` is an official model, `owner/name:version` one of the community's, `deployments/owner/name` one's own
 * deployment. https://replicate.com/docs/topics/predictions/create-a-prediction
 */
export function placeOf(model: string): Place | null {
  const [, deployment, owner, name, version] = namePattern.exec(model) ?? [];
  if (owner === undefined || name === undefined) return null;
  // Dots alone would leave the path.
  if (/^\.+$/.test(owner) || /^\.+$/.test(name)) return null;
  if (version !== undefined) return deployment === undefined ? { path: '/predictions', version } : null;
  const kind = deployment === undefined ? 'models' : 'deployments';
  return { path: `/${kind}/${owner}/${name}/predictions`, version: null };
}
