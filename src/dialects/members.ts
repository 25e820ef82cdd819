/** Checks members of a client's request: lists of objects, and members that the neutral form lacks. */

import { entryOf, isObject, type Json, listOf } from '../base/json.ts';
import { type Notes, noteDropped, noteInvalid, noteUnsupported } from './chat.ts';

/** Values that mean the same as leaving the member out. */
const defaults: Readonly<Record<string, readonly unknown[]>> = {
  service_tier: ['auto', 'default'],
  truncation: ['disabled'],
  inference_geo: ['global'],
};

/** For objects without essential members other than the known ones. */
export const noneEssential: ReadonlySet<string> = new Set();

/**
 * Unknown members of one object whose values are looked at; further ones count as left out. In an object with hundreds of
 * thousands each look misses the processor's caches.
 */
const looksMax = 1000;

/**
 * Notes the members of a request that the neutral form lacks: `essential` as unsupported, others as dropped.
 * @param at prefix of their names, such as `thinking.`, or the list of the object, such as `messages`
 * @param index of the object in its list; negative: it is in none
 */
export function noteRest(
  body: Json,
  known: ReadonlySet<string>,
  essential: ReadonlySet<string>,
  notes: Notes,
  at = '',
  index = -1,
): void {
  let looks = 0;
  for (const field in body) {
    if (known.has(field)) continue;
    looks += 1;
    if (looks > looksMax && !essential.has(field)) {
      notes.droppedMore += 1;
      continue;
    }
    const value = body[field];
    // Leaving out an empty value or a default changes nothing.
    if (value === null || value === undefined || value === false) continue;
    if (entryOf(defaults, field)?.includes(value) === true) continue;
    if (Array.isArray(value) ? value.length === 0 : isObject(value) && Object.keys(value).length === 0)
      continue;
    // Most objects have none, so their place is written only here.
    const place = (index < 0 ? at : `${at}[${index}].`) + field;
    if (essential.has(field)) noteUnsupported(notes, place);
    else noteDropped(notes, place);
  }
}

const none: readonly Json[] = [];

/** The objects of a list; notes it as invalid if it is not a list or contains anything else. */
export function readItems(value: unknown, at: string, notes: Notes): readonly Json[] {
  if (value === null || value === undefined) return none;
  if (Array.isArray(value) && value.every(isObject)) return value;
  const items: readonly unknown[] = Array.isArray(value) ? value : [];
  if (!Array.isArray(value)) noteInvalid(notes, at, 'must be a list');
  const wrong = items.findIndex((item) => !isObject(item));
  if (wrong >= 0) noteInvalid(notes, `${at}[${wrong}]`, 'must be an object');
  return listOf(items);
}
