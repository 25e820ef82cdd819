/** Times `inspectReply`, the look at a whole reply, against `JSON.parse`. */
import { inspectReply } from '../../src/native/reply.ts';
import { chatReply } from './samples.ts';

export const subject = 'reply';

export function tasks(): Record<string, () => unknown> {
  if (inspectReply(chatReply, 'openai')?.outputTokens !== 160) throw new Error('the usage was not found');
  return {
    'inspectReply, 1 KB': () => inspectReply(chatReply, 'openai'),
    'JSON.parse, 1 KB': () => JSON.parse(chatReply.toString()),
  };
}
