/** Reads the question that a conversation ends with. */
import { native } from './load.ts';
import { textCharsMax } from './search.ts';

/** The last text of the last message, if that is the user's. */
export interface Question {
  readonly text: string;
  /** A digest of all of the body but this text, hex. */
  readonly rest: string;
}

const digest = Buffer.alloc(32);
/** Longest raw form of a question: a character takes at most 12 bytes, two escaped surrogates. */
const rawBytesMax = 12 * textCharsMax;

/**
 * Reads the question whose raw bytes stand at these offsets. Null: it is blank, or has more than `textCharsMax` characters.
 * @param escaped whether the raw bytes hold an escape
 */
export function readQuestion(body: Buffer, start: number, end: number, escaped: boolean): Question | null {
  if (end - start > rawBytesMax) return null;
  const raw = body.toString('utf8', start, end);
  const text = escaped ? String(JSON.parse(`"${raw}"`)) : raw;
  if (text.length > textCharsMax || text.trim() === '') return null;
  native.questionRest(body, start, end, digest);
  return { text, rest: digest.toString('hex') };
}
