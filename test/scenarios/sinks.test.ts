/**
 * Every sink stops for a minute under load: the ledger's file is locked, Redis is suspended, the webhook and the
 * OpenTelemetry receiver take requests and never answer. Requests are as fast as those of a twin whose sinks go on,
 * memory stays bounded, and everything that the policy keeps arrives afterwards.
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as wait } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test, vi } from 'vitest';
import { stringify } from 'yaml';
import { openReader } from '../../src/observe/ledger/report.ts';
import { ask } from '../support/client.ts';
import { startRedis } from '../support/redis.ts';
import { openaiWire } from '../support/replies.ts';
import { spawnSidecar } from '../support/sidecar.ts';
import { answers, startUpstream } from '../support/upstream.ts';
import { startLoad, tableOf } from './load.ts';

const perSecond = 100;
const warmMs = 15_000;
const stoppedMs = 60_000;
/** Windows that the two sides are compared in: the machine has other work, which is the same for both. */
const windowMs = 10_000;
const patience = { timeout: 120_000, interval: 500 };

const quantile = (times: readonly number[], share: number): number =>
  times.toSorted((a, b) => a - b)[Math.ceil(times.length * share) - 1] ?? 0;

/** An HTTP server that takes everything, and while it is stopped answers nothing. */
async function startTaker(take: (body: Buffer) => void) {
  const held = new Set<ServerResponse>();
  const taker = { stopped: false, url: '', resume: () => {} };
  const server = createServer(async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    if (taker.stopped) return void held.add(res);
    take(Buffer.concat(chunks));
    res.writeHead(200).end();
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  taker.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  taker.resume = () => {
    taker.stopped = false;
    for (const res of held) res.destroy();
  };
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return taker;
}

const metric = (text: string, name: string): number =>
  text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);

/** A sidecar under load, and its sinks. */
async function startSide() {
  const folder = await mkdtemp(join(tmpdir(), 'sidegate-sinks-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  const posted = new Set<string>();
  const hook = await startTaker((body) => {
    for (const { request_id } of JSON.parse(body.toString()).records) posted.add(request_id);
  });
  const otlp = await startTaker(() => {});
  const upstream = await startUpstream(answers(openaiWire, 'hello'));
  onTestFinished(() => upstream.close());
  const path = join(folder, 'ledger.db');
  const sidecar = await spawnSidecar(
    stringify({
      listen: { port: 0 },
      admin: { port: 0 },
      authenticate: { anonymousTenant: 't' },
      cache: { enabled: false },
      providers: { p: { dialect: 'openai', baseUrl: upstream.baseUrl } },
      routes: [{ model: 'm', targets: [{ provider: 'p' }] }],
      observe: {
        ledger: { path },
        otlp: { endpoint: otlp.url, metricsEveryMs: 1000 },
        sinks: { redis: { url: redis.url }, webhook: { url: hook.url, secret: 's' } },
      },
    }),
  );
  const windows: number[][] = [];
  let window: number[] | null = null;
  const failures: unknown[] = [];
  const load = startLoad(perSecond, async (index) => {
    const [began, own] = [performance.now(), window];
    const body = openaiWire.request(`prompt ${index}`, { model: 'm' });
    const reply = await ask(sidecar.url, openaiWire.path, { body }).catch((cause: unknown) => cause);
    own?.push(performance.now() - began);
    if (!(reply instanceof Object && 'status' in reply && reply.status === 200)) failures.push(reply);
  });
  return {
    sidecar,
    redis,
    hook,
    otlp,
    path,
    posted,
    load,
    failures,
    windows,
    nextWindow(): void {
      window = [];
      windows.push(window);
    },
    metrics: async () => (await fetch(`${sidecar.adminUrl}/metrics`)).text(),
    rssMb: (): number =>
      (Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${sidecar.child.pid}/status`, 'utf8'))?.[1]) * 1024) /
      1e6,
  };
}

test('sinks that stop for a minute change nothing for requests, and lose nothing', async () => {
  const [side, twin] = [await startSide(), await startSide()];
  await wait(warmMs);
  const usualMb = side.rssMb();
  side.redis.pause();
  side.hook.stopped = true;
  side.otlp.stopped = true;
  const other = new DatabaseSync(side.path, { timeout: 5000 });
  other.exec('BEGIN IMMEDIATE');
  for (let ms = 0; ms < stoppedMs; ms += windowMs) {
    for (const each of [side, twin]) each.nextWindow();
    await wait(windowMs);
  }
  const [stoppedMb, twinMb] = [side.rssMb(), twin.rssMb()];
  const during = await side.metrics();
  other.exec('ROLLBACK');
  other.close();
  side.redis.resume();
  side.hook.resume();
  side.otlp.resume();
  await wait(warmMs);
  for (const each of [side, twin]) await each.load.stop();

  const rows = side.windows.map((stopped, i) => {
    const going = twin.windows[i] ?? [];
    const cells = { 'stopped p50': quantile(stopped, 0.5), 'twin p50': quantile(going, 0.5) };
    return { ...cells, 'stopped p99': quantile(stopped, 0.99), 'twin p99': quantile(going, 0.99) };
  });
  const ratios = rows.map((row) => row['stopped p99'] / row['twin p99']);
  const shown = rows.map((row) =>
    Object.fromEntries(Object.entries(row).map(([name, ms]) => [name, ms.toFixed(1)])),
  );
  console.log(
    `${tableOf(shown)}\nratio of p99, median of windows: ${quantile(ratios, 0.5).toFixed(2)}; memory ` +
      `${usualMb.toFixed(0)} MB before, ${stoppedMb.toFixed(0)} MB after the minute, the twin ${twinMb.toFixed(0)} MB`,
  );
  expect([...side.failures, ...twin.failures]).toEqual([]);
  // They did stop.
  expect(metric(during, 'sidegate_ledger_waiting')).toBeGreaterThan(perSecond * 30);
  expect(quantile(ratios, 0.5)).toBeLessThanOrEqual(1.5);
  expect(stoppedMb).toBeLessThan(Math.max(usualMb, twinMb) + 60);

  // All that the policy keeps: each row in the ledger, in the stream and at the webhook.
  const { load, posted } = side;
  const client = new Redis(side.redis.url);
  onTestFinished(() => client.disconnect());
  const streamed = async (): Promise<number> => {
    const entries = await client.xrange('sidegate:records', '-', '+');
    return new Set(entries.map(([, values]) => JSON.parse(values[1] ?? '{}').request_id)).size;
  };
  await vi.waitFor(async () => expect(await streamed()).toBe(load.sent), patience);
  await vi.waitFor(() => expect(posted.size).toBe(load.sent), patience);
  const reader = await openReader(side.path);
  onTestFinished(() => reader.close());
  expect(reader.costs([], { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER })[0]?.requests).toBe(BigInt(load.sent));
  // Traces are bounded, so some may be dropped; each is counted.
  await vi.waitFor(async () => {
    const lines = (await side.metrics())
      .split('\n')
      .filter((line) => line.startsWith('sidegate_sink_records_total{sink="otlp"'));
    expect(lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)).toBe(load.sent);
  }, patience);
  for (const { sidecar } of [side, twin]) expect(await sidecar.stop()).toBe(0);
});
