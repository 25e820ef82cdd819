/** Refuses bodies that name an object of another tenant at a provider, such as a file for a batch to read. */
import type { Aside, Work } from '../base/aside.ts';
import { Refusal } from '../base/errors.ts';
import { scriptOf } from '../base/place.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Provider } from '../upstream/target.ts';
import { keepsForOne, notTheirs, type ObjectTable } from './objects.ts';

/** Most names that are looked up for one request. */
const namesMax = 2000;
/** Bodies up to this size are searched at once, as requests are inspected. */
const atOnceMaxBytes = 64 * 1024;

const module = scriptOf('route/named-objects').href;

/** Ids of objects at providers are a kind and a random part: `file-abc123`, `batch_68a…`, `vs_68a…`. */
const idText = /"([A-Za-z]\w{0,40}[-_][\w-]{1,200})"/g;
const escapedAscii = /\\u00([2-7][0-9A-Fa-f])/g;

/** What may be ids in a body, each once; of more than `namesMax`, one more than that. */
export function namesIn(body: Buffer): string[] {
  const text = body.toString('latin1');
  // Whatever JSON may spell otherwise.
  const plain = text.includes('\\u00')
    ? text.replace(escapedAscii, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
    : text;
  const names = new Set<string>();
  for (const [, name = ''] of plain.matchAll(idText)) if (names.add(name).size > namesMax) break;
  return [...names];
}

/** Finds them in a thread. */
export const work: Work<null, string[]> = (body) => ({
  value: namesIn(Buffer.from(body.buffer, body.byteOffset, body.length)),
  body: null,
});

/** The refusal of a body that names an object of another tenant; null: it may pass. */
export async function denyForeign(
  { body, cancellation }: Pick<Exchange, 'body' | 'cancellation'>,
  provider: Provider,
  tenant: string,
  table: ObjectTable,
  aside: Aside,
): Promise<Refusal | null> {
  if (body.length === 0 || keepsForOne(provider, table)) return null;
  const found =
    body.length <= atOnceMaxBytes
      ? { value: namesIn(body) }
      : await aside.run<null, string[]>(module, body, null, cancellation);
  if (found instanceof Refusal) return found;
  const names = found.value;
  if (names.length > namesMax)
    return new Refusal('body_too_complex', `The body has more than ${namesMax} names of objects.`);
  const foreign = names.find((name) => (table.owners.of(provider.name, name) ?? tenant) !== tenant);
  return foreign === undefined ? null : notTheirs(foreign);
}
