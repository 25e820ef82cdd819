/**
 * Signatures in Gemini's dialect. Its own pass unchanged; those of other dialects are put into the same field, as
 * Base64, since Google's SDKs decode it.
 */

import { isObject, type Json, listOf, parseObject, textOf } from '../../base/json.ts';
import { type ReasoningPart, type RedactedPart, type Signature, seal, unseal } from '../chat.ts';

const foreign = 'sidegate:';
/** The prefix in Base64; its length is a multiple of 3 bytes, so it doesn't depend on what follows. */
const foreignBase64 = Buffer.from(foreign).toString('base64');
/** Marks reasoning that its provider encrypted, not only signed. */
const hidden = 'redacted:';

const wrap = (text: string): string => Buffer.from(foreign + text).toString('base64');

/** A signature as `thoughtSignature` for a client. */
export const writeSignature = (signature: Signature): string =>
  signature.by === 'gemini' ? signature.value : wrap(seal(signature, 'gemini'));

/** Encrypted reasoning as a part for a client. */
export const writeRedacted = ({ data }: RedactedPart): Json =>
  data.by === 'gemini'
    ? { text: '', thoughtSignature: data.value }
    : { text: '', thought: true, thoughtSignature: wrap(hidden + seal(data, 'gemini')) };

/** Reads the `thoughtSignature` that a client sent back; null: none. */
function unwrap(part: Json): { readonly signature: Signature; readonly redacted: boolean } | null {
  const value = textOf(part.thoughtSignature) ?? textOf(part.thought_signature) ?? '';
  if (value === '') return null;
  const text = Buffer.from(value, 'base64').toString('utf8');
  if (!text.startsWith(foreign)) return { signature: { by: 'gemini', value }, redacted: false };
  const inner = text.slice(foreign.length);
  const redacted = inner.startsWith(hidden);
  return { signature: unseal(redacted ? inner.slice(hidden.length) : inner, 'gemini'), redacted };
}

/** The signature that a client sent back with a part; null: none. */
export const readSignature = (part: Json): Signature | null => unwrap(part)?.signature ?? null;

/** Reads a thought that a client sent back. */
export function readThought(part: Json): ReasoningPart | RedactedPart {
  const read = unwrap(part);
  if (read?.redacted === true) return { kind: 'redacted', data: read.signature };
  return { kind: 'reasoning', text: textOf(part.text) ?? '', signature: read?.signature ?? null };
}

/** The body without parts signed by providers of other dialects, which Gemini would refuse; unchanged if none. */
export function withoutForeign(body: Buffer): Buffer {
  const json = body.includes(foreignBase64) ? parseObject(body.toString('utf8')) : null;
  if (json === null) return body;
  const isForeign = (part: unknown): boolean =>
    isObject(part) && (textOf(part.thoughtSignature) ?? '').startsWith(foreignBase64);
  const contents = listOf(json.contents).flatMap((content): Json[] => {
    if (!Array.isArray(content.parts)) return [content];
    const parts = content.parts.filter((part) => !isForeign(part));
    // A turn of nothing but thoughts would become empty, which the API refuses.
    return parts.length === 0 && content.parts.length > 0 ? [] : [{ ...content, parts }];
  });
  return Buffer.from(JSON.stringify({ ...json, contents }));
}
