/** What a provider's error body says, whatever its dialect. */

import { isObject, type Json, objectOf, parseObject, textOf } from '../base/json.ts';
import type { ProviderError } from './chat.ts';

/** Longest message taken over, in characters. */
const messageMaxLength = 4096;

/** Reads `{"error": {"message", "code" | "type" | "status"}}`, its flat forms, or the text itself. */
export function readError(status: number, body: Buffer): ProviderError {
  const text = body.toString('utf8', 0, 64 * 1024);
  const json = parseObject(text);
  const plain = json === null && !/^\s*</.test(text) ? text.trim() : '';
  const error: Json = json === null ? {} : isObject(json.error) ? json.error : json;
  const told =
    textOf(error.message) ?? textOf(error.Message) ?? textOf(json?.error) ?? textOf(json?.detail) ?? plain;
  // FastAPI's servers give lists of what is wrong where.
  const detail = objectOf(error.message).detail ?? error.message ?? json?.detail;
  const message = told === '' && (detail ?? null) !== null ? JSON.stringify(detail) : told;
  const said = message === '' ? `The provider answered with status ${status}.` : message;
  const code = textOf(error.code) ?? textOf(error.type) ?? textOf(error.status);
  return { status, message: said.slice(0, messageMaxLength), code };
}
