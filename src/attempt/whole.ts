/** Whole replies: unpacked and read for what they are, and what can still be said of one that was cut. */
import type { IncomingHttpHeaders } from 'node:http';
import { promisify } from 'node:util';
import { brotliDecompress, unzip } from 'node:zlib';
import { inspectReply, noFacts, type ReplyFacts, replyText } from '../native.ts';
import type { DialectName } from '../providers/provider.ts';
import type { CallFailure, CallResult } from './result.ts';

const unzipAsync = promisify(unzip);
const brotliAsync = promisify(brotliDecompress);

/** What had come of a reply when its call failed, and will be billed; null in its place: nothing. */
export interface Arrived {
  readonly facts: ReplyFacts;
  text(): Buffer;
}

/**
 * The text of a whole reply, decoded when it is asked for. Made here, since a closure made where a request is at hand
 * holds all of it: kept until the reply is settled, that nearly doubled the time of a minor collection.
 */
export const textOf =
  (body: Buffer, dialect: DialectName): (() => Buffer) =>
  () =>
    replyText(body, dialect);

/** What a provider bills of a body that may be cut anywhere. */
export function arrivedWhole(body: Buffer, dialect: DialectName): Arrived | null {
  const facts = inspectReply(body, dialect);
  if (facts?.error) return null;
  const text = replyText(body, dialect);
  // What has neither is a page of some proxy rather than a reply.
  if (text.length === 0 && !facts?.usage) return null;
  return { facts: facts ?? { ...noFacts, textBytes: text.length }, text: () => text };
}

/** How a reply is packed; null: it isn't. */
export const encodingOf = (headers: IncomingHttpHeaders): string | null => {
  const encoding = headers['content-encoding'];
  return encoding === undefined || encoding === '' || encoding === 'identity' ? null : encoding;
};

/** Bounded: a reply that unpacks to more than `maxBytes` is refused while it unpacks. */
export function unpack(body: Buffer, encoding: string, maxBytes: number): Promise<Buffer> {
  const options = { maxOutputLength: maxBytes };
  if (encoding === 'gzip' || encoding === 'deflate') return unzipAsync(body, options);
  if (encoding === 'br') return brotliAsync(body, options);
  return Promise.reject(new Error('unknown content encoding'));
}

/** What a whole reply is: an answer, a refusal, or why it is neither. */
export function readWhole(
  status: number,
  headers: IncomingHttpHeaders,
  body: Buffer,
  dialect: DialectName,
  wantsStream: boolean,
): CallResult | CallFailure {
  if (status >= 300) return { kind: 'status', status, headers, body };
  const facts = inspectReply(body, dialect);
  if (facts === null) return 'malformed';
  if (facts.error) return 'error_in_body';
  // A stream was asked for, and this is no stream: the client's SDK could not read it.
  if (wantsStream) return 'malformed';
  return { kind: 'whole', status, headers, body, facts };
}
