/** Requests about objects that providers keep, such as files and batches: passed on as they are, in every dialect. */
import type { IncomingHttpHeaders } from 'node:http';
import { type Json, parseObject } from '../base/json.ts';
import type { DialectName } from '../exchange/dialects.ts';
import type { Endpoint } from '../exchange/endpoint.ts';
import type { ModelRequest } from '../exchange/request.ts';
import type { ReplyFacts } from '../native/reply.ts';
import { type ChatUsage, factsOfUsage } from './chat-reply.ts';
import { readUsage as readCohereUsage } from './cohere/reply.ts';
import { passHeaders } from './headers.ts';
import { billedReading, bytesReading, jsonReading, passedReading } from './openai/auxiliary-reading.ts';
import { readUsage } from './openai/reply.ts';
import type { ReplyReading } from './reading.ts';
import { readUsage as readResponseUsage } from './responses/reply.ts';
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
/** In which form it wants its reply, and tracing. */
const always = ['accept', 'traceparent', 'tracestate'];

const fileReading = bytesReading('file');

/** How replies that say what they used are read, in the dialects that have such endpoints. */
const billed: Readonly<Partial<Record<DialectName, ReplyReading>>> = {
  openai: billedReading((end) => usageIn(end, (usage) => readUsage(usage, undefined))),
  responses: billedReading((end) => usageIn(end, (usage) => readResponseUsage(usage, undefined))),
  cohere: billedReading((end) => usageIn(end, readCohereUsage)),
};

/** The last `usage` in the end of a reply, which may be one of JSON or the events of a stream; null: there is none. */
export function usageIn(end: string, read: (usage: Json) => ChatUsage | null): ReplyFacts | null {
  // Quotes inside a text are escaped, so this is the name of a member.
  for (let at = end.lastIndexOf(name); at >= 0; at = at === 0 ? -1 : end.lastIndexOf(name, at - 1)) {
    const start = /^\s*:\s*(?=\{)/.exec(end.slice(at + name.length, at + name.length + 16));
    if (start === null) continue;
    const json = parseObject(objectAt(end, at + name.length + start[0].length));
    const usage = json === null ? null : read(json);
    return usage === null ? null : factsOfUsage(usage);
  }
  return null;
}

const name = '"usage"';
/** Usage is a few numbers and names. */
const usageMaxLength = 4096;

/** The text of the object that begins somewhere; cut off if it is too long. */
function objectAt(text: string, start: number): string {
  let depth = 0;
  for (let at = start; at < text.length && at - start < usageMaxLength; at++) {
    if (text[at] === '{') depth += 1;
    else if (text[at] === '}') depth -= 1;
    if (depth === 0) return text.slice(start, at + 1);
  }
  return '';
}

/** Writes a request for a provider of the client's API. */
export function encodeObject(
  { dialect, method, upstreamPath, auxiliary, before = '', billed: isBilled }: Endpoint,
  { body }: ModelRequest,
  headers: IncomingHttpHeaders,
  to: Destination,
): UpstreamRequest {
  const sent = [...to.headers];
  passHeaders(read[dialect] ?? [], headers, sent);
  passHeaders(always, headers, sent);
  const gives = auxiliary?.gives;
  const ofUsage = isBilled === true ? billed[dialect] : undefined;
  const passed = ofUsage ?? passedReading;
  return {
    path: before + to.basePath + upstreamPath,
    headers: sent,
    body,
    method,
    contentType: body.length === 0 ? null : (headers['content-type'] ?? 'application/json'),
    reading: gives === 'file' ? fileReading : gives === 'anything' ? passed : jsonReading,
  };
}
