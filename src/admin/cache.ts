/** `/cache` of the admin port: use and trust of the cache by tenant and route; `DELETE` purges entries. */
import type { IncomingMessage } from 'node:http';
import type { PlaceView } from '../cache/places.ts';
import type { Purge } from '../cache/purged.ts';
import { type AdminAnswer, refuseStranger } from './keys.ts';

/** What `/cache` works with. */
export interface CacheAdmin {
  /** Null if `admin.token` isn't set. */
  token(): string | null;
  /** Entries, and the bytes they take. */
  size(): { readonly entries: number; readonly bytes: number };
  places(): readonly PlaceView[];
  /** Makes entries unreachable. */
  purge(what: Purge): Promise<void>;
}

/** Answers a request for `/cache`. */
export async function answerCache(req: IncomingMessage, admin: CacheAdmin): Promise<AdminAnswer> {
  const refused = refuseStranger(req, admin.token(), 'The cache is not shown');
  if (refused !== null) return refused;
  if (req.method === 'GET') return { status: 200, body: { ...admin.size(), places: admin.places() } };
  if (req.method !== 'DELETE') {
    const headers = { allow: 'GET, DELETE' };
    return { status: 405, problem: 'Method not allowed', detail: 'Use GET or DELETE.', headers };
  }
  const what = purgeOf(new URLSearchParams((req.url ?? '').split('?')[1] ?? ''));
  if ('status' in what) return what;
  await admin.purge(what);
  return { status: 204, body: null };
}

const parameters: ReadonlySet<string> = new Set(['tenant', 'route', 'tag', 'olderThanSeconds']);

/** What a query wants purged, or why it can't be. A parameter that isn't understood must not purge too much. */
function purgeOf(query: URLSearchParams): Purge | AdminAnswer {
  const names = [...query.keys()];
  const wrong = names.find((name, at) => !parameters.has(name) || names.indexOf(name) < at);
  if (wrong !== undefined)
    return {
      status: 400,
      problem: 'Unknown parameter',
      detail: `The parameter ${JSON.stringify(wrong.slice(0, 64))} is unknown or repeated: use ${[...parameters].join(', ')}, each at most once.`,
    };
  const given = (name: string): string | undefined => query.get(name) ?? undefined;
  const age = given('olderThanSeconds');
  if (age !== undefined && !/^\d{1,9}$/.test(age))
    return {
      status: 400,
      problem: 'Wrong parameter',
      detail: 'The parameter olderThanSeconds must be a whole number of seconds from 0.',
    };
  const olderThanMs = age === undefined ? undefined : Number(age) * 1000;
  return { tenant: given('tenant'), route: given('route'), tag: given('tag'), olderThanMs };
}
