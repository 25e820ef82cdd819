/**
 * The committed samples of each dialect. A dialect has one folder in `test/fixtures`:
 *
 * - `requests/<case>.json`: what its clients send; `replies/<case>.json`, `streams/<case>.*`, `errors/<status>.json`: what
 *   its providers answer, in the shape they were seen in;
 * - `absent.json`: cases it has no words for, each with the reason;
 * - `written/<client>/<case>.json`: snapshots of other dialects' requests written in it;
 * - `delivered/<provider>/<case>.*`: snapshots of other dialects' answers written in it.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { familyOf } from '../../src/catalog/families.ts';
import { refusesOf } from '../../src/catalog/refuses.ts';
import { copyNotes, createNotes } from '../../src/dialects/chat.ts';
import type { ReplyContext } from '../../src/dialects/chat-reply.ts';
import { dialects } from '../../src/dialects/index.ts';
import type { ReplyReading } from '../../src/dialects/reading.ts';
import type { ChatClient, ChatProvider } from '../../src/dialects/sides.ts';
import { writeCall } from '../../src/dialects/translate.ts';
import type { Destination } from '../../src/dialects/wire.ts';
import { type DialectName, dialectNames } from '../../src/exchange/dialects.ts';

export const folder = new URL('../fixtures/', import.meta.url).pathname;

export const kinds = ['requests', 'replies', 'streams', 'errors'] as const;
export type Kind = (typeof kinds)[number];

/** Cases of which every dialect has a sample, or in `absent.json` a reason for having none. */
export const cases: Readonly<Record<Kind, readonly string[]>> = {
  requests: [
    'text',
    'stream',
    'system',
    'multi-part',
    'image-base64',
    'image-url',
    'document',
    'document-text',
    'tools',
    'tool-choice-auto',
    'tool-choice-none',
    'tool-choice-required',
    'tool-choice-named',
    'serial-tools',
    'tool-results',
    'tool-error',
    'stop',
    'limits',
    'sampling',
    'top-p',
    'schema',
    'reasoning-effort',
    'reasoning-off',
    'signed-reasoning',
    'cache-marks',
    'user',
    'advisory',
    'server-tool',
    'file-id',
  ],
  replies: ['text', 'tools', 'length', 'refusal', 'reasoning', 'unknown', 'no-usage', 'null-usage', 'empty'],
  streams: ['text', 'tools', 'reasoning', 'length', 'unknown', 'no-usage'],
  errors: ['400'],
};

/** The model of each dialect in snapshots; some fields depend on its name. */
const models: Readonly<Partial<Record<DialectName, string>>> = {
  openai: 'gpt-5.2',
  anthropic: 'claude-sonnet-4-5',
  gemini: 'gemini-3-flash-preview',
  cohere: 'command-a-reasoning-08-2025',
  replicate: 'meta/meta-llama-3-70b-instruct',
  bedrock: 'us.anthropic.claude-sonnet-4-5-20250929-v1:0',
};

/** The destination of requests for a model, with its facts from the catalog. */
export const destinationFor = (model: string, more: Partial<Destination> = {}): Destination => ({
  basePath: '',
  model,
  served: model,
  headers: [],
  outputMaxTokens: null,
  reasons: familyOf(model)?.capabilities.includes('reasoning') ?? null,
  refuses: refusesOf(model),
  quirks: {},
  ...more,
});

/** The chat API of a dialect's providers. */
export function providerOf(name: DialectName): ChatProvider {
  const { chatProvider } = dialects[name];
  if (chatProvider === null) throw new Error(`${name} has no chat`);
  return chatProvider;
}

export const destinationOf = (name: DialectName): Destination => destinationFor(models[name] ?? 'test-model');

/** Bounds that no sample reaches. */
export const streamBounds = { eventMaxBytes: 1024 * 1024, textMaxBytes: 128 * 1024, choices: 1 };

export const context: ReplyContext = {
  model: 'asked-model',
  requestId: 'req_1',
  createdS: 1_700_000_000,
  wantsUsage: true,
};

/** Files of a dialect's samples, by case. */
export function samplesOf(name: DialectName, kind: Kind): Map<string, Buffer> {
  const at = `${folder}${name}/${kind}`;
  const files = existsSync(at) ? readdirSync(at).sort() : [];
  return new Map(files.map((file) => [file.replace(/\.\w+$/, ''), readFileSync(`${at}/${file}`)]));
}

/** Cases that a dialect can't express, with the reasons. */
export function absentIn(name: DialectName): Readonly<Partial<Record<Kind, Record<string, string>>>> {
  const at = `${folder}${name}/absent.json`;
  return existsSync(at) ? JSON.parse(readFileSync(at, 'utf8')) : {};
}

export interface Pair {
  readonly client: DialectName;
  readonly provider: DialectName;
  readonly chatClient: ChatClient;
  readonly chatProvider: ChatProvider;
}

/** Each client with each provider of another dialect. */
export const pairs: readonly Pair[] = dialectNames.flatMap((client) =>
  dialectNames.flatMap((provider) => {
    const { chatClient } = dialects[client];
    const { chatProvider } = dialects[provider];
    return client === provider || chatClient === null || chatProvider === null
      ? []
      : [{ client, provider, chatClient, chatProvider }];
  }),
);

/** Translates a request, and reports dropped and unsupported fields. */
export function writeAcross({ chatClient, chatProvider, provider }: Pair, body: Buffer): unknown {
  const read = createNotes();
  const request = chatClient.readRequest(JSON.parse(body.toString('utf8')), read);
  if (read.unsupported !== null) return { cannot: read.unsupported };
  const notes = copyNotes(read);
  const call = writeCall(request, chatProvider, destinationOf(provider), notes);
  if (notes.invalid !== null) return { invalid: notes.invalid };
  if (notes.unsupported !== null) return { cannot: notes.unsupported };
  return { dropped: notes.dropped, ...call };
}

/** Translates a stream that arrives in these chunks. */
export function deliverStream(
  reading: ReplyReading,
  chunks: Iterable<Buffer>,
): { text: string; facts: unknown } {
  const stream = reading.stream(streamBounds);
  let text = '';
  for (const chunk of chunks) text += stream.push(chunk) ?? '';
  text += stream.finish() ?? '';
  const { content, finished, ended, broken, toolBegun } = stream;
  return { text, facts: { ...stream.facts(), content, finished, ended, broken, toolBegun } };
}
