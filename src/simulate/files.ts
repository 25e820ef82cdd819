/** The simulator's uploaded files: kept in memory, the oldest dropped first. */
import type { Json } from '../base/json.ts';
import { invalid, Rejection } from './errors.ts';
import { createdSeconds } from './exchange.ts';
import { isUpload, type Upload } from './form.ts';

const filesMax = 1000;
const bytesMax = 256 * 1024 * 1024;

interface Kept extends Upload {
  readonly id: string;
  readonly purpose: string;
}

/** The files of one simulator. `get`, `remove` and `content` throw a 404 `Rejection` for an unknown id. */
export interface Shelf {
  add(body: Json): object;
  list(query: URLSearchParams): object;
  get(id: string): object;
  remove(id: string): object;
  content(id: string): Buffer;
}

const shown = ({ id, name, bytes, purpose }: Kept): object => ({
  id,
  object: 'file',
  bytes: bytes.length,
  created_at: createdSeconds,
  filename: name,
  purpose,
  status: 'processed',
});

/** An empty shelf of at most 1000 files and 256 MiB. */
export function createShelf(): Shelf {
  const kept = new Map<string, Kept>();
  let count = 0;
  let size = 0;

  const drop = (id: string): void => {
    size -= kept.get(id)?.bytes.length ?? 0;
    kept.delete(id);
  };
  const find = (id: string): Kept => {
    const found = kept.get(id);
    if (found !== undefined) return found;
    const message = `No such File object: ${id}`;
    throw new Rejection({ status: 404, type: 'invalid_request_error', message, param: 'id' });
  };

  return {
    add(body) {
      const { file, purpose } = body;
      if (!isUpload(file)) return invalid("'file' is a required property", 'file');
      if (typeof purpose !== 'string') return invalid("'purpose' is a required property", 'purpose');
      const id = `file-sim${String(++count).padStart(8, '0')}`;
      // Copied, as the bytes received are a view of the whole form.
      const made = { id, purpose, name: file.name, bytes: Buffer.from(file.bytes) };
      kept.set(id, made);
      size += made.bytes.length;
      for (const oldest of kept.keys()) {
        if (kept.size <= filesMax && size <= bytesMax) break;
        drop(oldest);
      }
      return shown(made);
    },
    list(query) {
      const purpose = query.get('purpose');
      const all = [...kept.values()].filter((one) => purpose === null || one.purpose === purpose);
      const from = all.findIndex(({ id }) => id === query.get('after')) + 1;
      const limit = Number(query.get('limit') ?? 10_000);
      const page = all.slice(from, from + limit);
      const ends = { first_id: page[0]?.id ?? null, last_id: page.at(-1)?.id ?? null };
      return { object: 'list', data: page.map(shown), ...ends, has_more: from + limit < all.length };
    },
    get: (id) => shown(find(id)),
    remove(id) {
      drop(find(id).id);
      return { id, object: 'file', deleted: true };
    },
    content: (id) => find(id).bytes,
  };
}
