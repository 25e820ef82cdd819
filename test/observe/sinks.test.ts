/** Sinks that processes share: what is committed reaches them once, whatever becomes of them meanwhile. */

import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { parquetReadObjects } from 'hyparquet';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { stringify } from 'yaml';
import { realWorld } from '../../src/base/world.ts';
import { parseConfig } from '../../src/config/load.ts';
import { nothingBilled } from '../../src/count/usage.ts';
import { createLedger } from '../../src/observe/ledger/ledger.ts';
import { createSegmentPacker } from '../../src/observe/ledger/segment.ts';
import { openWriter } from '../../src/observe/ledger/writer.ts';
import { createRecord, type ExchangeRecord, noCourse } from '../../src/observe/record.ts';
import { observe } from '../../src/observe/settings.ts';
import { openOutbox } from '../../src/observe/sinks/outbox.ts';
import { withoutZero } from '../../src/observe/sinks/postgres.ts';
import { openRedis, readRedis } from '../../src/observe/sinks/redis.ts';
import { openSinks, type Sinks } from '../../src/observe/sinks/sinks.ts';
import { signature } from '../../src/observe/sinks/webhook.ts';
import { startRedis } from '../support/redis.ts';
import { openRelay } from '../support/relay.ts';
import { runCommand } from '../support/run-command.ts';
import { eventually } from '../support/until.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'sidegate-sinks-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const usage = { inputTokens: 10, outputTokens: 5, cachedInputTokens: 0, cacheWriteTokens: 0, known: true };
const recordOf = (id: string, more: Partial<ExchangeRecord> = {}): ExchangeRecord => ({
  ...createRecord(
    { id, startedMs: 0, endpoint: { name: 'chat' } },
    noCourse,
    { status: 200 },
    nothingBilled,
    1,
  ),
  tenant: 'acme',
  ...more,
});

/** A process of a fleet: a ledger, and the sinks that get its rows. */
function start(path: string, sinks: object) {
  const problems: (readonly [string, string | null])[] = [];
  const settings = observe.parse({ sinks }).sinks;
  const opened: Sinks = openSinks(path, settings, {
    ...realWorld,
    onProblem: (sink, problem) => problems.push([sink, problem]),
  });
  const ledger = createLedger(
    path,
    { keepDays: 90, maxBytes: 2 ** 30, waitingMax: 100_000 },
    { ...realWorld, onProblem: () => {}, onWritten: opened.wake },
  );
  const stop = async (): Promise<void> => {
    await ledger.close(10_000);
    await opened.close(10_000);
  };
  onTestFinished(stop);
  return { ledger, sinks: opened, problems, stop };
}

/** A receiver of webhooks, which tests may have refuse or hang. */
async function startHook() {
  const hook = {
    status: 200,
    hangs: false,
    /** Takes the next body, but its answer is lost. */
    drops: false,
    maxBytes: Number.POSITIVE_INFINITY,
    credential: '',
    ids: [] as string[],
    bodies: [] as { records: Record<string, unknown>[] }[],
    bad: 0,
    url: '',
  };
  const server = createServer(async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    if (hook.hangs) return;
    const body = Buffer.concat(chunks).toString();
    const { headers } = req;
    const made = signature(
      'whsec_c2VjcmV0',
      String(headers['webhook-id']),
      Number(headers['webhook-timestamp']),
      body,
    );
    if (made !== headers['webhook-signature']) hook.bad += 1;
    hook.credential = headers.authorization ?? '';
    const status = body.length > hook.maxBytes ? 413 : hook.status;
    if (status === 200) {
      hook.bodies.push(JSON.parse(body));
      hook.ids.push(String(headers['webhook-id']));
    }
    if (hook.drops) {
      hook.drops = false;
      req.socket.destroy();
    } else res.writeHead(status).end();
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  hook.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/records`;
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return hook;
}

test('user and password of a webhook’s URL are its credential, and no log says them', async () => {
  const hook = await startHook();
  const url = hook.url.replace('http://', 'http://ann:p%40ss@');
  const { ledger, problems } = start(join(folder(), 'l.db'), {
    webhook: { url, secret: 'whsec_c2VjcmV0' },
  });
  ledger.add(recordOf('r1'), 1);
  await eventually(() => expect(hook.bodies).toHaveLength(1));
  expect(hook.credential).toBe(`Basic ${Buffer.from('ann:p@ss').toString('base64')}`);
  expect(problems).toEqual([]);
});

test.each(['webhook', 'redis'])(
  'a %s that can’t be reached is reported with the reason, without its URL',
  async (kind) => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    const at = `ann:secret@127.0.0.1:${port}`;
    const sinks = {
      webhook: { webhook: { url: `http://${at}/records`, secret: 's' } },
      redis: { redis: { url: `redis://${at}` } },
    };
    const { ledger, problems } = start(join(folder(), 'l.db'), sinks[kind as keyof typeof sinks]);
    ledger.add(recordOf('r1'), 1);
    await eventually(() => expect(problems).toEqual([[kind, `connect ECONNREFUSED 127.0.0.1:${port}`]]));
    if (kind !== 'redis') return;
    const source = await readRedis({ url: sinks.redis.redis.url, key: 'records', recordsMax: 1000 });
    const reading = source.rows({ fromMs: 0, toMs: 1 })[Symbol.asyncIterator]().next();
    await expect(reading).rejects.toThrow('ECONNREFUSED');
    await source.close();
  },
);

