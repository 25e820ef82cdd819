/**
 * Signatures in Gemini's dialect. Its own pass unchanged; those of other dialects are put into the same field, as
 * Base64, since Google's SDKs decode it.
 */

import { isObject, type Json, listOf, parseObject, textOf } from '../../base/json.ts';
import { type ReasoningPart, type RedactedPart, type Signature, seal, unseal } from '../chat.ts';
import { unsigned } from '../foreign.ts';

const foreign = 'sidegate:';
/** The prefix in Base64; its length is a multiple of 3 bytes, so it doesn't depend on what follows. */
const foreignBase64 = Buffer.from(foreign).toString('base64');
/** Marks reasoning that its provider encrypted, not only signed. */
const hidden = 'redacted:';

const wrap = (text: string): string => Buffer.from(foreign + text).toString('base64');

/** The documented value for calls made by another model: the API then requires no signature. */
export const skipSignature = 'skip_thought_signature_validator';

/** Marks a call of another provider's model, so that it is known by this when a client sends it back to Gemini. */
const unsignedCall = wrap(unsigned);

/** A signature as `thoughtSignature` for a client. */
export const writeSignature = (signature: Signature): string =>
  signature.by === 'gemini' ? signature.value : wrap(seal(signature, 'gemini'));

/** The same of a call, which is never without. */
export const writeCallSignature = (signature: Signature | null): string =>
  signature === null ? unsignedCall : writeSignature(signature);

/** Encrypted reasoning as a part for a client. */
export const writeRedacted = ({ data }: RedactedPart): Json =>
  data.by === 'gemini'
    ? { text: '', thoughtSignature: data.value }
    : { text: '', thought: true, thoughtSignature: wrap(hidden + seal(data, 'gemini')) };

/** The `thoughtSignature` of a part, in both spellings that the API takes; empty: none. */
const sealOf = (part: Json): string => textOf(part.thoughtSignature) ?? textOf(part.thought_signature) ?? '';

/** Reads the `thoughtSignature` that a client sent back; null: none. */
function unwrap(part: Json): { readonly signature: Signature; readonly redacted: boolean } | null {
  const value = sealOf(part);
  if (value === '' || value === unsignedCall) return null;
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

/**
 * The body without parts signed by providers of other dialects, which Gemini would refuse; unchanged if none.
 * @param signsCalls the model requires a signature of calls, or to be told that there is none
 */
export function withoutForeign(body: Buffer, signsCalls: boolean): Buffer {
  const json = body.includes(foreignBase64) ? parseObject(body.toString('utf8')) : null;
  if (json === null) return body;
  const own = (part: unknown): unknown[] => {
    if (!isObject(part) || !sealOf(part).startsWith(foreignBase64)) return [part];
    const { thoughtSignature, thought_signature, ...call } = part;
    if ((call.functionCall ?? call.function_call) === undefined) return [];
    return [signsCalls ? { ...call, thoughtSignature: skipSignature } : call];
  };
  const contents = listOf(json.contents).flatMap((content): Json[] => {
    if (!Array.isArray(content.parts)) return [content];
    const parts = content.parts.flatMap(own);
    // A turn of nothing but thoughts would become empty, which the API refuses.
    return parts.length === 0 && content.parts.length > 0 ? [] : [{ ...content, parts }];
  });
  return Buffer.from(JSON.stringify({ ...json, contents }));
}
