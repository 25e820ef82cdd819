/** The ledger: what was committed is never lost or counted twice, sums are exact, and a bad disk delays no request. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test, vi } from 'vitest';
import { realWorld } from '../../src/base/world.ts';
import { csvLine, exactDollars } from '../../src/commands/costs.ts';
import { timeOf } from '../../src/commands/time.ts';
import { nothingBilled } from '../../src/count/usage.ts';
import { pack, unpack } from '../../src/observe/ledger/batch.ts';
import { columnNames } from '../../src/observe/ledger/columns.ts';
import { createLedger, type Ledger } from '../../src/observe/ledger/ledger.ts';
import { openReader } from '../../src/observe/ledger/report.ts';
import { openWriter } from '../../src/observe/ledger/writer.ts';
import { createRecord, type ExchangeRecord, noCourse } from '../../src/observe/record.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'sidegate-ledger-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const recordOf = (id: string, more: Partial<ExchangeRecord> = {}): ExchangeRecord => ({
  ...createRecord(
    { id, startedMs: 0, endpoint: { name: 'chat' } },
    noCourse,
    { status: 200 },
    nothingBilled,
    1,
  ),
  ...more,
});
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
  const ids = [...reader.rows(everything)].map(({ request_id }) => String(request_id));
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

function openLedger(path: string, waitingMax = 1000): { ledger: Ledger; problems: (string | null)[] } {
  const problems: (string | null)[] = [];
  const settings = { keepDays: 1, maxBytes: 2 ** 30, waitingMax };
  const ledger = createLedger(path, settings, { ...realWorld, onProblem: (each) => problems.push(each) });
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
  await vi.waitFor(() => expect(problems).toEqual([expect.stringMatching(/lock/)]), { timeout: 60_000 });
  ledger.add(recordOf('b'), Date.now());
  expect(ledger.state).toMatchObject({ written: 0, waiting: 2, dropped: 0 });
  other.exec('ROLLBACK');
  other.close();
  await vi.waitFor(() => expect(ledger.state).toMatchObject({ written: 2, waiting: 0, lagMs: 0 }), {
    timeout: 60_000,
  });
  expect(problems).toEqual([expect.any(String), null]);
});

test('a path that can’t be written keeps the newest rows in memory, and counts the others', async () => {
  const { ledger, problems } = openLedger('/dev/null/ledger.db');
  for (let i = 0; i < 5000; i++) ledger.add(recordOf(`r${i}`), Date.now());
  await vi.waitFor(() => expect(problems).toHaveLength(1), { timeout: 60_000 });
  const { waiting, dropped } = ledger.state;
  expect(waiting).toBeLessThanOrEqual(2100);
  expect(waiting + dropped).toBe(5000);
  await ledger.close(0);
  expect(ledger.state).toMatchObject({ waiting: 0, dropped: 5000 });
});

test('old rows and those beyond the size are deleted, with their charges', async () => {
  const writer = await openWriter(join(folder(), 'ledger.db'));
  onTestFinished(() => writer.close());
  const usage = { inputTokens: 1, outputTokens: 1, cachedInputTokens: 0, cacheWriteTokens: 0, known: true };
  const charges = ['a/x', 'b/x'].map((target) => ({ target, usage, costNanoUsd: 5 }));
  const day = 86_400_000;
  const rows = Array.from({ length: 6000 }, (_, i) => ({
    record: recordOf(`r${i}`, { charges }),
    endedMs: i < 100 ? 0 : 3 * day,
  }));
  writer.write(pack(rows));
  expect(writer.trim({ keepDays: 2, maxBytes: 2 ** 30 }, 3 * day)).toBe(false);
  const counts = (): unknown[] => [writer.count('request'), writer.count('charge')];
  expect(counts()).toEqual([5900, 11_800]);
  let passes = 0;
  while (writer.trim({ keepDays: 2, maxBytes: 1 }, 3 * day)) passes += 1;
  expect(passes).toBeGreaterThan(0);
  // But the newest.
  expect(counts()).toEqual([1, 2]);
});

test('a batch has every column of each record, its charges and its steps', () => {
  const usage = { inputTokens: 3, outputTokens: 4, cachedInputTokens: 1, cacheWriteTokens: 2, known: true };
  const step = { target: 'a/x', model: 'x', outcome: 'ok', cause: '', called: true, error: 'not written' };
  const record = recordOf('r', {
    tenant: 'acme',
    target: 'a/x',
    findings: [
      { kind: 'email', count: 2 },
      { kind: 'card', count: 1 },
    ],
    limits: ['l1', 'l2'],
    charges: [{ target: 'b/y', usage, costNanoUsd: null }],
    steps: [
      { ...step, sentMs: 1.5, durationMs: 20.0004, ttftMs: -1, status: 200, providerRequestId: 'up-1' },
    ],
  });
  const [row, second] = [
    ...unpack(
      pack([
        { record, endedMs: 77 },
        { record: recordOf('s'), endedMs: 78 },
      ]),
    ),
  ];
  const values = Object.fromEntries(columnNames.map((name, i) => [name, row?.values[i]]));
  expect(values).toMatchObject({
    request_id: 'r',
    tenant: 'acme',
    limits: 'l1,l2',
    ended_ms: 77,
    duration_us: 1000,
  });
  expect(values.personal_data).toBe('email:2,card:1');
  expect(row?.charges).toEqual([
    {
      target: 'b/y',
      inputTokens: 3,
      outputTokens: 4,
      cachedInputTokens: 1,
      cacheWriteTokens: 2,
      costNanoUsd: 0,
      priced: 0,
    },
  ]);
  expect(row?.steps).toEqual([
    {
      target: 'a/x',
      model: 'x',
      outcome: 'ok',
      cause: '',
      id: 'up-1',
      status: 200,
      atMs: 1.5,
      ms: 20,
      ttftMs: -1,
    },
  ]);
  expect(second).toMatchObject({ charges: [], steps: [] });
});

test('dollars are exact, times are read, and cells can’t be formulas', () => {
  expect(exactDollars(0n)).toBe('0.000000000');
  expect(exactDollars(12_345_678_901_234_567_890n)).toBe('12345678901.234567890');
  expect(exactDollars(-5n)).toBe('-0.000000005');
  expect(timeOf('--since', '2h', 10_000_000)).toBe(10_000_000 - 7_200_000);
  expect(timeOf('--since', '2026-11-01', 0)).toBe(Date.UTC(2026, 10, 1));
  expect(() => timeOf('--since', 'soon', 0)).toThrow(/--since must be like 7d/);
  expect(csvLine(['a', '-5.5', '=cmd()', 'x"y,z'])).toBe('a,-5.5,\'=cmd(),"x""y,z"\n');
});
