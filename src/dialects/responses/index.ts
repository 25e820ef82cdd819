/** The dialect of OpenAI's Responses API. https://platform.openai.com/docs/api-reference/responses */
import type { IncomingHttpHeaders } from 'node:http';
import type { Refusal } from '../../base/errors.ts';
import { isObject, type Json, numberOf, textOf } from '../../base/json.ts';
import type { Endpoint } from '../../exchange/endpoint.ts';
import type { ModelRequest } from '../../exchange/request.ts';
import type { Dialect, TextSlot } from '../dialect.ts';
import { edit, limiting, renaming } from '../edit.ts';
import { readError } from '../error-text.ts';
import { passHeaders } from '../headers.ts';
import { openai } from '../openai/index.ts';
import { takesCustomTools } from '../openai/models.ts';
import { writeError } from '../openai/reply.ts';
import { observedReading } from '../read-reply.ts';
import type { ChatClient, ChatProvider } from '../sides.ts';
import type { Destination, UpstreamRequest } from '../wire.ts';
import { echoOf } from './echo.ts';
import { readRequest } from './read-request.ts';
import { readReply, writeReply } from './reply.ts';
import { createReader, createWriter } from './stream.ts';
import { writeRequest } from './write-request.ts';

// What serves this API need not serve embeddings.
const { embedProvider: _, ...shared } = openai;

const requestHeaders = ['openai-beta', 'traceparent', 'tracestate'];

const chatProvider: ChatProvider = {
  native: 'any',
  openai: true,
  jsonNamed: true,
  takesCustom: ({ served }) => takesCustomTools(served),
  toolNames: /^[a-zA-Z0-9_-]{1,64}$/,
  streamType: 'text/event-stream',
  writeRequest,
  readReply,
  createReader,
  createFramer: null,
  readError,
};
const chatClient: ChatClient = {
  readRequest,
  echoOf,
  writeReply,
  createWriter,
  writeError,
  limitField: 'max_output_tokens',
  repeatsStream: true,
  ownHeaders: ['openai-beta'],
};
const reading = observedReading(chatProvider, chatClient);

function encode(
  endpoint: Endpoint,
  request: ModelRequest,
  headers: IncomingHttpHeaders,
  to: Destination,
): UpstreamRequest {
  const sent = [...to.headers];
  passHeaders(requestHeaders, headers, sent);
  const { limitField } = chatClient;
  const body = edit(request.body, [...renaming(request, to.model), ...limiting(request, limitField, to)]);
  return { path: to.basePath + endpoint.upstreamPath, headers: sent, body, reading };
}

/** Types of events that continue a text: all but sound, whatever kinds of texts are to come. */
const growing = /^response\.(?!audio\.delta$)[\w.]+\.delta$/;
const part = ({ output_index, content_index, summary_index, command_index }: Json): string => {
  const within = numberOf(content_index) ?? numberOf(summary_index) ?? numberOf(command_index) ?? 0;
  return `${numberOf(output_index)}.${within}.`;
};

function textSlots(event: Json): TextSlot[] {
  if (!growing.test(textOf(event.type) ?? '')) return [];
  const { delta } = event;
  if (typeof delta === 'string') return [{ channel: part(event), holder: event, field: 'delta' }];
  // What a command wrote comes as two texts at once.
  if (!isObject(delta)) return [];
  return ['stdout', 'stderr']
    .filter((field) => typeof delta[field] === 'string')
    .map((field) => ({ channel: `${part(event)}${field}`, holder: delta, field }));
}

function endedChannels(event: Json): string[] {
  const type = textOf(event.type) ?? '';
  if (/^response\.(?:completed|incomplete|failed)$/.test(type)) return [''];
  return /^response\.(?!output_item|content_part)[\w.]+\.done$/.test(type) ? [part(event)] : [];
}

/** The dialect of the Responses API. */
export const responses: Dialect = {
  ...shared,
  name: 'responses',
  chatClient,
  chatProvider,
  encode,
  // A stream ends with the event that has the finish reason.
  streamEnd: Buffer.alloc(0),
  lengthEnd: null,
  errorEvent(refusal: Refusal, requestId: string) {
    const { text, code, param } = refusal;
    const error = { type: refusal.entry.openai, code, message: text, param, request_id: requestId };
    const event = { type: 'error', sequence_number: 0, code, message: text, param, error };
    return Buffer.from(`event: error\ndata: ${JSON.stringify(event)}\n\n`);
  },
  restartEvent: (target) =>
    Buffer.from(
      `event: sidegate.restart\ndata: ${JSON.stringify({ type: 'sidegate.restart', sequence_number: 0, target })}\n\n`,
    ),
  textSlots,
  endedChannels,
  carrierOf: (event) => ({
    ...structuredClone(event),
    // Its field must be there.
    ...(event.logprobs === undefined ? {} : { logprobs: [] }),
  }),
};
