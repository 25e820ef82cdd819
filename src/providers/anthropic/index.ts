/** The Anthropic dialect: messages and token counts. https://docs.anthropic.com/en/api/messages */
import type { IncomingHttpHeaders } from 'node:http';
import type { Refusal } from '../../errors.ts';
import type { Endpoint, ModelRequest } from '../../exchange.ts';
import { readError } from '../error-text.ts';
import { isObject, type Json } from '../json.ts';
import {
  type Destination,
  type Dialect,
  faultKind,
  type ProviderFault,
  passHeaders,
  renameModel,
  retryAfterMs,
  type TextSlot,
  type UpstreamRequest,
} from '../provider.ts';
import { nativeReading } from '../reading.ts';
import { readRequest } from './read-request.ts';
import { readReply, writeError, writeReply } from './reply.ts';
import { createReader, createWriter } from './stream.ts';
import { writeRequest } from './write-request.ts';

const requestHeaders = [
  'anthropic-beta',
  'anthropic-dangerous-direct-browser-access',
  'traceparent',
  'tracestate',
];
const defaultVersion = '2023-06-01';

const reading = nativeReading('anthropic', false);

function encode(
  endpoint: Endpoint,
  request: ModelRequest,
  headers: IncomingHttpHeaders,
  to: Destination,
): UpstreamRequest {
  const version = headers['anthropic-version'];
  const sent = [...to.headers, 'anthropic-version', typeof version === 'string' ? version : defaultVersion];
  passHeaders(requestHeaders, headers, sent);
  return {
    path: to.basePath + endpoint.upstreamPath,
    headers: sent,
    body: renameModel(request, to.model),
    reading,
  };
}

/** A spent credit balance comes as 400 or 403 with words, a spend limit as 429. */
function fault(status: number, headers: IncomingHttpHeaders, body: Buffer, wallMs: number): ProviderFault {
  let kind = faultKind(status);
  if (status === 400 || status === 403 || status === 429) {
    if (
      /credit balance is too low|billing_error|spend limit|usage limits/.test(body.toString('utf8', 0, 4096))
    )
      kind = 'quota';
  }
  return { kind, retryAfterMs: retryAfterMs(headers, wallMs) };
}

function error(refusal: Refusal, requestId: string): string {
  return JSON.stringify({
    type: 'error',
    error: { type: refusal.entry.anthropic, message: refusal.text, code: refusal.code, param: refusal.param },
    request_id: requestId,
  });
}

function textSlots(event: Json): TextSlot[] {
  const { delta } = event;
  if (event.type !== 'content_block_delta' || !isObject(delta)) return [];
  return ['text', 'partial_json', 'thinking']
    .filter((field) => typeof delta[field] === 'string')
    .map((field) => ({ channel: `${event.index}.${field}`, holder: delta, field }));
}

const modelObject = (id: string): object => ({
  type: 'model',
  id,
  display_name: id,
  created_at: '1970-01-01T00:00:00Z',
});

export const anthropic: Dialect = {
  name: 'anthropic',
  endpoints: ['messages', 'count_tokens'],
  chatClient: { readRequest, writeReply, createWriter, writeError },
  chatProvider: {
    streamType: 'text/event-stream',
    writeRequest,
    readReply,
    createReader,
    createFramer: null,
    readError,
  },
  requestIdHeader: 'request-id',
  passesBack: (header) =>
    header === 'request-id' ||
    header === 'anthropic-organization-id' ||
    header === 'retry-after' ||
    header === 'retry-after-ms',
  credential: (apiKey) => ['x-api-key', apiKey],
  encode,
  fault,
  streamEnd: Buffer.from('event: message_stop\ndata: {"type":"message_stop"}\n\n'),
  errorBody: (refusal, requestId) => Buffer.from(error(refusal, requestId)),
  errorEvent: (refusal, requestId) => Buffer.from(`event: error\ndata: ${error(refusal, requestId)}\n\n`),
  // Event names the SDKs don't know are left out by them.
  restartEvent: (target) =>
    Buffer.from(`event: sidegate_restart\ndata: ${JSON.stringify({ type: 'sidegate_restart', target })}\n\n`),
  textSlots,
  endedChannels(event) {
    if (event.type === 'content_block_stop') return [`${event.index}.`];
    return event.type === 'message_delta' || event.type === 'message_stop' ? [''] : [];
  },
  carrierOf: (event) => structuredClone(event),
  models: (names) =>
    Buffer.from(
      JSON.stringify({
        data: names.map(modelObject),
        has_more: false,
        first_id: names[0] ?? null,
        last_id: names.at(-1) ?? null,
      }),
    ),
  model: (name) => Buffer.from(JSON.stringify(modelObject(name))),
};
