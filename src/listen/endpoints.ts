/** The endpoints of the data port, and which of them a request's head is for. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Refusal } from '../base/errors.ts';
import { asksForEvents, type GeminiMethod, readPath } from '../dialects/gemini/path.ts';
import { fileEndpoint, passthroughEndpoints } from '../dialects/openai/beside-endpoints.ts';
import type { DialectName } from '../exchange/dialects.ts';
import type { Endpoint, EndpointName } from '../exchange/endpoint.ts';

/** A request's head, however it was read. */
export interface Head {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  /** Names in lower case. */
  readonly headers: IncomingHttpHeaders;
  /** What is wrong with it already; null: nothing. */
  readonly fault: Refusal | null;
}

const post = (
  name: Endpoint['name'],
  dialect: DialectName,
  upstreamPath: string,
  inspectId: number,
): Endpoint => ({
  name,
  dialect,
  method: 'POST',
  upstreamPath,
  inspectId,
  inPath: null,
});

/** The endpoints of the data port that have one path; Gemini's hold the model in theirs. */
export const endpoints: ReadonlyMap<string, Endpoint> = new Map([
  ['/v1/chat/completions', post('chat', 'openai', '/chat/completions', 0)],
  ['/v1/responses', post('responses', 'responses', '/responses', 5)],
  ['/v1/embeddings', post('embeddings', 'openai', '/embeddings', 1)],
  ['/v1/messages', post('messages', 'anthropic', '/messages', 2)],
  ['/v1/messages/count_tokens', post('count_tokens', 'anthropic', '/messages/count_tokens', 3)],
  ...passthroughEndpoints,
  ['/v2/rerank', post('rerank', 'cohere', '/rerank', 6)],
  ['/v2/embed', post('embed', 'cohere', '/embed', 7)],
]);

/** Of a model in the path; what follows it names the method. */
const ofModel = (name: EndpointName, method: string, stream = false, list = false): Endpoint => ({
  ...post(name, 'gemini', `:${method}`, 4),
  inPath: { stream, list },
});
const streamGenerate = ofModel('stream_generate', 'streamGenerateContent', true);
const streamList = ofModel('stream_generate', 'streamGenerateContent', true, true);
const byMethod: Readonly<Record<GeminiMethod, Endpoint>> = {
  generateContent: ofModel('generate', 'generateContent'),
  streamGenerateContent: streamList,
  countTokens: ofModel('gemini_count_tokens', 'countTokens'),
  embedContent: ofModel('embed_content', 'embedContent'),
  batchEmbedContents: ofModel('batch_embed_contents', 'batchEmbedContents'),
};

/** The endpoints whose path holds the model. */
export const modelEndpoints: readonly (readonly [path: string, endpoint: Endpoint])[] = Object.values(
  byMethod,
).map((endpoint) => [`/v1beta/models/{model}${endpoint.upstreamPath}`, endpoint]);

const modelsPath = '/v1/models';
const filesPath = '/v1/files';
const geminiModelsPath = '/v1beta/models';
const modelsEndpoint = (dialect: DialectName): Endpoint => ({
  name: 'models',
  dialect,
  method: 'GET',
  upstreamPath: '/models',
  inspectId: -1,
  inPath: null,
});

/** Of a head; undefined: there is none. */
export function endpointAt({ url, method }: Head, dialect: DialectName): Endpoint | undefined {
  const path = pathOf(url);
  if (dialect === 'gemini') return geminiEndpoint(path, url);
  if (path === modelsPath || path.startsWith(`${modelsPath}/`)) return modelsEndpoint(dialect);
  // Anthropic has files of its own, which are served nowhere.
  if (path.startsWith(filesPath)) return dialect === 'openai' ? fileEndpoint(method, url) : undefined;
  return endpoints.get(path);
}

/** A Gemini endpoint: what is asked for, and of which model, stands in its path. */
export function geminiEndpoint(path: string, url: string): Endpoint | undefined {
  const asked = readPath(path);
  if (asked === null)
    return path === geminiModelsPath || path.startsWith(`${geminiModelsPath}/`)
      ? modelsEndpoint('gemini')
      : undefined;
  const endpoint = byMethod[asked.method];
  return endpoint === streamList && asksForEvents(url) ? streamGenerate : endpoint;
}

/** Which SDK asks, where the path doesn't say it: Anthropic's always sends its version. */
export function dialectOf({ url, headers }: Head): DialectName {
  // Only Gemini's paths have a colon.
  if (url.startsWith('/v1beta/') || (url.includes(':') && readPath(pathOf(url)) !== null)) return 'gemini';
  if (url.startsWith('/v2/')) return 'cohere';
  if (headers['anthropic-version'] !== undefined) return 'anthropic';
  if (url.startsWith('/v1/messages')) return 'anthropic';
  return url.startsWith('/v1/responses') ? 'responses' : 'openai';
}

/** Without the query. */
export function pathOf(url: string): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}
