/** The forms of keys, users and tags. */

import { createHash } from 'node:crypto';

/** Most tags of a key, a token or a request. */
export const tagsMax = 16;

/** A user or tag as named by a header. */
export const userPattern = /^[\w.:@/+-]{1,128}$/;

/** Longest name in a claim, in UTF-16 units. */
const claimMaxLength = 1024;
const encodedMaxLength = 128;

/**
 * A name from a claim, which may be any string (RFC 7519 §4.1.2), in characters that are safe in logs, labels and
 * headers: others are percent-encoded as UTF-8, and what is too long then ends in a digest. Different names stay
 * different. Null: it is empty, or longer than any issuer's.
 */
export function claimName(text: string): string | null {
  if (userPattern.test(text)) return text;
  if (text === '' || text.length > claimMaxLength) return null;
  const encoded = text.toWellFormed().replace(/[^\w.:@/+-]/gu, percentEncoded);
  if (encoded.length <= encodedMaxLength) return encoded;
  const digest = createHash('sha256').update(text, 'utf8').digest('hex').slice(0, 32);
  return `${encoded.slice(0, 64)}~${digest}`;
}

/** Every byte, also of characters that `encodeURIComponent` leaves as they are. */
const percentEncoded = (char: string): string =>
  [...Buffer.from(char)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
