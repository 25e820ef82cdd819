/** The names of the dialects. */

/** A dialect a provider or a client speaks on the wire. */
export const dialectNames = [
  'openai',
  'anthropic',
  'responses',
  'gemini',
  'bedrock',
  'cohere',
  'replicate',
] as const;
export type DialectName = (typeof dialectNames)[number];