test('a webhook gets every record, signed; while it refuses, they wait in the ledger', async () => {
  const hook = await startHook();
  const { ledger, sinks, problems, stop } = start(join(folder(), 'l.db'), {
    instance: 'pod-1',
    webhook: { url: hook.url, secret: 'whsec_c2VjcmV0' },
  });
  for (let i = 0; i < 600; i++) ledger.add(recordOf(`a${i}`), Date.now());
  await eventually(() => expect(hook.bodies.flatMap(({ records }) => records)).toHaveLength(600));
  expect(hook.bad).toBe(0);
  expect(hook.bodies[0]?.records[0]).toMatchObject({ request_id: 'a0', tenant: 'acme', instance: 'pod-1' });
  hook.status = 503;
  for (let i = 0; i < 50; i++) ledger.add(recordOf(`b${i}`), Date.now());
  await eventually(() => expect(problems).toEqual([['webhook', 'it answered 503']]));
  const [[, state] = []] = sinks.states();
  expect(state).toMatchObject({ sent: 600, waiting: 50, dropped: 0 });
  hook.status = 200;
  // The end of the process tries once more.
  await stop();
  expect(hook.bodies.flatMap(({ records }) => records)).toHaveLength(650);
  expect(problems.at(-1)).toEqual(['webhook', null]);
});

test('a batch whose answer was lost comes again as it was, with its id, so that a receiver knows it', async () => {
  const hook = await startHook();
  const { ledger, problems } = start(join(folder(), 'l.db'), {
    webhook: { url: hook.url, secret: 'whsec_c2VjcmV0' },
  });
  hook.drops = true;
  for (let i = 0; i < 20; i++) ledger.add(recordOf(`a${i}`), Date.now());
  await eventually(() => expect(problems).toHaveLength(1));
  // There is more to send by now.
  for (let i = 0; i < 20; i++) ledger.add(recordOf(`b${i}`), Date.now());
  await eventually(() => expect(hook.bodies.flatMap(({ records }) => records)).toHaveLength(60));
  expect(hook.ids[1]).toBe(hook.ids[0]);
  expect(hook.bodies[1]).toEqual(hook.bodies[0]);
  expect(new Set(hook.ids).size).toBe(2);
});

test('a receiver that takes small bodies only gets everything in batches that it takes', async () => {
  const hook = await startHook();
  hook.maxBytes = 50_000;
  const { ledger, sinks, problems } = start(join(folder(), 'l.db'), {
    webhook: { url: hook.url, secret: 'whsec_c2VjcmV0' },
  });
  for (let i = 0; i < 600; i++) ledger.add(recordOf(`a${i}`), Date.now());
  await eventually(() => expect(sinks.states()[0]?.[1]).toMatchObject({ sent: 600, waiting: 0 }));
  const records = hook.bodies.flatMap((body) => body.records);
  expect(records.map(({ request_id: id }) => id)).toEqual(Array.from({ length: 600 }, (_, i) => `a${i}`));
  expect(problems).toEqual([]);
});

test('one record that a receiver doesn’t take is told, and waits', async () => {
  const hook = await startHook();
  hook.maxBytes = 100;
  const { ledger, problems } = start(join(folder(), 'l.db'), {
    webhook: { url: hook.url, secret: 'whsec_c2VjcmV0' },
  });
  for (let i = 0; i < 4; i++) ledger.add(recordOf(`a${i}`), Date.now());
  await eventually(() => expect(problems).toEqual([['webhook', 'it answered 413']]));
});

