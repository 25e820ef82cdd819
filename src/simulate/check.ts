/** Checks of JSON fields shared by the dialects; each throws the 400 that names the field. */
import type { Json } from '../base/json.ts';
import { invalid } from './errors.ts';
import type { Dialect } from './exchange.ts';
import { hash } from './random.ts';
import { countTokens } from './text.ts';

function kind(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** A value for an error message: at most 64 characters, safe for any type. */
export function shown(value: unknown): string {
  return (typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined')).slice(0, 64);
}

/** Refuses a value of the wrong type, in the dialect's wording. */
export function wrongType(dialect: Dialect, path: string, expected: string, value: unknown): never {
  if (dialect === 'anthropic') invalid(`${path}: Input should be ${expected}`);
  invalid(
    `Invalid type for '${path}': expected ${expected}, but got ${kind(value)} instead.`,
    path,
    'invalid_type',
  );
}

/** A number of the request, checked against a range; the fallback if it is missing or null. */
export function numberField(
  dialect: Dialect,
  body: Json,
  name: string,
  range: { readonly min: number; readonly max: number; readonly whole: boolean },
  fallback: number,
): number {
  const value = body[name];
  if (value === undefined || value === null) return fallback;
  const expected = range.whole ? 'an integer' : 'a number';
  if (typeof value !== 'number' || (range.whole && !Number.isInteger(value))) {
    wrongType(dialect, name, expected, value);
  }
  if (value >= range.min && value <= range.max) return value;
  if (dialect === 'anthropic') {
    const bound =
      value < range.min ? `greater than or equal to ${range.min}` : `less than or equal to ${range.max}`;
    invalid(`${name}: Input should be ${bound}`);
  }
  const bound = value < range.min ? `minimum value >= ${range.min}` : `maximum value <= ${range.max}`;
  invalid(
    `Invalid '${name}': value out of range. Expected a ${bound}, but got ${value} instead.`,
    name,
    value < range.min ? 'integer_below_min_value' : 'integer_above_max_value',
  );
}

/** A boolean of the request; false if it is missing or null. */
export function booleanField(dialect: Dialect, body: Json, name: string): boolean {
  const value = body[name];
  if (value === undefined || value === null) return false;
  if (typeof value !== 'boolean')
    wrongType(dialect, name, dialect === 'openai' ? 'a boolean' : 'a valid boolean', value);
  return value;
}

/** Tokens counted for an attachment, whatever its size. */
export const attachmentTokens = 85;
const messageTokens = 3;

/** Running token count of a request and hash of its content, updated while its messages are read. */
export interface Tally {
  tokens: number;
  key: number;
}

/** Adds a text to the tally. */
export function tallyText(tally: Tally, text: string): void {
  tally.tokens += countTokens(text);
  tally.key = hash(text, tally.key);
}

/** Adds the fixed tokens of a message, and its role. */
export function tallyMessage(tally: Tally, role: string): void {
  tally.tokens += messageTokens;
  tally.key = hash(role, tally.key);
}

/** Size of decoded base64 text, in bytes. */
export function base64Bytes(text: string): number {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  return Math.max(0, Math.floor((text.length * 3) / 4) - padding);
}
