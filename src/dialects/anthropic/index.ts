/** The Anthropic dialect: messages and token counts. https://docs.anthropic.com/en/api/messages */
import type { IncomingHttpHeaders } from 'node:http';
import type { Refusal } from '../../base/errors.ts';
import { isObject, type Json, numberOf } from '../../base/json.ts';
import type { Endpoint } from '../../exchange/endpoint.ts';
import type { ModelRequest } from '../../exchange/request.ts';
import type { Dialect, StoppedStream, TextSlot } from '../dialect.ts';
import { edit, limiting, renaming } from '../edit.ts';
import { readError } from '../error-text.ts';
import { type FaultWords, readFault } from '../fault.ts';
import { passHeaders } from '../headers.ts';
import { nativeReading } from '../native-reading.ts';
import { opening } from '../turns.ts';
import type { Destination, UpstreamRequest } from '../wire.ts';
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
const limitField = 'max_tokens';
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
    body: edit(request.body, [...renaming(request, to.model), ...limiting(request, limitField, to)]),
    reading,
  };
}

/**
 * A spent credit balance is a 400 or 403 with a message, a spend limit a 429. A 400 for an unknown field begins with the
 * name that the client gave it, and a colon.
 */
const words: FaultWords = {
  quota: /credit balance is too low|billing_error|spend limit|spend_limit|usage limits/,
  spent:
    /^(?:billing_error$|(?!.*: )(?:Your credit balance is too low|You have reached your specified .{0,40}usage limits))/s,
  context: /prompt is too long|exceed context limit|exceeds? the context window/,
  policy: /content filtering policy|blocked by (?:our |the )?(?:content|usage) polic/i,
};

/** Codes that are the API's own: its SDKs look for them in the details, and know what to do. */
const apiCodes: ReadonlySet<string> = new Set(['thread_not_found']);

function error({ entry, text: message, code, param }: Refusal, requestId: string): string {
  const details = apiCodes.has(code) ? { error_code: code } : undefined;
  return JSON.stringify({
    type: 'error',
    error: { type: entry.anthropic, message, code, param, details },
    request_id: requestId,
  });
}

const event = (data: { readonly type: string; readonly [field: string]: unknown }): string =>
  `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;

function lengthEnd({ openBlock, outputTokens }: StoppedStream): Buffer {
  const closes = openBlock < 0 ? '' : event({ type: 'content_block_stop', index: openBlock });
  const delta = { stop_reason: 'max_tokens', stop_sequence: null };
  const ended = { type: 'message_delta', delta, usage: { output_tokens: outputTokens } };
  return Buffer.from(closes + event(ended) + event({ type: 'message_stop' }));
}

function textSlots(event: Json): TextSlot[] {
  const { delta } = event;
  if (event.type !== 'content_block_delta' || !isObject(delta)) return [];
  return ['text', 'partial_json', 'thinking']
    .filter((field) => typeof delta[field] === 'string')
    .map((field) => ({ channel: `${numberOf(event.index)}.${field}`, holder: delta, field }));
}

const modelObject = (id: string): object => ({
  type: 'model',
  id,
  display_name: id,
  created_at: '1970-01-01T00:00:00Z',
});

/** The Anthropic dialect. */
export const anthropic: Dialect = {
  name: 'anthropic',
  chatClient: {
    readRequest,
    writeReply,
    createWriter,
    writeError,
    limitField,
    ownHeaders: ['anthropic-beta'],
    unsupportedCodes: { thread: 'thread_not_found' },
  },
  chatProvider: {
    native: 'anthropic',
    turns: { noBlank: true, thinkingFirst: true, opening: { role: 'user', content: opening } },
    // Servers of other models get their own ids back, which Kimi needs.
    plainIds: ({ served }) => served.includes('claude'),
    toolNames: /^[a-zA-Z0-9_-]{1,128}$/,
    trimsEnd: true,
    jsonInWords: true,
    systemApart: true,
    streamType: 'text/event-stream',
    writeRequest,
    readReply,
    createReader,
    createFramer: null,
    readError,
  },
  requestIdHeader: 'request-id',
  billingHeaders: ['anthropic-workspace-id', 'anthropic-user-profile-id'],
  passesBack: (header) =>
    header === 'request-id' ||
    header === 'anthropic-organization-id' ||
    header === 'anthropic-workspace-id' ||
    header === 'retry-after' ||
    header === 'retry-after-ms',
  credential: (apiKey, { bearer }) =>
    bearer === true ? ['authorization', `Bearer ${apiKey}`] : ['x-api-key', apiKey],
  encode,
  fault: (status, headers, body, wallMs) => readFault(status, headers, body, wallMs, words),
  streamEnd: Buffer.from('event: message_stop\ndata: {"type":"message_stop"}\n\n'),
  lengthEnd,
  errorBody: (refusal, requestId) => Buffer.from(error(refusal, requestId)),
  errorEvent: (refusal, requestId) => Buffer.from(`event: error\ndata: ${error(refusal, requestId)}\n\n`),
  // The SDKs ignore events with unknown names.
  restartEvent: (target) =>
    Buffer.from(`event: sidegate_restart\ndata: ${JSON.stringify({ type: 'sidegate_restart', target })}\n\n`),
  textSlots,
  endedChannels(event) {
    if (event.type === 'content_block_stop') return [`${numberOf(event.index)}.`];
    return event.type === 'message_delta' || event.type === 'message_stop' ? [''] : [];
  },
  carrierOf: (event) => structuredClone(event),
  tokenCount: (tokens) => ({ input_tokens: tokens }),
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
