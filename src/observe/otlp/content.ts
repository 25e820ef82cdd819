/**
 * Reads what a request and its reply say, and writes it as messages by OpenTelemetry's conventions for generative AI:
 * scrubbed, then cut to a size. Small ones are read at once, large ones as the work of another thread.
 */
import type { Aside, Work } from '../../base/aside.ts';
import { Cancellation } from '../../base/cancellation.ts';
import { type Json, parseObject } from '../../base/json.ts';
import { scriptOf } from '../../base/place.ts';
import { createNotes } from '../../dialects/chat.ts';
import { dialects } from '../../dialects/index.ts';
import type { DialectName } from '../../exchange/dialects.ts';
import { type NumberedScope, numbered, type PiiScope, scopeOf, scrubDocument } from '../../native/pii.ts';
import type { Said } from '../content.ts';
import { fitMessages, fitParts, type Messages } from './fit.ts';
import { inputOf } from './input.ts';
import { outputOfStream, outputOfWhole } from './output.ts';

/** Values of attributes, as JSON; empty: there is nothing to say. */
export interface Content {
  readonly system: string;
  readonly input: string;
  readonly output: string;
  /** Something was left out. */
  readonly cut: boolean;
}

/** How a request and its reply are read, as another thread can take it. */
interface Order {
  readonly dialect: DialectName;
  readonly scope: NumberedScope;
  /** The bytes of a reply; null: there is none. */
  readonly reply: Uint8Array | null;
  readonly stream: boolean;
  readonly cut: boolean;
  /** Of each attribute. */
  readonly maxBytes: number;
}

/** Larger ones are read aside. A stream is parsed event by event, which takes several times as long. */
const atOnceMaxBytes = 64 * 1024;
const streamFactor = 8;

const module = scriptOf('observe/otlp/content').href;

/** Reads it in a thread. */
export const work: Work<Order, Content | null> = (request, { scope, reply, ...order }) => ({
  value: read(request, reply === null ? null : Buffer.from(reply), scopeOf(scope), order),
  body: null,
});

/**
 * The content of a request and its reply. Resolves with null if they can't be read. Never rejects.
 * @param maxBytes of each attribute
 */
export async function contentOf(
  { dialect, scope, request, reply }: Said,
  maxBytes: number,
  aside: Aside,
): Promise<Content | null> {
  const body = reply === null ? null : Buffer.concat(reply.pieces);
  const order = { dialect, stream: reply?.stream ?? false, cut: reply?.cut ?? false, maxBytes };
  try {
    const weight = request.length + (body?.length ?? 0) * (order.stream ? streamFactor : 1);
    if (weight <= atOnceMaxBytes) return read(request, body, scope, order);
    const input: Order = { ...order, scope: numbered(scope), reply: body };
    const waits = { cancellation: new Cancellation(), deadlineMs: Number.POSITIVE_INFINITY };
    const done = await aside.run<Order, Content | null>(module, request, input, waits);
    return 'value' in done ? done.value : null;
  } catch {
    // The reason may hold text of the request.
    return null;
  }
}

function read(
  request: Buffer,
  reply: Buffer | null,
  scope: PiiScope,
  { dialect, stream, cut, maxBytes }: Omit<Order, 'scope' | 'reply'>,
): Content | null {
  const { chatClient, chatProvider } = dialects[dialect];
  const asked = parseObject(request.toString('utf8'));
  if (chatClient === null || chatProvider === null || asked === null) return null;
  // System messages are a part of the conversation only where they stand among the others.
  const { system, input } = inputOf(chatClient.readRequest(asked, createNotes()), dialect === 'openai');
  const output =
    reply === null
      ? []
      : stream
        ? outputOfStream(reply, chatProvider, cut)
        : outputOfWhole(reply, chatProvider);
  const scrubbed = scrub({ system, input: newest(input, maxBytes), output }, scope);
  if (scrubbed === null) return null;
  const said = {
    system: fitParts(scrubbed.system, maxBytes),
    input: fitMessages(scrubbed.input, maxBytes, 'newest'),
    output: fitMessages(scrubbed.output, maxBytes, 'first'),
  };
  return {
    system: said.system.json,
    input: said.input.json,
    output: said.output.json,
    cut: cut || scrubbed.input.length < input.length || Object.values(said).some((each) => each.cut),
  };
}

/** Messages that may find room: placeholders may be shorter than what they stand for, but not by so much. */
const readAhead = 4;

/** The newest messages of so many bytes, and the one before, whole: a value doesn't go beyond its message. */
function newest(messages: Messages, maxBytes: number): Messages {
  let bytes = 0;
  const from = messages.findLastIndex((message) => {
    bytes += JSON.stringify(message).length;
    return bytes > readAhead * maxBytes;
  });
  return messages.slice(Math.max(0, from));
}

type Scrubbed = { readonly system: Json[]; readonly input: Messages; readonly output: Messages };

/** Without personal data, whatever the policy lets pass to providers and clients. */
function scrub(said: Scrubbed, scope: PiiScope): Scrubbed | null {
  const { body } = scrubDocument(Buffer.from(JSON.stringify(said)), scope);
  return parseObject(body.toString('utf8')) as Scrubbed | null;
}
