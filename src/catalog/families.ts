/**
 * Capabilities of model families, by prefix of the model's name: a small table, with the vendor's page to check each
 * row against. A model without a matching prefix is unknown, unless the configuration's `catalog` describes it.
 */
import type { Capability } from './facts.ts';

/** What the models of a family have in common. */
export interface Family {
  readonly prefixes: readonly string[];
  /** `code`: its vendor offers it for programming. `schema`: it can follow a JSON Schema. */
  readonly capabilities: readonly Capability[];
  /** Longest reply in tokens; null: unknown. */
  readonly outputMaxTokens: number | null;
  /** The vendor's page on it. */
  readonly docs: string;
}

const claude = 'https://platform.claude.com/docs/en/about-claude/models/overview';
const gpt = 'https://platform.openai.com/docs/models';
const gemini = 'https://ai.google.dev/gemini-api/docs/models';
const mistral = 'https://docs.mistral.ai/getting-started/models/';
const llama = 'https://www.llama.com/docs/model-cards-and-prompt-formats/';
const qwen = 'https://www.alibabacloud.com/help/en/model-studio/models';
const grok = 'https://docs.x.ai/docs/models';
const deepseek = 'https://api-docs.deepseek.com/quick_start/pricing';
const kimi = 'https://platform.kimi.ai/docs/models';
const glm = 'https://docs.z.ai/guides/overview/overview';
const cohere = 'https://docs.cohere.com/docs/models';
const nova = 'https://docs.aws.amazon.com/nova/latest/userguide/what-is-nova.html';
const sonar = 'https://docs.perplexity.ai/getting-started/models';

const frontier = ['vision', 'tools', 'schema', 'reasoning', 'code'] as const;
const sees = ['vision', 'tools', 'schema', 'code'] as const;
const thinks = ['tools', 'schema', 'reasoning', 'code'] as const;
const speaks = ['tools', 'schema', 'code'] as const;
const embeds = ['embeddings'] as const;

const family = (
  docs: string,
  capabilities: readonly Capability[],
  outputMaxTokens: number | null,
  ...prefixes: string[]
): Family => ({ prefixes, capabilities, outputMaxTokens, docs });

