/** The ledger: what was committed is never lost or counted twice, sums are exact, and a bad disk delays no request. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test, vi } from 'vitest';
import { realWorld, type World } from '../../src/base/world.ts';
import { csvLine, exactDollars } from '../../src/commands/costs.ts';
import { timeOf } from '../../src/commands/time.ts';
import { createLedger, type Ledger } from '../../src/observe/ledger/ledger.ts';
import { openReader } from '../../src/observe/ledger/report.ts';
import { namedValues, type Row } from '../../src/observe/ledger/segment.ts';
import { openWriter } from '../../src/observe/ledger/writer.ts';
import { packed, recordOf } from '../support/segments.ts';
import { fillDisk, smallDisk } from '../support/small-disk.ts';
import { eventually } from '../support/until.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'sidegate-ledger-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const idOf = (row: Row): string => String(namedValues(row).request_id);
const everything = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER };

/** Sums of the provider's file: `tenant target` → tokens and cost, of the requests that pass. */
function truthOf(text: string, passes: (id: string) => boolean): Map<string, bigint[]> {
  const sums = new Map<string, bigint[]>();
  for (const line of text.trim().split('\n')) {
    const [id = '', tenant = '', target = '', ...amounts] = line.split('\t');
    if (!passes(id) || target === '') continue;
    const known = sums.get(`${tenant} ${target}`) ?? [0n, 0n, 0n];
    sums.set(
      `${tenant} ${target}`,
      known.map((sum, i) => sum + BigInt(amounts[i] ?? 0)),
    );
  }
  return sums;
}

const requests = 100_000;

test(`of ${requests} requests, none that was committed is lost or counted twice when the process is killed`, async () => {
  const at = folder();
  const files = ['ledger.db', 'truth', 'commits'].map((name) => join(at, name));
  const [ledgerPath = '', truthPath = '', commitsPath = ''] = files;
  writeFileSync(commitsPath, '');
  writeFileSync(truthPath, '');
  const load = (first: number, count: number, last = '') =>
    spawn(
      process.execPath,
      [
        fileURLToPath(new URL('../support/ledger-load.ts', import.meta.url)),
        ...files,
        String(first),
        String(count),
        last,
      ],
      { stdio: 'inherit' },
    );
  const committed = (): number => Number(readFileSync(commitsPath, 'utf8').trim().split('\n').at(-1));

  // Killed without warning once some are committed.
  const [, signal] = await once(load(0, requests, String(requests / 2)), 'exit');
  expect(signal).toBe('SIGKILL');
  const acknowledged = committed();
  const before = readFileSync(truthPath, 'utf8');
  const made = Number(/req_(\d+)\t.*\n$/.exec(before)?.[1]) + 1;
  expect(acknowledged).toBeGreaterThan(0);
  expect(made).toBeGreaterThan(acknowledged);

  // The next process continues where the provider's count ends.
  const [code] = await once(load(made, requests - made), 'exit');
  expect(code).toBe(0);
  const truth = readFileSync(truthPath, 'utf8');
  const reader = await openReader(ledgerPath);
  onTestFinished(() => reader.close());
  const ids = [...reader.rows(everything)].map(idOf);
  const kept = new Set(ids);
  expect(ids.length).toBe(kept.size);
  for (let i = 0; i < acknowledged; i++) if (!kept.has(`req_${i}`)) expect.fail(`req_${i} is lost`);
  for (let i = made; i < requests; i++) if (!kept.has(`req_${i}`)) expect.fail(`req_${i} is lost`);
  // Equal to the nano-dollar, for each tenant and model.
  const sums = reader
    .costs(['tenant', 'target'], everything)
    .filter(({ values }) => values[1] !== '')
    .map(({ values, inputTokens, outputTokens, costNanoUsd }) => [
      values.join(' '),
      [inputTokens, outputTokens, costNanoUsd],
    ]);
  expect(new Map(sums as [string, bigint[]][])).toEqual(truthOf(truth, (id) => kept.has(id)));
  const [total] = reader.costs([], everything);
  expect(total?.requests).toBe(BigInt(kept.size));
});

