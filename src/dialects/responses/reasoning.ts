/** Reasoning items of the Responses API: summaries, and what only their provider can read again. */

import { type Json, listOf, textOf } from '../../base/json.ts';
import { type ReasoningPart, type RedactedPart, type Signature, seal, unseal } from '../chat.ts';
import { unsigned } from '../foreign.ts';

/** Tells hidden reasoning from the proof of shown reasoning: both travel as `encrypted_content`. */
const hidden = 'redacted:';

/** The item's own id belongs to what is encrypted. */
export function readReasoning(item: Json): (ReasoningPart | RedactedPart)[] {
  const texts = [...listOf(item.summary), ...listOf(item.content)].map(({ text }) => textOf(text) ?? '');
  const encrypted = textOf(item.encrypted_content);
  const said = encrypted !== null && encrypted !== '' && encrypted !== unsigned;
  const sealed = said ? unseal(encrypted, 'responses') : null;
  if (sealed?.value.startsWith(hidden) === true)
    return [{ kind: 'redacted', data: { ...sealed, value: sealed.value.slice(hidden.length) } }];
  const own =
    sealed?.by === 'responses' ? { ...sealed, value: `${textOf(item.id) ?? ''} ${sealed.value}` } : sealed;
  const text = texts.join('\n\n');
  return text === '' && own === null ? [] : [{ kind: 'reasoning', text, signature: own }];
}

/** The `encrypted_content` that carries a signature through a client. */
export const writeEncrypted = (signature: Signature): string => seal(signature, 'responses');

export const writeHidden = ({ by, value }: Signature): string =>
  seal({ by, value: hidden + value }, 'responses');

/** An item for the provider it came from; null: it is another's, or unproven. */
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
