/** What differs between OpenAI's own models; the dialect's other servers are asked plainly. https://platform.openai.com/docs/models */
import type { Effort } from '../chat.ts';

/** Its own names, fine-tuned ones included; gpt-oss runs elsewhere. */
const own = /^(?:ft:)?(?:gpt-(?!oss)(\d+)(?:\.(\d+))?|o\d|chatgpt-)/;

/** Made by OpenAI: newer ones refuse `max_tokens`, which other servers know only, and whatever they don't know. */
export const isOpenAi = (model: string): boolean => own.test(model);

/** 502 for GPT-5.2; 0 for names without a number, such as o3. */
function generation(model: string): number {
  const [, major = 0, minor = 0] = own.exec(model) ?? [];
  return Number(major) * 100 + Number(minor);
}

/** Reasons whatever it is told: sampling and stop sequences are refused. The o models, and GPT-5 before 5.1. */
const alwaysReasons = (model: string): boolean =>
  /^(?:ft:)?o\d/.test(model) || (generation(model) === 500 && !model.includes('-chat'));

/** Later ones take sampling while they don't reason. */
export const takesSampling = (model: string, effort: Effort | null): boolean =>
  !alwaysReasons(model) && (generation(model) < 501 || effort === null || effort === 'none');

/** Of several a few, and none where o3, o4 or GPT-5 answers. */
export const takesStop = (model: string, count: number): boolean =>
  !isOpenAi(model) || count === 0 || (count <= 4 && !(alwaysReasons(model) && !/^(?:ft:)?o1/.test(model)));

/** The effort next to the wished one that the model knows; other servers get it as it is. */
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
