/** Finds the endpoint of the data port that a request's head asks for. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Refusal } from '../base/errors.ts';
import { asksForEvents, readPath } from '../dialects/gemini/path.ts';
import type { DialectName } from '../exchange/dialects.ts';
import { type Endpoint, endpoints, modelsEndpoint } from '../exchange/endpoint.ts';

/** A request's head, read by the lane or by Node. */
export interface Head {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  /** Names in lowercase. */
  readonly headers: IncomingHttpHeaders;
  /** A fault found while reading it; null: none. */
  readonly fault: Refusal | null;
}

/** Endpoints with a fixed path that take a body, by path. */
export const endpointsByPath: ReadonlyMap<string, Endpoint> = new Map(
  endpoints.flatMap((endpoint) =>
    endpoint.path.includes('{') || endpoint.kind === 'files' || endpoint.kind === 'models'
      ? []
      : [[endpoint.path, endpoint]],
  ),
);

const geminiEndpoints: readonly Endpoint[] = endpoints.filter(({ dialect }) => dialect === 'gemini');
const fileEndpoints: readonly Endpoint[] = endpoints.filter(({ kind }) => kind === 'files');

const modelsPath = '/v1/models';
const filesPath = '/v1/files';
const geminiModelsPath = /^\/v1(?:beta|alpha)\/models(?:\/|$)/;

/** The endpoint of a head; undefined: there is none. */
export function endpointAt({ url, method }: Head, dialect: DialectName): Endpoint | undefined {
  const path = pathOf(url);
  if (dialect === 'gemini') return geminiEndpoint(path, url);
  if (path === modelsPath || path.startsWith(`${modelsPath}/`)) return modelsEndpoint(dialect);
  // Anthropic's own files API is not served.
  if (path.startsWith(filesPath)) return dialect === 'openai' ? fileEndpoint(method, path) : undefined;
  return endpointsByPath.get(path);
}

/** A Gemini endpoint: method and model are in its path. */
export function geminiEndpoint(path: string, url: string): Endpoint | undefined {
  const asked = readPath(path);
  if (asked === null) return geminiModelsPath.test(path) ? modelsEndpoint('gemini') : undefined;
  const { method, model } = asked;
  const endpoint = geminiEndpoints.find(({ upstreamPath }) => upstreamPath === `:${method}`);
  if (endpoint === undefined) return undefined;
  const stream = method === 'streamGenerateContent';
  return { ...endpoint, inPath: { model, stream, list: stream && !asksForEvents(url) } };
}

const filePath = /^\/v1\/files(?:\/([\w.-]{1,128})(\/content)?)?$/;

/** The endpoint of a files request, its upstream path completed by the file's id; undefined: there is none. */
function fileEndpoint(method: string, path: string): Endpoint | undefined {
  const [, id, content] = filePath.exec(path) ?? [];
  if (!filePath.test(path) || id === '.' || id === '..') return undefined;
  const pattern = `${filesPath}${id === undefined ? '' : '/{id}'}${content ?? ''}`;
  const there = fileEndpoints.filter((endpoint) => endpoint.path === pattern);
  const found = there.find((endpoint) => endpoint.method === method) ?? there[0];
  if (found === undefined) return undefined;
  return { ...found, upstreamPath: path.slice('/v1'.length) };
}

/**
 * The dialect of a request, by its path or, if that is ambiguous, by the version header Anthropic's SDK
 * always sends.
 */
export function dialectOf({ url, headers }: Head): DialectName {
  // Only Gemini paths contain a colon.
  if (
    url.startsWith('/v1beta/') ||
    url.startsWith('/v1alpha/') ||
    (url.includes(':') && readPath(pathOf(url)) !== null)
  )
    return 'gemini';
  if (url.startsWith('/v2/')) return 'cohere';
  if (headers['anthropic-version'] !== undefined) return 'anthropic';
  if (url.startsWith('/v1/messages')) return 'anthropic';
  return url.startsWith('/v1/responses') ? 'responses' : 'openai';
}

/** The path of a URL, without its query. */
export function pathOf(url: string): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}
