/** Finds the changes of a new configuration that a running process can't adopt. */
import { isDeepStrictEqual } from 'node:util';

const valueAt = (config: unknown, path: string): unknown =>
  path.split('.').reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], config);

/**
 * Paths of settings that differ and need a restart.
 * @param before the configuration the process was started with
 * @param restart dotted paths of the settings that need one
 */
export const needingRestart = (before: unknown, after: unknown, restart: readonly string[]): string[] =>
  restart.filter((path) => !isDeepStrictEqual(valueAt(before, path), valueAt(after, path)));
