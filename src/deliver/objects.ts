/** Notes whose the objects in a provider's replies are, and keeps those of other tenants out of lists. */
import type { AttemptReply } from '../attempt/answer.ts';
import { Refusal } from '../base/errors.ts';
import { isObject, type Json, listOf, objectOf, parseObject } from '../base/json.ts';
import { isOfProvider } from '../exchange/endpoint.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { queryOf } from '../listen/query.ts';
import type { Passage } from '../passage.ts';
import { keepsForOne } from '../route/objects.ts';
import type { Provider } from '../upstream/target.ts';

/** Replies up to this size are read: an object usually takes a few KiB, and a page of a list some hundred. */
const readMaxBytes = { object: 1024 * 1024, list: 4 * 1024 * 1024 };
/** Bytes of a reply of chat in which its id is looked for, which comes first. */
const headMaxBytes = 4096;

type WholeAnswer = Extract<AttemptReply, { kind: 'whole' }>;

/** The body of a reply about objects as its tenant may see it, or why it may not. */
export function ownObjects({ target, body }: WholeAnswer, passage: Passage): Buffer | Refusal {
  const { exchange, identity, stages } = passage;
  const { endpoint } = exchange;
  if (identity === null || !isOfProvider(endpoint)) return body;
  const { provider } = target;
  const isList = endpoint.method === 'GET' && endpoint.object === null;
  const filters = isList && !keepsForOne(provider, stages.objects);
  if (body.length > (isList ? readMaxBytes.list : readMaxBytes.object))
    return filters
      ? new Refusal('upstream_failed', 'The list is too long to leave out what belongs to other tenants.')
      : body;
  if (isList && !filters) return withOwnUrls(body, provider);
  const json = parseObject(body.toString('utf8'));
  if (json === null) return body;
  const { owners } = stages.objects;
  if (filters) {
    const isOwn = (id: string): boolean => owners.of(provider.name, id) === identity.tenant;
    return withOwnUrls(Buffer.from(JSON.stringify(ownOnly(json, isOwn))), provider);
  }
  const ids = endpoint.method === 'POST' ? [madeBy(json, endpoint.object)] : [];
  for (const id of [
    ...ids,
    idOf(objectOf(json.file)),
    json.thread_id,
    json.output_file_id,
    json.error_file_id,
  ])
    if (typeof id === 'string') owners.note(provider.name, id, identity.tenant);
  return withOwnUrls(body, provider);
}

/** The id of the object that a request made. @param from the object that its path names, which it may be a copy of */
function madeBy(json: Json, from: string | null): string | null {
  const id = idOf(json);
  const typeOf = (text: string): string => text.split(/[-_]/, 1)[0] ?? '';
  // What is only put into another object, such as a file into a vector store, isn't made by that.
  return id === null || from === null || typeOf(id) === typeOf(from) ? id : null;
}

/** An object's id: OpenAI's and Anthropic's `id`, or the end of Google's `name`, which is a path. Null: it has none. */
function idOf({ id, name }: Json): string | null {
  if (typeof id === 'string') return id;
  return typeof name === 'string' ? (/^[a-z][\w/.-]*\/([\w.-]+)$/i.exec(name)?.[1] ?? null) : null;
}

/** A list without the objects that aren't the tenant's. */
function ownOnly(json: Json, isOwn: (id: string) => boolean): Json {
  const kept: Json = {};
  for (const [name, value] of Object.entries(json))
    kept[name] = Array.isArray(value)
      ? value.filter((each) => isObject(each) && isOwn(idOf(each) ?? ''))
      : value;
  if (!Array.isArray(kept.data)) return kept;
  const ids = listOf(kept.data).map(idOf);
  if ('first_id' in kept) kept.first_id = ids[0] ?? null;
  if ('last_id' in kept) kept.last_id = ids.at(-1) ?? null;
  return kept;
}

/** Whether a header of a reply names where a client is to upload: Google's. */
export const isUploadUrl = (name: string): boolean => /^x-goog-upload-.*url$/.test(name);

/** A URL of the provider's that the client is sent to, as one of ours; null: it isn't of the provider's API. */
export function ownUploadUrl(
  url: string,
  { baseUrl, basePath }: Provider,
  { headers }: Exchange,
): string | null {
  const found = URL.canParse(url) ? new URL(url) : null;
  const start = `/upload${basePath}/`;
  if (found?.origin !== new URL(baseUrl).origin || !found.pathname.startsWith(start)) return null;
  const scheme = headers['x-forwarded-proto'] === 'https' ? 'https' : 'http';
  const query = queryOf(found.search, 'gemini', true);
  return `${scheme}://${headers.host}/upload/v1beta/${found.pathname.slice(start.length)}?${query}`;
}

const urls = /("results_url"\s*:\s*")(https?:\/\/[^"\\]+)"/g;

/**
 * The same with URLs of the provider's API as paths, which Anthropic's SDKs resolve by their base URL. Otherwise they would
 * send the caller's key past the gateway.
 */
function withOwnUrls(body: Buffer, { basePath }: Provider): Buffer {
  if (!body.includes('"results_url"')) return body;
  const text = body.toString('utf8').replace(urls, (whole, start: string, url: string) => {
    const path = URL.canParse(url) ? new URL(url).pathname : '';
    return path.startsWith(`${basePath}/`) ? `${start}/v1${path.slice(basePath.length)}"` : whole;
  });
  return Buffer.from(text);
}

/** Notes whose a stored response or chat completion is. @param start of the reply: whole, or the first of its events */
export function noteStored(start: Buffer, { target }: AttemptReply, passage: Passage): void {
  const { exchange, identity, request, stages } = passage;
  const { dialect, kind, auxiliary } = exchange.endpoint;
  const { provider } = target;
  if (provider.passthrough === false || kind !== 'chat' || auxiliary !== undefined) return;
  if (identity === null || request === null || provider.dialect.name !== dialect) return;
  if (!isStored(request.body, dialect === 'responses')) return;
  const text = start.toString('latin1', 0, headMaxBytes);
  const id = /"id"\s*:\s*"((?:resp|chatcmpl)[-_][\w-]{1,200})"/.exec(text)?.[1];
  if (id !== undefined) stages.objects.owners.note(provider.name, id, identity.tenant);
}

/** Whether the provider keeps a reply: as the request says by `store`, else by default. */
function isStored(body: Buffer, byDefault: boolean): boolean {
  const at = body.lastIndexOf('"store"');
  if (at < 0) return byDefault;
  const said = /^"store"\s*:\s*(true|false)/.exec(body.toString('latin1', at, at + 64))?.[1];
  return said === undefined ? byDefault : said === 'true';
}