function openLedger(
  path: string,
  waitingMax = 1000,
  world: Partial<World> = {},
): { ledger: Ledger; problems: (string | null)[] } {
  const problems: (string | null)[] = [];
  const settings = { keepDays: 1, maxBytes: 2 ** 30, waitingMax };
  const deps = { ...realWorld, ...world, onProblem: (each: string | null) => problems.push(each) };
  const ledger = createLedger(path, settings, deps);
  onTestFinished(() => ledger.close(0));
  return { ledger, problems };
}

test('a file that is locked delays nothing: rows wait, and are written once it is free', async () => {
  const path = join(folder(), 'ledger.db');
  (await openWriter(path)).close();
  const other = new DatabaseSync(path);
  other.exec('BEGIN IMMEDIATE');
  const { ledger, problems } = openLedger(path);
  ledger.add(recordOf('a'), Date.now());
  await eventually(() => expect(problems).toEqual([expect.stringMatching(/lock/)]));
  ledger.add(recordOf('b'), Date.now());
  expect(ledger.state).toMatchObject({ written: 0, waiting: 2, dropped: 0 });
  other.exec('ROLLBACK');
  other.close();
  await eventually(() => expect(ledger.state).toMatchObject({ written: 2, waiting: 0, lagMs: 0 }));
  expect(problems).toEqual([expect.any(String), null]);
});

test('a full disk delays nothing: one line says so, and the ledger catches up once there is room', async (context) => {
  const disk = smallDisk(512);
  if (disk === null) return context.skip('no disk can be mounted here');
  const path = join(disk, 'ledger.db');
  (await openWriter(path)).close();
  const rest = fillDisk(disk);
  const { ledger, problems } = openLedger(path);
  for (let i = 0; i < 500; i++) ledger.add(recordOf(`r${i}`), Date.now());
  await eventually(() => expect(problems).toEqual([expect.stringMatching(/full|I\/O/)]));
  expect(ledger.state).toMatchObject({ written: 0, waiting: 500, dropped: 0 });
  rmSync(rest);
  await eventually(() => expect(ledger.state).toMatchObject({ written: 500, waiting: 0 }));
  expect(problems).toEqual([expect.any(String), null]);
  const reader = await openReader(path);
  expect(new Set([...reader.rows(everything)].map(idOf)).size).toBe(500);
  reader.close();
});

test('a thread that can’t be started ends nothing: rows wait until one can', async () => {
  const path = join(folder(), 'l.db');
  let none = true;
  const startThread: World['startThread'] = (script) =>
    realWorld.startThread(none ? new URL('https://nowhere.example/') : script);
  const { ledger, problems } = openLedger(path, 1000, { startThread });
  ledger.add(recordOf('a'), Date.now());
  await eventually(() => expect(problems).toEqual([expect.stringContaining('its thread has ended')]));
  expect(ledger.state).toMatchObject({ written: 0, waiting: 1, dropped: 0 });
  none = false;
  await eventually(() => expect(ledger.state).toMatchObject({ written: 1, waiting: 0 }));
  expect(problems.at(-1)).toBeNull();
});

test('a path that can’t be written keeps the newest rows in memory, and counts the others', async () => {
  const { ledger, problems } = openLedger('/dev/null/ledger.db');
  for (let i = 0; i < 5000; i++) ledger.add(recordOf(`r${i}`), Date.now());
  await eventually(() => expect(problems).toHaveLength(1));
  const { waiting, dropped } = ledger.state;
  expect(waiting).toBeLessThanOrEqual(2100);
  expect(waiting + dropped).toBe(5000);
  await ledger.close(0);
  expect(ledger.state).toMatchObject({ waiting: 0, dropped: 5000 });
});

