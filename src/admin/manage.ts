/** Management of stored keys, shared by the admin port and the command line. */
import type { z } from 'zod';
import { type NewKey, newKeySchema } from '../authenticate/settings.ts';
import { pageMax, type StoredKey, type StoredKeys } from '../authenticate/stored-keys.ts';
import { checkGrant } from '../config/check-callers.ts';
import { checkOwnLimits } from '../config/check-limits.ts';
import { pathText } from '../config/faults.ts';
import { describeProblems } from '../config/issues.ts';
import { createReport } from '../config/report.ts';

/** A key that was just created. */
export interface MadeKey extends ShownKey {
  /** The key itself; it is never shown again. */
  readonly key: string;
}

/** A stored key as shown to administrators. */
export interface ShownKey extends NewKey {
  /** Times in the format of RFC 3339. */
  readonly created: string;
  readonly revoked?: string;
}

/** A page of keys. */
export interface KeyPage {
  readonly keys: readonly ShownKey[];
  /** Pass this as `after` to get the next page; null: this is the last. */
  readonly next: string | null;
}

/** Why a key can't be created. */
export interface KeyFault {
  readonly kind: 'invalid' | 'taken';
  readonly message: string;
}

/**
 * Creates a key.
 * @param input the key's settings, not validated yet
 * @param configured whether the configuration has a key of this id
 * @param nowMs ms since 1970
 */
export function makeKey(
  input: unknown,
  keys: StoredKeys,
  configured: (id: string) => boolean,
  nowMs: number,
): MadeKey | KeyFault {
  const parsed = newKeySchema.safeParse(input);
  if (!parsed.success) return { kind: 'invalid', message: describeProblems(parsed.error, input) };
  const grant = parsed.data;
  const { report, faults, warnings } = createReport(() => 'this');
  // Checked as written, since a default must not count as a contradiction.
  const written = input as z.input<typeof newKeySchema>;
  checkGrant(written, [], report, nowMs);
  checkOwnLimits(written.limits, ['limits'], report);
  const found = [...faults, ...warnings].map(({ path, message }) => `${pathText(path)}: ${message}`);
  if (found.length > 0) return { kind: 'invalid', message: found.join('; ') };
  const key = configured(grant.id) ? null : keys.create(grant, nowMs);
  if (key === null) return { kind: 'taken', message: `A key with the id ${grant.id} already exists.` };
  return { key, ...grant, created: new Date(nowMs).toISOString() };
}

/** A page of keys, ordered by id, beginning after the id `after`. */
export function showKeys(keys: StoredKeys, after: string): KeyPage {
  const page = keys.list(after);
  return { keys: page.map(shown), next: page.length < pageMax ? null : (page.at(-1)?.id ?? null) };
}

const shown = ({ grant, createdMs, revokedMs }: StoredKey): ShownKey => ({
  ...grant,
  created: new Date(createdMs).toISOString(),
  ...(revokedMs === null ? {} : { revoked: new Date(revokedMs).toISOString() }),
});
