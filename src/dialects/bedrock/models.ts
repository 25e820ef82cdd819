/** What differs between the models that Bedrock serves. */

/** Makers whose models take more than all of Bedrock's do; profiles by ARN may hide theirs. */
export type Family = 'claude' | 'nova' | 'gpt-oss' | 'other';

export function familyOf(model: string): Family {
  if (model.includes('claude')) return 'claude';
  if (model.includes('amazon.nova')) return 'nova';
  return model.includes('gpt-oss') ? 'gpt-oss' : 'other';
}

/** https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html */
export const keepsPrompts = (family: Family): boolean => family === 'claude' || family === 'nova';

/** Nova thinks from its second generation on, by levels. */
export const isThinkingNova = (model: string): boolean => model.includes('amazon.nova-2');
