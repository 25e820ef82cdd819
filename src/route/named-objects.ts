/** Refuses bodies that name an object of another tenant at a provider, such as a file for a batch to read. */
import type { Aside, Work } from '../base/aside.ts';
import { Refusal } from '../base/errors.ts';
import { isJson } from '../base/json.ts';
import { isForm, readForm } from '../base/multipart.ts';
import { scriptOf } from '../base/place.ts';
import { isPassed } from '../exchange/endpoint.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Provider } from '../upstream/target.ts';
import { isForeign, keepsForOne, notTheirs, type ObjectTable } from './objects.ts';

/** Most names that are looked up for one request; a batch of 100,000 requests names each by an id of its own. */
const namesMax = 300_000;
/** Names that are looked up in one turn of the event loop: each may take some microseconds of a database. */
const turnNames = 500;
/** Bodies up to this size are searched at once, as requests are inspected. */
const atOnceMaxBytes = 64 * 1024;

const module = scriptOf('route/named-objects').href;

/**
 * Ids of objects at providers are a kind and a random part: `file-abc123`, `batch_68a…`, `vs_68a…`; those of models that
 * were made there have more of them, `ft:gpt-4.1:org::abc`. Google's are `files/abc` or a URL that ends so.
 */
const idText =
  /"([A-Za-z]\w{0,40}[-_:][\w:.-]{1,200})"|"(?:https?:[^"\s]{0,300}\/)?([A-Za-z]\w{0,40}\/[\w.-]{1,200})"/g;
/** What may be ids in a text of JSON, each once; of more than `namesMax`, one more than that. */
export function namesIn(body: Buffer): string[] {
  const plain = (body.includes(backslash) ? unescaped(body) : body).toString('latin1');
  const names = new Set<string>();
  for (const [, id, path] of plain.matchAll(idText)) if (names.add(id ?? path ?? '').size > namesMax) break;
  return [...names];
}

/** The same without escapes of ASCII, in which JSON may spell a name as well; in one copy, whatever there are. */
function unescaped(body: Buffer): Buffer {
  const plain = Buffer.allocUnsafe(body.length);
  let length = 0;
  for (let at = 0; at < body.length; ) {
    const byte = body[at] ?? 0;
    const next = byte === backslash ? body[at + 1] : undefined;
    const code = next === letterU ? asciiOf(body.toString('latin1', at + 2, at + 6)) : null;
    // A slash needs no escape, and may have one.
    if (next !== slash) plain[length++] = code ?? byte;
    at += code === null ? 1 : 6;
  }
  return plain.subarray(0, length);
}

const [backslash, letterU, slash] = Buffer.from('\\u/') as unknown as [number, number, number];

/** The character of ASCII that four hexadecimal digits are; null: it is none that can be seen. */
const asciiOf = (digits: string): number | null =>
  /^00[2-7][0-9A-Fa-f]$/.test(digits) ? Number.parseInt(digits, 16) : null;

/** What must be known of a body to search it. */
interface ToSearch {
  readonly contentType: string;
  /** It asks a model, so that only one with a member that names objects is searched. */
  readonly asks: boolean;
}

/** Searches a body: here, or as the work of another thread. */
export const work: Work<ToSearch, string[]> = (body, { contentType, asks }) => {
  if (asks && !hasNames(body)) return { value: [], body: null };
  const texts = textsOf(body, contentType);
  return texts instanceof Refusal ? texts : { value: namesIn(texts), body: null };
};

const isUrlEncoded = (contentType: string): boolean =>
  /^application\/x-www-form-urlencoded/i.test(contentType);

/** Whether a body is nothing but bytes, such as a file, which name nothing. */
const isBytes = (contentType: string): boolean =>
  contentType !== '' && !isJson(contentType) && !isForm(contentType) && !isUrlEncoded(contentType);

/** The texts of a body that a provider may take for names, as JSON. */
function textsOf(body: Buffer, contentType: string): Buffer | Refusal {
  if (isUrlEncoded(contentType))
    return Buffer.from(JSON.stringify([...new URLSearchParams(body.toString('latin1')).values()]));
  if (!isForm(contentType)) return body;
  const form = readForm(body, contentType);
  if (form instanceof Refusal) return form;
  const texts = form.parts.filter(({ file }) => !file);
  return Buffer.from(
    JSON.stringify(texts.map(({ start, end }) => body.toString('latin1', start, end).trim())),
  );
}

type Named = Pick<Exchange, 'body' | 'query' | 'headers' | 'cancellation' | 'endpoint'>;

/** The refusal of a request that names an object of another tenant at one of these providers; null: it may pass. */
export async function denyForeign(
  { body, query, headers, cancellation, endpoint }: Named,
  all: Iterable<Provider>,
  tenant: string,
  table: ObjectTable,
  aside: Aside,
  deadlineMs: number,
): Promise<Refusal | null> {
  const providers = [...all].filter((each) => each.passthrough !== false && !keepsForOne(each, table));
  if (providers.length === 0) return null;
  const isTheirs = (name: string): boolean =>
    providers.every((provider) => !isForeign(name, provider, tenant, table));
  const inQuery = [...new URLSearchParams(query).values()].find((name) => !isTheirs(name));
  if (inQuery !== undefined) return notTheirs(inQuery);
  const contentType = headers['content-type'] ?? '';
  if (body.length === 0 || isBytes(contentType)) return null;
  const order = { contentType, asks: !isPassed(endpoint) };
  const found =
    body.length <= atOnceMaxBytes
      ? work(body, order)
      : await aside.run<ToSearch, string[]>(module, body, order, { cancellation, deadlineMs });
  if (found instanceof Refusal) return found;
  const names = found.value;
  if (names.length > namesMax)
    return new Refusal('body_too_complex', `The body has more than ${namesMax} names of objects.`);
  for (const [at, name] of names.entries()) {
    if (at > 0 && at % turnNames === 0) await new Promise((resolve) => setImmediate(resolve));
    if (!isTheirs(name)) return notTheirs(name);
  }
  return null;
}

/** How members of requests for a model begin that name objects at the provider, and the name of a model made there. */
const openai = [
  'previous_response_id',
  'comparison_response_id',
  'conversation"',
  'container',
  'file_id',
  'vector_store_id',
  'skill_id',
  'voice',
  'ft:',
];
const anthropic = ['user_profile_id', 'previous_message_id'];
const google = ['cachedContent', 'cached_content', 'fileUri', 'file_uri', 'fileSearchS', 'file_search_s'];
const quoted = [...openai, ...anthropic, ...google].map((start) => `"${start}`);

/** Whether a request for a model has a member that names objects, or may have one in escapes. */
const hasNames = (body: Buffer): boolean =>
  quoted.some((start) => body.includes(start)) || body.includes('\\u00');

/** Whether a request for a model may name an object at its provider: then it is searched, too. */
export const mayName = (body: Buffer): boolean => body.length > atOnceMaxBytes || hasNames(body);
