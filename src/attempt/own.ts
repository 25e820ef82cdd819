/**
 * Frees a request to a provider of the client's own dialect of what only other providers can read, and of turns that this
 * one would refuse: here, or as the work of another thread.
 */
import type { Worked } from '../base/aside.ts';
import { withoutForeign } from '../dialects/foreign.ts';
import { dialects } from '../dialects/index.ts';
import { settleBody, type TurnRules } from '../dialects/turns.ts';
import type { DialectName } from '../exchange/dialects.ts';
import type { Endpoint } from '../exchange/endpoint.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { type Inspection, inspect } from '../native/inspect.ts';
import { findNothing } from '../native/pii.ts';

/** What is to be done, without the body. */
export interface ToFree {
  readonly dialect: DialectName;
  /** It goes to a Claude, so signatures of Claude elsewhere stay. */
  readonly isClaude: boolean;
  /** Its model requires a signature of calls (`sides.ts`). */
  readonly signsCalls: boolean;
  /** What the provider demands of turns; undefined: nothing. */
  readonly turns?: TurnRules | undefined;
  readonly inspectedAs: Endpoint['inspectedAs'];
}

/** What became of the body. */
export interface Freed {
  /** Names of what had to be left out because of that. */
  readonly dropped: readonly string[];
  /** Where the fields of the new body are; null: it is the old one. */
  readonly offsets: Partial<ModelRequest> | null;
}

/** Key for the digest of this second inspection, which is never used. */
const noKey = Buffer.alloc(32);

/** Frees a body. */
export function work(
  body: Buffer,
  { dialect, isClaude, signsCalls, turns, inspectedAs }: ToFree,
): Worked<Freed> {
  const { body: shared, dropped: foreign } = withoutForeign(body, dialect, isClaude);
  const own = dialects[dialect].withoutForeign?.(shared, signsCalls) ?? shared;
  const settled = turns === undefined ? null : settleBody(own, turns);
  const freed = settled?.body ?? own;
  const dropped =
    settled === null || settled.dropped.length === 0 ? foreign : [...foreign, ...settled.dropped];
  if (freed === body) return { value: { dropped, offsets: null }, body: null };
  const found = inspect(freed, inspectedAs, findNothing, false, noKey);
  if ('kind' in found) return { value: { dropped: [], offsets: null }, body: null };
  return { value: { dropped, offsets: offsetsOf(found) }, body: freed };
}

const offsetsOf = (found: Inspection): Partial<ModelRequest> => ({
  modelStart: found.modelStart,
  modelEnd: found.modelEnd,
  streamOptionsStart: found.streamOptionsStart,
  streamOptionsEnd: found.streamOptionsEnd,
  firstField: found.firstField,
});