test('old segments and those beyond the size are deleted, but never the newest', async () => {
  const path = join(folder(), 'ledger.db');
  const writer = await openWriter(path);
  onTestFinished(() => writer.close());
  const reader = await openReader(path);
  onTestFinished(() => reader.close());
  const day = 86_400_000;
  for (let i = 0; i < 120; i++)
    writer.write(
      `s${i}`,
      packed(
        ...Array.from({ length: 50 }, (_, n) => [recordOf(`r${i}-${n}`), i < 60 ? 0 : 3 * day] as const),
      ),
    );
  const count = (): number => [...reader.rows(everything)].length;
  expect(count()).toBe(6000);
  // 50 segments at a time, so that no sink waits long.
  expect(writer.trim({ keepDays: 2, maxBytes: 2 ** 30 }, 3 * day)).toBe(true);
  expect(count()).toBe(3500);
  expect(writer.trim({ keepDays: 2, maxBytes: 2 ** 30 }, 3 * day)).toBe(false);
  expect(count()).toBe(3000);
  // Only as many as needed.
  const pages = new DatabaseSync(path);
  const used = (): number =>
    Number(
      pages
        .prepare(
          'SELECT (p.page_count - f.freelist_count) * 4096 AS n FROM pragma_page_count p, pragma_freelist_count f',
        )
        .get()?.n,
    );
  const most = used() - 20_000;
  expect(writer.trim({ keepDays: 2, maxBytes: most }, 3 * day)).toBe(false);
  expect(used()).toBeLessThanOrEqual(most);
  expect(used()).toBeGreaterThan(most - 10_000);
  pages.close();
  while (writer.trim({ keepDays: 2, maxBytes: 1 }, 3 * day));
  expect([...reader.rows(everything)].map(idOf)).toEqual(Array.from({ length: 50 }, (_, n) => `r119-${n}`));
});

test('a segment that is sent again is written once', async () => {
  const path = join(folder(), 'ledger.db');
  const writer = await openWriter(path);
  onTestFinished(() => writer.close());
  for (const key of ['a', 'b', 'a', 'b'])
    writer.write(key, packed([recordOf(key), 1], [recordOf(`${key}2`), 2]));
  const reader = await openReader(path);
  onTestFinished(() => reader.close());
  expect([...reader.rows(everything)].map(idOf)).toEqual(['a', 'a2', 'b', 'b2']);
});

test('a request is found by its id, its trace and its client’s id, the newest first', async () => {
  const path = join(folder(), 'ledger.db');
  const writer = await openWriter(path);
  onTestFinished(() => writer.close());
  const traceId = 'a'.repeat(32);
  writer.write(
    '1',
    packed([recordOf('r1', { traceId }), 1], [recordOf('r2', { traceId, clientRequestId: 'c"1' }), 2]),
  );
  writer.write('2', packed([recordOf('r3', { tenant: 'r1', clientRequestId: 'r9' }), 3]));
  const reader = await openReader(path);
  onTestFinished(() => reader.close());
  const found = (id: string): string | null => {
    const row = reader.find(id);
    return row === null ? null : idOf(row);
  };
  expect(['r1', 'r2', traceId, 'c"1', 'r9', 'r3'].map(found)).toEqual(['r1', 'r2', 'r2', 'r2', 'r3', 'r3']);
  // Neither a piece of an id, nor a tenant, nor the empty text that most ids are.
  expect(['r', '', 'chat', '%'].map(found)).toEqual([null, null, null, null]);
});

test('dollars are exact, times are read, and cells can’t be formulas', () => {
  expect(exactDollars(0n)).toBe('0.000000000');
  expect(exactDollars(12_345_678_901_234_567_890n)).toBe('12345678901.234567890');
  expect(exactDollars(-5n)).toBe('-0.000000005');
  expect(timeOf('--since', '2h', 10_000_000)).toBe(10_000_000 - 7_200_000);
  expect(timeOf('--since', '2026-11-01', 0)).toBe(Date.UTC(2026, 10, 1));
  // As days are: not by the clock of the machine that asks.
  for (const zone of ['America/New_York', 'Asia/Kolkata']) {
    vi.stubEnv('TZ', zone);
    for (const text of ['2026-11-01T12:30', '2026-11-01 12:30:00', '2026-11-01T14:30:00+02:00'])
      expect(timeOf('--since', text, 0)).toBe(Date.UTC(2026, 10, 1, 12, 30));
  }
  vi.unstubAllEnvs();
  for (const text of ['soon', '2026-02-30', '2026-11-01T25:00', '2026-11-01 noon'])
    expect(() => timeOf('--since', text, 0)).toThrow(/--since must be like 7d/);
  expect(csvLine(['a', '-5.5', '=cmd()', 'x"y,z'])).toBe('a,-5.5,\'=cmd(),"x""y,z"\n');
});
