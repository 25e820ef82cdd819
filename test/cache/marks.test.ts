/** Marks of purges over a restart: a purge made before or after it, of whatever place, holds for what comes back. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { silent } from '../../src/base/telemetry.ts';
import { type Cache, createCache } from '../../src/cache/cache.ts';
import { type CacheKey, keyAgain } from '../../src/cache/key.ts';
import { type SnapshotPart, writeSnapshot } from '../../src/cache/snapshot.ts';
import { configSchema } from '../../src/config/schema.ts';
import { restoreCache } from '../../src/sidecar/carry.ts';
import { cacheAlone, sampleReply } from '../support/samples.ts';

const { cache: settings } = configSchema.parse({});
const fresh = (): Cache => createCache(settings, cacheAlone);
const keyOf = (name: string): CacheKey => keyAgain(`a key: ${name}`);

function store(cache: Cache, name: string, askedMs: number, tags: readonly string[] = [], route = 'm'): void {
  const place = cache.place('acme', route);
  cache.put({ key: keyOf(name), place, askedMs, tags, asked: null }, sampleReply(name), askedMs);
}
const found = (cache: Cache, name: string, route = 'm'): string | undefined =>
  cache.get(keyOf(name), cache.place('acme', route), 1000)?.body.toString();
const body = (name: string): string => sampleReply(name).body.toString();

/** What a process keeps that ended at 500 ms of its clock; the next one's clock reads the same. */
function kept(cache: Cache): SnapshotPart[] {
  return [...cache.drain(500, 500)];
}
const fill = (cache: Cache, parts: readonly SnapshotPart[]): void => {
  for (const part of parts) cache.fill(part, 600, 600);
};

describe('what was purged before a restart', () => {
  const before = (): SnapshotPart[] => {
    const cache = fresh();
    store(cache, 'tagged', 10, ['old']);
    store(cache, 'plain', 20);
    store(cache, 'elsewhere', 30, [], 'n');
    cache.purge({ tag: 'old' }, 100);
    cache.purge({ route: 'n' }, 200);
    return kept(cache);
  };

  test('stays purged at places that are new', () => {
    const cache = fresh();
    fill(cache, before());
    const all = [found(cache, 'tagged'), found(cache, 'plain'), found(cache, 'elsewhere', 'n')];
    expect(all).toEqual([undefined, body('plain'), undefined]);
  });

  test('stays purged at places that were in use before it was read', () => {
    const cache = fresh();
    for (const route of ['m', 'n']) cache.place('acme', route);
    cache.purge({ tag: 'another' }, 550);
    fill(cache, before());
    const all = [found(cache, 'tagged'), found(cache, 'plain'), found(cache, 'elsewhere', 'n')];
    expect(all).toEqual([undefined, body('plain'), undefined]);
  });

  test('stays purged at a place in use that the earlier process had forgotten', () => {
    const [head, ...others] = before();
    const forgetful = JSON.parse(String(head?.bytes)) as { places: object };
    forgetful.places = { ...forgetful.places, places: [] };
    const cache = fresh();
    cache.place('acme', 'm');
    fill(cache, [{ kind: 'head', bytes: Buffer.from(JSON.stringify(forgetful)) }, ...others]);
    expect([found(cache, 'tagged'), found(cache, 'plain'), found(cache, 'elsewhere', 'n')]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('what is purged before the file is read', () => {
  const before = (): SnapshotPart[] => {
    const cache = fresh();
    store(cache, 'tagged', 10, ['old']);
    store(cache, 'plain', 20);
    store(cache, 'elsewhere', 30, ['old'], 'n');
    cache.purge({ olderThanMs: 95 }, 100);
    return kept(cache);
  };

  test('is purged once it is read, whether its place was in use or not', () => {
    for (const used of [true, false]) {
      const cache = fresh();
      if (used) cache.place('acme', 'm');
      cache.purge({ route: 'm' }, 550);
      fill(cache, before());
      const all = [found(cache, 'tagged'), found(cache, 'plain'), found(cache, 'elsewhere', 'n')];
      expect(all).toEqual([undefined, undefined, body('elsewhere')]);
    }
  });

  test('by a tag takes only what has it', () => {
    const cache = fresh();
    cache.purge({ tag: 'old' }, 540);
    cache.purge({ tag: 'old', olderThanMs: 60_000 }, 550);
    fill(cache, before());
    const all = [found(cache, 'tagged'), found(cache, 'plain'), found(cache, 'elsewhere', 'n')];
    expect(all).toEqual([undefined, body('plain'), undefined]);
  });

  test('holds however much was purged since', () => {
    const cache = fresh();
    cache.purge({ route: 'm' }, 550);
    for (let i = 0; i < 300; i++) cache.purge({ tag: `tag ${i}` }, 551 + i / 1000);
    fill(cache, before());
    expect(found(cache, 'plain')).toBeUndefined();
  });
});

test('use and judgements are added to those of a place that is in use', () => {
  const one = fresh();
  store(one, 'plain', 20);
  for (let i = 0; i < 3; i++) found(one, 'plain');
  for (const right of [true, false]) one.hear({ kind: 'judged', tenant: 'acme', route: 'm', right }, 0, 100);
  const parts = kept(one);
  const two = fresh();
  store(two, 'own', 550);
  found(two, 'own');
  fill(two, parts);
  expect(two.places()).toMatchObject([{ hits: { exact: 4 }, judged: 2, wrong: 1 }]);
});

test('a reply that is newer than the one in the file stays', () => {
  const one = fresh();
  store(one, 'plain', 20);
  const parts = kept(one);
  const two = fresh();
  const place = two.place('acme', 'm');
  two.put({ key: keyOf('plain'), place, askedMs: 550, tags: [], asked: null }, sampleReply('newer'), 550);
  fill(two, parts);
  expect(found(two, 'plain')).toBe(body('newer'));
});

test('other workers know the marks before replies come back', async () => {
  const path = join(mkdtempSync(join(tmpdir(), 'sidegate-marks-')), 'snapshot');
  onTestFinished(() => rmSync(dirname(path), { recursive: true, force: true }));
  const one = fresh();
  store(one, 'plain', 20);
  await writeSnapshot(path, kept(one));
  const two = fresh();
  const events: string[] = [];
  const fillTwo: Cache['fill'] = (part, ...times) => {
    events.push(part.kind);
    two.fill(part, ...times);
  };
  await restoreCache(
    { ...settings, snapshot: path },
    {
      cache: { ...two, fill: fillTwo },
      telemetry: silent,
      world: { clock: () => 600, wallClock: () => 600 },
      async onHead() {
        // Long enough to read a small file to its end.
        for (let i = 0; i < 100; i++) await turn();
        events.push('heard');
      },
    },
  );
  expect(events).toEqual(['head', 'heard', 'replies']);
  expect(found(two, 'plain')).toBe(body('plain'));
});