/** The first family with a matching prefix is used, so narrower ones come first. Dots in names are dashes here. */
export const families: readonly Family[] = [
  family(gpt, embeds, null, 'text-embedding-'),
  family(
    gpt,
    ['audio'],
    null,
    'whisper',
    'tts-',
    'gpt-4o-transcribe',
    'gpt-4o-mini-transcribe',
    'gpt-4o-mini-tts',
  ),
  family(gpt, ['audio', 'tools'], 16_384, 'gpt-4o-audio', 'gpt-4o-mini-audio', 'gpt-audio'),
  // A date, not a version.
  family(gpt, ['audio', 'tools'], 4096, 'gpt-realtime-2025'),
  family(gpt, ['vision', 'audio', 'tools'], 32_000, 'gpt-realtime-2'),
  family(gpt, ['audio', 'tools'], 4096, 'gpt-realtime', 'gpt-4o-realtime', 'gpt-4o-mini-realtime'),
  family(gpt, sees, 4096, 'gpt-4o-2024-05-13'),
  family(gpt, sees, 16_384, 'gpt-4o', 'chatgpt-4o', 'gpt-4-5', 'gpt-5-chat', 'gpt-5-1-chat', 'gpt-5-2-chat'),
  family(gpt, sees, 32_768, 'gpt-4-1'),
  family(gpt, ['vision', 'tools', 'code'], 4096, 'gpt-4-turbo'),
  family(gpt, ['tools', 'code'], 8192, 'gpt-4'),
  family(gpt, ['tools'], 4096, 'gpt-3-5-turbo', 'gpt-35-turbo'),
  family(gpt, frontier, 128_000, 'gpt-5'),
  family(gpt, frontier, null, 'gpt-6'),
  family(gpt, thinks, 131_072, 'gpt-oss'),
  family(gpt, ['reasoning', 'code'], 65_536, 'o1-mini'),
  family(gpt, ['reasoning', 'code'], 32_768, 'o1-preview'),
  family(gpt, thinks, 100_000, 'o3-mini'),
  family(gpt, frontier, 100_000, 'o1', 'o3', 'o4'),
  family(claude, ['vision', 'tools', 'code'], 8192, 'claude-3-5'),
  family(claude, ['vision', 'tools', 'reasoning', 'code'], 64_000, 'claude-3-7'),
  family(claude, ['vision', 'tools', 'code'], 4096, 'claude-3-'),
  family(claude, ['code'], 4096, 'claude-2', 'claude-instant'),
  family(
    claude,
    frontier,
    128_000,
    'claude-opus-4-6',
    'claude-opus-4-7',
    'claude-opus-4-8',
    'claude-sonnet-4-6',
  ),
  family(claude, frontier, 64_000, 'claude-opus-4-5', 'claude-sonnet-4-5', 'claude-haiku-4-5'),
  family(claude, ['vision', 'tools', 'reasoning', 'code'], 32_000, 'claude-opus-4'),
  family(claude, ['vision', 'tools', 'reasoning', 'code'], 64_000, 'claude-sonnet-4'),
  family(claude, frontier, 128_000, 'claude-opus-5', 'claude-fable-5'),
  family(claude, frontier, null, 'claude-'),
  family(gemini, embeds, null, 'gemini-embedding', 'embedding-00'),
  family(gemini, [...sees, 'audio'], 8192, 'gemini-1-5', 'gemini-2-0'),
  family(gemini, [...frontier, 'audio'], 65_536, 'gemini-2-5', 'gemini-3'),
  family(gemini, ['vision'], 8192, 'gemma-3'),
  family(mistral, embeds, null, 'mistral-embed', 'codestral-embed'),
  family(mistral, [...frontier], null, 'magistral', 'mistral-medium-3'),
  family(mistral, sees, null, 'mistral-large', 'mistral-medium', 'mistral-small', 'pixtral', 'ministral'),
  family(mistral, ['tools', 'audio'], null, 'voxtral'),
  family(mistral, speaks, null, 'codestral', 'devstral', 'open-mistral', 'open-mixtral', 'mistral-nemo'),
  family(llama, ['vision', 'tools', 'code'], null, 'llama-4', 'meta-llama-4', 'llama4'),
  family(llama, ['vision'], null, 'llama-3-2-11b', 'llama-3-2-90b', 'llama3-2-vision'),
  family(llama, ['tools'], null, 'llama-3', 'meta-llama-3', 'llama3'),
  family(qwen, embeds, null, 'qwen3-embedding'),
  family(qwen, ['vision', 'tools'], null, 'qwen-vl', 'qwen2-5-vl', 'qwen3-vl', 'qwen2-vl'),
  family(qwen, ['tools', 'code'], null, 'qwen3-coder', 'qwen2-5-coder', 'qwen-coder', 'qwen-2-5-coder'),
  family(qwen, ['tools', 'reasoning', 'code'], null, 'qwq', 'qwen3'),
  family(qwen, ['tools', 'code'], null, 'qwen'),
  family(grok, frontier, null, 'grok-4'),
  family(grok, thinks, null, 'grok-3-mini', 'grok-code'),
  family(grok, ['vision', 'tools', 'schema'], null, 'grok-2-vision'),
  family(grok, speaks, null, 'grok-'),
  family(deepseek, ['tools', 'reasoning', 'code'], null, 'deepseek-reasoner', 'deepseek-r1', 'deepseek-v4'),
  family(deepseek, ['tools', 'code'], null, 'deepseek-chat', 'deepseek-v3', 'deepseek-flash'),
  family(
    kimi,
    ['vision', 'tools', 'reasoning', 'code'],
    null,
    'kimi-k2-5',
    'kimi-k2-6',
    'kimi-k2-7',
    'kimi-k3',
  ),
  family(kimi, ['tools', 'reasoning', 'code'], null, 'kimi-k2-thinking'),
  family(kimi, ['tools', 'code'], null, 'kimi-k2', 'moonshot-v1'),
  family(glm, ['vision', 'tools', 'reasoning'], null, 'glm-4-5v', 'glm-4-6v'),
  family(glm, ['tools', 'reasoning', 'code'], null, 'glm-4-5', 'glm-4-6', 'glm-4-7', 'glm-5'),
  family(cohere, embeds, null, 'embed-'),
  family(cohere, ['vision', 'tools', 'schema'], null, 'command-a-vision'),
  family(cohere, thinks, null, 'command-a-reasoning'),
  family(cohere, ['tools', 'schema'], null, 'command-a', 'command-r'),
  family(nova, ['vision', 'tools', 'reasoning'], null, 'nova-2-lite', 'nova-2-pro'),
  family(nova, ['tools'], null, 'nova-micro'),
  family(nova, ['vision', 'tools'], null, 'nova-lite', 'nova-pro', 'nova-premier'),
  family(sonar, ['vision', 'schema', 'reasoning'], null, 'sonar-reasoning', 'sonar-deep-research'),
  family(sonar, ['vision', 'schema'], null, 'sonar'),
];

/** Region and vendor prefixes that platforms add to a name: `us.anthropic.claude-…`. */
const owner =
  /^(?:(?:us|us-gov|eu|apac|jp|au|ca|global)\.)?(?:amazon|anthropic|cohere|deepseek|meta|mistral|openai|qwen)\./;

/** The family of a model, with or without such a prefix; null: unknown. */
export function familyOf(model: string): Family | null {
  const last = model.slice(model.lastIndexOf('/') + 1).toLowerCase();
  const name = last.replace(owner, '').replaceAll('.', '-');
  return families.find(({ prefixes }) => prefixes.some((prefix) => name.startsWith(prefix))) ?? null;
}
