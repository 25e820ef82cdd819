/** Times translation between dialects: a request, and a stream of 200 events, for each pair. */
import { createNotes, type ReplyContext } from '../../src/providers/chat.ts';
import { dialects } from '../../src/providers/index.ts';
import { dialectNames } from '../../src/providers/names.ts';
import type { ChatClient, ChatProvider, Destination } from '../../src/providers/provider.ts';
import { translatedReading } from '../../src/providers/reading.ts';
import { chatBody, streamEvents } from './samples.ts';

export const subject = 'translate';

const to: Destination = {
  basePath: '',
  model: 'bench-model',
  headers: [],
  outputMaxTokens: null,
  quirks: {},
};
const context: ReplyContext = { model: 'm', requestId: 'req_1', createdS: 1, wantsUsage: true };

/** All that happens to a body on its way to another dialect. */
function translate(client: ChatClient, provider: ChatProvider, body: Buffer): Buffer {
  const notes = createNotes();
  const request = client.readRequest(JSON.parse(body.toString('utf8')), notes);
  return Buffer.from(JSON.stringify(provider.writeRequest(request, to, notes).body));
}

/** The OpenAI samples in another dialect, made by translation. */
function requestIn(client: ChatClient, own: ChatProvider | null, bytes: number): Buffer {
  const { chatClient: openai } = dialects.openai;
  if (openai === null || own === null || openai === client) return chatBody(bytes);
  return translate(openai, own, chatBody(bytes));
}

/** The sample stream as a provider of this dialect sends it; null: no client speaks it, so it can't be made. */
function streamIn(writer: ChatClient | null): readonly Buffer[] | null {
  const { chatProvider: openai, chatClient } = dialects.openai;
  if (openai === null || writer === null) return null;
  if (writer === chatClient) return streamEvents;
  const stream = translatedReading(openai, writer, context).stream(1 << 20);
  return streamEvents.map((event) => stream.push(event) ?? Buffer.alloc(0));
}

/** As many events as the sample has, of a dialect that no client speaks. */
function cohereStream(): readonly Buffer[] {
  const event = (data: object): Buffer => Buffer.from(`data: ${JSON.stringify(data)}\n\n`);
  const piece = { message: { content: { text: ' another' } } };
  return [
    event({ type: 'message-start', id: 'a', delta: { message: { role: 'assistant' } } }),
    ...Array.from({ length: 198 }, () => event({ type: 'content-delta', index: 0, delta: piece })),
    event({ type: 'message-end', delta: { finish_reason: 'COMPLETE' } }),
  ];
}

export function tasks(): Record<string, () => unknown> {
  const found: Record<string, () => unknown> = {};
  for (const client of dialectNames) {
    for (const provider of dialectNames) {
      const { chatClient } = dialects[client];
      const { chatProvider } = dialects[provider];
      if (client === provider || chatClient === null || chatProvider === null) continue;
      for (const kib of [1, 100]) {
        const body = requestIn(chatClient, dialects[client].chatProvider, kib * 1024);
        found[`request of ${kib} KB, ${client} to ${provider}`] = () =>
          translate(chatClient, chatProvider, body);
      }
      const events = provider === 'cohere' ? cohereStream() : streamIn(dialects[provider].chatClient);
      if (events === null) continue;
      const reading = translatedReading(chatProvider, chatClient, context);
      found[`stream of 200 events, ${provider} to ${client}`] = () => {
        const stream = reading.stream(1 << 20);
        for (const event of events) if (event.length > 0) stream.push(event);
        // Where no event is the last one, the end of the bytes is.
        stream.finish();
        if (!stream.ended) throw new Error(`the stream of ${provider} did not end`);
      };
    }
  }
  return found;
}
