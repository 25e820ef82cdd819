import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';
import type * as Binding from '../../native/binding/index.d.ts';
import { configSchema } from '../../src/config/schema.ts';
import { breaker, breakerOutcome, isProbe } from '../../src/native/breaker.ts';
import { AskEntries, MeterAlgorithm, meter, SettleEntries } from '../../src/native/meters.ts';
import { breakerSettings } from '../../src/upstream/health.ts';

const libc = process.platform === 'linux' ? '-gnu' : '';
const file = `../../native/binding/sidegate-native.${process.platform}-${process.arch}${libc}.node`;
const native = createRequire(import.meta.url)(file) as typeof Binding;

describe('tables shared by threads', () => {
  test('meters reserve all of a request’s entries or none, and settle them', () => {
    const table = meter.openTable();
    const bucket = meter.open(table, MeterAlgorithm.TokenBucket, 100, 10, 0.8, 0);
    const gauge = meter.open(table, MeterAlgorithm.Concurrency, 1, 0, 1, 0);
    const asks = new AskEntries();
    const ends = new SettleEntries();
    const ask = (cost: number): number => {
      asks.clear();
      asks.ask(bucket, cost, 0, 0, 0);
      asks.ask(gauge, 1, 0, 0, 0);
      return asks.admit(table, 0, 0);
    };
    expect(ask(60)).toBe(0);
    expect([asks.left(0), asks.left(1)]).toEqual([40, 0]);
    expect(ask(50)).toBe(-1);
    expect([asks.waitMs(0), asks.left(0)]).toEqual([1000, 40]);
    expect(ask(101)).toBe(-1);
    expect(asks.waitMs(0)).toBe(-1);
    ends.settle(bucket, 60, 70, 0);
    ends.settle(gauge, 1, 0, 0);
    ends.end(table, 0);
    expect([meter.left(table, bucket, 0), meter.left(table, gauge, 0)]).toEqual([30, 1]);
    meter.set(table, bucket, 20, 1, 0.8, 0);
    expect(meter.left(table, bucket, 1000)).toBe(20);
    meter.close(table, bucket);
    expect(ask(1)).toBe(Number.NaN);
    expect(() => meter.left(table, bucket, 0)).toThrow('no such meter');
    expect(() => meter.open(table, MeterAlgorithm.TokenBucket, 0, 1, 0.8, 0)).toThrow();
    expect(() => meter.open(table, MeterAlgorithm.TokenBucket, 1, Number.NaN, 0.8, 0)).toThrow();
    expect(() => meter.open(table, MeterAlgorithm.Budget, 1, 1, 2, 0)).toThrow();
    expect(() => native.meterAdmit(table, new Float64Array(4), 1, 0, 0)).toThrow('too short');
    asks.clear();
    asks.ask(gauge, -1, 0, 0, 0);
    expect(() => asks.admit(table, 0, 0)).toThrow('cost');
    meter.closeTable(table);
    expect(() => meter.left(table, gauge, 0)).toThrow('no such table');
    // Nobody is left to whom that would matter.
    ends.end(table, 0);
  });

  test('a breaker opens, probes and closes', () => {
    const settings = breakerSettings(
      configSchema.parse({ attempt: { breaker: { failures: 2, cooldownMs: 1000 } } }).attempt,
      1,
    );
    const id = breaker.open(settings);
    const { success, failure } = breakerOutcome;
    expect(breaker.report(id, breaker.admit(id, 0), failure, 0, 0)).toBe(false);
    const late = breaker.admit(id, 0);
    expect(breaker.report(id, late, failure, 0, 0)).toBe(true);
    expect([breaker.admit(id, 400), breaker.state(id, 400)]).toEqual([-600, 1]);
    expect(breaker.state(id, 1000)).toBe(2);
    const probe = breaker.admit(id, 1000);
    expect([isProbe(late), isProbe(probe)]).toEqual([false, true]);
    expect(breaker.admit(id, 1001)).toBeLessThan(0);
    expect(breaker.report(id, late, success, 0, 1001)).toBe(false);
    expect(breaker.report(id, probe, success, 0, 1001)).toBe(true);
    expect(breaker.state(id, 1001)).toBe(0);
    breaker.close(id);
    expect(() => breaker.admit(id, 0)).toThrow('no such breaker');
    expect(() => breaker.open({ ...settings, failures: 0 })).toThrow();
    expect(() => breaker.open({ ...settings, cooldownMs: Number.NaN })).toThrow();
  });
});
