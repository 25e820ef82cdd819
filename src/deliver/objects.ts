/** Notes whose the objects in a provider's replies are, and keeps those of other tenants out of lists. */
import type { AttemptReply } from '../attempt/answer.ts';
import { Refusal } from '../base/errors.ts';
import { isObject, type Json, listOf, objectOf, parseObject, textOf } from '../base/json.ts';
import { type Endpoint, isOfProvider, uploadObject } from '../exchange/endpoint.ts';
import { queryOf } from '../listen/query.ts';
import { bodyFlags } from '../native/inspect.ts';
import type { Passage } from '../passage.ts';
import { keepsForOne } from '../route/objects.ts';
import type { Provider } from '../upstream/target.ts';

/** Replies up to this size are read: an object usually takes a few KiB, and a page of a list some hundred. */
const readMaxBytes = { object: 1024 * 1024, list: 4 * 1024 * 1024 };
/** Bytes of a reply of chat in which its id is looked for, which comes first. */
const headMaxBytes = 4096;
/** Bytes of a stream about objects in whose events their ids are looked for. */
const eventsMaxBytes = 16 * 1024;

type WholeAnswer = Extract<AttemptReply, { kind: 'whole' }>;

/** What an object's content is read by: it may say anything. */
const isContent = (path: string): boolean => /\/(?:content|results)(?:\/|$)|:download$/.test(path);

/** Whether a path is an object's own. */
const isAt = (object: string, path: string): boolean => path.endsWith(`/${object}`);

/** The body of a reply about objects as its tenant may see it, or why it may not. */
export function ownObjects({ target, body }: WholeAnswer, passage: Passage): Buffer | Refusal {
  const { exchange, identity, stages } = passage;
  const { endpoint } = exchange;
  if (identity === null || !isOfProvider(endpoint) || isContent(endpoint.upstreamPath)) return body;
  const { provider } = target;
  const isList = listsObjects(endpoint);
  const filters = mustFilter(provider, passage);
  if (body.length > (isList ? readMaxBytes.list : readMaxBytes.object)) return filters ? unread : body;
  if (isList && !filters) return withOwnUrls(body, provider);
  const { owners } = stages.objects;
  // What is deleted may be only a part of it, such as a file of a vector store.
  if (
    endpoint.method === 'DELETE' &&
    endpoint.object !== null &&
    isAt(endpoint.object, endpoint.upstreamPath)
  )
    owners.forget(provider.name, endpoint.object, identity.tenant);
  const json = parseObject(body.toString('utf8'));
  if (json === null) return filters ? unread : body;
  const note = (id: unknown): void => {
    if (typeof id === 'string') owners.note(provider.name, id, identity.tenant);
  };
  if (filters) {
    const isOwn = (id: string): boolean => owners.of(provider.name, id) === identity.tenant;
    const own = ownOnly(json, isOwn);
    for (const each of listOf(own.data)) for (const id of resultsOf(each)) note(id);
    const text = written(own);
    return text === null ? unread : withOwnUrls(Buffer.from(text), provider);
  }
  if (endpoint.method === 'POST') {
    const made = madeBy(json, endpoint.object);
    // A name that was free again, as after its object expired, is whose made it last.
    if (made !== null && endpoint.object === null) owners.claim(provider.name, made, identity.tenant);
    for (const id of [made, idOf(objectOf(json.file)), json.thread_id]) note(id);
  }
  for (const id of resultsOf(json)) note(id);
  return withOwnUrls(body, provider);
}

/** Whether a reply is a list that may hold what belongs to other tenants. */
export function mustFilter(provider: Provider, { exchange, stages }: Passage): boolean {
  return listsObjects(exchange.endpoint) && !keepsForOne(provider, stages.objects);
}

const listsObjects = (endpoint: Endpoint): boolean =>
  isOfProvider(endpoint) && endpoint.method === 'GET' && endpoint.object === null;

