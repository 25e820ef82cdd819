/**
 * Texts joined to one, and the way back. A recogniser counts in code points of the joined text, as Python does; the native
 * core in bytes of UTF-8 of each text.
 */

/** Something that a recogniser takes for a value, in code points. */
export interface Claim {
  /** Number of its kind. */
  readonly kind: number;
  readonly start: number;
  readonly end: number;
}

/** Values in one text: for each the number of its kind, start and end, in bytes of UTF-8. */
export type Values = readonly number[];

/** Stands between two texts, so that no name reaches from one into the next. */
const between = '\n\n';

/** One text for several. */
export const joined = (texts: readonly string[]): string => texts.map(legible).join(between);

/** In JSON such as the arguments of tools, quotes keep a recogniser from seeing words: each becomes a space. */
const legible = (text: string): string => (/^\s*[[{]/.test(text) ? text.replaceAll('"', ' ') : text);

/** The code points of a text. It must be well formed. */
export function codePoints(text: string): number {
  let count = text.length;
  // The second half of a pair.
  for (let at = 0; at < text.length; at++) if ((text.charCodeAt(at) & 0xfc00) === 0xdc00) count--;
  return count;
}

/**
 * What was claimed of the joined text, for each of the texts. A claim over several is one in each of them; claims of one
 * kind that overlap are one, so the values are at most as many for each kind as texts and claims together.
 * @param claims within the joined text
 */
export function separated(texts: readonly string[], claims: readonly Claim[]): Values[] {
  const found = texts.map((): number[] => []);
  if (claims.length === 0) return found;
  const byKind = Map.groupBy(claims, ({ kind }) => kind);
  for (const [kind, all] of byKind) spread(kind, united(all), texts, found);
  return found;
}

interface Span {
  readonly start: number;
  end: number;
}

/** Claims from left to right; those that overlap are one. */
function united(claims: readonly Claim[]): Span[] {
  const spans: Span[] = [];
  for (const { start, end } of claims.toSorted((a, b) => a.start - b.start)) {
    const last = spans.at(-1);
    if (last !== undefined && start < last.end) last.end = Math.max(last.end, end);
    else spans.push({ start, end });
  }
  return spans;
}

/** Adds spans of the joined text to the texts they lie in, in one pass over all. */
function spread(kind: number, spans: readonly Span[], texts: readonly string[], found: number[][]): void {
  let next = 0;
  // Code points of the joined text before the text at hand.
  let before = 0;
  for (const [index, text] of texts.entries()) {
    let span = spans[next];
    if (span === undefined) return;
    const walk = walker(text);
    const values = found[index] ?? [];
    for (; span !== undefined; span = spans[next]) {
      const start = walk(Math.max(0, span.start - before));
      const end = walk(span.end - before);
      if (start.bytes < end.bytes) values.push(kind, start.bytes, end.bytes);
      // What ends behind this text may go on in the next.
      if (!end.within) break;
      next++;
    }
    before += walk(Number.POSITIVE_INFINITY).points + between.length;
  }
}

interface Place {
  readonly points: number;
  readonly bytes: number;
  /** It isn't beyond the text's end. */
  readonly within: boolean;
}

/** Walks through a text from one code point to a later one. */
function walker(text: string): (to: number) => Place {
  let at = 0;
  let points = 0;
  let bytes = 0;
  return (to) => {
    while (points < to && at < text.length) {
      const unit = text.charCodeAt(at);
      const isPair = (unit & 0xfc00) === 0xd800;
      at += isPair ? 2 : 1;
      bytes += isPair ? 4 : unit < 0x80 ? 1 : unit < 0x800 ? 2 : 3;
      points++;
    }
    return { points, bytes, within: to <= points };
  };
}
