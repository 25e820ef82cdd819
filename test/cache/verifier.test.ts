/** The closer look: when it is taken, how long it may take, and files that hold no model. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { askedOf, createAlikeLevels, type Near } from '../../src/cache/alike.ts';
import { createEmbedder } from '../../src/cache/embedder.ts';
import { keyAgain } from '../../src/cache/key.ts';
import { createPlaces } from '../../src/cache/places.ts';
import { createVerifier, readCrossEncoder } from '../../src/cache/verifier.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { CrossEncoder } from '../../src/native/cross-encoder.ts';
import type { Decision } from '../../src/native/search.ts';
import type { NotedReply } from '../../src/store/replies.ts';
import { cacheAlone, sampleExchange, sampleReply, sampleRequest } from '../support/samples.ts';
// Written by `bench/cache/cross-encoder/reference.py`.
import reference from './cross-encoder.json' with { type: 'json' };

const unsure: Decision = { verdict: 'unsure', reason: 'model', score: 0.6 };

describe('the queue', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  /** A verifier whose looks end when the test says so. */
  async function start(open?: () => Promise<CrossEncoder>) {
    const events: string[] = [];
    const said: (string | null)[] = [];
    const looks: ((score: number) => void)[] = [];
    const closed = vi.fn();
    const model: CrossEncoder = {
      sure: 0.9,
      bytes: 7,
      look: () => new Promise((resolve) => looks.push(resolve)),
      score: () => 0,
      close: closed,
    };
    const telemetry = {
      cacheQuestion: (event: string) => void events.push(event),
      cacheVerifier: (why: string | null) => void said.push(why),
    };
    const verifier = createVerifier({ telemetry, open: open ?? (() => Promise.resolve(model)) });
    await verifier.update(true, 15);
    const verify = () => verifier.verify('cached', 'asked', unsure);
    return { verifier, verify, events, said, looks, closed };
  }
  const settled = () => vi.advanceTimersByTimeAsync(0);

  test('asks where the small model is unsure, not where it is sure or something exact decides', async () => {
    const { verifier, said } = await start();
    expect(said).toEqual([null]);
    expect(verifier.bytes).toBe(7);
    const wanted: [Decision, boolean][] = [
      [unsure, true],
      [{ verdict: 'same', reason: 'model', score: 0.8 }, true],
      [{ verdict: 'same', reason: 'model', score: 0.95 }, false],
      [{ verdict: 'same', reason: 'equal', score: 1 }, false],
      [{ verdict: 'different', reason: 'model', score: 0.2 }, false],
      [{ verdict: 'different', reason: 'number', score: 0 }, false],
    ];
    for (const [decision, wants] of wanted) expect(verifier.wants(decision)).toBe(wants);
  });

  test('a score from 0.5 on serves', async () => {
    const { verify, looks, events } = await start();
    for (const [score, serves] of [
      [0.5, true],
      [0.49, false],
    ] as const) {
      const verified = verify();
      await settled();
      looks.shift()?.(score);
      expect(await verified).toBe(serves);
    }
    expect(events).toEqual(['verified', 'verified']);
  });

  test('looks at one pair at a time; what is late is no hit, and leaves the queue', async () => {
    const { verify, looks, events } = await start();
    const [first, second] = [verify(), verify()];
    await vi.advanceTimersByTimeAsync(15);
    expect(await Promise.all([first, second])).toEqual([false, false]);
    expect(looks).toHaveLength(1);
    const third = verify();
    await settled();
    expect(looks).toHaveLength(1);
    looks[0]?.(0.9);
    await settled();
    expect(looks).toHaveLength(2);
    looks[1]?.(0.9);
    expect(await third).toBe(true);
    expect(events).toEqual(['unverified', 'unverified', 'verified']);
  });

  test('four wait at most', async () => {
    const { verify, looks } = await start();
    const all = Array.from({ length: 6 }, verify);
    expect(await all[5]).toBe(false);
    for (let i = 0; i < 5; i++) {
      await settled();
      looks[i]?.(1);
    }
    expect(await Promise.all(all)).toEqual([true, true, true, true, true, false]);
  });

  test('switched off, those that wait are no hits, and the memory is given back', async () => {
    const { verifier, verify, looks, closed } = await start();
    const all = [verify(), verify()];
    await verifier.update(false, 15);
    expect(closed).toHaveBeenCalledOnce();
    expect([verifier.wants(unsure), verifier.bytes]).toEqual([false, 0]);
    expect(await all[1]).toBe(false);
    looks[0]?.(1);
    expect(await all[0]).toBe(true);
    await verifier.update(true, 15);
    expect(verifier.wants(unsure)).toBe(true);
  });

  test('without a model nothing is asked, and why is said', async () => {
    const { verifier, said } = await start(() => Promise.reject(new Error('no such file')));
    expect(verifier.wants(unsure)).toBe(false);
    expect(said).toEqual(['no such file']);
    await verifier.update(false, 15);
  });

  test('a look that fails is no hit', async () => {
    const broken = {
      sure: 0.9,
      bytes: 0,
      look: () => Promise.reject(new Error('x')),
      score: () => 0,
      close() {},
    };
    const { verify } = await start(() => Promise.resolve(broken));
    expect(await verify()).toBe(false);
  });
});