/** The refusal of a list that can't be read. */
export const unread = new Refusal(
  'upstream_failed',
  'The list is too long, or in no form, to leave out what belongs to other tenants.',
);

/** Null: it is nested too deeply to be written. */
function written(json: Json): string | null {
  try {
    return JSON.stringify(json);
  } catch {
    return null;
  }
}

/** The files of Google's videos, of which a finished operation says only where they are. */
const videosOf = ({ response }: Json): unknown[] =>
  listOf(objectOf(objectOf(response).generateVideoResponse).generatedSamples).map(
    ({ video }) => /\/(files\/[\w-]+)/.exec(textOf(objectOf(video).uri) ?? '')?.[1],
  );

/** What a job made: files of OpenAI's batches and Google's, a model, and videos. */
const resultsOf = (json: Json): unknown[] => [
  json.output_file_id,
  json.error_file_id,
  json.fine_tuned_model,
  objectOf(json.response).responsesFile,
  objectOf(objectOf(json.metadata).output).responsesFile,
  objectOf(json.dest).fileName,
  ...videosOf(json),
];

/** The id of the object that a request made. @param from the object that its path names, which it may be a copy of */
function madeBy(json: Json, from: string | null): string | null {
  const id = idOf(json);
  const typeOf = (text: string): string => text.split(/[-_/]/, 1)[0] ?? '';
  // What is only put into another object, such as a file into a vector store, isn't made by that.
  return id === null || from === null || typeOf(id) === typeOf(from) ? id : null;
}

/** An object's id: OpenAI's and Anthropic's `id`, or the end of Google's `name`, such as `files/abc`. Null: it has none. */
function idOf({ id, name }: Json): string | null {
  if (typeof id === 'string') return id;
  return typeof name === 'string' ? (/(?:^|\/)([a-z]\w*\/[\w.-]+)$/i.exec(name)?.[1] ?? null) : null;
}

/** A list without the objects that aren't the tenant's, and without whatever isn't known to be a list of objects. */
function ownOnly(json: Json, isOwn: (id: string) => boolean): Json {
  const kept: Json = {};
  for (const [name, value] of Object.entries(json)) {
    if (Array.isArray(value)) kept[name] = value.filter((each) => isObject(each) && isOwn(idOf(each) ?? ''));
    else if (!isObject(value)) kept[name] = value;
  }
  if (!Array.isArray(kept.data)) return kept;
  const ids = listOf(kept.data).map(idOf);
  if ('first_id' in kept) kept.first_id = ids[0] ?? null;
  if ('last_id' in kept) kept.last_id = ids.at(-1) ?? null;
  return kept;
}

/** Headers of replies about objects: where one is, and what a file is called. */
export const objectHeaders: ReadonlySet<string> = new Set(['location', 'content-disposition']);

/** Whether a header of a reply names where a client is to go on, as Google's do for uploads. */
export const isUrlHeader = (name: string): boolean =>
  name === 'location' || (name.startsWith('x-goog-upload-') && name.endsWith('url'));

/** The URL of such a header as one of ours; null: it isn't of the provider's API. */
export const ownUrl = (name: string, url: string, provider: Provider, passage: Passage): string | null =>
  name === 'location' ? ownPath(url, provider) : ownUploadUrl(url, provider, passage);

/** A URL of the provider's API as a path of ours, whatever host it may be reached at; null: it is none. */
function ownPath(url: string, { basePath, baseUrl }: Provider): string | null {
  const path = URL.canParse(url, baseUrl) ? new URL(url, baseUrl).pathname : '';
  return path.startsWith(`${basePath}/`) ? `/v1${path.slice(basePath.length)}` : null;
}

/**
 * A URL of the provider's that the client is sent to, as one of ours; null: it isn't of the provider's API. What is
 * uploaded there is the tenant's.
 */
