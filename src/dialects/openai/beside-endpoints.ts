/**
 * OpenAI's endpoints beside chat, a row each: images, audio, moderations, reranking and files. They are passed through to
 * providers of the same dialect. https://platform.openai.com/docs/api-reference
 */
import type { Endpoint, EndpointName, Passthrough } from '../../exchange/endpoint.ts';

/** Number of these endpoints in the native core's `inspect`. */
const inspectId = 10;

const row = (
  name: EndpointName,
  upstreamPath: string,
  passthrough: Passthrough,
  method: Endpoint['method'] = 'POST',
): readonly [path: string, endpoint: Endpoint] => [
  `/v1${upstreamPath}`,
  { name, dialect: 'openai', method, upstreamPath, inspectId, inPath: null, passthrough },
];

const images: Passthrough = {
  takes: 'json',
  gives: 'json',
  model: null,
  unstated: 'unpriced',
  cached: false,
  reserve: 'images',
  once: false,
};

const speech: Passthrough = { ...images, gives: 'speech', reserve: 'speech' };

const transcript: Passthrough = { ...images, takes: 'form', gives: 'transcript', reserve: 'transcript' };

const judged: Passthrough = {
  takes: 'json',
  gives: 'json',
  model: null,
  unstated: 'estimated',
  cached: true,
  reserve: 'nothing',
  once: false,
};

const files: Passthrough = {
  takes: 'nothing',
  gives: 'json',
  model: 'files',
  unstated: 'nothing',
  cached: false,
  reserve: 'nothing',
  once: false,
};

/** The endpoints that have one path and one method. */
export const passthroughEndpoints: readonly (readonly [path: string, endpoint: Endpoint])[] = [
  row('images', '/images/generations', images),
  row('image_edits', '/images/edits', { ...images, takes: 'json_or_form' }),
  row('image_variations', '/images/variations', { ...images, takes: 'form' }),
  row('speech', '/audio/speech', speech),
  row('transcriptions', '/audio/transcriptions', transcript),
  row('translations', '/audio/translations', transcript),
  // The model that OpenAI's reference names where a request doesn't.
  row('moderations', '/moderations', { ...judged, model: 'omni-moderation-latest', unstated: 'nothing' }),
  row('rerank', '/rerank', judged),
];

/** What may be done with files; `{id}` stands for one of them. */
export const fileEndpoints: readonly (readonly [path: string, endpoint: Endpoint])[] = [
  row('files', '/files', { ...files, takes: 'form', once: true }),
  row('files', '/files', files, 'GET'),
  row('files', '/files/{id}', files, 'GET'),
  row('files', '/files/{id}', files, 'DELETE'),
  row('files', '/files/{id}/content', { ...files, gives: 'file' }, 'GET'),
];

const filePath = /^\/v1\/files(?:\/([\w.-]{1,128})(\/content)?)?$/;

/** The endpoint of a request for files, with the file's id and the query in its path; undefined: there is none. */
export function fileEndpoint(method: string | undefined, url: string): Endpoint | undefined {
  const [path = '', query = ''] = url.split('?', 2);
  const [, id, content] = filePath.exec(path) ?? [];
  if (!filePath.test(path) || id === '.' || id === '..') return undefined;
  const pattern = `/v1/files${id === undefined ? '' : '/{id}'}${content ?? ''}`;
  const there = fileEndpoints.filter(([known]) => known === pattern).map(([, endpoint]) => endpoint);
  const found = there.find((endpoint) => endpoint.method === method) ?? there[0];
  if (found === undefined) return undefined;
  return { ...found, upstreamPath: path.slice('/v1'.length) + (query === '' ? '' : `?${query}`) };
}

/** Whether a request's body is a form: text fields and files. */
export const isForm = (contentType: string | undefined): boolean =>
  contentType !== undefined &&
  contentType !== 'application/json' &&
  /^multipart\/form-data\s*(;|$)/i.test(contentType);
