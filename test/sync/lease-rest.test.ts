/** What becomes of a lease that nobody asks for any more, with each algorithm: nothing is left to report. */
import { expect, onTestFinished, test } from 'vitest';
import { algorithms } from '../../src/exchange/algorithm.ts';
import { createSharedMeters } from '../../src/limit/shared.ts';
import { lease, leaseEntry } from '../../src/native/leases.ts';
import { AskEntries, meter, SettleEntries, sweepMeters } from '../../src/native/meters.ts';
import { adoptAnswer, type Births, createClocks, packCalls } from '../../src/sync/lease-call.ts';
import { rhythmOf } from '../../src/sync/leases.ts';
import { fileRedis } from '../support/file-redis.ts';
import { timedScript } from '../support/lease-model.ts';

const redis = fileRedis();

const capacity = 100;
const rhythm = rhythmOf(1);
const kinds = Object.entries(algorithms);

/** A pod with one limit, which it shares with nobody yet. */
function podFor(prefix: string, algorithm: (typeof kinds)[number][1], rate: number) {
  const table = meter.openTable();
  onTestFinished(() => meter.closeTable(table));
  const shared = createSharedMeters(table, 1);
  const id = meter.open(table, algorithm.meter, capacity, rate, 1, 0);
  const rule = { id: 'r', name: 'r', shape: '', algorithm, capacity, rate, calendar: null };
  shared.open({ id, rule, place: { key: '', label: '' } }, 0);
  shared.alone(false);
  const reports = new Float64Array(leaseEntry.report);
  const births: Births = new Map();
  let nowMs = 0;
  const clocks = createClocks(() => nowMs);
  const [asks, ends] = [new AskEntries(), new SettleEntries()];
  return {
    use(atMs: number): void {
      asks.clear();
      asks.ask(id, 10, 0, 1, 1e9);
      expect(asks.admit(table, 1e9, atMs)).toBeGreaterThanOrEqual(0);
      ends.clear();
      ends.settle(id, 10, 8, 1);
      ends.end(table, atMs);
    },
    /** Reports what there is to report; gives how much that was. */
    async report(atMs: number): Promise<number> {
      nowMs = atMs;
      const count = shared.report(reports, rhythm.horizonMs, nowMs);
      const packing = { ...rhythm, greets: false, prefix, shards: 1, births, clockOf: clocks.of };
      for (const call of packCalls(shared, reports, count, packing)) {
        const args = [...call.keys, 'pod', call.blob, String(1e12 + nowMs)];
        const answer = await redis().callBuffer('EVAL', timedScript(), call.keys.length, ...args);
        const told = adoptAnswer(shared, reports, call, answer, births, rhythm, nowMs, nowMs);
        clocks.told(0, { sentMs: nowMs, cameMs: nowMs, clockMs: told?.clockMs ?? 0 });
      }
      return count;
    },
    seen(atMs: number): number[] {
      const seen = new Float64Array(leaseEntry.view);
      lease.view(table, id, seen, atMs);
      return [...seen.subarray(0, 2)];
    },
    isGone: (atMs: number) => sweepMeters(table, [{ id, window: 1 }], true, atMs)[0],
  };
}

test.each(kinds)('a lease of %s', async (name, algorithm) => {
  const rate = name === 'sliding_window' ? 60_000 : 1;
  const pod = podFor(name, algorithm, rate);
  const counts: number[] = [];
  for (let atMs = 0; atMs < 20_000; atMs += 1000) {
    if (atMs < 3000) pod.use(atMs);
    counts.push(await pod.report(atMs + 500));
  }
  expect(counts).toContain(1);
  expect(counts.slice(10)).toEqual(Array(10).fill(0));
  const [used = 0, left = 0] = pod.seen(20_000);
  expect(used).toBeGreaterThanOrEqual(0);
  expect(used).toBeLessThanOrEqual(24);
  // What is paced has its queue in the pod, and is kept until that has run out.
  if (name === 'leaky_bucket') expect([used, left, pod.isGone(20_000)]).toEqual([24 - 20, 100 - 4, false]);
  expect(pod.isGone(120_000)).toBe(name !== 'budget');
});
