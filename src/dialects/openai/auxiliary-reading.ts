/** Reads replies of auxiliary endpoints: bytes pass unchanged, usage is extracted. */
import { isUtf8 } from 'node:buffer';
import { isJson } from '../../base/json.ts';
import { inspectReply, noFacts, type ReplyFacts, StreamScanner } from '../../native/reply.ts';
import type { Arrived, ReplyReading, StreamBounds, StreamFault, StreamReading } from '../reading.ts';

const none = Buffer.alloc(0);
const noText = (): Buffer => none;

/** An event may contain an image in Base64. */
const eventLeastBytes = 64 * 1024 * 1024;
const openBrace = 0x7b;

/** A truncated reply: the provider has done the work, but its usage is unknown. */
const broken = (body: Buffer): Arrived | null =>
  firstByte(body) === openBrace ? { facts: noFacts, text: noText } : null;

/** The first byte other than white space. */
function firstByte(body: Buffer): number | undefined {
  let at = 0;
  while (at < body.length && (body[at] ?? 0) <= 0x20) at += 1;
  return body[at];
}

/** JSON, or a stream of events if one was requested. */
export const jsonReading: ReplyReading = {
  streamType: 'text/event-stream',
  whole(body) {
    const facts = inspectReply(body, 'auxiliary');
    return facts === null ? null : { body, facts, text: noText };
  },
  arrived: broken,
  stream: (bounds) =>
    new EventStream({ ...bounds, eventMaxBytes: Math.max(bounds.eventMaxBytes, eventLeastBytes) }),
};

/** The same; what can't be streamed comes whole even if a stream was requested. */
export const wholeReading: ReplyReading = { ...jsonReading, wholeToo: true };

/** A transcript as text, SRT or VTT. */
export const textReading: ReplyReading = {
  ...wholeReading,
  whole(body) {
    // An error is JSON, whatever format was requested.
    const facts = firstByte(body) === openBrace ? inspectReply(body, 'auxiliary') : null;
    return { body, facts: facts ?? noFacts, text: noText };
  },
};

/** Speech as events. Some engines send its bytes all the same, which come whole then; text is none. */
export const spokenReading: ReplyReading = {
  ...jsonReading,
  wholeToo: true,
  whole(body) {
    const isSound = body.includes(0) || !isUtf8(body);
    const facts = isSound ? noFacts : inspectReply(body, 'auxiliary');
    return isSound || facts?.error === true ? { body, facts: facts ?? noFacts, text: noText } : null;
  },
};

/** Raw bytes, passed on unchanged. Speech must be neither JSON nor text, nor empty. */
export const bytesReading = (kind: 'speech' | 'file'): ReplyReading => ({
  ...jsonReading,
  isStream: (contentType) => kind === 'file' || !/^(application\/json|text\/)/i.test(contentType),
  arrived: () => null,
  stream: () => new ByteStream(kind === 'file', null),
});

/** What is passed on whatever it is: JSON as a whole, since it names objects, and all else as bytes. */
export const passedReading: ReplyReading = {
  ...bytesReading('file'),
  isStream: (contentType) => contentType !== '' && !isJson(contentType),
  wholeToo: true,
  whole: (body) => ({ body, facts: noFacts, text: noText }),
};

/** The same, billed by the usage that it states in its last bytes. @param usageIn reads the last `usage` in them */
export const billedReading = (usageIn: (end: string) => ReplyFacts | null): ReplyReading => ({
  ...passedReading,
  whole: (body) => {
    const facts = usageIn(body.toString('utf8', Math.max(0, body.length - endMaxBytes)));
    return { body, facts: facts ?? { ...noFacts, textBytes: body.length }, text: noText };
  },
  stream: () => new ByteStream(true, usageIn),
});

/** Usage is looked for in so many bytes at the end of a reply: some servers repeat texts and settings after it. */
const endMaxBytes = 64 * 1024;
/** Bytes of text in an event of a stream, which is about a token. */
const eventTextBytes = 4;

/** A stream of events that ends with a final event, with or without `[DONE]` after it. */
class EventStream implements StreamReading {
  readonly toolBegun = false;
  readonly openBlock = -1;
  /** Always 0, so that no budget ends the stream early: these APIs have no event for that. */
  readonly textBytes = 0;
  readonly heldBytes = 0;
  readonly #scanner: StreamScanner;
  #over = false;

  constructor({ eventMaxBytes, textMaxBytes }: StreamBounds) {
    this.#scanner = new StreamScanner('auxiliary', false, eventMaxBytes, textMaxBytes);
  }

  push(chunk: Buffer): Buffer | null {
    return this.#scanner.push(chunk);
  }

  finish(): Buffer | null {
    const rest = this.#scanner.finish();
    this.#over = true;
    return rest;
  }

  get content(): boolean {
    return this.#scanner.content;
  }
  get finished(): boolean {
    return this.#scanner.finished;
  }
  get ended(): boolean {
    return this.#scanner.ended || (this.#over && this.#scanner.finished);
  }
  get broken(): StreamFault | null {
    return this.#scanner.broken;
  }
  get begun(): boolean {
    return this.#scanner.begun;
  }
  facts(): ReplyFacts {
    return this.#scanner.facts();
  }
  takeText(): Buffer {
    return this.#scanner.takeText();
  }
}

/** A stream of opaque bytes, which ends where the connection says. */
class ByteStream implements StreamReading {
  content = false;
  ended = false;
  readonly toolBegun = false;
  readonly openBlock = -1;
  readonly textBytes = 0;
  readonly heldBytes = 0;
  readonly #mayBeEmpty: boolean;
  readonly #usageIn: ((end: string) => ReplyFacts | null) | null;
  /** The last chunks, and the bytes in them. */
  readonly #end: Buffer[] = [];
  #endBytes = 0;
  #events = 0;

  constructor(mayBeEmpty: boolean, usageIn: ((end: string) => ReplyFacts | null) | null) {
    this.#mayBeEmpty = mayBeEmpty;
    this.#usageIn = usageIn;
  }

  push(chunk: Buffer): Buffer {
    this.content = true;
    if (this.#usageIn !== null) this.#keep(chunk);
    return chunk;
  }

  #keep(chunk: Buffer): void {
    for (let at = chunk.indexOf('data:'); at >= 0; at = chunk.indexOf('data:', at + 5)) this.#events += 1;
    this.#end.push(chunk);
    this.#endBytes += chunk.length;
    for (let first = this.#end[0]; first !== undefined; first = this.#end[0]) {
      if (this.#endBytes - first.length < endMaxBytes) return;
      this.#endBytes -= first.length;
      this.#end.shift();
    }
  }

  finish(): null {
    this.ended = this.content || this.#mayBeEmpty;
    return null;
  }

  get finished(): boolean {
    return this.ended;
  }
  get broken(): null {
    return null;
  }
  get begun(): boolean {
    return this.content;
  }
  facts(): ReplyFacts {
    if (this.#usageIn === null) return noFacts;
    const end = Buffer.concat(this.#end);
    const stated = this.#usageIn(end.toString('utf8', Math.max(0, end.length - endMaxBytes)));
    return stated ?? { ...noFacts, textBytes: this.#events * eventTextBytes };
  }
  takeText(): Buffer {
    return none;
  }
}
