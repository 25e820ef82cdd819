/** Classes of service whose price isn't the usual multiple: of which models. */
import type { Price } from './facts.ts';

/**
 * The first row that matches a name counts.
 * OpenAI's: https://openai.com/api-priority-processing/; Anthropic's:
 * https://platform.claude.com/docs/en/build-with-claude/fast-mode; Gemini's: https://ai.google.dev/gemini-api/docs/pricing
 */
const rows: readonly (readonly [RegExp, NonNullable<Price['services']>])[] = [
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

/** What a model's classes of service cost, where it isn't the usual; undefined: it is. */
export const servicesOf = (model: string): Price['services'] =>
  rows.find(([pattern]) => pattern.test(model))?.[1];
