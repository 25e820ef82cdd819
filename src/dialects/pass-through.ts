/** Requests about objects that providers keep, such as files and batches: passed on as they are, in every dialect. */
import type { IncomingHttpHeaders } from 'node:http';
import type { DialectName } from '../exchange/dialects.ts';
import type { Endpoint } from '../exchange/endpoint.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { passHeaders } from './headers.ts';
import { bytesReading, jsonReading, passedReading } from './openai/auxiliary-reading.ts';
import type { Destination, UpstreamRequest } from './wire.ts';

/** The client's headers that an API reads. */
const read: Readonly<Partial<Record<DialectName, readonly string[]>>> = {
  openai: ['openai-beta'],
  responses: ['openai-beta'],
  anthropic: ['anthropic-version', 'anthropic-beta', 'anthropic-dangerous-direct-browser-access'],
  gemini: [
    'x-goog-api-client',
    'x-goog-upload-protocol',
    'x-goog-upload-command',
    'x-goog-upload-offset',
    'x-goog-upload-file-name',
    'x-goog-upload-header-content-length',
    'x-goog-upload-header-content-type',
  ],
};
const tracing = ['traceparent', 'tracestate'];

const fileReading = bytesReading('file');

/** Writes a request for a provider of the client's API. */
export function encodeObject(
  { dialect, method, upstreamPath, auxiliary, before = '' }: Endpoint,
  { body }: ModelRequest,
  headers: IncomingHttpHeaders,
  to: Destination,
): UpstreamRequest {
  const sent = [...to.headers];
  passHeaders(read[dialect] ?? [], headers, sent);
  passHeaders(tracing, headers, sent);
  const gives = auxiliary?.gives;
  return {
    path: before + to.basePath + upstreamPath,
    headers: sent,
    body,
    method,
    contentType: body.length === 0 ? null : (headers['content-type'] ?? 'application/json'),
    reading: gives === 'file' ? fileReading : gives === 'anything' ? passedReading : jsonReading,
  };
}
