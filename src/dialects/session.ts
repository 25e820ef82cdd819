/** The APIs that have sessions over WebSockets, and how one is opened at a provider. */
import type { IncomingHttpHeaders } from 'node:http';
import type { DialectName } from '../exchange/dialects.ts';
import type { Endpoint } from '../exchange/endpoint.ts';
import { live } from './gemini/live.ts';
import { passHeaders } from './headers.ts';
import { bytesReading } from './openai/auxiliary-reading.ts';
import { realtime } from './openai/realtime.ts';
import { responsesSession } from './responses/session.ts';
import type { SessionApi } from './session-api.ts';
import type { Destination, UpstreamRequest } from './wire.ts';

const apis: Readonly<Partial<Record<DialectName, SessionApi>>> = {
  openai: realtime,
  responses: responsesSession,
  gemini: live,
};

/** The API of a session's endpoint. */
export function sessionApi(dialect: DialectName): SessionApi {
  const api = apis[dialect];
  if (api === undefined) throw new Error(`${dialect} has no sessions`);
  return api;
}

const tracing = ['traceparent', 'tracestate'];
/** Protocols by which browsers, which can't send headers, say who they are. */
const isCredential = (protocol: string): boolean =>
  /^openai-(?:insecure-api-key|organization|project)\./.test(protocol);
const noReading = bytesReading('file');
const noBody = Buffer.alloc(0);

/** The protocols that a handshake offers, best first, without those that carry a credential. */
export function protocolsOf({ 'sec-websocket-protocol': offered = '' }: IncomingHttpHeaders): string[] {
  const all = offered.split(',').map((each) => each.trim());
  return [...new Set(all)].filter((each) => each !== '' && !isCredential(each));
}

/** Writes the handshake for a provider of the client's API. */
export function encodeSession(
  { dialect, method, upstreamPath }: Endpoint,
  headers: IncomingHttpHeaders,
  { basePath, model, quirks, headers: own }: Destination,
): UpstreamRequest {
  const sent = [...own];
  passHeaders(sessionApi(dialect).headers, headers, sent);
  passHeaders(tracing, headers, sent);
  const named = quirks.deployments === true ? 'deployment' : 'model';
  const query = model === '' ? '' : `?${named}=${encodeURIComponent(model)}`;
  const path = dialect === 'gemini' ? livePath(basePath, upstreamPath) : `${basePath}${upstreamPath}${query}`;
  return {
    path,
    headers: sent,
    body: noBody,
    method,
    contentType: null,
    reading: noReading,
    protocols: protocolsOf(headers),
  };
}

/** Google's paths have the version within, and nothing of the base path but what is before it. */
function livePath(basePath: string, path: string): string {
  const [, before = '', version = 'v1beta'] = /^(.*?)(?:\/(v\d\w*))?$/.exec(basePath) ?? [];
  return before + path.replace('.v1beta.', `.${version}.`);
}

/** A client's query without what says which model: that of the target is written instead. */
export function sessionQuery(query: string): string {
  const names = ['model', 'deployment'];
  const parts = query.split('&');
  return parts
    .filter((part) => ![...new URLSearchParams(part).keys()].some((name) => names.includes(name)))
    .join('&');
}
