/** Differences between the models that Bedrock serves. */

/** Families with features beyond what all models share. Unknown for inference profiles whose ARN names no model. */
export type Family = 'claude' | 'nova' | 'gpt-oss' | 'other';

/** The family of a model id. */
export function familyOf(model: string): Family {
  if (model.includes('claude')) return 'claude';
  if (model.includes('amazon.nova')) return 'nova';
  return model.includes('gpt-oss') ? 'gpt-oss' : 'other';
}

/** Whether models have a prompt cache. https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html */
export const cachesPrompts = (family: Family): boolean => family === 'claude' || family === 'nova';

/** Whether a model is a Nova that thinks (from Nova 2 on), by levels. */
export const isThinkingNova = (model: string): boolean => model.includes('amazon.nova-2');
