/** What differs between Gemini's models. https://ai.google.dev/gemini-api/docs/models */

const version = (model: string): number => {
  const found = /gemini-(\d+)(?:\.(\d+))?/.exec(model);
  // Names without a number, such as `gemini-flash-latest`, are today's.
  if (found === null) return model.includes('gemini') ? 3 : 0;
  return Number(`${found[1]}.${found[2] ?? 0}`);
};

/** Demands the signatures of its calls back, thinks by levels, and takes pictures in a tool's result. */
export const isThird = (model: string): boolean => version(model) >= 3;

/** Answers by a schema and calls tools in one request. */
export const mixesSchemaAndTools = (model: string): boolean => version(model) === 0 || isThird(model);

/** Fetches files by their public addresses. */
export const fetchesUrls = (model: string): boolean => version(model) === 0 || version(model) >= 2.5;

/** The budgets of thinking tokens that a model takes; `off` is what means none, or the least there is. */
export function budgetRange(model: string): {
  readonly min: number;
  readonly max: number;
  readonly off: number;
} {
  if (model.includes('pro')) return { min: 128, max: 32_768, off: 128 };
  if (model.includes('lite')) return { min: 512, max: 24_576, off: 0 };
  return { min: 1, max: 24_576, off: 0 };
}
