/** Computations in threads: their order, their bounds, and what becomes of a thread. */
import { EventEmitter } from 'node:events';
import { expect, onTestFinished, test, vi } from 'vitest';
import { type Aside, createAside, type Job, type JobResult } from '../../src/base/aside.ts';
import { Cancellation } from '../../src/base/cancellation.ts';
import { Refusal } from '../../src/base/errors.ts';
import { realWorld } from '../../src/base/world.ts';
import { standingTime } from '../support/time.ts';

/** A thread that answers when it is told to. */
class HandThread extends EventEmitter {
  readonly jobs: Job[] = [];
  ended = false;
  postMessage(job: Job): void {
    this.jobs.push(job);
  }
  answer(result: JobResult = { kind: 'done', value: 'x', body: null }): void {
    this.emit('message', result);
  }
  async terminate(): Promise<number> {
    this.ended = true;
    return 0;
  }
  unref(): void {}
}

function byHand() {
  const time = standingTime();
  const threads: HandThread[] = [];
  const aside = createAside({
    ...time.world,
    startThread: () => {
      const thread = new HandThread();
      threads.push(thread);
      return thread as never;
    },
  });
  onTestFinished(() => aside.close());
  const run = (
    body = Buffer.from('{}'),
    cancellation = new Cancellation(),
    deadlineMs = Number.POSITIVE_INFINITY,
  ): ReturnType<Aside['run']> => aside.run('file:///module', body, null, { cancellation, deadlineMs });
  return { aside, run, time, threads };
}

const codeOf = (result: unknown): string => (result instanceof Refusal ? result.code : 'none');

test('a large body is copied in pieces, each in a turn of its own, and arrives whole', async () => {
  const { run, threads } = byHand();
  const body = Buffer.alloc(20 * 1024 * 1024, 'abcdefg');
  const done = run(body);
  let turns = 0;
  for (; threads.length === 0; turns++) await new Promise((resolve) => setImmediate(resolve));
  expect(turns).toBeGreaterThanOrEqual(4);
  expect(Buffer.from(threads[0]?.jobs[0]?.body ?? []).equals(body)).toBe(true);
  threads[0]?.answer();
  await done;
});

test('a thread does one after the other; a large body has another thread', async () => {
  const { run, threads } = byHand();
  const [first, second] = [run(), run()];
  const large = run(Buffer.alloc(2 * 1024 * 1024));
  expect(threads.map(({ jobs }) => jobs.length)).toEqual([1, 1]);
  threads[0]?.answer();
  expect(await first).toEqual({ value: 'x', body: null });
  expect(threads[0]?.jobs).toHaveLength(2);
  threads[0]?.answer({ kind: 'done', value: 'y', body: new Uint8Array([1]) });
  expect(await second).toEqual({ value: 'y', body: Buffer.from([1]) });
  threads[1]?.answer();
  await large;
});

test('a refusal of the work is a refusal with all its members', async () => {
  const { run, threads } = byHand();
  const running = run();
  const refusal = new Refusal('overloaded', 'Why.', { param: 'p', retryAfterMs: 5, headers: ['a', 'b'] });
  threads[0]?.answer({ kind: 'refused', refusal: structuredClone(refusal) });
  expect(await running).toEqual(refusal);
});

test('work that throws rejects, and the next is done', async () => {
  const { run, threads } = byHand();
  const [first, second] = [run(), run()];
  first.catch(() => {});
  threads[0]?.answer({ kind: 'failed', error: 'TypeError' });
  await expect(first).rejects.toThrow('TypeError');
  threads[0]?.answer();
  await second;
});

test('more than 10,000 that wait are refused; so is who waits too long or has left', async () => {
  const { run, threads, time } = byHand();
  const first = run();
  const left = new Cancellation();
  const gone = run(Buffer.from('{}'), left);
  const waiting = Array.from({ length: 9_999 }, () => run());
  expect(codeOf(await run())).toBe('overloaded');
  left.cancel('client_gone');
  time.pass(30_001);
  threads[0]?.answer();
  await first;
  expect(codeOf(await gone)).toBe('internal');
  expect((await Promise.all(waiting)).map(codeOf)).toEqual(waiting.map(() => 'overloaded'));
  expect(threads[0]?.jobs).toHaveLength(1);
});

test('a cancelled request and one whose time is over wait no longer, in the queue or in the thread', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const { run, threads, time } = byHand();
  const deadlineMs = time.world.clock() + 1000;
  const cancellation = new Cancellation();
  const [begun, queued] = [run(undefined, undefined, deadlineMs), run(undefined, undefined, deadlineMs)];
  const cancelled = run(undefined, cancellation);
  const last = run();
  cancellation.cancel('client_gone');
  expect(codeOf(await cancelled)).toBe('internal');
  vi.advanceTimersByTime(1000);
  expect((await Promise.all([begun, queued])).map(codeOf)).toEqual(['overloaded', 'overloaded']);
  // What has begun ends, and then the one that is left has its turn.
  expect(threads[0]?.jobs).toHaveLength(1);
  threads[0]?.answer({ kind: 'failed', error: 'RangeError' });
  expect(threads[0]?.jobs).toHaveLength(2);
  threads[0]?.answer();
  expect(codeOf(await last)).toBe('none');
});

test('a thread without memory is replaced, and what it did is refused', async () => {
  const { run, threads } = byHand();
  const [first, second] = [run(), run()];
  threads[0]?.emit('error', new Error('ERR_WORKER_OUT_OF_MEMORY'));
  expect(codeOf(await first)).toBe('body_too_complex');
  expect([threads.length, threads[0]?.ended]).toEqual([2, true]);
  threads[1]?.answer();
  expect(codeOf(await second)).toBe('none');
});

test('work without end is given up, and an idle thread ends', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const { run, threads } = byHand();
  const first = run();
  vi.advanceTimersByTime(30_000);
  expect(codeOf(await first)).toBe('body_too_complex');
  const second = run();
  threads[1]?.answer();
  await second;
  expect(threads[1]?.ended).toBe(false);
  vi.advanceTimersByTime(5000);
  expect(threads[1]?.ended).toBe(true);
});

test('a closed one refuses what is under way', async () => {
  const { aside, run, threads } = byHand();
  const both = [run(), run()];
  aside.close();
  expect((await Promise.all(both)).map(codeOf)).toEqual(['overloaded', 'overloaded']);
  expect(threads[0]?.ended).toBe(true);
});

test('a real thread works, refuses, throws and runs out of memory', async () => {
  const aside = createAside({
    clock: realWorld.clock,
    startThread: (script) => realWorld.startThread(script, { maxOldGenerationSizeMb: 32 }),
  });
  onTestFinished(() => aside.close());
  const module = new URL('../support/aside-work.ts', import.meta.url).href;
  const run = (what: string) =>
    aside.run<string, number>(module, Buffer.from('abc'), what, {
      cancellation: new Cancellation(),
      deadlineMs: Number.POSITIVE_INFINITY,
    });
  expect(await run('work')).toEqual({ value: 3, body: Buffer.from('cba') });
  expect(codeOf(await run('refuse'))).toBe('invalid_json');
  await expect(run('throw')).rejects.toThrow('RangeError');
  expect(codeOf(await run('grow'))).toBe('body_too_complex');
  expect(await run('work')).toMatchObject({ value: 3 });
});