describe('a question that needs the look', () => {
  /** A level that holds one question, and a look that says what the test wants. */
  function start(mode: 'on' | 'shadow') {
    const { cache } = configSchema.parse({ cache: { semantic: { mode } } });
    const places = createPlaces(cache);
    const place = places.of('acme', 'm');
    const replies: { stored: NotedReply | null } = {
      stored: { ...sampleReply('answer'), note: '', askedMs: 0 },
    };
    const looks: ((serves: boolean) => void)[] = [];
    const verifier = {
      ready: true,
      wants: () => true,
      verify: () => new Promise<boolean>((resolve) => looks.push(resolve)),
    };
    const embedder = createEmbedder(undefined, cacheAlone);
    const get = () => replies.stored;
    const levels = createAlikeLevels(cache, { get }, places, () => 0.5, verifier, embedder);
    const ask = (key: string, text: string) =>
      askedOf(keyAgain(key), place, { scope: 'scope', text, embedder: embedder.name }, null);
    levels.keep(ask('key', 'How can I change my shipping address?'), keyAgain('key'), 0);
    const request = sampleRequest({ questionEnd: 1 });
    const find = () =>
      levels.again(keyAgain('another'), sampleExchange(), request, place, 0) ??
      levels.find(ask('another', 'How do I see my delivery address?'), 0);
    const verify = (near: Near, serves: boolean, meanwhile = () => {}) => {
      if (near.later === null) throw new Error('no look is wanted');
      const verified = levels.finish(near.later);
      meanwhile();
      looks.pop()?.(serves);
      return verified;
    };
    return { levels, replies, find, verify };
  }

  test('is answered if both ask the same, and from then on without a look, until that was wrong', async () => {
    const { levels, find, verify } = start('on');
    expect((await verify(find(), false)).hit).toBeNull();
    const near = find();
    expect([near.hit, near.later?.use]).toEqual([null, 'serve']);
    const { hit } = await verify(near, true);
    expect(hit).toMatchObject({ level: 'semantic' });
    expect(find()).toEqual({ hit, judging: null, later: null });
    levels.forget(hit?.entry ?? 0);
    expect(find()).toEqual({ hit: null, judging: null, later: null });
  });

  test('is not answered by what was purged, or found wrong, meanwhile', async () => {
    const { replies, find, verify } = start('on');
    const purged = await verify(find(), true, () => Object.assign(replies, { stored: null }));
    expect(purged.hit).toBeNull();
    const other = start('on');
    const near = other.find();
    const wrong = await other.verify(near, true, () =>
      other.levels.forget(near.later?.unsure?.found.entry ?? 0),
    );
    expect(wrong.hit).toBeNull();
  });

  test('is judged in the shadow', async () => {
    const { find, verify } = start('shadow');
    const near = find();
    expect(near.later?.use).toBe('shadow');
    expect(await verify(near, true)).toMatchObject({ hit: null, judging: { why: 'shadow' } });
  });
});

describe('the model', () => {
  const file = new URL('../../native/core/assets/cross-encoder.bin', import.meta.url);

  test('reads a pair off the main thread', async () => {
    const model = await readCrossEncoder();
    expect(model.bytes).toBeGreaterThan(10_000_000);
    expect(model.sure).toBeGreaterThan(0.5);
    const same = await model.look('How do I reset my password?', 'I forgot my password, what now?', 0.8);
    const other = await model.look('How do I reset my password?', 'How do I delete my account?', 0.8);
    expect(same).toBeGreaterThan(other);
    expect(await model.look('word '.repeat(70), 'word', 0.8)).toBe(0);
    model.close();
    expect(() => model.score('a', 'b')).toThrow('no such cross-encoder');
  });

  test('scores are those of the reference, and the order makes no difference', async () => {
    const model = await readCrossEncoder();
    for (const { first, second, score } of reference) {
      // Where a number lies between two of eight bits, the order of a sum may decide.
      expect(Math.abs(model.score(first, second) - score), first).toBeLessThan(0.1);
      expect(model.score(second, first)).toBe(model.score(first, second));
    }
    model.close();
  });

  test('a file that is missing, something else or damaged: the error names it and says why', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sidegate-verifier-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = (name: string) => pathToFileURL(join(folder, name));
    await expect(readCrossEncoder(path('missing.bin'))).rejects.toThrow(/ENOENT.*missing\.bin/);
    writeFileSync(path('other.bin'), 'something else');
    await expect(readCrossEncoder(path('other.bin'))).rejects.toThrow(
      `${join(folder, 'other.bin')} isn't a cross-encoder of Sidegate`,
    );
    const bytes = readFileSync(file);
    writeFileSync(path('short.bin'), bytes.subarray(0, -100));
    await expect(readCrossEncoder(path('short.bin'))).rejects.toThrow(
      'short.bin is damaged: its checksum is wrong',
    );
  });
});
