/** Faults of a configuration: their places, their text, and suggestions for misspelt names. */

/** A fault or warning, with its place in the file. */
export interface ConfigFault {
  /** Such as `routes[0].targets[1].provider`; empty: the file as a whole. */
  readonly path: string;
  /** From 1; null if the file could not be read at all. */
  readonly line: number | null;
  /** From 1, in UTF-16 code units. */
  readonly column: number | null;
  /** One sentence for people; never contains the value of a secret. */
  readonly message: string;
  /** The file it is in, if that isn't the configuration itself. */
  readonly file?: string;
}

/** Keys and indices that lead to a value. */
export type Path = readonly (string | number)[];

/** A fault or warning whose line isn't known yet. */
export interface Finding {
  readonly path: Path;
  /** What to point at: the value, its key, or an offset into the text. */
  readonly at: 'value' | 'key' | number;
  readonly message: string;
}

/** Finds the line and column, both from 1, of what a finding points at. */
export type Placed = (finding: Finding) => { line: number; column: number };

/** Most faults listed one by one; further ones are only counted. */
export const faultsMax = 1000;

const plainName = /^[A-Za-z_][\w-]*$/;

/** A path as text: `providers["a.b"].headers`. */
export function pathText(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (plainName.test(step)) text += text === '' ? step : `.${step}`;
    else text += `[${JSON.stringify(step.slice(0, 128))}]`;
  }
  return text;
}

/** Faults as text for people, one per line: `sidegate.yaml:12:5 routes[0].model: …`. */
export function formatFaults(origin: string, faults: readonly ConfigFault[]): string {
  return faults
    .map(({ path, line, column, message, file = origin }) => {
      const place = line === null ? file : `${file}:${line}:${column ?? 1}`;
      return path === '' ? `${place} ${message}` : `${place} ${path}: ${message}`;
    })
    .join('\n');
}

const wordMaxLength = 64;

/** The text `; did you mean "x"?` for the closest candidate, if it is only a typo away; otherwise empty. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  if (word.length > wordMaxLength) return '';
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue;
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best === null ? '' : `; did you mean ${JSON.stringify(best)}?`;
}

/** Edit distance: letters to insert, delete, replace or swap with their neighbour to turn one word into the other. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + same);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) least = Math.min(least, at(before, j - 2) + 1);
      row.push(least);
    }
    before = last;
    last = row;
  }
  return at(last, b.length);
}

const at = (row: readonly number[], index: number): number => row[index] ?? Number.POSITIVE_INFINITY;
