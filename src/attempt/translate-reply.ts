/** Translates a whole reply of a provider of another dialect, as the work of another thread. */
import type { Work } from '../base/aside.ts';
import { Refusal } from '../base/errors.ts';
import { isTooComplex } from '../base/parts.ts';
import { dialects } from '../dialects/index.ts';
import { translatedReading } from '../dialects/read-reply.ts';
import type { Across, WholeReading } from '../dialects/reading.ts';
import type { ReplyFacts } from '../native/reply.ts';

/** What was read, without the client's body. */
export type TranslatedReply =
  | { readonly kind: 'read'; readonly facts: ReplyFacts; readonly text: Uint8Array }
  | { readonly kind: 'unfinished' }
  | { readonly kind: 'invalid' };

const tooComplex = new Refusal('body_too_complex', 'The reply has too many objects, lists and members.');

/** Reads a reply, and writes it in the client's dialect. */
export const work: Work<Across, TranslatedReply> = (body, { provider, client, context }) => {
  const { chatProvider } = dialects[provider];
  const { chatClient } = dialects[client];
  if (chatProvider === null || chatClient === null)
    throw new Error(`no translation from ${provider} to ${client}`);
  if (isTooComplex(body, true)) return tooComplex;
  const read = translatedReading(chatProvider, chatClient, context).whole(body);
  if (read === null) return { value: { kind: 'invalid' }, body: null };
  if (read === 'unfinished') return { value: { kind: 'unfinished' }, body: null };
  // A copy: of a view, all that is under it would be cloned.
  return { value: { kind: 'read', facts: read.facts, text: new Uint8Array(read.text()) }, body: read.body };
};

/** The reading, as it came from a thread. */
export function readingOf(value: TranslatedReply, body: Buffer | null): WholeReading | 'unfinished' | null {
  if (value.kind === 'unfinished') return 'unfinished';
  if (value.kind === 'invalid' || body === null) return null;
  const text = Buffer.from(value.text.buffer, value.text.byteOffset, value.text.byteLength);
  return { body, facts: value.facts, text: () => text };
}
