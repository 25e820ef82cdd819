/** The OpenAI dialect: chat completions, embeddings, and auxiliary endpoints. https://platform.openai.com/docs/api-reference */
import type { IncomingHttpHeaders } from 'node:http';
import type { Refusal } from '../../base/errors.ts';
import { isObject, type Json, listOf, numberOf, textOf } from '../../base/json.ts';
import type { Endpoint } from '../../exchange/endpoint.ts';
import type { ModelRequest } from '../../exchange/request.ts';
import type { Dialect, StoppedStream, TextSlot } from '../dialect.ts';
import { type Edit, edit, lastEvent, limiting, renaming } from '../edit.ts';
import { readError } from '../error-text.ts';
import { type FaultWords, readFault } from '../fault.ts';
import { passHeaders } from '../headers.ts';
import { nativeReading } from '../native-reading.ts';
import type { Destination, UpstreamRequest } from '../wire.ts';
import { encodeAuxiliary } from './auxiliary-encode.ts';
import { embedClient, embedProvider } from './embeddings.ts';
import { isOpenAi, takesCustomTools } from './models.ts';
import { isOpenAis, openaiNames } from './parts.ts';
import { readRequest } from './read-request.ts';
import { readReply, writeError, writeReply } from './reply.ts';
import { createReader, createWriter } from './stream.ts';
import { deploymentOf, writeRequest } from './write-request.ts';

const requestHeaders = ['openai-beta', 'traceparent', 'tracestate'];

const limitField = 'max_completion_tokens';
const reading = nativeReading('openai', false);
/** If only the gateway asked for usage, it removes the usage event. */
const strippedReading = nativeReading('openai', true);

const usageAsked = '"stream_options":{"include_usage":true}';

/** Asks for the usage event, which the client did not, and keeps the client's other stream options. */
function askForUsage(request: ModelRequest): Edit {
  const { streamOptionsStart: start, streamOptionsEnd: end, firstField, body } = request;
  if (end === 0) return { start: firstField, end: firstField, text: `${usageAsked},` };
  const given: unknown = JSON.parse(body.toString('utf8', start, end));
  return { start, end, text: JSON.stringify({ ...(given as object | null), include_usage: true }) };
}

/** Removes `stream_options` with one comma; null: there is none, or its name is written with escapes. */
function withoutStreamOptions(request: ModelRequest): Edit | null {
  const { streamOptionsStart, streamOptionsEnd: end, body } = request;
  if (end === 0) return null;
  const before = body.toString('latin1', Math.max(0, streamOptionsStart - 64), streamOptionsStart);
  const name = /,?\s*"stream_options"\s*:\s*$/.exec(before);
  if (name === null) return null;
  const start = streamOptionsStart - name[0].length;
  if (name[0].startsWith(',')) return { start, end, text: '' };
  const comma = /^\s*,/.exec(body.toString('latin1', end, end + 64));
  return { start, end: end + (comma?.[0].length ?? 0), text: '' };
}

function encode(
  endpoint: Endpoint,
  request: ModelRequest,
  headers: IncomingHttpHeaders,
  to: Destination,
): UpstreamRequest {
  const sent = [...to.headers];
  passHeaders(requestHeaders, headers, sent);
  const { auxiliary } = endpoint;
  if (auxiliary !== undefined) {
    passHeaders(['accept'], headers, sent);
    return encodeAuxiliary(endpoint, auxiliary, request, headers, to, sent);
  }
  const field = isOpenAis(to) ? limitField : 'max_tokens';
  const edits: Edit[] = [...renaming(request, to.model), ...limiting(request, field, to)];
  const { noStreamOptions } = to.quirks;
  const stripUsage =
    endpoint.name === 'chat' && request.stream && !request.wantsUsage && noStreamOptions !== true;
  if (stripUsage) edits.push(askForUsage(request));
  const unwanted = noStreamOptions === true ? withoutStreamOptions(request) : null;
  if (unwanted !== null) edits.push(unwanted);
  edits.sort((a, b) => a.start - b.start);
  return {
    path: to.basePath + deploymentOf(to) + endpoint.upstreamPath,
    headers: sent,
    body: edit(request.body, edits),
    reading: stripUsage ? strippedReading : reading,
  };
}

const words: FaultWords = {
  quota:
    /insufficient_quota|credit_balance_exhausted|(?:spend|usage)_limit_exceeded|billing_hard_limit|billing_not_active/,
  // OpenAI's code, or its message, which is all that vLLM and others send.
  context: /context_length_exceeded|maximum context length/i,
  policy: /content_filter|content_policy_violation|ResponsibleAIPolicyViolation/,
};

function errorObject(refusal: Refusal, requestId: string): object {
  return {
    message: refusal.text,
    type: refusal.entry.openai,
    param: refusal.param,
    code: refusal.code,
    request_id: requestId,
  };
}

/** Chunks of one completion share id, time and model; SDKs use those of the last chunk. */
function lengthEnd({ last, choices, wantsUsage, inputTokens, outputTokens }: StoppedStream): Buffer {
  const { id = 'sidegate-stopped', created = 0, model = '' } = lastEvent(last);
  const head = { id, object: 'chat.completion.chunk', created, model };
  const usage = {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
  };
  const ended = Array.from({ length: choices }, (_, index) => ({
    index,
    delta: {},
    finish_reason: 'length',
  }));
  const events = [{ ...head, choices: ended }, ...(wantsUsage ? [{ ...head, choices: [], usage }] : [])];
  return Buffer.from(
    `${events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')}data: [DONE]\n\n`,
  );
}

