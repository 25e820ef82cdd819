/** Faults of a configuration: where they are, how they read, and what was probably meant. */

/** A fault or warning, with its place in the file. */
export interface ConfigFault {
  /** As in `routes[0].targets[1].provider`; empty: the file as a whole. */
  readonly path: string;
  /** From 1; null where the file could not be read at all. */
  readonly line: number | null;
  /** From 1, in UTF-16 code units. */
  readonly column: number | null;
  /** One sentence for people; never holds the value of a secret. */
  readonly message: string;
  /** The file it is in, where that is not the configuration itself. */
  readonly file?: string;
}

export type Path = readonly (string | number)[];

/** A fault before its line is known. */
export interface Finding {
  readonly path: Path;
  /** What to point at: the value, its key, or an offset into the text. */
  readonly at: 'value' | 'key' | number;
  readonly message: string;
}

/** Finds the line and column, both from 1, of what a finding points at. */
export type Placed = (finding: Finding) => { line: number; column: number };

/** Faults that are listed one by one; more are only counted. */
export const faultsMax = 1000;

const plainName = /^[A-Za-z_][\w-]*$/;

/** Writes a path as people do: `providers["a.b"].headers`. */
export function pathText(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (plainName.test(step)) text += text === '' ? step : `.${step}`;
    else text += `[${JSON.stringify(step.slice(0, 128))}]`;
  }
  return text;
}

/** Lists faults for people, a line each: `sidegate.yaml:12:5 routes[0].model: …`. */
export function formatFaults(origin: string, faults: readonly ConfigFault[]): string {
  return faults
    .map(({ path, line, column, message, file = origin }) => {
      const place = line === null ? file : `${file}:${line}:${column ?? 1}`;
      return path === '' ? `${place} ${message}` : `${place} ${path}: ${message}`;
    })
    .join('\n');
}

const wordMaxLength = 64;

/** Says `; did you mean "x"?` for the candidate that is only a slip of the keyboard away, else nothing. */
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

/** Letters to insert, delete, replace or swap with their neighbour to make one word the other. */
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
