/** Decompresses and reads whole replies. */
import type { IncomingHttpHeaders } from 'node:http';
import { createBrotliDecompress, createUnzip } from 'node:zlib';
import type { Waits } from '../base/aside.ts';
import { Refusal } from '../base/errors.ts';
import { parseJson } from '../base/json.ts';
import { scriptOf } from '../base/place.ts';
import { type StatedError, statedError } from '../dialects/fault.ts';
import type { Apart, ReplyReading, WholeReading } from '../dialects/reading.ts';
import type { CallFailure, CallResult, Terms } from './result.ts';
import { readingOf, type TranslatedReply } from './translate-reply.ts';

/** A reply's content encoding, in lowercase and by its usual name; null: none. */
export const encodingOf = (headers: IncomingHttpHeaders): string | null => {
  const given = headers['content-encoding'];
  if (given === undefined) return null;
  // A header that was sent twice has two values.
  const encoding = String(given).toLowerCase();
  if (encoding === '' || encoding === 'identity') return null;
  return encoding === 'x-gzip' ? 'gzip' : encoding;
};

/** Statuses that are no answer to these requests: without content, and parts of it (RFC 9110, 15.3.6 and 15.3.7). */
export const isNoAnswer = (status: number): boolean => status === 205 || status === 206;

/** Bytes of a piece of what is decompressed. */
const options = { chunkSize: 64 * 1024 };

/**
 * Decompresses a reply piece by piece. Rejects for unknown encodings, and for bytes that aren't so encoded.
 * @param take takes the next piece; false: it wants no more
 */
export function unpack(body: Buffer, encoding: string, take: (piece: Buffer) => boolean): Promise<void> {
  const unpacker =
    encoding === 'gzip' || encoding === 'deflate'
      ? createUnzip(options)
      : encoding === 'br'
        ? createBrotliDecompress(options)
        : null;
  if (unpacker === null) return Promise.reject(new Error('unknown content encoding'));
  return new Promise((resolve, reject) => {
    unpacker.on('error', reject);
    unpacker.on('end', resolve);
    unpacker.on('data', (piece: Buffer) => {
      if (take(piece)) return;
      unpacker.destroy();
      resolve();
    });
    unpacker.end(body);
  });
}

/** An error that came with status 200, as if it had come with its own. */
export function asStatus({ status, body }: StatedError, headers: IncomingHttpHeaders): CallResult {
  const { 'content-length': _, 'transfer-encoding': __, ...kept } = headers;
  return { kind: 'status', status, headers: { ...kept, 'content-type': 'application/json' }, body };
}

/** Whole replies up to this size are translated at once. */
const atOnceMaxBytes = 64 * 1024;
/** The same of those that are only looked through: that takes 14 ns a byte where each is a number. */
const nativeMaxBytes = 1024 * 1024;

const module = scriptOf('attempt/translate-reply').href;

type Read = WholeReading | CallFailure | null;

/**
 * Classifies a whole reply: an answer, a refusal, or why it is neither. A large one is read in a thread. Throws or
 * rejects by a defect of ours.
 */
export function readWhole(
  status: number,
  headers: IncomingHttpHeaders,
  body: Buffer,
  reading: ReplyReading,
  { wantsStream, aside }: Pick<Terms, 'wantsStream' | 'aside'>,
  waits: Waits,
): CallResult | CallFailure | Promise<CallResult | CallFailure> {
  if (status >= 300) return { kind: 'status', status, headers, body };
  const judge = (read: Read): CallResult | CallFailure => {
    if (read === null) return 'malformed';
    if (typeof read === 'string') return read;
    if (read.facts.error) {
      // A larger one says more than an error.
      const stated = body.length > atOnceMaxBytes ? null : statedError(parseJson(body.toString('utf8')));
      return stated === null ? 'error_in_body' : asStatus(stated, headers);
    }
    // What comes whole though a stream was requested, the provider's own SDK gets as well.
    const { wholeToo } = reading;
    const fits = wholeToo === true || (wholeToo === 'ended' && read.facts.finish !== 'none');
    if (wantsStream && !fits) return 'malformed';
    return { kind: 'whole', status, headers, body: read.body, facts: read.facts, text: read.text };
  };
  const { apart } = reading;
  if (apart === undefined) return judge(reading.whole(body));
  const isNative = 'native' in apart;
  if (body.length <= (isNative ? nativeMaxBytes : atOnceMaxBytes)) return judge(reading.whole(body));
  return aside
    .run<Apart, TranslatedReply>(module, body, apart, waits)
    .then((done) =>
      judge(
        done instanceof Refusal ? unread(done) : readingOf(done.value, done.body ?? (isNative ? body : null)),
      ),
    );
}

/** Why a thread didn't read it. */
const unread = ({ code }: Refusal): CallFailure => (code === 'body_too_complex' ? 'too_large' : 'no_room');
