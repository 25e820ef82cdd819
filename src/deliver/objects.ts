/** Notes whose the objects in a provider's replies are, and keeps those of other tenants out of lists. */
import type { AttemptReply } from '../attempt/answer.ts';
import { Refusal } from '../base/errors.ts';
import { isObject, type Json, listOf, objectOf, parseObject } from '../base/json.ts';
import { isOfProvider } from '../exchange/endpoint.ts';
import type { Passage } from '../passage.ts';
import { keepsForOne } from '../route/objects.ts';

/** Replies up to this size are read. One object takes a few KiB, and a page of a list at most some hundred. */
const readMaxBytes = 4 * 1024 * 1024;
/** Bytes of a reply of chat in which its id is looked for, which comes first. */
const headMaxBytes = 4096;

type WholeAnswer = Extract<AttemptReply, { kind: 'whole' }>;

/** The body of a reply about objects as its tenant may see it, or why it may not. */
export function ownObjects({ target, body }: WholeAnswer, passage: Passage): Buffer | Refusal {
  const { exchange, identity, stages } = passage;
  const { endpoint } = exchange;
  const { owners } = stages.objects;
  if (identity === null || !isOfProvider(endpoint)) return body;
  const { provider } = target;
  const forOne = keepsForOne(provider, stages.objects);
  const isList = endpoint.method === 'GET' && endpoint.object === null;
  if (body.length > readMaxBytes)
    return isList && !forOne
      ? new Refusal('upstream_failed', 'The list is too long to leave out what belongs to other tenants.')
      : body;
  const json = parseObject(body.toString('utf8'));
  if (json === null) return body;
  if (isList && !forOne) {
    const isOwn = (id: string): boolean => owners.of(provider.name, id) === identity.tenant;
    return Buffer.from(JSON.stringify(ownOnly(json, isOwn)));
  }
  const made = endpoint.method === 'POST' && endpoint.object === null ? idOf(json) : null;
  for (const id of [made, idOf(objectOf(json.file)), json.output_file_id, json.error_file_id])
    if (typeof id === 'string') owners.note(provider.name, id, identity.tenant);
  return body;
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

/** Notes whose a stored response or chat completion is. @param start of the reply: whole, or the first of its events */
export function noteStored(start: Buffer, { target }: AttemptReply, passage: Passage): void {
  const { exchange, identity, stages } = passage;
  const { dialect, kind, auxiliary } = exchange.endpoint;
  const { provider } = target;
  const isStored = kind === 'chat' && auxiliary === undefined && provider.dialect.name === dialect;
  if (!isStored || identity === null || provider.passthrough === false) return;
  const text = start.toString('latin1', 0, headMaxBytes);
  const id = /"id"\s*:\s*"((?:resp|chatcmpl)[-_][\w-]{1,200})"/.exec(text)?.[1];
  if (id !== undefined) stages.objects.owners.note(provider.name, id, identity.tenant);
}
