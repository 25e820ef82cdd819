/** The worker thread that counts tokens; it keeps no texts. */
import { parentPort } from 'node:worker_threads';
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import type { CountJob, ReplyText } from './counter.ts';
import { countPieces } from './pieces.ts';
import { countPrompt } from './prompt.ts';
import type { Counts } from './usage.ts';

/** Special tokens of the vocabulary are treated as plain text. */
const asText = { disallowedSpecial: new Set<string>() };
const countText = (text: string): number => countPieces(text, (piece) => countTokens(piece, asText));
const decoder = new TextDecoder();

/** Decodes bytes and frees them at once: an idle thread collects no garbage. */
function take(bytes: Uint8Array): string {
  const text = decoder.decode(bytes);
  (bytes.buffer as ArrayBuffer).transfer(0);
  return text;
}

/** Tokens of a reply; those of a truncated text are extrapolated. */
function countReply({ text, bytes }: ReplyText): number {
  const { length } = text;
  const tokens = countText(take(text));
  return bytes > length && length > 0 ? Math.ceil((tokens * bytes) / length) : tokens;
}

function count({ endpoint, prompt, replies }: CountJob): Counts {
  const found =
    prompt === null
      ? { promptTokens: 0, imageTokens: 0 }
      : countPrompt(endpoint, JSON.parse(take(prompt)), countText);
  return { ...found, replyTokens: replies.map(countReply) };
}

parentPort?.on('message', (job: CountJob) => parentPort?.postMessage(count(job)));
