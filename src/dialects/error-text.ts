/** Reads a provider's error body, in whatever form. */

import { isObject, type Json, objectOf, parseObject, textOf } from '../base/json.ts';
import type { ProviderError } from './chat-reply.ts';

/** Longer messages are cut, in characters. */
const messageMaxLength = 4096;

/** Reads `{"error": {"message", "code" | "type" | "status"}}`, its flat variants, or plain text. */
export function readError(status: number, body: Buffer): ProviderError {
  const text = body.toString('utf8', 0, 64 * 1024);
  const json = parseObject(text);
  const plain = json === null && !/^\s*</.test(text) ? text.trim() : '';
  const error: Json = json === null ? {} : isObject(json.error) ? json.error : json;
  const stated =
    textOf(error.message) ?? textOf(error.Message) ?? textOf(json?.error) ?? textOf(json?.detail) ?? plain;
  // Servers built on FastAPI send a list of invalid fields.
  const detail = objectOf(error.message).detail ?? error.message ?? json?.detail;
  const found = stated === '' && (detail ?? null) !== null ? JSON.stringify(detail) : stated;
  const message = found === '' ? `The provider answered with status ${status}.` : found;
  const code = textOf(error.code) ?? textOf(error.type) ?? textOf(error.status);
  return { status, message: message.slice(0, messageMaxLength), code };
}
