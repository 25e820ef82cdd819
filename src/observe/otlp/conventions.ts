/** Names of OpenTelemetry's conventions for generative AI, for what this gateway names otherwise. */
import type { AttemptStep } from '../../exchange/attempt-step.ts';
import type { ExchangeRecord } from '../record.ts';

/** Where a target is called. */
export interface CalledAt {
  /** Name of the dialect that the provider speaks. */
  readonly dialect: string;
  readonly baseUrl: string;
}

/** What spans and metrics of a call share. */
export interface CallNames {
  /** `gen_ai.operation.name` */
  readonly operation: string;
  /** `gen_ai.provider.name` */
  readonly provider: string;
  /** `server.address` and `server.port`; empty and 0: unknown. */
  readonly address: string;
  readonly port: number;
}

/** Hosts of providers that the conventions name. */
const hosts: readonly (readonly [RegExp, string])[] = [
  [/\.openai\.azure\.com$/, 'azure.ai.openai'],
  [/\.services\.ai\.azure\.com$/, 'azure.ai.inference'],
  [/aiplatform\.googleapis\.com$/, 'gcp.vertex_ai'],
  [/^generativelanguage\.googleapis\.com$/, 'gcp.gemini'],
  [/\.amazonaws\.com$/, 'aws.bedrock'],
  [/\.mistral\.ai$/, 'mistral_ai'],
  [/\.groq\.com$/, 'groq'],
  [/\.deepseek\.com$/, 'deepseek'],
  [/\.x\.ai$/, 'x_ai'],
  [/\.perplexity\.ai$/, 'perplexity'],
];

/** What a provider at any other host is called by. */
const dialects: Readonly<Record<string, string>> = {
  openai: 'openai',
  responses: 'openai',
  anthropic: 'anthropic',
  gemini: 'gcp.gemini',
  bedrock: 'aws.bedrock',
  cohere: 'cohere',
};

/** Endpoints whose operation has another name. */
const operations: Readonly<Record<string, string>> = {
  chat: 'chat',
  messages: 'chat',
  responses: 'chat',
  generate: 'generate_content',
  embeddings: 'embeddings',
  embed: 'embeddings',
};

/** Most targets remembered: requests may name models. */
const placesMax = 1000;

/** Finds the names of calls. @param at where a target is called; null: unknown */
export function createNames(
  at: (target: string) => CalledAt | null,
): (endpoint: string, target: string) => CallNames {
  const known = new Map<string, CallNames>();
  return (endpoint, target) => {
    const key = `${endpoint} ${target}`;
    const found = known.get(key);
    if (found !== undefined) return found;
    const made = namesOf(endpoint, at(target));
    if (known.size >= placesMax) known.clear();
    known.set(key, made);
    return made;
  };
}

function namesOf(endpoint: string, at: CalledAt | null): CallNames {
  const operation = operations[endpoint] ?? endpoint;
  if (at === null) return { operation, provider: '', address: '', port: 0 };
  const url = URL.canParse(at.baseUrl) ? new URL(at.baseUrl) : null;
  const address = url?.hostname ?? '';
  const provider = hosts.find(([host]) => host.test(address))?.[1] ?? dialects[at.dialect] ?? at.dialect;
  const port = url === null ? 0 : Number(url.port || (url.protocol === 'https:' ? 443 : 80));
  return { operation, provider, address, port };
}

/** `error.type` of a call: a status, or this gateway's name of what went wrong; empty: it succeeded, or another did. */
export const errorOf = ({ outcome }: AttemptStep): string =>
  outcome === 'ok' || outcome === 'hedge_lost' ? '' : outcome.replace(/^status /, '');

const noCalls: readonly [] = [];

/** The calls of a record, each with what was billed for it: charges are in the order of the calls that were. */
export function callsOf({
  steps,
  charges,
}: ExchangeRecord): readonly (readonly [AttemptStep, ExchangeRecord['charges'][number] | null])[] {
  const [only] = steps;
  if (only === undefined) return noCalls;
  // One call, and what was billed is its own: the usual case.
  if (steps.length === 1 && only.called) return [[only, charges[0] ?? null]];
  const calls = steps.filter(({ called }) => called);
  // The replies of a session are billed as they end, together: it is the last call.
  const [session] = calls.slice(-1).filter(({ status }) => status === 101);
  let billed = 0;
  return calls.map((step) => {
    const isBilled = session === undefined ? step.billed === true : step === session;
    return [step, isBilled ? (charges[billed++] ?? null) : null];
  });
}
