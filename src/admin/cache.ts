/** `/cache` of the admin port: use and trust of the cache by tenant and route; `DELETE` purges entries. */
import type { IncomingMessage } from 'node:http';
import type { PlaceView } from '../cache/places.ts';
import { type AdminAnswer, refuseStranger } from './keys.ts';

/** What `/cache` works with. */
export interface CacheAdmin {
  /** Null if `admin.token` isn't set. */
  token(): string | null;
  /** Entries, and the bytes they take. */
  size(): { readonly entries: number; readonly bytes: number };
  places(): readonly PlaceView[];
  /** Makes entries unreachable. Undefined: those of every tenant, or route. */
  purge(tenant: string | undefined, route: string | undefined): void;
}

/** Answers a request for `/cache`. */
export function answerCache(req: IncomingMessage, admin: CacheAdmin): AdminAnswer {
  const refused = refuseStranger(req, admin.token(), 'The cache is not shown');
  if (refused !== null) return refused;
  if (req.method === 'GET') return { status: 200, body: { ...admin.size(), places: admin.places() } };
  if (req.method !== 'DELETE') {
    const headers = { allow: 'GET, DELETE' };
    return { status: 405, problem: 'Method not allowed', detail: 'Use GET or DELETE.', headers };
  }
  const query = new URLSearchParams((req.url ?? '').split('?')[1] ?? '');
  const unknown = [...query.keys()].find((name) => name !== 'tenant' && name !== 'route');
  if (unknown !== undefined)
    return {
      status: 400,
      problem: 'Unknown parameter',
      detail: `There is no parameter ${JSON.stringify(unknown.slice(0, 64))}: use tenant, route, both or none.`,
    };
  admin.purge(query.get('tenant') ?? undefined, query.get('route') ?? undefined);
  return { status: 204, body: null };
}