/** The text of a transcript; of each speaker's turn, where it tells them apart. */
const transcript = (turn: unknown): string => `transcript.${textOf(turn) ?? ''}.`;

function transcriptsEnded(event: Json): string[] {
  if (event.type === 'transcript.text.segment') return [transcript(event.id)];
  return event.type === 'transcript.text.done' ? ['transcript.'] : [];
}

function textSlots(event: Json): TextSlot[] {
  if (event.type === 'transcript.text.delta' && typeof event.delta === 'string')
    return [{ channel: transcript(event.segment_id), holder: event, field: 'delta' }];
  const slots: TextSlot[] = [];
  for (const choice of listOf(event.choices)) {
    const { delta } = choice;
    if (!isObject(delta)) continue;
    for (const field of ['content', 'reasoning_content', 'reasoning', 'refusal']) {
      if (typeof delta[field] === 'string') {
        slots.push({ channel: `${numberOf(choice.index)}.${field}`, holder: delta, field });
      }
    }
    // What is said aloud, and reasoning that providers such as OpenRouter want back.
    const { audio } = delta;
    if (isObject(audio) && typeof audio.transcript === 'string')
      slots.push({ channel: `${numberOf(choice.index)}.audio`, holder: audio, field: 'transcript' });
    for (const detail of listOf(delta.reasoning_details)) {
      for (const field of ['text', 'summary']) {
        const channel = `${numberOf(choice.index)}.detail.${numberOf(detail.index)}.${field}`;
        if (typeof detail[field] === 'string') slots.push({ channel, holder: detail, field });
      }
    }
    // The only call, as it was before there were tools.
    const { function_call: only } = delta;
    if (isObject(only) && typeof only.arguments === 'string')
      slots.push({ channel: `${numberOf(choice.index)}.call`, holder: only, field: 'arguments' });
    for (const call of listOf(delta.tool_calls)) {
      const channel = `${numberOf(choice.index)}.tool.${numberOf(call.index)}`;
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
  delete carrier.logprobs;
  for (const choice of listOf(carrier.choices)) {
    choice.finish_reason = null;
    delete choice.logprobs;
    if (!isObject(choice.delta)) continue;
    delete choice.delta.role;
    if (isObject(choice.delta.function_call)) delete choice.delta.function_call.name;
    if (isObject(choice.delta.audio)) delete choice.delta.audio.data;
    for (const detail of listOf(choice.delta.reasoning_details)) delete detail.signature;
    for (const call of listOf(choice.delta.tool_calls)) {
      delete call.id;
      delete call.type;
      for (const part of [call.function, call.custom]) if (isObject(part)) delete part.name;
    }
  }
  return carrier;
}

const modelObject = (id: string): object => ({ id, object: 'model', created: 0, owned_by: 'sidegate' });

/** The OpenAI dialect. */
export const openai: Dialect = {
  name: 'openai',
  chatClient: { readRequest, writeReply, createWriter, writeError, limitField, ownHeaders: ['openai-beta'] },
  chatProvider: {
    native: 'openai',
    openai: true,
    jsonNamed: true,
    takesCustom: ({ served }) => takesCustomTools(served),
    plainIds: ({ served }) => isOpenAi(served),
    names: openaiNames,
    toolNames: /^[a-zA-Z0-9_-]{1,64}$/,
    streamType: 'text/event-stream',
    writeRequest,
    readReply,
    createReader,
    createFramer: null,
    readError,
  },
  embedClient,
  embedProvider,
  requestIdHeader: 'x-request-id',
  billingHeaders: ['openai-organization', 'openai-project'],
  passesBack: (header) =>
    header.startsWith('openai-') || header === 'retry-after' || header === 'retry-after-ms',
  credential: (apiKey, { apiKeyHeader }) =>
    apiKeyHeader === true ? ['api-key', apiKey] : ['authorization', `Bearer ${apiKey}`],
  encode,
  fault: (status, headers, body, wallMs) => readFault(status, headers, body, wallMs, words),
  streamEnd: Buffer.from('data: [DONE]\n\n'),
  lengthEnd,
  errorBody: (refusal, requestId) => Buffer.from(JSON.stringify({ error: errorObject(refusal, requestId) })),
  errorEvent: (refusal, requestId) =>
    Buffer.from(`data: ${JSON.stringify({ error: errorObject(refusal, requestId) })}\n\n`),
  // SDKs and apps already handle an empty `choices`, as in usage events.
  restartEvent: (target) =>
    Buffer.from(
      `data: ${JSON.stringify({ id: 'sidegate-restart', object: 'chat.completion.chunk', created: 0, model: target, choices: [], sidegate: { restart: true, target } })}\n\n`,
    ),
  textSlots,
  endedChannels: (event) => [
    ...listOf(event.choices)
      .filter((choice) => typeof choice.finish_reason === 'string' && choice.finish_reason !== '')
      .map((choice) => `${numberOf(choice.index)}.`),
    ...transcriptsEnded(event),
  ],
  repeatsStream: (event) => /^transcript\.text\.(?:segment|done)$/.test(String(event.type)),
  carrierOf,
  models: (names) => Buffer.from(JSON.stringify({ object: 'list', data: names.map(modelObject) })),
  model: (name) => Buffer.from(JSON.stringify(modelObject(name))),
};
