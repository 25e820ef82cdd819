/** The OpenAI dialect: chat completions and embeddings. https://platform.openai.com/docs/api-reference */
import type { IncomingHttpHeaders } from 'node:http';
import type { Refusal } from '../../errors.ts';
import type { Endpoint, ModelRequest } from '../../exchange.ts';
import { readError } from '../error-text.ts';
import { isObject, type Json, listOf } from '../json.ts';
import {
  type Destination,
  type Dialect,
  type Edit,
  edit,
  faultKind,
  type ProviderFault,
  passHeaders,
  retryAfterMs,
  type TextSlot,
  type UpstreamRequest,
} from '../provider.ts';
import { nativeReading } from '../reading.ts';
import { readRequest } from './read-request.ts';
import { readReply, writeError, writeReply } from './reply.ts';
import { createReader, createWriter } from './stream.ts';
import { writeRequest } from './write-request.ts';

const requestHeaders = ['openai-organization', 'openai-project', 'openai-beta', 'traceparent', 'tracestate'];

const reading = nativeReading('openai', false);
/** Where the gateway alone asked for usage, it takes the event out again. */
const strippedReading = nativeReading('openai', true);

const usageAsked = '"stream_options":{"include_usage":true}';

/** Asks for the usage event where the client did not, keeping its other stream options. */
function askForUsage(request: ModelRequest): Edit {
  const { streamOptionsStart: start, streamOptionsEnd: end, firstField, body } = request;
  if (end === 0) return { start: firstField, end: firstField, text: `${usageAsked},` };
  const given: unknown = JSON.parse(body.toString('utf8', start, end));
  return { start, end, text: JSON.stringify({ ...(given as object | null), include_usage: true }) };
}

function encode(
  endpoint: Endpoint,
  request: ModelRequest,
  headers: IncomingHttpHeaders,
  to: Destination,
): UpstreamRequest {
  const edits: Edit[] = [];
  if (to.model !== request.model) {
    edits.push({ start: request.modelStart - 1, end: request.modelEnd + 1, text: JSON.stringify(to.model) });
  }
  const stripUsage = endpoint.name === 'chat' && request.stream && !request.wantsUsage;
  if (stripUsage) edits.push(askForUsage(request));
  edits.sort((a, b) => a.start - b.start);
  const sent = [...to.headers];
  passHeaders(requestHeaders, headers, sent);
  return {
    path: to.basePath + endpoint.upstreamPath,
    headers: sent,
    body: edit(request.body, edits),
    reading: stripUsage ? strippedReading : reading,
  };
}

/** Tells a spent quota (`insufficient_quota`, billing) from a rate limit: both are 429. */
function fault(status: number, headers: IncomingHttpHeaders, body: Buffer, wallMs: number): ProviderFault {
  let kind = faultKind(status);
  if (
    kind === 'rate_limited' &&
    /insufficient_quota|credit_balance_exhausted|(?:spend|usage)_limit_exceeded|billing_hard_limit|billing_not_active/.test(
      body.toString('utf8', 0, 4096),
    )
  ) {
    kind = 'quota';
  }
  return { kind, retryAfterMs: retryAfterMs(headers, wallMs) };
}

function errorObject(refusal: Refusal, requestId: string): object {
  return {
    message: refusal.text,
    type: refusal.entry.openai,
    param: refusal.param,
    code: refusal.code,
    request_id: requestId,
  };
}

function textSlots(event: Json): TextSlot[] {
  const slots: TextSlot[] = [];
  for (const choice of listOf(event.choices)) {
    const { delta } = choice;
    if (!isObject(delta)) continue;
    for (const field of ['content', 'reasoning_content', 'reasoning', 'refusal']) {
      if (typeof delta[field] === 'string') {
        slots.push({ channel: `${choice.index}.${field}`, holder: delta, field });
      }
    }
    for (const call of listOf(delta.tool_calls)) {
      const channel = `${choice.index}.tool.${call.index}`;
      const { function: named, custom } = call;
      if (isObject(named) && typeof named.arguments === 'string') {
        slots.push({ channel, holder: named, field: 'arguments' });
      }
      if (isObject(custom) && typeof custom.input === 'string')
        slots.push({ channel, holder: custom, field: 'input' });
    }
  }
  return slots;
}

function carrierOf(event: Json): Json {
  const carrier = structuredClone(event);
  delete carrier.usage;
  for (const choice of listOf(carrier.choices)) {
    choice.finish_reason = null;
    if (!isObject(choice.delta)) continue;
    delete choice.delta.role;
    for (const call of listOf(choice.delta.tool_calls)) {
      delete call.id;
      delete call.type;
      for (const part of [call.function, call.custom]) if (isObject(part)) delete part.name;
    }
  }
  return carrier;
}

const modelObject = (id: string): object => ({ id, object: 'model', created: 0, owned_by: 'sidegate' });

export const openai: Dialect = {
  name: 'openai',
  endpoints: ['chat', 'embeddings'],
  chatClient: { readRequest, writeReply, createWriter, writeError },
  chatProvider: {
    streamType: 'text/event-stream',
    writeRequest,
    readReply,
    createReader,
    createFramer: null,
    readError,
  },
  requestIdHeader: 'x-request-id',
  passesBack: (header) =>
    header.startsWith('openai-') || header === 'retry-after' || header === 'retry-after-ms',
  credential: (apiKey) => ['authorization', `Bearer ${apiKey}`],
  encode,
  fault,
  streamEnd: Buffer.from('data: [DONE]\n\n'),
  errorBody: (refusal, requestId) => Buffer.from(JSON.stringify({ error: errorObject(refusal, requestId) })),
  errorEvent: (refusal, requestId) =>
    Buffer.from(`data: ${JSON.stringify({ error: errorObject(refusal, requestId) })}\n\n`),
  // An empty `choices` is what SDKs and apps already know from usage events, so nothing trips over it.
  restartEvent: (target) =>
    Buffer.from(
      `data: ${JSON.stringify({ id: 'sidegate-restart', object: 'chat.completion.chunk', created: 0, model: target, choices: [], sidegate: { restart: true, target } })}\n\n`,
    ),
  textSlots,
  endedChannels: (event) =>
    listOf(event.choices)
      .filter((choice) => typeof choice.finish_reason === 'string' && choice.finish_reason !== '')
      .map((choice) => `${choice.index}.`),
  carrierOf,
  models: (names) => Buffer.from(JSON.stringify({ object: 'list', data: names.map(modelObject) })),
  model: (name) => Buffer.from(JSON.stringify(modelObject(name))),
};
