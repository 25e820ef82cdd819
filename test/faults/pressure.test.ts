/** Row 24: memory pressure. The cache shrinks first, then new requests get 503; the process lives. */
import { readFile, writeFile } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { silent } from '../../src/base/telemetry.ts';
import { createCache } from '../../src/cache/cache.ts';
import { keyAgain } from '../../src/cache/key.ts';
import { configSchema } from '../../src/config/schema.ts';
import { containerLimit, startPressure } from '../../src/sidecar/pressure.ts';
import { spawnChain } from '../support/chain.ts';
import { ask } from '../support/client.ts';
import { openaiWire as wire } from '../support/replies.ts';
import { sampleReply } from '../support/samples.ts';
import { answers } from '../support/upstream.ts';

function watch() {
  const seen: string[] = [];
  let used = 0;
  const pressure = startPressure({
    limitBytes: () => 1000,
    usedBytes: () => used,
    squeeze: (share) => seen.push(`cache ${share}`),
    refuseNew: (refusal) => seen.push(refusal === null ? 'accept' : `${refusal.code}`),
    trim: () => {},
    telemetry: { memory: (state) => seen.push(state) },
  });
  onTestFinished(() => pressure.stop());
  return (bytes: number, ticks = 1): string[] => {
    used = bytes;
    for (let i = 0; i < ticks; i++) pressure.tick();
    return seen.splice(0);
  };
}

test('row 24: the cache gives way first, then new requests are refused, and all comes back', () => {
  const at = watch();
  expect(at(850, 5)).toEqual([]);
  expect(at(960)).toEqual(['cache 0.25', 'short']);
  expect(at(960)).toEqual(['cache 0']);
  expect(at(940, 3)).toEqual([]);
  expect(at(960, 3)).toEqual(['overloaded', 'full']);
  expect(at(900, 3)).toEqual([]);
  expect(at(800)).toEqual(['accept', 'eased']);
  expect(at(800, 28)).toEqual([]);
  expect(at(800)).toEqual(['cache 0.25']);
  expect(at(800, 30)).toEqual(['cache 1']);
});

test('row 24: a cache that gives way drops what no longer fits, and keeps what is used', () => {
  const { cache: settings } = configSchema.parse({ cache: { bytesMax: 1024 * 1024 } });
  const cache = createCache(settings, { telemetry: silent, random: () => 0.5, peers: { tell: () => {} } });
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
  const chain = await spawnChain(wire, [[answers(wire, 'Lives')]], {
    listen: { memoryMaxBytes: 1024 * 1024 },
  });
  let reply = await chain.ask();
  while (reply.status === 200) reply = await chain.ask();
  expect(reply.status).toBe(503);
  expect(reply.headers['retry-after']).toBeDefined();
  expect(wire.errorOf(reply.text)).toMatchObject({ code: 'overloaded' });
  expect((await ask(chain.adminUrl, '/healthz', { method: 'GET' })).status).toBe(200);
  await chain.outputMatching(/memory is full/);

  const path = chain.configPath;
  await writeFile(path, (await readFile(path, 'utf8')).replaceAll('1048576', '1099511627776'));
  chain.child.kill('SIGHUP');
  while (reply.status === 503) reply = await chain.ask();
  expect(reply.text).toContain('Lives');
  await chain.outputMatching(/there is memory again/);
});

test.each([
  [512, 1024, 512],
  [2 ** 64, 1024, null],
  [0, 1024, null],
])('a container of %d bytes on a machine of %d has the limit %s', (container, machine, limit) => {
  expect(containerLimit(container, machine)).toBe(limit);
});
