/** The slow and obvious way to find e-mail addresses and card numbers: try every start with every end. */

/** A character of decoded text, and the position of its raw bytes. */
export interface Char {
  readonly c: string;
  readonly start: number;
  readonly end: number;
}

/** A finding: from the character `from` up to, but not including, `to`. */
export interface Finding {
  readonly kind: 'EMAIL' | 'CARD';
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
    if (text[at] !== '@' || at < floor) continue;
    let from = Math.max(floor, at - 64);
    while (from < at && !isLocal(text.slice(from, at))) from++;
    let to = Math.min(text.length, from + 254);
    while (to > at && !isDomain(text.slice(at + 1, to))) to--;
    if (from === at || to <= at) continue;
    found.push({ kind: 'EMAIL', from, to });
    floor = to;
  }
  return found;
}

/** Whether a number next to `beside` is part of something longer. */
function joins(beside: string | undefined, beyond: string | undefined): boolean {
  if (beside === undefined) return false;
  if (beside === '_') return true;
  if (beside === '.' || beside === '-') return isDigit(beyond);
  return isAlphanumeric(beside) && !isUnspaced(beside);
}

function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i]) * (i % 2 === 1 ? 2 : 1);
    sum += digit > 9 ? digit - 9 : digit;
  }
  return sum % 10 === 0;
}

function isCard(written: string, alone: boolean): boolean {
  if (!/^\d+(?:[ -]\d+)*$/.test(written)) return false;
  const groups = written.split(/[ -]/);
  const digits = groups.join('');
  const sizes = groups.map((group) => group.length);
  const grouped =
    sizes[0] === 4 && sizes.slice(1, -1).every((size) => size >= 4 && size <= 6) && (sizes.at(-1) ?? 0) <= 6;
  const spelled = alone && sizes.every((size) => size === 1);
  const issued =
    /^[3-6]/.test(digits) || (Number(digits.slice(0, 4)) >= 2221 && Number(digits.slice(0, 4)) <= 2720);
  return (
    digits.length >= 13 &&
    digits.length <= 19 &&
    (sizes.length === 1 || grouped || spelled) &&
    issued &&
    new Set(digits).size > 1 &&
    passesLuhn(digits)
  );
}

function findCards(text: readonly string[]): Finding[] {
  const found: Finding[] = [];
  const isGap = (at: number): boolean => text[at] === ' ' || text[at] === '-';
  let floor = 0;
  for (let from = 0; from < text.length; from++) {
    if (from < floor || !isDigit(text[from]) || joins(text[from - 1], text[from - 2])) continue;
    const first = !(from - 2 >= floor && isGap(from - 1) && isDigit(text[from - 2]));
    for (let to = Math.min(text.length, from + 37); to >= from + 13; to--) {
      const last = !(isGap(to) && isDigit(text[to + 1]));
      if (joins(text[to], text[to + 1]) || !isCard(text.slice(from, to).join(''), first && last)) continue;
      found.push({ kind: 'CARD', from, to });
      floor = to;
      break;
    }
  }
  return found;
}

/** All findings of one text, in order. Bits of `kinds`: 1 e-mail addresses, 2 card numbers. */
export function findPii(chars: readonly Char[], kinds: number): Finding[] {
  const text = chars.map(({ c }) => c);
  const emails = kinds & 1 && text.includes('@') ? findEmails(text) : [];
  const cards = kinds & 2 && text.filter(isDigit).length >= 13 ? findCards(text) : [];
  const apart = cards.filter((card) =>
    emails.every((email) => card.to <= email.from || email.to <= card.from),
  );
  return [...emails, ...apart].sort((a, b) => a.from - b.from);
}
