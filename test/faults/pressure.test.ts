/** Row 24: memory pressure. The cache shrinks first, then new requests get 503; the process lives. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createCache } from '../../src/cache/cache.ts';
import { keyAgain } from '../../src/cache/key.ts';
import { configSchema } from '../../src/config/schema.ts';
import { containerLimit, findContainer, takenShare, underCeiling } from '../../src/sidecar/ceiling.ts';
import { startPressure } from '../../src/sidecar/pressure.ts';
import { spawnChain } from '../support/chain.ts';
import { ask } from '../support/client.ts';
import { openaiWire as wire } from '../support/replies.ts';
import { cacheAlone, sampleReply } from '../support/samples.ts';
import { answers } from '../support/upstream.ts';

function watch() {
  const seen: string[] = [];
  let [share, nowMs] = [0, 0];
  const pressure = startPressure({
    clock: () => nowMs,
    share: () => share,
    squeeze: (part) => seen.push(`cache ${part}`),
    refuseNew: (refusal) => seen.push(refusal === null ? 'accept' : `${refusal.code}`),
    collect: () => seen.push('collect'),
    trim: () => {},
    telemetry: { memory: (state) => seen.push(state) },
  });
  onTestFinished(() => pressure.stop());
  return (taken: number, seconds = 1): string[] => {
    share = taken;
    for (let i = 0; i < seconds; i++) {
      pressure.tick();
      nowMs += 1000;
    }
    return seen.splice(0);
  };
}

test('row 24: the cache gives way first, then new requests are refused, and all comes back', () => {
  const at = watch();
  expect(at(0.8, 5)).toEqual([]);
  expect(at(0.91)).toEqual(['cache 0.25', 'short']);
  expect(at(0.91)).toEqual(['cache 0']);
  expect(at(0.89, 3)).toEqual([]);
  expect(at(0.91)).toEqual(['collect']);
  expect(at(0.91, 3)).toEqual(['memory_full', 'full']);
  expect(at(0.85)).toEqual([]);
  // A process that refuses everything makes no garbage, and would never collect what it has.
  expect(at(0.85, 5)).toEqual(['collect']);
  expect(at(0.75)).toEqual(['accept', 'eased']);
  expect(at(0.75, 29)).toEqual([]);
  expect(at(0.75)).toEqual(['cache 0.25']);
  expect(at(0.75, 30)).toEqual([]);
  expect(at(0.75)).toEqual(['cache 1']);
});

test('row 24: a process that keeps 85% with all garbage collected serves again', () => {
  const at = watch();
  expect(at(0.95, 5)).toEqual(['cache 0.25', 'short', 'cache 0', 'collect', 'memory_full', 'full']);
  // What was in flight has ended. Its garbage is collected, and five seconds later nothing more is to be had.
  expect(at(0.85, 4)).toEqual(['collect']);
  expect(at(0.85, 5)).toEqual(['accept', 'eased']);
  expect(at(0.85, 60)).toEqual([]);
  expect(at(0.95, 2)).toEqual(['collect', 'memory_full', 'full']);
  expect(at(0.95, 60).filter((seen) => seen !== 'collect')).toEqual([]);
});

test('row 24: nobody is refused for garbage', () => {
  const at = watch();
  expect(at(0.99, 3)).toEqual(['cache 0.25', 'short', 'cache 0', 'collect']);
  expect(at(0.75)).toEqual([]);
});

const groups = [
  ['version 2', '0::/pod/it', 'memory.current', 'inactive_file', 'pod/it'],
  ['version 2, seen from inside', '0::/../it', 'memory.current', 'inactive_file', ''],
  ['version 1', '5:cpu:/\n4:memory:/pod', 'memory.usage_in_bytes', 'total_inactive_file', 'memory/pod'],
] as const;

test.each(groups)(
  'a container of %s takes what it uses, without cached files',
  (_, text, used, cached, at) => {
    const folder = mkdtempSync(join(tmpdir(), 'sidegate-groups-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    mkdirSync(join(folder, at), { recursive: true });
    writeFileSync(join(folder, 'groups'), `${text}\n`);
    writeFileSync(join(folder, at, used), '900\n');
    writeFileSync(join(folder, at, 'memory.stat'), `anon 5\n${cached} 300\nactive_file 7\n`);
    const container = findContainer(1000, 2000, { groups: join(folder, 'groups'), folder });
    expect([container?.limitBytes, container?.usedBytes()]).toEqual([1000, 600]);
  },
);

test('without a limit there is no container, and where nothing can be read the process itself counts', () => {
  const files = { groups: '/nowhere', folder: '/nowhere' };
  expect(findContainer(0, 2000, files)).toBeNull();
  const container = findContainer(1000, 2000, files);
  expect(container?.usedBytes()).toBeNull();
  expect(takenShare({}, container, 500)).toBe(0.5);
});

test('of two ceilings the nearer one counts', () => {
  const container = { limitBytes: 1000, usedBytes: () => 600 };
  expect(takenShare({}, null, 500)).toBe(0);
  expect(takenShare({ maxMb: 100 }, null, 50e6)).toBe(0.5);
  expect(takenShare({ maxMb: 100 }, container, 50e6)).toBe(0.6);
  expect(takenShare({ maxMb: 100 }, container, 70e6)).toBe(0.7);
});

test('what is held for requests takes an eighth of the ceiling each, or what is set if that is less', () => {
  const config = configSchema.parse({ memory: { maxMb: 800 }, batch: { queueMaxBytes: 1_000_000 } });
  const held = ({ listen, replay, batch }: typeof config): number[] => [
    listen.bodiesMaxBytes,
    listen.repliesMaxBytes,
    replay.bytesMax,
    batch.queueMaxBytes,
  ];
  expect(underCeiling(configSchema.parse({}), null)).toEqual(configSchema.parse({}));
  expect(held(underCeiling(config, null)).map((bytes) => bytes / 1e6)).toEqual([100, 100, 67.108864, 1]);
  const container = { limitBytes: 400e6, usedBytes: () => 0 };
  expect(held(underCeiling(config, container)).map((bytes) => bytes / 1e6)).toEqual([50, 50, 50, 1]);
});

test('row 24: a cache that gives way drops what no longer fits, and keeps what is used', () => {
  const { cache: settings } = configSchema.parse({ cache: { bytesMax: 1024 * 1024 } });
  const cache = createCache(settings, cacheAlone);
  const place = cache.place('acme', 'm');
  const keys = Array.from({ length: 16 }, (_, i) => keyAgain(`key ${i}`));
  const put = (): void => {
    for (const key of keys)
      cache.put({ key, place, askedMs: 1, tags: [], asked: null }, sampleReply('x'.repeat(50_000)), 1);
  };
  put();
  expect(cache.size).toBe(16);
  cache.squeeze(0.25);
  expect(cache.bytes).toBeLessThanOrEqual(256 * 1024);
  expect(cache.get(keys[15] ?? keyAgain(''), place, 1)?.body.length).toBe(50_000);
  cache.squeeze(0);
  expect([cache.size, cache.bytes]).toEqual([0, 0]);
  put();
  expect(cache.size).toBe(0);
  cache.update(settings);
  expect(cache.size).toBe(0);
  cache.squeeze(1);
  put();
  expect(cache.size).toBe(16);
});

test('row 24: a process that is full answers 503, lives, and serves again once it may take more', async () => {
  const chain = await spawnChain(wire, [[answers(wire, 'Lives')]], { memory: { maxMb: 64 } });
  let reply = await chain.ask();
  while (reply.status === 200) reply = await chain.ask();
  expect(reply.status).toBe(503);
  expect(reply.headers['retry-after']).toBeDefined();
  expect(wire.errorOf(reply.text)).toMatchObject({ code: 'memory_full' });
  expect(reply.text).toContain('memory.maxMb');
  expect((await ask(chain.adminUrl, '/healthz', { method: 'GET' })).status).toBe(200);
  await chain.outputMatching(/memory is full/);

  await chain.rewrite(chain.configText.replace('"maxMb": 64', '"maxMb": 100000'));
  chain.child.kill('SIGHUP');
  while (reply.status === 503) reply = await chain.ask();
  expect(reply.text).toContain('Lives');
  await chain.outputMatching(/there is memory again/);
});

test('row 24: a flood of large requests stays under the ceiling, and small ones are served afterwards', async () => {
  const chain = await spawnChain(wire, [[]], { memory: { maxMb: 256 } });
  const content = 'word '.repeat(300_000);
  let refused = 0;
  const count = 100;
  const replies = Array.from({ length: count }, async (_, i) => {
    const reply = await chain.ask({ messages: [{ role: 'user', content: `${i} ${content}` }] });
    if (reply.status !== 200) refused += 1;
    return reply.status;
  });
  // Nothing is answered before all are in flight or refused: without a ceiling they take 150 MB and their copies.
  const { calls } = chain.first;
  while (calls.length + refused < count) await new Promise((resolve) => setTimeout(resolve, 20));
  for (const call of calls) answers(wire, 'Lives')(call);
  chain.first.answer(answers(wire, 'Lives'));
  expect(new Set(await Promise.all(replies))).toEqual(new Set([200, 503]));
  expect(await chain.peakBytes()).toBeLessThan(256e6);
  let reply = await chain.ask();
  while (reply.status === 503) reply = await chain.ask();
  expect(reply.text).toContain('Lives');
});

test.each([
  [512, 1024, 512],
  [2 ** 64, 1024, null],
  [0, 1024, null],
])('a container of %d bytes on a machine of %d has the limit %s', (container, machine, limit) => {
  expect(containerLimit(container, machine)).toBe(limit);
});
