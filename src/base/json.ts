/** Careful looks into JSON that somebody else wrote: what has the wrong type isn't there. */

export type Json = { [key: string]: unknown };

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The value as an object; an empty one where it is none. */
export const objectOf = (value: unknown): Json => (isObject(value) ? value : {});

/** The objects of a list; none where it is no list. */
export const listOf = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isObject) : []);

export const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null);

export const numberOf = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) ? value : null;

/** A count of tokens; 0 where there is none. */
export const countOf = (value: unknown): number => {
  const number = numberOf(value);
  return number === null || number < 0 ? 0 : Math.floor(number);
};

/** Parses an object; null: it is none. */
export function parseObject(text: string): Json | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

/** The object without the members that are null or undefined: what isn't said isn't sent. */
export function said(members: Json): Json {
  const kept: Json = {};
  for (const key in members) {
    const value = members[key];
    if (value !== null && value !== undefined) kept[key] = value;
  }
  return kept;
}

/** What a table has under a name that somebody else wrote; not what every object inherits, such as `constructor`. */
export const entryOf = <T>(table: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined;
