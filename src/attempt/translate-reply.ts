/** Reads a whole reply as the work of another thread, translated if its provider is of another dialect. */
import type { Work } from '../base/aside.ts';
import { Refusal } from '../base/errors.ts';
import { isTooComplex, partsMax } from '../base/parts.ts';
import { embedReading } from '../dialects/embeddings.ts';
import { dialects } from '../dialects/index.ts';
import { nativeReading } from '../dialects/native-reading.ts';
import { translatedReading } from '../dialects/read-reply.ts';
import type { Apart, ReplyReading, WholeReading } from '../dialects/reading.ts';
import type { ReplyFacts } from '../native/reply.ts';

/** What was read, without the client's body. */
export type TranslatedReply =
  | { readonly kind: 'read'; readonly facts: ReplyFacts; readonly text: Uint8Array }
  | { readonly kind: 'unfinished' }
  | { readonly kind: 'invalid' };

const tooComplex = new Refusal('body_too_complex', 'The reply has too many objects, lists and members.');

/** Parts of embeddings, which are numbers but for a few: 2,000 vectors of 4,000 numbers are half of it. */
const vectorPartsMax = 4_000_000;

/** Reads a reply, and writes it in the client's dialect if that is another. */
export const work: Work<Apart, TranslatedReply> = (body, apart) => {
  const reading = readingApart(apart);
  const translates = !('native' in apart);
  if (translates && isTooComplex(body, true, 'vectors' in apart ? vectorPartsMax : partsMax))
    return tooComplex;
  const read = reading.whole(body);
  if (read === null) return { value: { kind: 'invalid' }, body: null };
  if (read === 'unfinished') return { value: { kind: 'unfinished' }, body: null };
  const { facts } = read;
  // A copy: of a view, all that is under it would be cloned.
  const text = new Uint8Array(read.text());
  return { value: { kind: 'read', facts, text }, body: translates ? read.body : null };
};

function readingApart(apart: Apart): ReplyReading {
  if ('native' in apart) return nativeReading(apart.native, false, apart.member);
  const [provider, client] = [dialects[apart.provider], dialects[apart.client]];
  if ('vectors' in apart) {
    if (provider.embedProvider !== undefined && client.embedClient !== undefined)
      return embedReading(client.embedClient, provider.embedProvider, apart.vectors);
  } else if (provider.chatProvider !== null && client.chatClient !== null)
    return translatedReading(provider.chatProvider, client.chatClient, apart.context);
  throw new Error(`no translation from ${apart.provider} to ${apart.client}`);
}

/** The reading, as it came from a thread. */
export function readingOf(value: TranslatedReply, body: Buffer | null): WholeReading | 'unfinished' | null {
  if (value.kind === 'unfinished') return 'unfinished';
  if (value.kind === 'invalid' || body === null) return null;
  const text = Buffer.from(value.text.buffer, value.text.byteOffset, value.text.byteLength);
  return { body, facts: value.facts, text: () => text };
}