test('a receiver that hangs at the end keeps nobody up; the next start sends the rest', async () => {
  const hook = await startHook();
  hook.hangs = true;
  const path = join(folder(), 'l.db');
  const webhook = { url: hook.url, secret: 'whsec_c2VjcmV0' };
  const first = start(path, { webhook });
  first.ledger.add(recordOf('a'), Date.now());
  await first.ledger.close(10_000);
  const began = performance.now();
  await first.sinks.close(200);
  expect(performance.now() - began).toBeLessThan(9000);
  hook.hangs = false;
  start(path, { webhook });
  await eventually(() => expect(hook.bodies.flatMap(({ records }) => records)).toHaveLength(1));
});

test('counts go on from the last process, and are never 0 before they are known', async () => {
  const hook = await startHook();
  const path = join(folder(), 'l.db');
  const webhook = { url: hook.url, secret: 'whsec_c2VjcmV0' };
  const first = start(path, { webhook });
  for (let i = 0; i < 5; i++) first.ledger.add(recordOf(`a${i}`), Date.now());
  await first.stop();
  expect(first.sinks.states()).toMatchObject([['webhook', { sent: 5 }]]);
  // Nothing is known of the receiver, but of the ledger.
  hook.hangs = true;
  const { ledger, sinks } = start(path, { webhook });
  ledger.add(recordOf('b'), Date.now());
  expect(sinks.states()).toEqual([]);
  await eventually(() => expect(sinks.states()).toMatchObject([['webhook', { sent: 5, dropped: 0 }]]));
  hook.hangs = false;
});

test('rows that retention deleted before a sink got them are counted, also when all are gone', async () => {
  const path = join(folder(), 'l.db');
  const writer = await openWriter(path);
  onTestFinished(() => writer.close());
  /** In segments of ten. */
  const write = (from: number, to: number): void => {
    const packer = createSegmentPacker();
    for (let i = from; i < to; i++) {
      packer.add(recordOf(`r${i}`), i + 1);
      if (packer.count === 10 || i === to - 1) writer.write(`${i}`, packer.take());
    }
  };
  write(0, 100);
  const outbox = await openOutbox(path, 'i');
  onTestFinished(() => outbox.close());
  const take = (max: number): number => {
    const portion = outbox.next('s', max);
    outbox.done('s', portion);
    return portion.rows.length;
  };
  expect(take(30)).toBe(30);
  // The 50 oldest go, 20 of which it hadn't got.
  writer.trim({ keepDays: 1, maxBytes: 2 ** 30 }, 86_400_000 + 51);
  expect(take(1000)).toBe(50);
  expect(outbox.progress('s')).toEqual({ sent: 80, dropped: 20, waiting: 0, oldestMs: 0 });
  // All but the newest segment go, so that numbers don't begin again.
  writer.trim({ keepDays: 1, maxBytes: 2 ** 30 }, 2 * 86_400_000);
  write(200, 203);
  expect(outbox.progress('s')).toMatchObject({ waiting: 3, oldestMs: 201 });
  expect(take(1000)).toBe(3);
  expect(outbox.progress('s')).toMatchObject({ sent: 83, dropped: 20, waiting: 0 });
});

