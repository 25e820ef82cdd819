/** Collects the faults that the checks find, and what they may rely on. */

import type { z } from 'zod';
import { type Finding, type Path, pathText } from './faults.ts';
import type { Show } from './issues.ts';
import type { configSchema } from './schema.ts';

/** What the file says, whose types the schema has found right, or undefined. */
type Sound<T> = T extends readonly (infer Item)[]
  ? (Sound<Item> | undefined)[]
  : T extends object
    ? { [Key in keyof T]?: Sound<T[Key]> | undefined }
    : T;

/**
 * A configuration as written, without defaults. What has a fault already is there as undefined, which is why
 * a check asks `absent` before it complains that something is missing.
 */
export type Draft = Sound<z.input<typeof configSchema>>;

export type DraftProvider = NonNullable<NonNullable<Draft['providers']>[string]>;

/** Nothing stands there, not even something with a fault of its own. */
export const absent = (holder: object | undefined, key: string): boolean =>
  holder === undefined || !Object.hasOwn(holder, key);

/** Where a check puts what it finds. */
export interface Report {
  fault(path: Path, message: string, at?: 'value' | 'key'): void;
  warn(path: Path, message: string): void;
  /** Faults so far. */
  count(): number;
  readonly show: Show;
}

/** Collects what checks find. */
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

/** Remembers where each value was first, and reports the others. */
export function once(report: Report, what: string): (value: string | undefined, path: Path) => void {
  const seen = new Map<string, Path>();
  return (value, path) => {
    if (value === undefined) return;
    const first = seen.get(value);
    if (first === undefined) seen.set(value, path);
    else report.fault(path, `${what} stands at ${pathText(first)} already`);
  };
}

/** A value with a fault of its own stands there. */
export const faultyAt = (holder: object, key: string): boolean =>
  !absent(holder, key) && (holder as Record<string, unknown>)[key] === undefined;
