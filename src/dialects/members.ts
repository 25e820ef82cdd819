/** Members of a client's request: lists as they must be, and what the neutral form has no place for. */

import { entryOf, isObject, type Json, listOf } from '../base/json.ts';
import { type Notes, noteCannot, noteDropped, noteInvalid } from './chat.ts';

/** What is meant where nothing is said of it. */
const defaults: Readonly<Record<string, readonly unknown[]>> = {
  service_tier: ['auto', 'default'],
  truncation: ['disabled'],
};

/** For places where nothing that is unknown matters. */
export const nothingMatters: ReadonlySet<string> = new Set();

/**
 * Notes the members of a request that the neutral form has no place for.
 * @param at what stands before their names, such as `tools[0].`
 */
export function noteRest(
  body: Json,
  known: ReadonlySet<string>,
  matter: ReadonlySet<string>,
  notes: Notes,
  at = '',
): void {
  for (const field in body) {
    if (known.has(field)) continue;
    const value = body[field];
    // What says nothing is no loss.
    if (value === null || value === undefined || value === false) continue;
    if (entryOf(defaults, field)?.includes(value) === true) continue;
    if (Array.isArray(value) ? value.length === 0 : isObject(value) && Object.keys(value).length === 0)
      continue;
    if (matter.has(field)) noteCannot(notes, at + field);
    else noteDropped(notes, at + field);
  }
}

/** The objects of a list; what is none is the client's mistake. */
export function readItems(value: unknown, at: string, notes: Notes): Json[] {
  if (value === null || value === undefined) return [];
  const items: readonly unknown[] = Array.isArray(value) ? value : [];
  if (!Array.isArray(value)) noteInvalid(notes, at, 'must be a list');
  const wrong = items.findIndex((item) => !isObject(item));
  if (wrong >= 0) noteInvalid(notes, `${at}[${wrong}]`, 'must be an object');
  return listOf(items);
}