test('pods share a Redis stream: costs of the fleet are exact after an outage and a restart', async () => {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  const at = folder();
  const shared = { redis: { url: redis.url } };
  const pods = ['one', 'two'].map((name) => start(join(at, `${name}.db`), { instance: name, ...shared }));
  const charge = (target: string, costNanoUsd: number) => ({ target, usage, costNanoUsd });
  const fill = (round: string): void => {
    for (const [p, { ledger }] of pods.entries())
      for (let i = 0; i < 300; i++)
        ledger.add(
          recordOf(`${round}-${p}-${i}`, {
            team: p === 0 ? 'web' : 'research',
            target: 'a/x',
            costNanoUsd: 3,
            charges: i % 10 === 0 ? [charge('b/y', 1), charge('a/x', 2)] : [charge('a/x', 3)],
          }),
          Date.now(),
        );
  };
  fill('before');
  for (const { sinks } of pods) await eventually(() => expect(sinks.states()[0]?.[1].sent).toBe(300));
  redis.pause();
  fill('during');
  for (const { problems } of pods) await eventually(() => expect(problems).toHaveLength(1));
  redis.resume();
  for (const { sinks } of pods)
    await eventually(() => expect(sinks.states()[0]?.[1]).toMatchObject({ sent: 600, waiting: 0 }));

  const config = join(at, 'sidegate.yaml');
  writeFileSync(
    config,
    stringify({
      authenticate: { anonymousTenant: 't' },
      providers: { s: { preset: 'simulator' } },
      routes: [{ model: 'm', targets: [{ provider: 's' }] }],
      observe: { ledger: { path: join(at, 'one.db') }, sinks: shared },
    }),
  );
  const told = async (...args: string[]): Promise<string> => {
    const { code, out } = await runCommand(['costs', '--config', config, '--from', 'redis', ...args]);
    expect(code).toBe(0);
    return out;
  };
  // A connection that broke may have sent some twice; they count once.
  const client = new Redis(redis.url);
  onTestFinished(() => client.disconnect());
  expect(await client.xlen('sidegate:records')).toBeGreaterThanOrEqual(1200);
  // What others add to the stream is left out.
  for (const junk of ['no JSON', '[]', '{"request_id":"x"}', '{"request_id":"x","charges":1,"steps":[]}'])
    await client.xadd('sidegate:records', '*', 'record', junk);
  await client.xadd('sidegate:records', '*', 'else', '');
  expect(await told('--by', 'team', '--format', 'csv')).toBe(
    [
      'team,requests,failed,input_tokens,output_tokens,cached_tokens,cost_usd,saved_usd,routing_saved_usd,unpriced',
      'research,600,0,0,0,0,0.000001800,0.000000000,0.000000000,0',
      'web,600,0,0,0,0,0.000001800,0.000000000,0.000000000,0\n',
    ].join('\n'),
  );
  expect(await told('--by', 'target', '--format', 'csv')).toContain('b/y,120,0,1200,600,0,0.000000120,');
  const [row = ''] = (await told('--requests')).split('\n');
  const { request_id: id } = JSON.parse(row) as { request_id: string };
  const [columns, one] = (await told('--request', id, '--format', 'csv')).split('\n');
  expect([columns?.split(','), one?.split(',')]).toEqual([
    expect.arrayContaining(['request_id']),
    expect.arrayContaining([id]),
  ]);

  const out = join(at, 'rows.parquet');
  await told('--requests', '--format', 'parquet', '--out', out);
  const { asyncBufferFromFile } = await import('hyparquet');
  const rows = await parquetReadObjects({ file: await asyncBufferFromFile(out) });
  expect(rows).toHaveLength(1200);
  expect(rows.reduce((sum, row) => sum + BigInt(row.cost_nano_usd as bigint), 0n)).toBe(3600n);
  expect(new Set(rows.map((row) => row.team))).toEqual(new Set(['web', 'research']));
});

test('a connection to Redis that hangs isn’t used again: nothing gathers on it', async () => {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  const relay = await openRelay(redis.port);
  onTestFinished(() => relay.close());
  const sink = await openRedis({ url: `redis://127.0.0.1:${relay.port}`, key: 'records', recordsMax: 1000 });
  onTestFinished(() => sink.close());
  const row = { request_id: 'r', instance: 'i', charges: [], steps: [] };
  await sink.send([row]);
  relay.lose();
  await expect(sink.send([row])).rejects.toThrow('timed out');
  await sink.send([row, row]);
  const client = new Redis(redis.url);
  onTestFinished(() => client.disconnect());
  expect(await client.xlen('records')).toBe(3);
});

test('PostgreSQL gets JSON without the character zero, whatever else a text holds', () => {
  const pieces = fc.constantFrom('\0', '\\', '\\u0000', 'u0000', '"', '\n', 'é');
  fc.assert(
    fc.property(fc.array(fc.oneof(pieces, fc.string({ unit: 'binary' }))), (texts) => {
      const text = texts.join('');
      const row = { [text]: [text] };
      const without = text.replaceAll('\0', '');
      expect(JSON.parse(withoutZero(JSON.stringify(row)))).toEqual({ [without]: [without] });
    }),
  );
});

test('sinks without a ledger are a fault of the configuration', () => {
  const found = parseConfig(
    stringify({
      authenticate: { anonymousTenant: 't' },
      providers: { s: { preset: 'simulator' } },
      routes: [{ model: 'm', targets: [{ provider: 's' }] }],
      observe: { sinks: { redis: { url: 'redis://127.0.0.1' } } },
    }),
    {},
    () => '',
  );
  const faults = found.ok ? [] : found.faults.map(({ path, message }) => `${path}: ${message}`);
  expect(faults).toEqual([expect.stringMatching(/^observe\.sinks\.redis: needs observe\.ledger\.path/)]);
});
