/** Times translation between dialects: a request and a stream of 200 events, for each pair. */
import { Refusal } from '../../src/base/errors.ts';
import type { ReplyContext } from '../../src/dialects/chat-reply.ts';
import { dialects } from '../../src/dialects/index.ts';
import { translatedReading } from '../../src/dialects/read-reply.ts';
import type { ChatClient, ChatProvider } from '../../src/dialects/sides.ts';
import { readRequest, writeRequest } from '../../src/dialects/translate.ts';
import type { Destination } from '../../src/dialects/wire.ts';
import { type DialectName, dialectNames } from '../../src/exchange/dialects.ts';
import { providers } from '../../test/faults/dialect-rows.ts';
import { chatBody } from './samples.ts';

/** Name of this group in the report. */
export const subject = 'translate';

/** Name of the task that translates a request of `kib` KiB. */
export const requestTask = (client: string, provider: string, kib: number): string =>
  `request of ${kib} KB, ${client} to ${provider}`;
/** Name of the task that translates a stream. */
export const streamTask = (client: string, provider: string): string =>
  `stream of 200 events, ${provider} to ${client}`;

const to: Destination = {
  basePath: '',
  model: 'bench/model',
  served: 'bench/model',
  headers: [],
  outputMaxTokens: null,
  quirks: {},
};
const context: ReplyContext = { model: 'm', requestId: 'req_1', createdS: 1, wantsUsage: true };

/** Everything that happens to a request's body when it is translated. */
function translate(client: ChatClient, provider: ChatProvider, body: Buffer): Buffer {
  const read = readRequest(client, { body, stream: false }, false);
  if (read instanceof Refusal) throw read;
  const written = writeRequest(read, provider, to);
  if (written instanceof Refusal || written.kind === 'cannot') throw new Error('it was refused');
  return written.body;
}

/** The OpenAI sample in another dialect, made by translation. */
function requestIn(client: ChatClient, own: ChatProvider | null, bytes: number): Buffer {
  const { chatClient: openai } = dialects.openai;
  if (openai === null || own === null || openai === client) return chatBody(bytes);
  return translate(openai, own, chatBody(bytes));
}

/** A stream of 200 text pieces as the dialect's providers send it, one Buffer per event; null if they can't. */
function streamOf(provider: DialectName): readonly Buffer[] | null {
  const wire = providers.find(({ name }) => name === provider);
  const pieces = Array.from({ length: 200 }, () => 'tok en ');
  return wire === undefined ? null : wire.stream(...pieces).map((event) => Buffer.from(event));
}

/** The tasks to time. */
export function tasks(): Record<string, () => unknown> {
  const found: Record<string, () => unknown> = {};
  for (const client of dialectNames) {
    for (const provider of dialectNames) {
      const { chatClient } = dialects[client];
      const { chatProvider } = dialects[provider];
      if (client === provider || chatClient === null || chatProvider === null) continue;
      for (const kib of [1, 100]) {
        const body = requestIn(chatClient, dialects[client].chatProvider, kib * 1024);
        found[requestTask(client, provider, kib)] = () => translate(chatClient, chatProvider, body);
      }
      const events = streamOf(provider);
      if (events === null) continue;
      const reading = translatedReading(chatProvider, chatClient, context);
      found[streamTask(client, provider)] = () => {
        const stream = reading.stream({ eventMaxBytes: 1 << 20, textMaxBytes: 128 * 1024, choices: 1 });
        for (const event of events) stream.push(event);
        // Without a last event, the stream ends with its bytes.
        stream.finish();
        if (!stream.ended) throw new Error(`the stream of ${provider} did not end`);
      };
    }
  }
  return found;
}
