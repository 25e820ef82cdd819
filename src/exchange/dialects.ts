/** The names of the dialects. */

/** Every dialect that providers or clients speak. */
export const dialectNames = [
  'openai',
  'anthropic',
  'responses',
  'gemini',
  'bedrock',
  'cohere',
  'replicate',
] as const;
/** The wire format of an API, by name. */
export type DialectName = (typeof dialectNames)[number];
