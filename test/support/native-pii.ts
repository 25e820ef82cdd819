/** The slow and obvious way to find e-mail addresses: try every beginning with every end. */

/** A character of decoded text, and where its raw bytes lie. */
export interface Char {
  readonly c: string;
  readonly start: number;
  readonly end: number;
}

/** A finding: from the character `from` up to, not including, `to`. */
export interface Finding {
  readonly from: number;
  readonly to: number;
}

const isDigit = (c: string | undefined): boolean => c !== undefined && /^[0-9]$/.test(c);

/** Answers by character: each is asked about many thousand times. */
const alphanumeric = new Map<string, boolean>();

function isAlphanumeric(c: string): boolean {
  const known = alphanumeric.get(c);
  if (known !== undefined) return known;
  const answer = /^[\p{Alphabetic}\p{N}]$/u.test(c);
  alphanumeric.set(c, answer);
  return answer;
}

/** Scripts written without spaces between words. */
function isUnspaced(c: string): boolean {
  const code = c.codePointAt(0) ?? 0;
  const ranges = [
    [0x0e00, 0x0eff],
    [0x1000, 0x109f],
    [0x1100, 0x11ff],
    [0x1780, 0x17ff],
    [0x2e80, 0x9fff],
    [0xa960, 0xa97f],
    [0xac00, 0xd7ff],
    [0xf900, 0xfaff],
    [0xff00, 0xffef],
    [0x20000, 0x3ffff],
  ] as const;
  return ranges.some(([first, last]) => code >= first && code <= last);
}

function isLocal(chars: readonly string[]): boolean {
  const text = chars.join('');
  const letters = chars.filter((c) => isAlphanumeric(c));
  return (
    chars.length >= 1 &&
    chars.length <= 64 &&
    chars.every((c) => isAlphanumeric(c) || /^[._%+'-]$/.test(c)) &&
    !/^[.']|\.$|\.\./.test(text) &&
    new Set(letters.map(isUnspaced)).size <= 1
  );
}

function isDomain(chars: readonly string[]): boolean {
  const labels = chars.join('').split('.');
  const top = labels.at(-1) ?? '';
  const good = (label: string): boolean => {
    const points = [...label];
    const spaced = points.findIndex((c) => /^[A-Za-z0-9]$/.test(c));
    return (
      points.length >= 1 &&
      points.length <= 63 &&
      points.every((c) => c === '-' || isAlphanumeric(c)) &&
      !/^-|-$/.test(label) &&
      !points.some((c, i) => spaced >= 0 && i > spaced && isUnspaced(c))
    );
  };
  return labels.length >= 2 && labels.every(good) && [...top].length >= 2 && !isDigit(top[0]);
}

function findEmails(text: readonly string[]): Finding[] {
  const found: Finding[] = [];
  let floor = 0;
  for (let at = 0; at < text.length; at++) {
    // As it is, or as links have it.
    const sign = text[at] === '@' ? 1 : text.slice(at, at + 3).join('') === '%40' ? 3 : 0;
    if (sign === 0 || at < floor) continue;
    let from = Math.max(floor, at - 64);
    while (from < at && !isLocal(text.slice(from, at))) from++;
    let to = Math.min(text.length, from + 253 + sign);
    while (to > at && !isDomain(text.slice(at + sign, to))) to--;
    if (from === at || to <= at) continue;
    found.push({ from, to });
    floor = to;
  }
  return found;
}

/** Zeros of the scripts whose digits are looked for. */
const zeros = [
  0x660, 0x6f0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0, 0xf20,
  0x1040, 0x1090, 0x17e0, 0x1810,
];

/** What a character is looked for as: null, it is passed over. */
function folded(c: string): string | null {
  const code = c.codePointAt(0) ?? 0;
  // Without width; accents, strokes and frames.
  for (const [first, last] of [
    [0xad, 0xad],
    [0x300, 0x36f],
    [0x115f, 0x1160],
    [0x17b4, 0x17b5],
    [0x180b, 0x180f],
    [0x200b, 0x200f],
    [0x202a, 0x202e],
    [0x2060, 0x206f],
    [0x20d0, 0x20f0],
    [0x3164, 0x3164],
    [0xfe00, 0xfe0f],
    [0xfeff, 0xfeff],
    [0xffa0, 0xffa0],
    [0xe0000, 0xe0fff],
  ] as const)
    if (code >= first && code <= last) return null;
  if (/^[\u{a0}\u{2000}-\u{200a}\u{202f}\u{205f}\u{3000}]$/u.test(c)) return ' ';
  if (/^[\u{2010}-\u{2015}\u{2212}\u{fe58}\u{fe63}]$/u.test(c)) return '-';
  if (/^[\u{2024}\u{fe52}]$/u.test(c)) return '.';
  if (/^[\u{2044}\u{2215}]$/u.test(c)) return '/';
  if (/^[\u{2236}\u{fe55}]$/u.test(c)) return ':';
  if (c === '\u{fe6b}') return '@';
  if (code >= 0xff01 && code <= 0xff5e) return String.fromCodePoint(code - 0xfee0);
  if (code >= 0x1d7ce && code <= 0x1d7ff) return String((code - 0x1d7ce) % 10);
  const zero = zeros.find((first) => code >= first && code < first + 10);
  if (zero !== undefined) return String(code - zero);
  return c;
}

const escapes: Readonly<Record<string, string>> = {
  n: ' ',
  r: ' ',
  t: ' ',
  '"': '"',
  '/': '/',
};

/** A character as it is looked for, and the characters of the text that it stands for. */
interface Looked {
  readonly c: string;
  readonly from: number;
  readonly to: number;
}

/** A text as values are looked for in it: look-alikes are folded, and escapes of JSON in JSON undone. */
function lookedAt(text: readonly string[]): Looked[] {
  const looked: Looked[] = [];
  for (let at = 0; at < text.length; ) {
    const c = text[at] ?? '';
    // Escapes in strings of JSON in each other have more backslashes.
    let slashes = 0;
    while (slashes < 31 && text[at + slashes] === '\\') slashes += 1;
    const hex = text.slice(at + slashes + 1, at + slashes + 5).join('');
    const code = /^00[0-7][0-9a-f]$/i.test(hex) ? Number.parseInt(hex, 16) : -1;
    const long = slashes > 0 && text[at + slashes] === 'u' && code >= 0;
    const known = slashes > 0 ? escapes[text[at + slashes] ?? ''] : undefined;
    const simple = known ?? (slashes > 1 && !long ? '\\' : undefined);
    const length = long ? slashes + 5 : known !== undefined ? slashes + 1 : Math.max(1, slashes);
    const into = long ? String.fromCodePoint(code) : (simple ?? folded(c));
    if (into !== null) looked.push({ c: into, from: at, to: at + length });
    at += length;
  }
  return looked;
}

/** All e-mail addresses of one text, in order. */
export function findPii(chars: readonly Char[]): Finding[] {
  const looked = lookedAt(chars.map(({ c }) => c));
  if (!looked.some(({ c }) => c === '@')) return [];
  return findEmails(looked.map(({ c }) => c)).map(({ from, to }) => {
    const end = looked[to]?.from ?? chars.length;
    // What has no width belongs to what stands before it.
    return { from: looked[from]?.from ?? 0, to: to < looked.length ? end : chars.length };
  });
}
