/**
 * Splits Amazon's binary event stream into events.
 * https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html#streaming-event-stream
 *
 * ```text
 * total bytes (4) │ header bytes (4) │ CRC-32 of both (4) │ headers │ payload │ CRC-32 of all before (4)
 * ```
 */
import { crc32 } from 'node:zlib';
import { entryOf, parseObject, textOf } from '../../base/json.ts';
import type { WireEvent } from '../chat-reply.ts';
import type { StatedError } from '../fault.ts';
import { isTooComplexEvent } from '../framer.ts';
import type { Framer, Frames, StreamFault } from '../reading.ts';

/** Name of the event that represents an exception or error of the provider. */
export const exceptionEvent = ':exception';

const preludeBytes = 12;
const checksumBytes = 4;
/** Size of a header's value in bytes by its type; types 6 and 7 begin with their length. */
const valueBytes: readonly (number | undefined)[] = [0, 0, 1, 2, 4, 8, undefined, undefined, 8, 16];
const stringType = 7;

/** Creates the framer of one stream. @param eventMaxBytes longest event allowed */
export function createFramer(eventMaxBytes: number): Framer {
  /** Chunks of the event that is not complete yet. */
  let pieces: Buffer[] = [];
  let held = 0;
  /** Bytes it must have before parsing can continue. */
  let needed = preludeBytes;
  let broken: StreamFault | null = null;

  /** Reads the complete events, and keeps the remaining bytes. */
  const cut = (events: WireEvent[]): void => {
    const bytes = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
    let at = 0;
    needed = preludeBytes;
    while (broken === null && bytes.length - at >= preludeBytes) {
      const length = lengthAt(bytes, at);
      if (length === null) broken = 'malformed';
      else if (length > eventMaxBytes) broken = 'event_too_large';
      else if (bytes.length - at < length) {
        needed = length;
        break;
      } else {
        const event = readFrame(bytes.subarray(at, at + length));
        if (typeof event === 'string') broken = event;
        else if (event !== null) events.push(event);
        at += length;
      }
    }
    pieces = at === bytes.length ? [] : [bytes.subarray(at)];
    held = bytes.length - at;
  };

  const none: readonly WireEvent[] = [];
  return {
    push(chunk): Frames {
      if (broken !== null || chunk.length === 0) return { raw: null, events: none };
      pieces.push(chunk);
      held += chunk.length;
      if (held < needed) return { raw: null, events: none };
      const events: WireEvent[] = [];
      cut(events);
      return { raw: null, events };
    },
    finish: () => ({ raw: null, events: none }),
    get broken() {
      return broken;
    },
  };
}

/** Length of the event at `at`, from its prelude; null: the prelude is invalid. */
function lengthAt(bytes: Buffer, at: number): number | null {
  if (crc32(bytes.subarray(at, at + 8)) !== bytes.readUInt32BE(at + 8)) return null;
  const length = bytes.readUInt32BE(at);
  const headers = bytes.readUInt32BE(at + 4);
  return length < preludeBytes + headers + checksumBytes ? null : length;
}

/** Null: nothing to report. */
function readFrame(frame: Buffer): WireEvent | StreamFault | null {
  const end = frame.length - checksumBytes;
  if (crc32(frame.subarray(0, end)) !== frame.readUInt32BE(end)) return 'malformed';
  const payloadAt = preludeBytes + frame.readUInt32BE(4);
  const headers = readHeaders(frame.subarray(preludeBytes, payloadAt));
  if (headers === null) return 'malformed';
  const type = headers.get(':message-type');
  const isException = type === 'exception' || type === 'error';
  if (isTooComplexEvent(frame.subarray(payloadAt, end))) return isException ? failed : 'event_too_large';
  const data = payloadAt === end ? {} : parseObject(frame.toString('utf8', payloadAt, end));
  if (!isException) return data === null ? 'malformed' : { event: headers.get(':event-type') ?? '', data };
  const name = headers.get(':exception-type') ?? headers.get(':error-code') ?? '';
  const message = textOf(data?.message) ?? headers.get(':error-message') ?? '';
  return {
    event: exceptionEvent,
    data: { __type: name.replace(/^./, (first) => first.toUpperCase()), message },
  };
}

const failed: WireEvent = { event: exceptionEvent, data: {} };

/** Statuses of exceptions that blame the request or the account; others say no more than that the provider failed. */
const statuses: Readonly<Record<string, number>> = {
  AccessDeniedException: 403,
  ResourceNotFoundException: 404,
  ServiceQuotaExceededException: 429,
  ThrottlingException: 429,
  ValidationException: 400,
};

/** The exception at the start of a stream as the response that it would have been; null: none that blames the client. */
export function statedIn(start: Buffer): StatedError | null {
  const { events } = createFramer(start.length).push(start);
  const { data = {} } = events.find(({ event }) => event === exceptionEvent) ?? {};
  const status = entryOf(statuses, textOf(data.__type) ?? '');
  return status === undefined ? null : { status, body: Buffer.from(JSON.stringify(data)) };
}

/** The string headers; null: they are malformed. */
function readHeaders(bytes: Buffer): Map<string, string> | null {
  const headers = new Map<string, string>();
  for (let at = 0; at < bytes.length; ) {
    const nameEnd = at + 1 + bytes.readUInt8(at);
    if (nameEnd >= bytes.length) return null;
    const type = bytes.readUInt8(nameEnd);
    let begin = nameEnd + 1;
    let size = valueBytes[type];
    if (size === undefined) {
      if (type >= valueBytes.length || begin + 2 > bytes.length) return null;
      size = bytes.readUInt16BE(begin);
      begin += 2;
    }
    const end = begin + size;
    if (end > bytes.length) return null;
    if (type === stringType)
      headers.set(bytes.toString('utf8', at + 1, nameEnd), bytes.toString('utf8', begin, end));
    at = end;
  }
  return headers;
}
