/**
 * The Replicate dialect: predictions of language models. https://replicate.com/docs/reference/http
 *
 * A chat request becomes one request that waits for the prediction to finish, streamed or not. Replicate's real streams
 * would need a second request, to a host that the configuration doesn't name, and don't report tokens. So the client's
 * stream arrives in one piece.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Refusal } from '../../base/errors.ts';
import type { Json } from '../../base/json.ts';
import { type Dialect, faultKind, type ProviderFault } from '../dialect.ts';
import { readError } from '../error-text.ts';
import { retryAfterMs } from '../headers.ts';
import { createJsonFramer } from './framer.ts';
import { createReader, readReply } from './reply.ts';
import { writeRequest } from './write-request.ts';

const contextWords = /(?:maximum )?context (?:length|window)|prompt (?:length|is too long)|too many tokens/i;
const policyWords = /NSFW|flagged as sensitive|moderation/i;

/** The delay in "Your rate limit resets in ~30s.", in ms; null: none. */
function resetMs(text: string): number | null {
  const seconds = /resets in ~?(\d{1,6})s/.exec(text)?.[1];
  return seconds === undefined ? null : Number(seconds) * 1000;
}

/** Interprets an error response: 402 means payment is due, 422 invalid inputs. */
function fault(status: number, headers: IncomingHttpHeaders, body: Buffer, wallMs: number): ProviderFault {
  const text = body.toString('utf8', 0, 4096);
  const waitMs = retryAfterMs(headers, wallMs);
  if (status === 402) return { kind: 'quota', retryAfterMs: waitMs };
  const kind = faultKind(status);
  if (kind === 'rate_limited') return { kind, retryAfterMs: waitMs ?? resetMs(text) };
  if (status !== 400 && status !== 422) return { kind, retryAfterMs: waitMs };
  const named = contextWords.test(text) ? 'context_window' : policyWords.test(text) ? 'content_policy' : kind;
  return { kind: named, retryAfterMs: null };
}

const errorObject = ({ entry, code, text }: Refusal, requestId: string): Json => ({
  title: code,
  detail: text,
  status: entry.status,
  request_id: requestId,
});

const nothing = Buffer.alloc(0);

/** The Replicate dialect. */
export const replicate: Dialect = {
  name: 'replicate',
  chatClient: null,
  chatProvider: {
    native: 'any',
    streamType: 'application/json',
    writeRequest,
    readReply,
    createReader,
    createFramer: createJsonFramer,
    readError,
  },
  requestIdHeader: 'x-request-id',
  passesBack: (header) => header === 'retry-after' || header === 'retry-after-ms',
  credential: (apiKey) => ['authorization', `Bearer ${apiKey}`],
  encode() {
    throw new Error('no client speaks this dialect');
  },
  fault,
  // No client speaks this dialect.
  streamEnd: nothing,
  lengthEnd: null,
  errorBody: (refusal, requestId) => Buffer.from(JSON.stringify(errorObject(refusal, requestId))),
  errorEvent: () => nothing,
  restartEvent: () => nothing,
  textSlots: () => [],
  endedChannels: () => [],
  carrierOf: (event) => event,
  models: () => Buffer.from('{"results":[]}'),
  model: () => Buffer.from('{}'),
};
