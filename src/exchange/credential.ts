/** The credential a request presents, and its digest. */
import { hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** Prefix of every key that Sidegate creates, so that scanners for leaked secrets can find it. */
export const keyPrefix = 'sg-';

/** Whether a credential looks like a key of Sidegate, which no provider may see. */
export const isOwnKey = (key: string): boolean => key.startsWith(keyPrefix);

/** The caller's credential from `Authorization`, `x-api-key`, `x-goog-api-key` or `api-key`; null: none was sent. */
export function presentedKey(headers: IncomingHttpHeaders): string | null {
  const sent = headers.authorization ?? '';
  const scheme = sent.slice(0, 7).toLowerCase();
  // An app whose variable is unset sends the scheme alone.
  const key = scheme === 'bearer ' ? sent.slice(7).trim() : scheme === 'bearer' ? '' : sent;
  if (key !== '') return key;
  const plain = headers['x-api-key'] ?? headers['x-goog-api-key'] ?? headers['api-key'];
  return typeof plain === 'string' && plain !== '' ? plain : null;
}

/** SHA-256 of the caller's credential, hex, to distinguish callers; empty: none was sent. */
export function credentialDigest(headers: IncomingHttpHeaders): string {
  const key = presentedKey(headers);
  return key === null ? '' : hash('sha256', key);
}
