/** Tables of the native core that two threads open by the same name are one. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { breakerState } from '../../src/native/breaker.ts';
import { claimed, claims } from '../../src/native/claims.ts';
import { MeterAlgorithm, meter, openNamedMeter } from '../../src/native/meters.ts';
import { type Order, works } from '../support/native-thread.ts';

const script = new URL('../support/native-thread.ts', import.meta.url);
let threads: readonly Worker[] = [];

beforeAll(() => {
  threads = [new Worker(script), new Worker(script)];
});
afterAll(() => Promise.all(threads.map((thread) => thread.terminate())));

async function done(thread: number, ...order: Order): Promise<unknown> {
  const answer = once(threads[thread] as Worker, 'message');
  threads[thread]?.postMessage(order);
  return (await answer)[0];
}
const both = (...order: Order): Promise<unknown[]> => Promise.all([done(0, ...order), done(1, ...order)]);
const sum = (numbers: readonly unknown[]): number => numbers.reduce<number>((a, b) => a + Number(b), 0);

describe('tables by name', () => {
  test('a limit of 100 grants exactly 100 calls of three threads', async () => {
    const granted = await Promise.all([
      both('limit', 'limit of 100', 5000),
      works.limit('limit of 100', 5000),
    ]);
    expect(sum(granted.flat())).toBe(100);
    // Another name is another limit.
    expect(await done(0, 'limit', 'another limit', 150)).toBe(100);
  });

  test('a retry budget of 30 allows 30 retries', async () => {
    expect(sum(await both('retry', 'retries', 1000))).toBe(30);
  });

  test('a breaker that one thread has opened is open in the other', async () => {
    expect(await done(0, 'fail', 'breaker', 1)).toEqual([breakerState.closed, breakerState.closed]);
    expect(await done(1, 'fail', 'breaker', 1)).toEqual([breakerState.closed, breakerState.open]);
    expect(await done(0, 'fail', 'breaker', 0)).toEqual([breakerState.open, breakerState.open]);
    expect(await done(0, 'fail', 'another breaker', 0)).toEqual([breakerState.closed, breakerState.closed]);
  });

  test('what one thread stores, the other finds', async () => {
    const large = 'x'.repeat(200_000);
    await done(0, 'put', 'replies', 'small', 'Hello.');
    await done(0, 'put', 'replies', 'large', large);
    expect(await done(1, 'get', 'replies', 'small')).toBe('Hello.');
    expect(await done(1, 'get', 'replies', 'large')).toBe(large);
    expect(await done(1, 'get', 'other replies', 'small')).toBeNull();
    expect(await done(0, 'insert', 'questions', 7, 'How do I reset my password?')).toBe(true);
    expect(await done(1, 'find', 'questions', 'How can I reset my password?')).toBe(7);
    expect(await done(1, 'find', 'other questions', 'How can I reset my password?')).toBeNull();
  });

  test('of each key one thread has the claim, and is told who waits', async () => {
    const mine = await Promise.all([
      done(0, 'claim', 'claims', 1000, 1),
      done(1, 'claim', 'claims', 1000, 2),
    ]);
    expect(sum(mine)).toBe(1000);
    const id = claims.open('claims');
    const holder = claims.take(id, '5', '', 0);
    expect([1, 2]).toContain(holder);
    expect(claims.take(id, '5', 'another request', 0)).toBe(claimed.other);
    expect(claims.give(id, '5', 0)).toBe(0);
    // The other of the two, and this one.
    expect(claims.give(id, '5', holder)).toBe((1 << (3 - holder)) | 1);
    expect(claims.take(id, '5', 'another request', 0)).toBe(claimed.mine);
  });

  test('a meter stays until each has closed it, and its settings are the latest', () => {
    const table = meter.openTable('meters');
    const open = (capacity: number) =>
      openNamedMeter('meter', table, MeterAlgorithm.TokenBucket, capacity, 1, 1, 0);
    const { id, fresh } = open(10);
    expect([fresh, open(20)]).toEqual([true, { id, fresh: false }]);
    expect(meter.left(table, id, 0)).toBe(10);
    expect(meter.left(table, id, 100_000)).toBe(20);
    meter.close(table, id);
    expect(meter.left(table, id, 100_000)).toBe(20);
    meter.close(table, id);
    expect(() => meter.left(table, id, 0)).toThrow('no such meter');
    expect(open(10).fresh).toBe(true);
    meter.closeTable(table);
    expect(meter.openTable('meters')).not.toBe(table);
  });
});