function ownUploadUrl(
  url: string,
  { name, baseUrl, basePath }: Provider,
  { exchange: { headers }, identity, stages }: Passage,
): string | null {
  const found = URL.canParse(url) ? new URL(url) : null;
  const start = `/upload${basePath}/`;
  if (found?.origin !== new URL(baseUrl).origin || !found.pathname.startsWith(start)) return null;
  const scheme = headers['x-forwarded-proto'] === 'https' ? 'https' : 'http';
  const id = found.searchParams.get('upload_id');
  if (id !== null && identity !== null) stages.objects.owners.claim(name, uploadObject(id), identity.tenant);
  const query = queryOf(found.search, 'gemini', true);
  return `${scheme}://${headers.host}/upload/v1beta/${found.pathname.slice(start.length)}?${query}`;
}

const urls = /("results_url"\s*:\s*)("(?:[^"\\]|\\.)*")/g;

/**
 * The same with URLs of the provider's API as paths, which Anthropic's SDKs resolve by their base URL, and without any
 * others. Otherwise they would send the caller's key past the gateway.
 */
function withOwnUrls(body: Buffer, provider: Provider): Buffer {
  if (!body.includes('"results_url"')) return body;
  const text = body.toString('utf8').replace(urls, (_, start: string, quoted: string) => {
    const path = ownPath(stringOf(quoted), provider);
    return path === null ? `${start}null` : `${start}"${path}"`;
  });
  return Buffer.from(text);
}

function stringOf(quoted: string): string {
  try {
    return String(JSON.parse(quoted));
  } catch {
    return '';
  }
}

const storedId = /"id"\s*:\s*"((?:resp|chatcmpl)[-_][\w-]{1,200})"/;
const messageId = /"id"\s*:\s*"(msg_[\w-]{1,200})"/;

/** Notes whose a stored response or chat completion is, or the thread of messages that a reply ends. @param start of the reply: whole, or the first of its events */
export function noteStored(start: Buffer, { target }: AttemptReply, passage: Passage): void {
  const { exchange, identity, request, stages } = passage;
  const { dialect, kind, auxiliary } = exchange.endpoint;
  const { provider } = target;
  if (provider.passthrough === false || kind !== 'chat' || auxiliary !== undefined) return;
  if (identity === null || request === null || provider.dialect.name !== dialect) return;
  const stored =
    dialect === 'anthropic'
      ? (request.flags & bodyFlags.continued) !== 0
      : isStored(request.body, dialect === 'responses');
  if (!stored) return;
  const text = start.toString('latin1', 0, headMaxBytes);
  const id = (dialect === 'anthropic' ? messageId : storedId).exec(text)?.[1];
  if (id !== undefined) stages.objects.owners.note(provider.name, id, identity.tenant);
}

/**
 * Notes whose the objects are that a stream says were made, such as a thread and its run: by its first events. Null: the
 * request makes none.
 */
export function noteStreamed({ target }: AttemptReply, passage: Passage): ((chunk: Buffer) => void) | null {
  const { exchange, identity, stages } = passage;
  const { endpoint } = exchange;
  if (identity === null || !isOfProvider(endpoint) || endpoint.method !== 'POST') return null;
  let [text, seen] = ['', 0];
  return (chunk) => {
    if (seen >= eventsMaxBytes) return;
    seen += chunk.length;
    const events = (text + chunk.toString('latin1')).split(/\r?\n\r?\n/);
    text = events.pop()?.slice(0, eventsMaxBytes) ?? '';
    for (const event of events) {
      const { id, thread_id: thread } = parseObject(/^data: ?(.*)$/m.exec(event)?.[1] ?? '') ?? {};
      for (const made of [id, thread])
        if (typeof made === 'string') stages.objects.owners.note(target.provider.name, made, identity.tenant);
    }
  };
}

/** Whether the provider keeps a reply: as the request says by `store`, else by default. */
function isStored(body: Buffer, byDefault: boolean): boolean {
  const at = body.lastIndexOf('"store"');
  if (at < 0) return byDefault;
  const said = /^"store"\s*:\s*(true|false)/.exec(body.toString('latin1', at, at + 64))?.[1];
  return said === undefined ? byDefault : said === 'true';
}
