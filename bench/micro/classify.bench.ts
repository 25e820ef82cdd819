/** Times how much classifying a request of 4 KB into a tier adds to `inspect`. */
import { inspect, nativeEndpoint } from '../../src/native/inspect.ts';
import { findNothing } from '../../src/native/pii.ts';

/** Name of this group in the report. */
export const subject = 'classify, 4 KB';

const sentence = 'Compare both designs, then explain step by step which one you would choose and why. ';

/** The tasks to time. */
export function tasks(): Record<string, () => unknown> {
  const body = (text: string): Buffer =>
    Buffer.from(JSON.stringify({ model: 'm', messages: [{ role: 'user', content: text }] }));
  const english = body(sentence.repeat(49));
  const chinese = body('请比较这两种设计，然后逐步解释你会选择哪一种以及原因。'.repeat(52));
  const key = Buffer.alloc(32);
  const look = (text: Buffer, classified: boolean): unknown =>
    inspect(text, nativeEndpoint.Chat, findNothing, classified, key);
  return {
    'inspect alone': () => look(english, false),
    'with a tier, English': () => look(english, true),
    'inspect alone, Chinese': () => look(chinese, false),
    'with a tier, Chinese': () => look(chinese, true),
  };
}
