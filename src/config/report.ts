/** What the checks work with: the draft they read, and the report they write to. */

import type { z } from 'zod';
import { type Finding, type Path, pathText } from './faults.ts';
import type { Show } from './issues.ts';
import type { configSchema } from './schema.ts';

/** A value whose type the schema has validated; undefined if it is faulty. */
type Sound<T> = T extends readonly (infer Item)[]
  ? (Sound<Item> | undefined)[]
  : T extends object
    ? { [Key in keyof T]?: Sound<T[Key]> | undefined }
    : T;

/**
 * A configuration as written, without defaults. A setting that already has a fault is present as undefined, so a check
 * must use `absent` before it reports something as missing.
 */
export type Draft = Sound<z.input<typeof configSchema>>;

/** A provider as written. */
export type DraftProvider = NonNullable<NonNullable<Draft['providers']>[string]>;

/** Whether a setting isn't written at all, not even with a fault. */
export const absent = (holder: object | undefined, key: string): boolean =>
  holder === undefined || !Object.hasOwn(holder, key);

/** Takes what a check finds. */
export interface Report {
  fault(path: Path, message: string, at?: 'value' | 'key'): void;
  warn(path: Path, message: string): void;
  /** Number of faults so far. */
  count(): number;
  readonly show: Show;
}

/** Creates a report, and the lists it fills. */
export function createReport(show: Show): { report: Report; faults: Finding[]; warnings: Finding[] } {
  const faults: Finding[] = [];
  const warnings: Finding[] = [];
  const report: Report = {
    fault: (path, message, at = 'value') => faults.push({ path, at, message }),
    warn: (path, message) => warnings.push({ path, at: 'value', message }),
    count: () => faults.length,
    show,
  };
  return { report, faults, warnings };
}

/**
 * Creates a function that reports repeated values.
 * @param what the kind of value, as in "duplicate of the WHAT at …"
 * @param why added to the message
 */
export function once(
  report: Report,
  what: string,
  why = '',
): (value: string | undefined, path: Path) => void {
  const seen = new Map<string, Path>();
  return (value, path) => {
    if (value === undefined) return;
    const first = seen.get(value);
    if (first === undefined) seen.set(value, path);
    else report.fault(path, `duplicate of the ${what} at ${pathText(first)}${why}`);
  };
}

/** Whether a setting is written and has a fault. */
export const faultyAt = (holder: object, key: string): boolean =>
  !absent(holder, key) && (holder as Record<string, unknown>)[key] === undefined;
