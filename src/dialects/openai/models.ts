/** Differences between OpenAI's own models; requests to other servers aren't adapted. https://platform.openai.com/docs/models */
import type { Effort } from '../chat.ts';

/** Names of OpenAI's models, including fine-tuned ones, but not gpt-oss, which runs elsewhere. */
const own = /^(?:ft:)?(?:gpt-(?!oss)(\d+)(?:\.(\d+))?|o\d|chatgpt-)/;

/** Whether OpenAI runs the model: newer ones refuse `max_tokens` and unknown fields, which other servers accept. */
export const isOpenAi = (model: string): boolean => own.test(model);

/** 502 for GPT-5.2; 0 for names without a number, such as o3. */
function generation(model: string): number {
  const [, major = 0, minor = 0] = own.exec(model) ?? [];
  return Number(major) * 100 + Number(minor);
}

/** Models that always reason (o models, GPT-5 before 5.1), and so refuse sampling and mostly stop sequences. */
const alwaysReasons = (model: string): boolean =>
  /^(?:ft:)?o\d/.test(model) || (generation(model) === 500 && !model.includes('-chat'));

/** Whether a model accepts sampling parameters: later reasoning models do if they don't reason. */
export const takesSampling = (model: string, effort: Effort | null): boolean =>
  !alwaysReasons(model) && (generation(model) < 501 || effort === null || effort === 'none');

/** The most stop sequences that a model accepts: OpenAI's 4; o3, o4 and GPT-5 none; other servers any number. */
export function stopMax(model: string): number {
  if (!isOpenAi(model)) return Number.POSITIVE_INFINITY;
  return alwaysReasons(model) && !/^(?:ft:)?o1/.test(model) ? 0 : 4;
}

/** The nearest effort that the model supports; for other servers, the same. */
export function effortFor(effort: Effort, model: string): Effort {
  if (!isOpenAi(model)) return effort;
  const known = generation(model);
  if (effort === 'none' || effort === 'minimal') {
    if (known === 500) return 'minimal';
    return known === 0 || effort === 'minimal' ? 'low' : 'none';
  }
  if (effort === 'max' && known < 506) return known < 502 ? 'high' : 'xhigh';
  return effort === 'xhigh' && known < 502 ? 'high' : effort;
}
