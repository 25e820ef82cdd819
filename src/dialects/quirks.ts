/** Where servers deviate from their dialect: of presets, and of engines on the same network. */
import type { Quirks } from './wire.ts';

/** Refuses `stream_options`, and reports usage in the last event of a stream by itself. */
export const noStreamOptions: Quirks = { noStreamOptions: true };
/** Deployments have names that their owners choose, so they say nothing about the model. */
export const azure: Quirks = { apiKeyHeader: true, completionTokens: true };
/** Expects the key as `Authorization: Bearer`, not as `x-api-key` like Anthropic. */
export const bearer: Quirks = { bearer: true };
/** Takes its reasoning back, or even requires it. */
export const reasoningBack: Quirks = { reasoningBack: ['reasoning_content'] };
/** Refuses a conversation with calls if a turn lacks its reasoning, whoever answered it. */
export const moonshot: Quirks = { ...reasoningBack, turns: { reasonedCalls: true } };
/** vLLM reads `reasoning`, earlier releases `reasoning_content`. */
const vllm: Quirks = { reasoningBack: ['reasoning', 'reasoning_content'] };
/** Members of the assistant's messages that servers with closed bodies don't know. */
const unknownMembers = ['refusal', 'annotations', 'audio', 'reasoning_content', 'reasoning_details'];
/**
 * Mistral's body is closed: what it doesn't know is a 422.
 * https://docs.mistral.ai/api/endpoint/chat, https://github.com/mistralai/mistral-common (ids of calls, order)
 */
export const mistral: Quirks = {
  noStreamOptions: true,
  turns: {
    shortIds: true,
    strictOrder: true,
    words: {
      seed: 'random_seed',
      max_completion_tokens: 'max_tokens',
      user: null,
      safety_identifier: null,
      prompt_cache_key: null,
      prompt_cache_retention: null,
      verbosity: null,
      store: null,
      service_tier: null,
      logprobs: null,
      top_logprobs: null,
      logit_bias: null,
    },
    noMembers: ['name', 'reasoning', ...unknownMembers],
  },
};
/**
 * Takes text, not lists, in tools' messages, and demands reasoning as Moonshot does.
 * https://api-docs.deepseek.com/guides/thinking_mode#tool-calls
 */
export const deepseek: Quirks = { ...reasoningBack, turns: { plainText: true, reasonedCalls: true } };
export const openrouter: Quirks = { reasoningBack: ['reasoning'], detailsBack: true };
export const groq: Quirks = {
  turns: {
    words: { logprobs: null, top_logprobs: null, logit_bias: null },
    noMembers: ['name', ...unknownMembers],
  },
};
export const cerebras: Quirks = {
  turns: {
    words: { frequency_penalty: null, presence_penalty: null, logit_bias: null },
    noMembers: unknownMembers,
  },
};

/** What self-hosted engines read beyond OpenAI's API, by the kind of the engine. */
export const quirksOfEngine = { vllm, sglang: reasoningBack, llamacpp: reasoningBack } as const;
