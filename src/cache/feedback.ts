/** Remembers which requests were answered by the reply to another question, so that callers can say it was wrong. */
import type { Place } from './places.ts';

/** Requests remembered; the oldest is forgotten. */
const servedMax = 10_000;

/** What a request was answered from. */
export interface Served {
  readonly place: Place;
  /** The stored question's number in the index. */
  readonly entry: number;
}

/** The requests remembered. */
export interface Feedback {
  served(requestId: string, from: Served): void;
  /** What a tenant's request was answered from, once; null: it isn't remembered, or is another tenant's. */
  take(requestId: string, tenant: string): Served | null;
}

/** Remembers no request yet. */
export function createFeedback(): Feedback {
  const all = new Map<string, Served>();
  return {
    served(requestId, from) {
      all.set(requestId, from);
      const [oldest] = all.size > servedMax ? all.keys() : [];
      if (oldest !== undefined) all.delete(oldest);
    },
    take(requestId, tenant) {
      const from = all.get(requestId);
      if (from === undefined || from.place.tenant !== tenant) return null;
      all.delete(requestId);
      return from;
    },
  };
}
