/** The simulator's text: counts and cuts tokens, finds what a message mentions, and supplies filler. */
import { between, type Random } from './random.ts';

const tokenCharsMax = 6;

function isSpace(code: number): boolean {
  return code <= 32 && (code === 32 || (code >= 9 && code <= 13));
}

/** End of the token that starts at `from`: white space before a word and up to six of its characters. */
function tokenEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && isSpace(text.charCodeAt(at))) at++;
  const end = Math.min(text.length, at + tokenCharsMax);
  while (at < end && !isSpace(text.charCodeAt(at))) at++;
  // A character outside the basic plane is two code units, which must stay together.
  if (at < text.length && (text.charCodeAt(at) & 0xfc00) === 0xdc00) at++;
  return at;
}

/** Tokens of a text by the simulator's simple measure (about 1.3 per word): the length of `tokens(text)`. */
export function countTokens(text: string): number {
  let count = 0;
  // Characters of the current word; at the maximum, the next one starts a token.
  let run = tokenCharsMax;
  let space = true;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (isSpace(code)) {
      run = tokenCharsMax;
      space = true;
    } else if (run < tokenCharsMax) run++;
    else if (!space && run === tokenCharsMax && (code & 0xfc00) === 0xdc00) run++;
    else {
      count++;
      run = 1;
      space = false;
    }
  }
  return space && text.length > 0 ? count + 1 : count;
}

/** The text cut into tokens; joined they give the text again. */
export function tokens(text: string): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length; ) {
    const end = tokenEnd(text, at);
    pieces.push(text.slice(at, end));
    at = end;
  }
  return pieces;
}

const scannedCharsMax = 4096;
const mentionsMax = 8;
// Repeats are bounded, so that no input makes a match slow; each pattern is tried only if its sign occurs.
const patterns: readonly { readonly signs: readonly string[]; readonly pattern: RegExp }[] = [
  { signs: ['@'], pattern: /[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}/g },
  {
    signs: ['[', '<', '{', '('],
    pattern: /[[<{(]{1,2}[A-Z][A-Z0-9]{1,31}(?:[_:-][A-Za-z0-9]{1,64}){1,4}[\]>})]{1,2}/g,
  },
  { signs: [''], pattern: /\b\d(?:[ -]?\d){12,18}\b/g },
];

/** E-mail addresses, placeholders such as [EMAIL_1] or <PERSON_2>, and card-like numbers at the beginning of a text. */
export function mentions(text: string): string[] {
  const scanned = text.slice(0, scannedCharsMax);
  const found = new Set<string>();
  for (const { signs, pattern } of patterns) {
    if (!signs.some((sign) => scanned.includes(sign))) continue;
    for (const [word] of scanned.matchAll(pattern)) {
      if (found.size === mentionsMax) return [...found];
      found.add(word);
    }
  }
  return [...found];
}

const gistCharsMax = 120;

/** The beginning of a text on one line, cut between words. */
export function gist(text: string): string {
  const flat = text
    .slice(0, gistCharsMax * 4)
    .replace(/\s+/g, ' ')
    .trim();
  if (flat.length <= gistCharsMax) return flat;
  const space = flat.lastIndexOf(' ', gistCharsMax);
  // Not the character …: a single one beyond Latin-1 makes the whole reply several times slower to encode.
  return `${flat.slice(0, space > gistCharsMax / 2 ? space : gistCharsMax)}...`;
}

const sentences = [
  'No model was asked, so nothing here was thought through, and nothing was charged.',
  'The words come from a short list, in an order that the seed decides.',
  'Ask the same thing again and you will read the same lines again.',
  'A small boat crosses the bay while the light is still low.',
  'The path along the river is longer, but it is the one with the trees.',
  'Someone has left a window open, and the curtain moves a little.',
  'In the market the first apples of the year are being weighed.',
  'Two gardeners argue quietly about where the roses ought to stand.',
  'The clock in the hall is four minutes slow, which nobody minds.',
  'Rain is expected in the evening, and the streets will smell of it.',
  'A letter arrives that answers a question asked long ago.',
  'The baker counts to twelve and always puts in one more.',
  'On the hill there is a bench from which the whole valley can be seen.',
  'The old map shows a bridge that was never built.',
  'By the time the tea is ready, the conversation has turned to music.',
  'A cat inspects each step before it decides to stay on the third.',
  'The library keeps one lamp lit for whoever reads late.',
  'Every train that stops here leaves with a little less hurry.',
  'The painter waits for the cloud to move, then changes the picture instead.',
  'At noon the square is empty but for a dog and its shadow.',
  'The recipe asks for patience, which is the hardest part to measure.',
  'Snow on the far peaks stays until the first warm week of June.',
  'What comes after this sentence would be just as simulated as what came before.',
].map((sentence) => tokens(` ${sentence}`));

/** Sentences of one to twelve tokens, so that a text of any length ends with a whole sentence. */
const closings = new Map(
  [
    'Done.',
    'All good.',
    'That is all.',
    'And that is all.',
    'And so the day ends.',
    'And so the day goes on.',
    'And then it is time for tea.',
    'The rest is left for you to fill.',
    'For now, this is all there is to say.',
    'The rest of it can wait until the rain ends.',
    'It was by all means a good day for a walk.',
    'It was, as they say here, a good day for a walk.',
  ].map((sentence) => {
    const pieces = tokens(` ${sentence}`);
    return [pieces.length, pieces] as const;
  }),
);
const closingMax = 12;

/** Adds filler to `pieces` up to `length` tokens; cuts them if there are more already. */
export function fill(pieces: string[], length: number, random: Random): string[] {
  if (pieces.length > length) {
    pieces.length = length;
    const last = pieces[length - 1] ?? '';
    if (!/[.!?]"?$/.test(last)) pieces[length - 1] = `${last.replace(/[,;:]$/, '')}.`;
    return pieces;
  }
  // The number of sentences is prime, so any step visits all of them before one repeats.
  let next = between(random, 0, sentences.length - 1);
  const step = between(random, 1, sentences.length - 1);
  while (pieces.length < length) {
    const left = length - pieces.length;
    const sentence = sentences[next] ?? [];
    next = (next + step) % sentences.length;
    const fits = left > closingMax && sentence.length <= left;
    const chosen = fits ? sentence : (closings.get(Math.min(left, closingMax)) ?? []);
    for (const piece of chosen) pieces.push(piece);
  }
  return pieces;
}
