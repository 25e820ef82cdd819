/** Classes of service whose price isn't the usual multiple: of which models, and at which providers. */
import type { Price } from './facts.ts';

/**
 * The first row that matches a name counts.
 * OpenAI's: https://openai.com/api-priority-processing/; Anthropic's:
 * https://platform.claude.com/docs/en/build-with-claude/fast-mode; Gemini's: https://ai.google.dev/gemini-api/docs/pricing;
 * Groq's flex, which is no cheaper: https://console.groq.com/docs/flex-processing
 */
const rows: readonly (readonly [model: RegExp, NonNullable<Price['services']>, table?: string])[] = [
  [/^/, { flex: 1 }, 'groq'],
  [/^gpt-5\.5(?!-mini|-nano)/, { priority: 2.5 }],
  [/^gpt-5-mini/, { priority: 1.8 }],
  [/^gpt-4\.1(?!-nano)/, { priority: 1.75 }],
  [/^gpt-4o-mini/, { priority: 5 / 3 }],
  [/^gpt-4o/, { priority: 1.7 }],
  [/^o3(?!-mini)/, { priority: 1.75 }],
  [/^o4-mini/, { priority: 20 / 11 }],
  [/^claude-opus-4-[67]/, { fast: 6 }],
  [/^gemini-/, { priority: 1.8 }],
];

/** What a model's classes of service cost in a price table, where it isn't the usual; undefined: it is. */
export const servicesOf = (model: string, table: string): Price['services'] =>
  rows.find(([pattern, , only = table]) => only === table && pattern.test(model))?.[1];
