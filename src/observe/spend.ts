/** What was used and spent since the start, by tenant, team, key and target: bounded sums for the dashboard. */
import type { ExchangeRecord } from './record.ts';

/** What is summed. */
interface Sums {
  requests: number;
  failed: number;
  hits: number;
  inputTokens: number;
  outputTokens: number;
  cachedInputTokens: number;
  cacheWriteTokens: number;
  costNanoUsd: number;
  savedNanoUsd: number;
  routingSavedNanoUsd: number;
}

/** Sums of one tenant, team, key and target. */
export interface SpendRow extends Sums {
  readonly tenant: string;
  readonly team: string;
  readonly keyId: string;
  /** `provider/model` as metrics name it; empty: requests that no target answered. */
  readonly target: string;
}

const nothing: Sums = {
  requests: 0,
  failed: 0,
  hits: 0,
  inputTokens: 0,
  outputTokens: 0,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  costNanoUsd: 0,
  savedNanoUsd: 0,
  routingSavedNanoUsd: 0,
};
const sumNames = Object.keys(nothing) as (keyof Sums)[];

/** The sums of two rows of the same tenant, team, key and target. */
export function addedSpend(a: SpendRow, b: SpendRow): SpendRow {
  const added = { ...a };
  for (const name of sumNames) added[name] += b[name];
  return added;
}

/** The sums of a sidecar. */
export interface Spend {
  add(record: ExchangeRecord): void;
  rows(): Iterable<SpendRow>;
}

/** Most rows. Teams of access tokens aren't in the configuration, so beyond it new ones share a row. */
export const spendRowsMax = 2000;
/** Tenant, team and key of the shared row. */
const other = '(other)';

/** @param nameOf a target's name: requests may make up models @param max most rows, besides the shared one */
export function createSpend(nameOf: (target: string) => string, max = spendRowsMax): Spend {
  const rows = new Map<string, SpendRow>();
  let last: SpendRow | null = null;

  const rowOf = (tenant: string, team: string, keyId: string, target: string): SpendRow => {
    if (last !== null && last.target === target && last.team === team)
      if (last.keyId === keyId && last.tenant === tenant) return last;
    const key = `${tenant}\0${team}\0${keyId}\0${target}`;
    const known = rows.get(key);
    if (known !== undefined) {
      last = known;
      return known;
    }
    if (rows.size >= max && keyId !== other) return rowOf(other, other, other, '');
    const row: SpendRow = { tenant, team, keyId, target, ...nothing };
    rows.set(key, row);
    last = row;
    return row;
  };

  return {
    add(record) {
      const { tenant, team, keyId } = record;
      const target = nameOf(record.target);
      const row = rowOf(tenant, team, keyId, target);
      row.requests += 1;
      if (record.status >= 400 || record.error !== '') row.failed += 1;
      if (record.cache === 'hit' || record.replayed) row.hits += 1;
      row.savedNanoUsd += record.savedNanoUsd;
      row.routingSavedNanoUsd += record.routingSavedNanoUsd;
      for (const charge of record.charges) {
        const { usage } = charge;
        const called = charge.target === record.target ? target : nameOf(charge.target);
        const billed = called === target ? row : rowOf(tenant, team, keyId, called);
        billed.inputTokens += usage.inputTokens;
        billed.outputTokens += usage.outputTokens;
        billed.cachedInputTokens += usage.cachedInputTokens;
        billed.cacheWriteTokens += usage.cacheWriteTokens;
        billed.costNanoUsd += charge.costNanoUsd ?? 0;
      }
    },
    rows: () => rows.values(),
  };
}
