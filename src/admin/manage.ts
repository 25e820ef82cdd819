/** What can be done with stored keys, by the admin port and by the command line alike. */
import type { z } from 'zod';
import { type NewKey, newKeySchema } from '../authenticate/settings.ts';
import { pageMax, type StoredKey, type StoredKeys } from '../authenticate/stored-keys.ts';
import { checkGrant } from '../config/check-callers.ts';
import { checkOwnLimits } from '../config/check-limits.ts';
import { pathText } from '../config/faults.ts';
import { describeProblems } from '../config/issues.ts';
import { createReport } from '../config/report.ts';

/** A key that was just made. */
export interface MadeKey extends ShownKey {
  /** The key itself: shown here and never again. */
  readonly key: string;
}

/** A key as it is shown. */
export interface ShownKey extends NewKey {
  /** Times as in RFC 3339. */
  readonly created: string;
  readonly revoked?: string;
}

/** A page of keys. */
export interface KeyPage {
  readonly keys: readonly ShownKey[];
  /** Ask again with this `after` for those that follow; null: there are no more. */
  readonly next: string | null;
}

/** Why a key can't be made. */
export interface KeyFault {
  readonly kind: 'invalid' | 'taken';
  readonly message: string;
}

/**
 * Makes a key.
 * @param input what is asked for, of any type
 * @param configured whether the configuration has a key of this id
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
  // As it was written: a default that was filled in is no contradiction.
  const written = input as z.input<typeof newKeySchema>;
  checkGrant(written, [], report, nowMs);
  checkOwnLimits(written.limits, ['limits'], report);
  const found = [...faults, ...warnings].map(({ path, message }) => `${pathText(path)}: ${message}`);
  if (found.length > 0) return { kind: 'invalid', message: found.join('; ') };
  const key = configured(grant.id) ? null : keys.create(grant, nowMs);
  if (key === null) return { kind: 'taken', message: `There is a key with the id ${grant.id} already.` };
  return { key, ...grant, created: new Date(nowMs).toISOString() };
}

/** Keys by id, those after `after`. */
export function showKeys(keys: StoredKeys, after: string): KeyPage {
  const page = keys.list(after);
  return { keys: page.map(shown), next: page.length < pageMax ? null : (page.at(-1)?.id ?? null) };
}

const shown = ({ grant, createdMs, revokedMs }: StoredKey): ShownKey => ({
  ...grant,
  created: new Date(createdMs).toISOString(),
  ...(revokedMs === null ? {} : { revoked: new Date(revokedMs).toISOString() }),
});
