/** The Cohere dialect, API version 2: chat for providers only, rerank and embed for clients too. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Endpoint } from '../../exchange/endpoint.ts';
import type { ModelRequest } from '../../exchange/request.ts';
import type { Dialect } from '../dialect.ts';
import { renameModel } from '../edit.ts';
import { readError } from '../error-text.ts';
import { passHeaders } from '../headers.ts';
import { nativeReading } from '../native-reading.ts';
import type { Destination, UpstreamRequest } from '../wire.ts';
import { embedProvider } from './embeddings.ts';
import { errorObject, fault } from './errors.ts';
import { readReply } from './reply.ts';
import { createReader } from './stream.ts';
import { writeRequest } from './write-request.ts';

const requestHeaders = ['x-client-name', 'traceparent', 'tracestate'];

const reading = nativeReading('cohere', false);

function encode(
  endpoint: Endpoint,
  request: ModelRequest,
  headers: IncomingHttpHeaders,
  to: Destination,
): UpstreamRequest {
  const sent = [...to.headers];
  passHeaders(requestHeaders, headers, sent);
  const body = renameModel(request, to.model);
  return { path: to.basePath + endpoint.upstreamPath, headers: sent, body, reading };
}

const modelObject = (name: string): object => ({ name, endpoints: ['embed', 'rerank'] });

/** The Cohere dialect. */
export const cohere: Dialect = {
  name: 'cohere',
  chatClient: null,
  chatProvider: {
    native: 'any',
    streamType: 'text/event-stream',
    writeRequest,
    readReply,
    createReader,
    createFramer: null,
    readError,
  },
  embedProvider,
  requestIdHeader: 'x-request-id',
  billingHeaders: [],
  passesBack: (header) =>
    /^x-(?:trial-)?endpoint-/.test(header) || header === 'retry-after' || header === 'retry-after-ms',
  credential: (apiKey) => ['authorization', `Bearer ${apiKey}`],
  encode,
  fault,
  // Nothing that its clients can request is streamed.
  streamEnd: Buffer.alloc(0),
  lengthEnd: null,
  errorBody: (refusal, requestId) => Buffer.from(JSON.stringify(errorObject(refusal, requestId))),
  errorEvent: (refusal, requestId) =>
    Buffer.from(`data: ${JSON.stringify(errorObject(refusal, requestId))}\n\n`),
  restartEvent: () => Buffer.alloc(0),
  textSlots: () => [],
  endedChannels: () => [],
  carrierOf: (event) => event,
  models: (names) => Buffer.from(JSON.stringify({ models: names.map(modelObject) })),
  model: (name) => Buffer.from(JSON.stringify(modelObject(name))),
};
