/** Reasoning items of the Responses API: summaries, and encrypted content that only their provider can read. */

import { type Json, listOf, textOf } from '../../base/json.ts';
import { type ReasoningPart, type RedactedPart, type Signature, seal, unseal } from '../chat.ts';
import { unsigned } from '../foreign.ts';

/** Distinguishes encrypted reasoning from the signature of a summary: both are sent as `encrypted_content`. */
const hidden = 'redacted:';

/** Reads an item. Its id is kept with the encrypted content, which is valid only together with it. */
export function readReasoning(item: Json): (ReasoningPart | RedactedPart)[] {
  const texts = [...listOf(item.summary), ...listOf(item.content)].map(({ text }) => textOf(text) ?? '');
  const encrypted = textOf(item.encrypted_content);
  const isSealed = encrypted !== null && encrypted !== '' && encrypted !== unsigned;
  const sealed = isSealed ? unseal(encrypted, 'responses') : null;
  if (sealed?.value.startsWith(hidden) === true)
    return [{ kind: 'redacted', data: { ...sealed, value: sealed.value.slice(hidden.length) } }];
  const own =
    sealed?.by === 'responses' ? { ...sealed, value: `${textOf(item.id) ?? ''} ${sealed.value}` } : sealed;
  const text = texts.join('\n\n');
  return text === '' && own === null ? [] : [{ kind: 'reasoning', text, signature: own }];
}

/** A signature as `encrypted_content` for a client. */
export const writeEncrypted = (signature: Signature): string => seal(signature, 'responses');

/** Encrypted reasoning as `encrypted_content` for a client. */
export const writeHidden = ({ by, value }: Signature): string =>
  seal({ by, value: hidden + value }, 'responses');

/** Writes an item for the provider that it came from; null: another provider's, or unsigned. */
export function writeOwn({ text, signature }: ReasoningPart): Json | null {
  if (signature?.by !== 'responses') return null;
  const space = signature.value.indexOf(' ');
  return {
    type: 'reasoning',
    id: signature.value.slice(0, space),
    summary: text === '' ? [] : [{ type: 'summary_text', text }],
    encrypted_content: signature.value.slice(space + 1),
  };
}
