/** How a reply arrives: whole or as a stream, packed or not, and what its provider bills if it doesn't arrive to its end. */
import type { IncomingHttpHeaders } from 'node:http';
import { createBrotliDecompress, createGunzip, createInflate, constants as zlib } from 'node:zlib';
import type { Arrived, ReplyReading, StreamReading } from '../dialects/reading.ts';
import { noFacts } from '../native/reply.ts';
import { encodingOf, isNoAnswer } from './whole.ts';

const jsonType = 'application/json';
const eventType = 'text/event-stream';
/** Types that say nothing: some relays name one of them, or none, for a stream of events. */
const vagueType = /^(?:$|text\/plain|application\/octet-stream)/;

/** What a reply's head says of its body; `unsaid`: its first bytes tell. */
export type BodyForm = 'whole' | 'stream' | 'unsaid' | 'malformed';

/** What a reply's head says of its body. */
export function formOf(
  status: number,
  headers: IncomingHttpHeaders,
  { isStream, streamType }: ReplyReading,
  wantsStream: boolean,
): BodyForm {
  if (isNoAnswer(status)) return 'malformed';
  if (status >= 300) return 'whole';
  // Media types are case-insensitive (RFC 9110, section 8.3.1).
  const type = String(headers['content-type'] ?? '').toLowerCase();
  const streams = isStream?.(type) ?? type.startsWith(streamType);
  // A dialect whose streams come in one piece uses the content type of whole replies for them.
  if (streams && !wantsStream && streamType === jsonType) return 'whole';
  if (streams) return wantsStream ? 'stream' : 'malformed';
  const vague = isStream === undefined && streamType === eventType && vagueType.test(type);
  return wantsStream && vague ? 'unsaid' : 'whole';
}

/** What the first bytes of a body say: JSON and HTML are whole; null: nothing yet. */
export function formOfBytes(bytes: Buffer): 'whole' | 'stream' | null {
  const text = bytes
    .toString('latin1', 0, 64)
    .replace(/^\xef\xbb\xbf/, '')
    .trimStart();
  if (text === '') return null;
  return /^[{[<"]/.test(text) ? 'whole' : 'stream';
}

/** The headers of a reply that was packed, for its body as it is now. */
export function unpacked({ 'content-encoding': _, ...headers }: IncomingHttpHeaders): IncomingHttpHeaders {
  return headers;
}

/** Decompresses a stream as it arrives. */
export interface Unpacking {
  /** False: it can't take more for now; `onDrain` follows. */
  write(chunk: Buffer): boolean;
  /** All has arrived. */
  end(): void;
  /** The reader is slow: no more is unpacked than is already under way. */
  pause(): void;
  /** False: it can't take more yet, as of `write`. */
  resume(): boolean;
  stop(): void;
}

/** What becomes of what was unpacked. */
export interface Unpacked {
  onData(chunk: Buffer): void;
  onEnd(): void;
  /** The bytes aren't packed as was said. */
  onBroken(): void;
  onDrain(): void;
}

/** Each event is given out as soon as its bytes are there, although more of the same block may follow. */
const flush = { flush: zlib.Z_SYNC_FLUSH, finishFlush: zlib.Z_SYNC_FLUSH };
const unpackers: Readonly<Record<string, () => ReturnType<typeof createGunzip>>> = {
  gzip: () => createGunzip(flush),
  deflate: () => createInflate(flush),
  br: () => createBrotliDecompress({ flush: zlib.BROTLI_OPERATION_FLUSH }),
};

/** Begins to unpack a stream; null: it isn't packed; `unknown`: nobody knows how. */
export function unpackStream(headers: IncomingHttpHeaders, to: Unpacked): Unpacking | null | 'unknown' {
  const encoding = encodingOf(headers);
  if (encoding === null) return null;
  const unpacker = Object.hasOwn(unpackers, encoding) ? unpackers[encoding]?.() : undefined;
  if (unpacker === undefined) return 'unknown';
  unpacker.on('data', (chunk: Buffer) => to.onData(chunk));
  unpacker.on('end', () => to.onEnd());
  unpacker.on('error', () => to.onBroken());
  unpacker.on('drain', () => to.onDrain());
  return {
    write: (chunk) => unpacker.write(chunk),
    end: () => void unpacker.end(),
    pause: () => void unpacker.pause(),
    resume: () => !unpacker.resume().writableNeedDrain,
    stop: () => void unpacker.destroy(),
  };
}

/** A provider that read the prompt bills it, whatever came of its reply. */
export const justPrompt: Arrived = { facts: noFacts, text: () => Buffer.alloc(0) };

/** What arrived of a stream; null: nothing that its provider bills. @param overflowed too much of it came */
export function arrivedOfStream(scanner: StreamReading, overflowed: boolean): Arrived | null {
  if (scanner.begun) return { facts: scanner.facts(), text: () => scanner.takeText() };
  return overflowed ? justPrompt : null;
}
