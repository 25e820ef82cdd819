/** The tokenizer's thread: what it counts, within which bounds, and when it ends. */
import { EventEmitter } from 'node:events';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { CountResult } from '../../src/base/telemetry.ts';
import { realWorld } from '../../src/base/world.ts';
import { configSchema } from '../../src/config/schema.ts';
import { type CountJob, createTokenCounter } from '../../src/count/counter.ts';
import type { Counts } from '../../src/count/usage.ts';
import { sampleEndpoint } from '../support/samples.ts';
import { tokenizer } from '../support/tokenizer.ts';

const tokensOf = (text: string): number => tokenizer.encode(text, [], []).length;

describe('the thread', () => {
  const settings = configSchema.parse({}).count;
  /** A thread that starts on a busy machine takes seconds. */
  const patient = { ...settings, deadlineMs: 60_000 };

  /** A counter, and what became of its counts. */
  function start(part: Partial<typeof settings> = {}, startThread = realWorld.startThread) {
    const results: CountResult[] = [];
    const counter = createTokenCounter(
      { ...patient, ...part },
      { tokenCount: (result) => void results.push(result) },
      startThread,
    );
    onTestFinished(() => counter.close(0));
    const count = (job: Partial<CountJob>): Promise<Counts | null> =>
      new Promise((resolve) =>
        counter.count({ endpoint: sampleEndpoint('chat'), prompt: null, replies: [], ...job }, resolve),
      );
    return { counter, results, count };
  }
  const reply = (text: string) => ({ text: Buffer.from(text), bytes: Buffer.byteLength(text) });
  const text = 'The ledger holds, <|endoftext|> too. ';

  test('counts prompt and replies as another tokenizer does', async () => {
    const { count, results } = start();
    const prompt = Buffer.from(JSON.stringify({ messages: [{ role: 'user', content: text }] }));
    expect(await count({ prompt, replies: [reply(text.repeat(9)), reply('')] })).toEqual({
      promptTokens: 6 + tokensOf('user') + tokensOf(text),
      imageTokens: 0,
      replyTokens: [tokensOf(text.repeat(9)), 0],
    });
    expect(results).toEqual(['counted']);
  });

  test('a truncated text is extrapolated', async () => {
    const { count } = start();
    const counts = await count({ replies: [{ text: Buffer.from('word '.repeat(100)), bytes: 1000 }] });
    expect(counts?.replyTokens).toEqual([tokensOf('word '.repeat(100)) * 2]);
  });

  test('beyond the bound of the queue the estimate is used', async () => {
    const { count, results } = start({ queueMax: 1 });
    const answers = await Promise.all([1, 2, 3].map(() => count({ replies: [reply(text)] })));
    // One at work, one in the queue.
    expect(answers.map((counts) => counts === null)).toEqual([false, false, true]);
    expect(results.toSorted()).toEqual(['counted', 'counted', 'queue_full']);
  });

  test('too many bytes at once are not taken', async () => {
    const { count, results } = start();
    expect(await count({ prompt: Buffer.alloc(65 * 1024 * 1024) })).toBeNull();
    expect(results).toEqual(['queue_full']);
  });

  test('a job that crashes it fails alone', async () => {
    const { count, results } = start();
    const [broken, whole] = await Promise.all([
      count({ prompt: Buffer.from('{"messages":') }),
      count({ replies: [reply(text)] }),
    ]);
    expect(broken).toBeNull();
    expect(whole?.replyTokens).toEqual([tokensOf(text)]);
    expect(results).toEqual(['failed', 'counted']);
  });

  test('a job that takes too long is abandoned, and the next ones are counted', async () => {
    const { counter, count, results } = start({ deadlineMs: 10 });
    expect(await count({ replies: [reply('漢'.repeat(1_000_000))] })).toBeNull();
    counter.update(patient);
    expect(await count({ replies: [reply(text)] })).not.toBeNull();
    expect(results).toEqual(['late', 'counted']);
  });

  test('closing answers every waiting job', async () => {
    const { counter, count, results } = start();
    const waiting = [1, 2].map(() => count({ replies: [reply('漢'.repeat(1_000_000))] }));
    await counter.close(0);
    expect(await Promise.all(waiting)).toEqual([null, null]);
    expect(results).toEqual(['late', 'late']);
  });

  test('it ends after 30 idle seconds, and the next job starts another', async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const counts: Counts = { promptTokens: 1, imageTokens: 0, replyTokens: [] };
    let [started, ended] = [0, 0];
    const { count } = start({}, () => {
      started += 1;
      const thread = new EventEmitter();
      return Object.assign(thread, {
        postMessage: () => queueMicrotask(() => thread.emit('message', counts)),
        terminate: async () => (ended += 1),
        unref: () => {},
      });
    });
    await count({});
    vi.advanceTimersByTime(29_999);
    await count({});
    vi.advanceTimersByTime(29_999);
    expect([started, ended]).toEqual([1, 0]);
    vi.advanceTimersByTime(1);
    expect(ended).toBe(1);
    await count({});
    expect([started, ended]).toEqual([2, 1]);
  });
});
