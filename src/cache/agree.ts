/** Whether two replies answer the same: how shadow answers are judged. */
import { decide, dimensions, embed, features, sample } from '../native/search.ts';

/** Longer replies aren't compared, in bytes. */
export const comparedBytesMax = 64 * 1024;

/** Cosine from which two texts of the same figures and signs say the same. */
const alikeMin = 0.9;

/** Members that hold what a model says, in all dialects, whole and streamed. */
const spoken: ReadonlySet<string> = new Set(['content', 'text', 'delta']);

/** The texts of a reply's body, JSON or events, in their order. */
export function spokenText(body: Buffer, stream: boolean): string {
  const texts: string[] = [];
  const gather = (value: unknown, name: string, depth: number): void => {
    if (typeof value === 'string') {
      if (spoken.has(name)) texts.push(value);
    } else if (typeof value === 'object' && value !== null && depth < 32) {
      const isList = Array.isArray(value);
      for (const [key, each] of Object.entries(value)) gather(each, isList ? name : key, depth + 1);
    }
  };
  const read = (json: string): void => {
    try {
      gather(JSON.parse(json), '', 0);
    } catch {
      // `[DONE]` and other lines that say nothing.
    }
  };
  const all = body.toString('utf8');
  if (stream) for (const line of all.split('\n')) line.startsWith('data:') && read(line.slice(5));
  else read(all);
  return texts.join('');
}

const plain = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();
const figures = (text: string): string => [...new Set(text.match(/\d+(?:[.,:]\d+)*/g) ?? [])].sort().join();
/** In the languages that the core tells apart: in French "ne" stands before a verb, and may be shortened. */
const negation =
  /(?<!\p{L})(?:not|no|never|none|cannot|without|unable|nor|nicht|nie|kein(?:e[mnrs]?)?|ne|pas|jamais|aucune?|nunca|tampoco|non|mai|não|nem|niet|geen|nooit)(?!\p{L})|n['’]t(?!\p{L})|(?<!\p{L})n['’](?=\p{L})/iu;

/** Letters of other scripts than Latin, of whose words the vectors know nothing. */
const otherLetters = /(?!\p{Script=Latin})[\p{L}\p{M}]/gu;
const otherOf = (text: string): string => (text.toLowerCase().match(otherLetters) ?? []).join('');

/** Code, and signs that formulas have: a minus stands before a figure, and isn't the dash of a span. */
const exact = /`[^`]+`|[<>=+^\\≤≥≠]|(?<=^|[\s(=])[-−](?=\d)/gu;
const exactOf = (text: string): string => [...new Set(text.match(exact) ?? [])].sort().join('\0');
/** Facts in which the same answer doesn't differ. */
const facts: ReadonlySet<string> = new Set(['unit', 'currency', 'date', 'language']);
/** What tells answers apart if each has words for itself: opposites, things of a kind, names, numbers in words. */
const telling = ['opposites anywhere', 'siblings', 'names alone, fewer', 'spelled numbers'].map((name) =>
  features.indexOf(name),
);
/** Of a longer list of such words, these. */
const ownMax = 60;

/** Whether words that only one of two texts has, and those that only the other one has, exclude each other. */
function exclude(one: string, other: string): boolean {
  const wordsOf = (text: string): string[] => text.match(/[\p{L}\p{M}]+/gu) ?? [];
  const [a, b] = [wordsOf(one), wordsOf(other)];
  const own = (words: string[], others: string[]): string => {
    const known = new Set(others.map((word) => word.toLowerCase()));
    return [...new Set(words.filter((word) => !known.has(word.toLowerCase())))].slice(0, ownMax).join(' ');
  };
  // A name is told by its capital where it doesn't begin a sentence.
  const read = sample(`and ${own(a, b)}`, `and ${own(b, a)}`);
  return read !== null && telling.some((at) => (read.features[at] ?? 0) > 0);
}

const vectors = [new Float32Array(dimensions), new Float32Array(dimensions)] as const;

/**
 * Whether two answers say the same: the same figures, units, dates, code and signs, neither or both with a negation, and
 * either the same words, or none that exclude each other and vectors that lie near; where the script isn't Latin, the same
 * words. When in doubt they don't.
 */
export function agree(one: string, other: string): boolean {
  const [a, b] = [plain(one), plain(other)];
  if (a === '' || b === '') return false;
  if (exactOf(one) !== exactOf(other)) return false;
  if (a === b) return true;
  if (otherOf(one) !== otherOf(other)) return false;
  if (figures(one) !== figures(other) || negation.test(one) !== negation.test(other)) return false;
  if (facts.has(decide(one, other).reason) || exclude(one, other)) return false;
  const [x, y] = vectors;
  if (!embed(one, x) || !embed(other, y)) return false;
  return x.reduce((sum, value, i) => sum + value * (y[i] ?? 0), 0) >= alikeMin;
}
