/**
 * The Replicate dialect: predictions of language models. https://replicate.com/docs/reference/http
 *
 * A chat request becomes one request that waits for the prediction to finish, streamed or not. Replicate's real streams
 * would need a second request, to a host that the configuration doesn't name, and don't report tokens. So the client's
 * stream arrives in one piece.
 */
import type { Refusal } from '../../base/errors.ts';
import type { Json } from '../../base/json.ts';
import type { Dialect } from '../dialect.ts';
import { readError } from '../error-text.ts';
import { type FaultWords, readFault } from '../fault.ts';
import { createJsonFramer } from './framer.ts';
import { createReader, readReply } from './reply.ts';
import { writeRequest } from './write-request.ts';

const words: FaultWords = {
  quota: /insufficient credit/i,
  context: /(?:maximum )?context (?:length|window)|prompt (?:length|is too long)|too many tokens/i,
  policy: /NSFW|flagged as sensitive|moderation/i,
};

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
    jsonInWords: true,
    systemApart: true,
    streamType: 'application/json',
    writeRequest,
    readReply,
    createReader,
    createFramer: createJsonFramer,
    readError,
  },
  requestIdHeader: 'x-request-id',
  billingHeaders: [],
  passesBack: (header) => header === 'retry-after' || header === 'retry-after-ms',
  credential: (apiKey) => ['authorization', `Bearer ${apiKey}`],
  encode() {
    throw new Error('no client speaks this dialect');
  },
  fault: (status, headers, body, wallMs) => readFault(status, headers, body, wallMs, words),
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
