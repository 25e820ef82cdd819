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

/** Those whose providers can be asked for embeddings by the gateway: a check needn't load the dialects to know. */
export const embeddingDialects: ReadonlySet<DialectName> = new Set(['openai', 'gemini', 'cohere']);

/** OpenAI's two dialects are one API. */
export const apiOf = (dialect: DialectName): DialectName => (dialect === 'responses' ? 'openai' : dialect);
