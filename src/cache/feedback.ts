/** Remembers which requests were answered by the reply to another question, so that callers can say it was wrong. */
import type { Shared } from '../base/shared.ts';
import { store } from '../native/store.ts';
import type { Place } from './places.ts';

/** Requests remembered; the oldest is forgotten. */
const servedMax = 10_000;
const bytesMax = 16 * 1024 * 1024;

/** What a request was answered from. */
export interface Served {
  readonly place: Place;
  /** The stored question's number in the index. */
  readonly entry: number;
}

/** The requests remembered, of all workers: the next request may be another one's. */
export interface Feedback {
  served(requestId: string, from: Served): void;
  /** What a tenant's request was answered from, once; null: it isn't remembered, or is another tenant's. */
  take(requestId: string, tenant: string): Served | null;
}

/** They are remembered however old they are: no time passes in their store. */
const [anyTimeMs, ttlMs] = [0, 1];
const nothing = Buffer.alloc(0);
const everyone = 0;
/** What is remembered is written here, and copied from here by the core. */
let scratch = Buffer.allocUnsafeSlow(1024);

/** Remembers no request yet. @param placeOf finds a place again */
export function createFeedback(shared: Shared, placeOf: (tenant: string, route: string) => Place): Feedback {
  const id = store.open(servedMax, bytesMax, ttlMs, shared.name('served'));
  const put = (requestId: string, text: string): void => {
    if (text.length * 3 > scratch.length) scratch = Buffer.allocUnsafeSlow(text.length * 3);
    store.put(id, everyone, requestId, scratch, scratch.write(text), nothing, anyTimeMs);
  };
  return {
    served(requestId, { place: { tenant, route }, entry }) {
      put(requestId, `${entry}\0${tenant}\0${route}`);
    },
    take(requestId, tenant) {
      const found = store.get(id, everyone, requestId, anyTimeMs);
      if (found === null || found.length === 0) return null;
      const text = found.bytes.toString('utf8', 0, found.length);
      const [entry = '', whose, ...route] = text.split('\0');
      if (whose !== tenant) return null;
      put(requestId, '');
      return { place: placeOf(tenant, route.join('\0')), entry: Number(entry) };
    },
  };
}
