/**
 * Remembers what was found in texts. A conversation is sent again with each of its turns: only what is new is asked about,
 * and what is old is replaced as before, whatever stands beside it.
 */
import { hash } from 'node:crypto';
import type { Values } from './joined.ts';

/** Texts that are remembered, and the values of one: those with more are asked about again. */
const textsMax = 10_000;
const valuesMax = 100;

/** Values by the digest of their text; no text is kept. */
export interface Known {
  /** Null: not known. */
  find(text: string): Values | null;
  add(text: string, values: Values): void;
}

/** Knows nothing yet. */
export function createKnown(): Known {
  const known = new Map<string, Values>();
  const digest = (text: string): string => hash('sha256', text, 'base64');
  return {
    find(text) {
      const key = digest(text);
      const values = known.get(key);
      if (values === undefined) return null;
      known.delete(key);
      known.set(key, values);
      return values;
    },
    add(text, values) {
      if (values.length > 3 * valuesMax) return;
      known.set(digest(text), values);
      for (const oldest of known.keys()) {
        if (known.size <= textsMax) break;
        known.delete(oldest);
      }
    },
  };
}
