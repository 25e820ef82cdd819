/** Helpers for tests of faults that were seen in the field: requests and replies translated between two dialects. */
import { work as free } from '../../src/attempt/own.ts';
import { createNotes } from '../../src/dialects/chat.ts';
import type { ReplyContext } from '../../src/dialects/chat-reply.ts';
import { dialects } from '../../src/dialects/index.ts';
import { presets } from '../../src/dialects/presets.ts';
import { translatedReading } from '../../src/dialects/read-reply.ts';
import { writeCall } from '../../src/dialects/translate.ts';
import type { Destination } from '../../src/dialects/wire.ts';
import type { DialectName } from '../../src/exchange/dialects.ts';
import { nativeEndpoint } from '../../src/native/inspect.ts';
import { context, deliverStream, destinationFor, providerOf } from './fixtures.ts';

/** A JSON object. */
export type Json = Record<string, unknown>;

/** Dialects that clients speak. */
export const clients = ['openai', 'anthropic', 'responses', 'gemini'] as const;

const said: Readonly<Partial<Record<DialectName, Json>>> = {
  openai: { messages: [{ role: 'user', content: 'Hi' }] },
  anthropic: { messages: [{ role: 'user', content: 'Hi' }], max_tokens: 9000 },
  responses: { input: 'Hi' },
  gemini: { contents: [{ role: 'user', parts: [{ text: 'Hi' }] }] },
};

/** A request of one dialect, written for a model of another. */
export function translated(
  from: DialectName,
  to: DialectName,
  model: string,
  more: Json,
  destination: Partial<Destination> = {},
) {
  const notes = createNotes();
  const request = dialects[from].chatClient?.readRequest({ model: 'm', ...said[from], ...more }, notes);
  if (request === undefined) throw new Error(`${from} has no clients`);
  const { body, origins } = writeCall(request, providerOf(to), destinationFor(model, destination), notes);
  return { body: body as Json, origins, ...notes };
}

/** How replies of one dialect are read for clients of another. */
export function readingOf(from: DialectName, to: DialectName, more: Partial<ReplyContext> = {}) {
  const { chatProvider } = dialects[from];
  const { chatClient } = dialects[to];
  if (chatProvider === null || chatClient === null) throw new Error('no chat');
  return translatedReading(chatProvider, chatClient, { ...context, ...more });
}

/** A provider's whole reply for a client; null: it is invalid or an error. */
export function whole(from: DialectName, to: DialectName, body: Json, more: Partial<ReplyContext> = {}) {
  const read = readingOf(from, to, more).whole(Buffer.from(JSON.stringify(body)));
  if (read === null || read === 'unfinished' || read.facts.error) return null;
  return JSON.parse(read.body.toString()) as Json;
}

/** The client's events for a provider's stream of server-sent events, and its facts. */
export function streamed(
  from: DialectName,
  to: DialectName,
  events: readonly Json[],
  more: Partial<ReplyContext> = {},
) {
  const name = (event: Json) => (typeof event.type === 'string' ? `event: ${event.type}\n` : '');
  const end = from === 'openai' ? 'data: [DONE]\n\n' : '';
  const wire = events.map((event) => `${name(event)}data: ${JSON.stringify(event)}\n\n`).join('') + end;
  const { text, facts } = deliverStream(readingOf(from, to, more), [Buffer.from(wire)]);
  const received = text
    .split('\n')
    .filter((line) => line.startsWith('data: {'))
    .map((line) => JSON.parse(line.slice(6)) as Json);
  return { received, text, facts: facts as Json };
}

/** What a preset's provider reads otherwise, as part of a destination. */
export const quirksOf = (preset: string) => ({ quirks: presets[preset]?.quirks ?? {} });

/** A body as it is sent within OpenAI's dialect. */
export function passed(preset: string, body: Json) {
  const order = {
    dialect: 'openai',
    isClaude: false,
    signsCalls: false,
    turns: presets[preset]?.quirks.turns,
    inspectedAs: nativeEndpoint.Chat,
  } as const;
  const given = Buffer.from(JSON.stringify(body));
  const { body: freed, value } = free(given, order);
  return { body: freed === null ? null : (JSON.parse(freed.toString()) as Json), ...value };
}
