/** Records in real databases that a fleet shares: PostgreSQL, and ClickHouse where it is installed. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@clickhouse/client';
import pg from 'pg';
import { expect, onTestFinished, test, vi } from 'vitest';
import { stringify } from 'yaml';
import { realWorld } from '../../src/base/world.ts';
import { nothingBilled } from '../../src/count/usage.ts';
import { createLedger } from '../../src/observe/ledger/ledger.ts';
import { createSegmentPacker, layout, namedValues, rowsOf } from '../../src/observe/ledger/segment.ts';
import { createRecord, type ExchangeRecord, noCourse } from '../../src/observe/record.ts';
import { observe } from '../../src/observe/settings.ts';
import { openClickhouse } from '../../src/observe/sinks/clickhouse.ts';
import { openPostgres } from '../../src/observe/sinks/postgres.ts';
import type { SinkRow } from '../../src/observe/sinks/sink.ts';
import { openSinks } from '../../src/observe/sinks/sinks.ts';
import { startPostgres } from '../support/postgres.ts';
import { freePort } from '../support/redis.ts';
import { runCommand } from '../support/run-command.ts';

const patience = { timeout: 120_000 };
const usage = { inputTokens: 10, outputTokens: 5, cachedInputTokens: 0, cacheWriteTokens: 0, known: true };

const recordOf = (i: number): ExchangeRecord => ({
  ...createRecord(
    { id: `req-${i}`, startedMs: 0, endpoint: { name: 'chat' } },
    noCourse,
    { status: 200 },
    nothingBilled,
    1,
  ),
  team: i % 3 === 0 ? "we'b\u0000" : 'research',
  target: 'a/x',
  // As of a model that a client made up: a backslash, and what would be an escape.
  clientRequestId: 'a\\u0000',
  costNanoUsd: 3,
  charges: [
    { target: 'b/y', usage, costNanoUsd: 1 },
    { target: 'a/x', usage, costNanoUsd: 2 },
  ],
});

/** The first records, as sinks get them. */
function sinkRows(count: number): SinkRow[] {
  const packer = createSegmentPacker();
  for (let i = 1; i <= count; i++) packer.add(recordOf(i), 2);
  return [...rowsOf(packer.take(), layout)].map((row) => ({
    ...namedValues(row),
    instance: 'i',
    charges: row.charges,
    steps: row.steps,
  }));
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'sidegate-databases-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Sends 3000 records, with an outage in the middle, and reads the costs back. */
async function survives(
  kind: 'postgres' | 'clickhouse',
  url: string,
  outage: { begin(): Promise<void>; end(): Promise<void> },
): Promise<void> {
  const at = folder();
  const path = join(at, 'l.db');
  const shared = { [kind]: { url } };
  const problems: (string | null)[] = [];
  const sinks = openSinks(path, observe.parse({ sinks: shared }).sinks, {
    ...realWorld,
    onProblem: (_, problem) => problems.push(problem),
  });
  const ledger = createLedger(
    path,
    { keepDays: 90, maxBytes: 2 ** 30, waitingMax: 100_000 },
    { ...realWorld, onProblem: () => {}, onWritten: sinks.wake },
  );
  onTestFinished(async () => {
    await ledger.close(10_000);
    await sinks.close(10_000);
  });
  const state = () => sinks.states()[0]?.[1];
  for (let i = 0; i < 1500; i++) ledger.add(recordOf(i), Date.now());
  await vi.waitFor(() => expect(state()?.sent).toBe(1500), patience);
  await outage.begin();
  for (let i = 1500; i < 3000; i++) ledger.add(recordOf(i), Date.now());
  await vi.waitFor(() => expect(problems).toHaveLength(1), patience);
  await outage.end();
  await vi.waitFor(() => expect(state()).toMatchObject({ sent: 3000, waiting: 0, dropped: 0 }), patience);

  const config = join(at, 'sidegate.yaml');
  const providers = { s: { preset: 'simulator' } };
  const routes = [{ model: 'm', targets: [{ provider: 's' }] }];
  const both = { ledger: { path }, sinks: shared };
  writeFileSync(
    config,
    stringify({ authenticate: { anonymousTenant: 't' }, providers, routes, observe: both }),
  );
  const args = ['--config', config, '--from', kind, '--by', 'team,target', '--format', 'csv'];
  const { code, out } = await runCommand(['costs', ...args]);
  expect(code).toBe(0);
  const rows = out.trimEnd().split('\n').slice(1);
  expect(rows.map((row) => row.split(',').slice(1, 7).join())).toEqual([
    'a/x,2000,0,20000,10000,0',
    'b/y,2000,0,20000,10000,0',
    'a/x,1000,0,10000,5000,0',
    'b/y,1000,0,10000,5000,0',
  ]);
}

test('PostgreSQL has every record once, after a crash of its own too', async () => {
  const postgres = await startPostgres();
  onTestFinished(() => postgres.stop());
  await survives('postgres', postgres.url, { begin: postgres.kill, end: postgres.start });
});

test('a table of an older version gains the columns it lacks, and an older sidecar goes on writing to it', async () => {
  const postgres = await startPostgres();
  onTestFinished(() => postgres.stop());
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  onTestFinished(() => client.end());
  await client.query(`CREATE TABLE sidegate_requests (request_id text NOT NULL PRIMARY KEY, tenant text NOT NULL,
    ended_ms bigint NOT NULL, instance text NOT NULL, charges jsonb NOT NULL, steps jsonb NOT NULL)`);
  const older = (id: string) =>
    client.query(`INSERT INTO sidegate_requests VALUES ('${id}', 't', 1, 'i', '[]', '[]')`);
  await older('before');
  const sink = await openPostgres({ url: postgres.url, table: 'sidegate_requests' });
  onTestFinished(() => sink.close());
  await sink.send(sinkRows(1));
  await client.query(
    `INSERT INTO sidegate_requests (request_id, tenant, ended_ms, instance, charges, steps)
     VALUES ('after', 't', 3, 'i', '[]', '[]')`,
  );
  const { rows } = await client.query(
    'SELECT request_id, cost_nano_usd, cache_level FROM sidegate_requests ORDER BY ended_ms',
  );
  expect(rows.map((each) => [each.request_id, each.cost_nano_usd, each.cache_level])).toEqual([
    ['before', '0', ''],
    ['req-1', '3', ''],
    ['after', '0', ''],
  ]);
});

test('a start while somebody reads the table for long holds up neither that sidecar nor others', async () => {
  const postgres = await startPostgres();
  onTestFinished(() => postgres.stop());
  const settings = { url: postgres.url, table: 'sidegate_requests' };
  const rows = sinkRows(2);
  const first = await openPostgres(settings);
  onTestFinished(() => first.close());
  await first.send(rows.slice(0, 1));
  const reader = new pg.Client({ connectionString: postgres.url });
  await reader.connect();
  onTestFinished(() => reader.end());
  await reader.query('BEGIN; SELECT * FROM sidegate_requests');
  const second = await openPostgres(settings);
  onTestFinished(() => second.close());
  await second.send(rows.slice(1));
  await first.send(rows);
  expect((await reader.query('SELECT count(*) FROM sidegate_requests')).rows).toEqual([{ count: '2' }]);
});

test('a role that may only write to a table that is there needs no more', async () => {
  const postgres = await startPostgres();
  onTestFinished(() => postgres.stop());
  const table = 'sidegate_requests';
  const owner = await openPostgres({ url: postgres.url, table });
  onTestFinished(() => owner.close());
  await owner.send(sinkRows(1));
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  onTestFinished(() => client.end());
  await client.query(`CREATE ROLE writer LOGIN; GRANT SELECT, INSERT ON ${table} TO writer`);
  const writer = await openPostgres({ url: postgres.url.replace('test@', 'writer@'), table });
  onTestFinished(() => writer.close());
  await writer.send(sinkRows(1));
});

/** ClickHouse is not in every distribution; where it is, it is tested. */
function clickhouse(): string | null {
  try {
    return execFileSync('sh', ['-c', 'command -v clickhouse-server'], { encoding: 'utf8' }).trim();
  } catch {
    return null;
  }
}

test.skipIf(clickhouse() === null)('ClickHouse has every record once', async () => {
  const at = folder();
  const [http, tcp] = [await freePort(), await freePort()];
  writeFileSync(
    join(at, 'config.xml'),
    `<yandex><listen_host>127.0.0.1</listen_host><http_port>${http}</http_port><tcp_port>${tcp}</tcp_port>
     <path>${at}/data/</path><tmp_path>${at}/tmp/</tmp_path><users_config>users.xml</users_config>
     <default_profile>default</default_profile><default_database>default</default_database>
     <mark_cache_size>67108864</mark_cache_size><logger><console>1</console></logger></yandex>`,
  );
  const user = '<password></password><networks><ip>::/0</ip></networks><profile>default</profile>';
  writeFileSync(
    join(at, 'users.xml'),
    `<yandex><profiles><default></default><writer><allow_ddl>0</allow_ddl></writer></profiles>
     <quotas><default></default></quotas><users><default>${user}<quota>default</quota></default>
     <writer>${user.replace('default', 'writer')}<quota>default</quota></writer></users></yandex>`,
  );
  let child: ReturnType<typeof spawn> | null = null;
  const url = `http://127.0.0.1:${http}`;
  const begin = async (): Promise<void> => {
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child?.once('exit', resolve));
    child?.kill('SIGKILL');
    await exited;
  };
  const end = async (): Promise<void> => {
    child = spawn('clickhouse-server', ['--config-file=config.xml'], { cwd: at, stdio: 'ignore' });
    await vi.waitFor(async () => expect((await fetch(`${url}/ping`)).ok).toBe(true), patience);
  };
  await end();
  onTestFinished(begin);
  // A table of an older version, which lacks columns.
  const client = createClient({ url });
  onTestFinished(() => client.close());
  await client.command({
    query: `CREATE TABLE sidegate_requests (request_id String, tenant String, ended_ms Int64, instance String,
      charges String, steps String) ENGINE = ReplacingMergeTree ORDER BY (ended_ms, request_id)`,
  });
  await survives('clickhouse', url, { begin, end });
  const created = await openClickhouse({ url, table: 'of_its_own' });
  onTestFinished(() => created.close());
  await created.send(sinkRows(2));
  const counted = await client.query({ query: 'SELECT request_id FROM of_its_own', format: 'JSONEachRow' });
  expect(await counted.json()).toHaveLength(2);
  // A user who may only write to a table that is there needs no more.
  const writer = await openClickhouse({ url: url.replace('//', '//writer@'), table: 'sidegate_requests' });
  onTestFinished(() => writer.close());
  await writer.send(sinkRows(1));
});
