/** Finds the question that a conversation ends with, in the native core. */
import type { NativeEndpoint } from './inspect.ts';
import { native } from './load.ts';
import { textCharsMax } from './search.ts';

/** The last text of the last message, if that is the user's. */
export interface Question {
  readonly text: string;
  /** SHA-256 of all of the body but this text, hex. */
  readonly rest: string;
  /** The request states a temperature above 0. */
  readonly sampled: boolean;
}

const regs = new Uint32Array(3);
const digest = Buffer.alloc(32);
const escapedBit = 1;
const sampledBit = 2;

/** Reads the question of a body that was inspected. Null: it has none, or one of more than `textCharsMax` characters. */
export function readQuestion(body: Buffer, endpoint: NativeEndpoint): Question | null {
  if (!native.question(body, endpoint, textCharsMax, regs, digest)) return null;
  const [start = 0, end = 0, bits = 0] = regs;
  const raw = body.toString('utf8', start, end);
  const text = (bits & escapedBit) === 0 ? raw : String(JSON.parse(`"${raw}"`));
  return { text, rest: digest.toString('hex'), sampled: (bits & sampledBit) !== 0 };
}
