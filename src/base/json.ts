/** Reads JSON from outside: a value of the wrong type is treated as absent. */

/** A JSON object of unknown shape. */
export type Json = { [key: string]: unknown };

/** Whether a value is an object, neither null nor an array. */
export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The value if it is an object; otherwise an empty one. */
export const objectOf = (value: unknown): Json => (isObject(value) ? value : {});

/** The objects of a list; empty if the value is not a list. */
export const listOf = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isObject) : []);

/** The value if it is a string; otherwise null. */
export const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null);

/** The value if it is a finite number; otherwise null. */
export const numberOf = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) ? value : null;

/** A count, such as of tokens: a whole number ≥ 0; 0 if the value is not one. */
export const countOf = (value: unknown): number => {
  const number = numberOf(value);
  return number === null || number < 0 ? 0 : Math.floor(number);
};

/** Whether a body is JSON by its media type, with parameters or a prefix such as `vnd.api+`; JSON Lines aren't. */
export const isJson = (contentType: string): boolean =>
  contentType === 'application/json' || /^application\/([\w.+-]+\+)?json\s*(;|$)/i.test(contentType);

/** Parses JSON; undefined: it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Parses the text of an object; null: it is not one. */
export function parseObject(text: string): Json | null {
  const value = parseJson(text);
  return isObject(value) ? value : null;
}

/** A copy of the object without its null and undefined members, so that fields nobody set are not sent. */
export function withoutNulls(members: Json): Json {
  const kept: Json = {};
  for (const key in members) {
    const value = members[key];
    if (value !== null && value !== undefined) kept[key] = value;
  }
  return kept;
}

/** The table's own entry under a name from outside; never an inherited property such as `constructor`. */
export const entryOf = <T>(table: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined;
