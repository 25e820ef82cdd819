/** Bounds what a body may be made of before it is parsed: memory grows with that more than with its length. */
import { partsOf } from '../native/inspect.ts';

/**
 * Objects, lists and members that a body may have, where four elements of a list count as one. Parsed, each takes up to 150
 * bytes of memory, and twice that while it is translated: with this many, a body of 20 MB takes 220 MB at most. The longest
 * conversations have a tenth of them.
 */
export const partsMax = 500_000;

/** Whether a body has more parts than may be parsed. @param strings JSON in its strings is parsed, too */
export const isTooComplex = (body: Buffer, strings = false, most = partsMax): boolean =>
  body.length > most && partsOf(body, strings) > most;

/** The same for texts that are each parsed. */
export function areTooComplex(texts: Iterable<string>): boolean {
  let parts = 0;
  for (const text of texts) {
    parts += partsOf(Buffer.from(text), false);
    if (parts > partsMax) return true;
  }
  return false;
}
