/** What is OpenAI's own; requests to other servers aren't adapted. https://platform.openai.com/docs/models */

/** Names of OpenAI's models, including fine-tuned ones, but not gpt-oss, which runs elsewhere. */
const own = /^(?:ft:)?(?:gpt-(?!oss)\d|o\d|chatgpt-)/;

/** Whether OpenAI runs the model: newer ones refuse `max_tokens` and unknown fields, which other servers accept. */
export const isOpenAi = (model: string): boolean => own.test(model);

/** Whether the model takes custom tools, as OpenAI's own do since GPT-5. */
export const takesCustomTools = (model: string): boolean => /^(?:ft:)?gpt-(?:[5-9]|\d\d)/.test(model);

/** The most stop sequences: OpenAI's 4; other servers take any number. */
export const stopMax = (model: string): number => (isOpenAi(model) ? 4 : Number.POSITIVE_INFINITY);
