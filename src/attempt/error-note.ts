/**
 * A short, safe note of a provider's error for the record. Providers quote the prompt in their messages, so anything
 * quoted that could be more than a field's name is left out, and personal data and keys are masked.
 */
import { readError } from '../dialects/error-text.ts';
import { type PiiScope, piiAction, piiKinds, policyOf, scrubDocument } from '../native/pii.ts';

/** Longer notes are cut, in characters. */
export const errorNoteMax = 200;
/** More of a message is not looked at. */
const readMax = 1000;

const names = piiKinds.map(({ name }) => name);
const redactAll: PiiScope = {
  policy: policyOf(
    names.map((name) => ({ name, action: piiAction.Redact })),
    [],
    Buffer.alloc(0),
  ),
  names,
  tenant: Buffer.alloc(0),
};

/** A name or a number in quotes; anything else in quotes may be text of a prompt. */
const quoted = /(["'`“‘«])(?:[^"'`”’»]*)(["'`”’»]|$)/g;
const plainQuoted = /^.[\w.[\]:/-]{0,40}.$/;
/** Like a key or token: long, without spaces, with digits and letters. */
const keyLike = /\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{20,}/g;

/** @param status the provider's status @param body the provider's reply, as it came */
export function errorNote(status: number, body: Buffer): string {
  const { message, code } = readError(status, body);
  const unquoted = message
    .slice(0, readMax)
    .replace(quoted, (text) => (plainQuoted.test(text) ? text : '"…"'))
    .replace(keyLike, '…');
  const name = code === null || code === undefined || !/^[\w.-]{1,64}$/.test(code) ? '' : `${code}: `;
  return `${name}${masked(unquoted)}`.replace(/\s+/g, ' ').slice(0, errorNoteMax);
}

/** The text without personal data and secrets. */
function masked(text: string): string {
  const { body } = scrubDocument(Buffer.from(JSON.stringify([text.toWellFormed()])), redactAll);
  return (JSON.parse(body.toString()) as [string])[0];
}
