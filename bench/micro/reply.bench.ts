/** Times `inspectReply`, which reads the facts of a whole reply, compared with `JSON.parse`. */
import { inspectReply } from '../../src/native/reply.ts';
import { chatReply } from './samples.ts';

/** Name of this group in the report. */
export const subject = 'reply';

/** The tasks to time. */
export function tasks(): Record<string, () => unknown> {
  if (inspectReply(chatReply, 'openai')?.outputTokens !== 160) throw new Error('the usage was not found');
  return {
    'inspectReply, 1 KB': () => inspectReply(chatReply, 'openai'),
    'JSON.parse, 1 KB': () => JSON.parse(chatReply.toString()),
  };
}
