/** Differences between Gemini models. https://ai.google.dev/gemini-api/docs/models */

const version = (model: string): number => {
  const found = /gemini-(\d+)(?:\.(\d+))?/.exec(model);
  // Names without a number, such as `gemini-flash-latest`, mean the newest.
  if (found === null) return model.includes('gemini') ? 3 : 0;
  return Number(`${found[1]}.${found[2] ?? 0}`);
};

/** From Gemini 3 on: requires the signatures of calls back, thinks by levels, accepts images in tool results. */
export const isGemini3 = (model: string): boolean => version(model) >= 3;

/** Whether a schema and tools can be combined in one request. */
export const mixesSchemaAndTools = (model: string): boolean => version(model) === 0 || isGemini3(model);

/** Whether the model fetches files from public URLs. */
export const fetchesUrls = (model: string): boolean => version(model) === 0 || version(model) >= 2.5;

/** The range of thinking budgets, in tokens, that a model accepts; `off`: the budget nearest to not thinking. */
export function budgetRange(model: string): {
  readonly min: number;
  readonly max: number;
  readonly off: number;
} {
  if (model.includes('pro')) return { min: 128, max: 32_768, off: 128 };
  if (model.includes('lite')) return { min: 512, max: 24_576, off: 0 };
  return { min: 1, max: 24_576, off: 0 };
}
