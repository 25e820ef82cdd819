/** The Gemini dialect: generateContent of AI Studio and Vertex. https://ai.google.dev/api/generate-content */
import type { IncomingHttpHeaders } from 'node:http';
import { isObject, type Json, listOf, numberOf, objectOf, parseObject } from '../../base/json.ts';
import type { Endpoint, EndpointName } from '../../exchange/endpoint.ts';
import type { ModelRequest } from '../../exchange/request.ts';
import type { Dialect, StoppedStream, TextSlot } from '../dialect.ts';
import { lastEvent } from '../edit.ts';
import { passHeaders } from '../headers.ts';
import { nativeReading } from '../native-reading.ts';
import type { ReplyReading } from '../reading.ts';
import type { Destination, UpstreamRequest } from '../wire.ts';
import { embedProvider } from './embeddings.ts';
import { errorObject, fault, readError, writeError } from './errors.ts';
import { isGemini3 } from './models.ts';
import { nameModel } from './name-model.ts';
import { readRequest } from './read-request.ts';
import { readReply, writeReply } from './reply.ts';
import { withoutForeign } from './signature.ts';
import { createReader, createWriter } from './stream.ts';
import { pathOf, writeRequest } from './write-request.ts';

const requestHeaders = ['x-goog-api-client', 'traceparent', 'tracestate'];

const reading = nativeReading('gemini', false);

/** Requires a member in the reply; without this check, the native core would accept every object as a reply. */
const answersWith = (member: string): ReplyReading => nativeReading('gemini', false, member);
/** How replies of endpoints other than chat are read. */
const otherReadings: Readonly<Partial<Record<EndpointName, ReplyReading>>> = {
  gemini_count_tokens: answersWith('totalTokens'),
  embed_content: answersWith('embedding'),
  batch_embed_contents: answersWith('embeddings'),
};

const limitField = 'generationConfig.maxOutputTokens';

/** The model is in the path, so the body is sent unchanged. */
function encode(
  endpoint: Endpoint,
  request: ModelRequest,
  headers: IncomingHttpHeaders,
  to: Destination,
): UpstreamRequest {
  const sent = [...to.headers];
  passHeaders(requestHeaders, headers, sent);
  const other = otherReadings[endpoint.name];
  if (other !== undefined)
    return {
      path: `${to.basePath}/models/${encodeURIComponent(to.model)}${endpoint.upstreamPath}`,
      headers: sent,
      body: nameModel(request, to.model),
      reading: other,
    };
  return {
    path: to.basePath + pathOf(to.model, request.stream),
    headers: sent,
    body: withLimit(request.body, to),
    reading,
  };
}

/** The body with the longest reply that the route sets. */
function withLimit(body: Buffer, { maxTokens = null }: Destination): Buffer {
  const json = maxTokens === null ? null : parseObject(body.toString('utf8'));
  if (json === null) return body;
  json.generationConfig = { ...objectOf(json.generationConfig), maxOutputTokens: maxTokens };
  return Buffer.from(JSON.stringify(json));
}

const channelOf = (candidate: Json, part: Json): string =>
  `${numberOf(candidate.index) ?? 0}.${part.thought === true ? 'thought' : 'text'}`;

const partsOf = (candidate: Json): Json[] => listOf(objectOf(candidate.content).parts);

function textSlots(event: Json): TextSlot[] {
  return listOf(event.candidates).flatMap((candidate) =>
    partsOf(candidate).flatMap((part): TextSlot[] =>
      typeof part.text === 'string'
        ? [{ channel: channelOf(candidate, part), holder: part, field: 'text' }]
        : [],
    ),
  );
}

function carrierOf(event: Json): Json {
  const carrier = structuredClone(event);
  delete carrier.usageMetadata;
  for (const candidate of listOf(carrier.candidates)) {
    delete candidate.finishReason;
    delete candidate.logprobsResult;
    if (!isObject(candidate.content)) continue;
    // One text for each channel, without any other parts.
    const seen = new Set<string>();
    candidate.content.parts = partsOf(candidate).flatMap((part): Json[] => {
      const channel = channelOf(candidate, part);
      if (typeof part.text !== 'string' || seen.has(channel)) return [];
      seen.add(channel);
      return [part.thought === true ? { text: '', thought: true } : { text: '' }];
    });
  }
  return carrier;
}

/** The last event has finish reason and usage, and a part, since Google's SDK drops replies without parts. */
function lengthEnd({ last, choices, inputTokens, outputTokens }: StoppedStream): Buffer {
  const { modelVersion, responseId } = lastEvent(last);
  const candidates = Array.from({ length: choices }, (_, index) => ({
    content: { parts: [{ text: '' }], role: 'model' },
    finishReason: 'MAX_TOKENS',
    index,
  }));
  const usageMetadata = {
    promptTokenCount: inputTokens,
    candidatesTokenCount: outputTokens,
    totalTokenCount: inputTokens + outputTokens,
  };
  return Buffer.from(`data: ${JSON.stringify({ candidates, usageMetadata, modelVersion, responseId })}\n\n`);
}

const modelObject = (name: string): Json => ({
  name: `models/${name}`,
  baseModelId: name,
  displayName: name,
  supportedGenerationMethods: ['generateContent'],
});

/** The Gemini dialect. */
export const gemini: Dialect = {
  name: 'gemini',
  chatClient: { readRequest, writeReply, createWriter, writeError, limitField },
  chatProvider: {
    parsesResults: true,
    takesOwnMedia: true,
    signsCalls: ({ served }) => isGemini3(served),
    systemApart: true,
    toolNames: /^[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}$/,
    native: 'gemini',
    streamType: 'text/event-stream',
    writeRequest,
    readReply,
    createReader,
    createFramer: null,
    readError,
  },
  embedProvider,
  requestIdHeader: 'x-request-id',
  billingHeaders: ['x-goog-user-project'],
  passesBack: (header) =>
    header === 'retry-after' || header === 'retry-after-ms' || header.startsWith('x-goog-upload-'),
  credential: (apiKey, { bearer }) =>
    bearer === true ? ['authorization', `Bearer ${apiKey}`] : ['x-goog-api-key', apiKey],
  withoutForeign,
  encode,
  fault,
  // A stream ends with the event that has the finish reason.
  streamEnd: Buffer.alloc(0),
  lengthEnd,
  errorBody: (refusal, requestId) => Buffer.from(JSON.stringify(errorObject(refusal, requestId))),
  errorEvent: (refusal, requestId) =>
    Buffer.from(`data: ${JSON.stringify(errorObject(refusal, requestId))}\n\n`),
  // No candidates, as in events with usage only, which SDKs and apps already handle.
  restartEvent: (target) =>
    Buffer.from(`data: ${JSON.stringify({ sidegate: { restart: true, target } })}\n\n`),
  textSlots,
  endedChannels: (event) =>
    listOf(event.candidates)
      .filter(({ finishReason }) => typeof finishReason === 'string' && finishReason !== '')
      .map((candidate) => `${numberOf(candidate.index) ?? 0}.`),
  carrierOf,
  tokenCount: (tokens) => ({ totalTokens: tokens }),
  models: (names) => Buffer.from(JSON.stringify({ models: names.map(modelObject) })),
  model: (name) => Buffer.from(JSON.stringify(modelObject(name))),
};
