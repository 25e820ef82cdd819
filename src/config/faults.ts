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

/** The first fault as text, and how many more there are; null: there is none. */
export function firstFault(origin: string, faults: readonly ConfigFault[]): string | null {
  const [first, ...others] = faults;
  if (first === undefined) return null;
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  return `${formatFaults(origin, [first])}${more}`;
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
