/** A ledger whose file is moved or deleted while it is open: what comes then is where people look for it. */
import { mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { realWorld } from '../../src/base/world.ts';
import { createLedger } from '../../src/observe/ledger/ledger.ts';
import { openReader } from '../../src/observe/ledger/report.ts';
import { namedValues } from '../../src/observe/ledger/segment.ts';
import { observe } from '../../src/observe/settings.ts';
import { openSinks } from '../../src/observe/sinks/sinks.ts';
import { recordOf } from '../support/segments.ts';
import { eventually } from '../support/until.ts';

/** A ledger with a webhook behind it. */
async function start() {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-moved-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'ledger.db');
  const sent: string[] = [];
  const server = createServer(async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const { records } = JSON.parse(Buffer.concat(chunks).toString()) as { records: { request_id: string }[] };
    sent.push(...records.map(({ request_id: id }) => id));
    res.end();
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const { sinks: settings } = observe.parse({ sinks: { webhook: { url, secret: 's' } } });
  const sinks = openSinks(path, settings, { ...realWorld, onProblem: () => {} });
  const problems: (string | null)[] = [];
  const ledger = createLedger(
    path,
    { keepDays: 90, maxBytes: 2 ** 30, waitingMax: 1000 },
    { ...realWorld, onProblem: (problem) => problems.push(problem), onWritten: sinks.wake },
  );
  onTestFinished(async () => {
    await ledger.close(10_000);
    await sinks.close(10_000);
  });
  const add = async (id: string): Promise<void> => {
    const { written } = ledger.state;
    ledger.add(recordOf(id), Date.now());
    await eventually(() => expect(ledger.state.written).toBe(written + 1));
  };
  return { folder, path, ledger, problems, sent, add };
}

async function idsIn(path: string): Promise<unknown[]> {
  const reader = await openReader(path);
  const rows = [...reader.rows({ fromMs: 0, toMs: Number.MAX_SAFE_INTEGER })];
  reader.close();
  return rows.map((row) => namedValues(row).request_id);
}

test('after its files are deleted, another is begun, and sinks get what is in it', async () => {
  const { folder, path, problems, sent, add } = await start();
  await add('a');
  await eventually(() => expect(sent).toEqual(['a']));
  for (const name of readdirSync(folder)) rmSync(join(folder, name));
  await add('b');
  await add('c');
  expect(await idsIn(path)).toEqual(['b', 'c']);
  await eventually(() => expect(sent).toEqual(['a', 'b', 'c']));
  expect(problems).toEqual([]);
});

test('one that was moved without the files beside it is told; rows wait until those are gone, too', async () => {
  const { path, ledger, problems, sent, add } = await start();
  await add('a');
  await eventually(() => expect(sent).toEqual(['a']));
  renameSync(path, `${path}.old`);
  ledger.add(recordOf('b'), Date.now());
  await eventually(() =>
    expect(problems).toEqual([expect.stringMatching('it was moved or deleted, but not ')]),
  );
  expect(ledger.state).toMatchObject({ written: 1, waiting: 1, dropped: 0 });
  for (const beside of ['wal', 'shm']) renameSync(`${path}-${beside}`, `${path}.old-${beside}`);
  await eventually(() => expect(sent).toEqual(['a', 'b']));
  expect([await idsIn(`${path}.old`), await idsIn(path)]).toEqual([['a'], ['b']]);
  expect(problems.at(-1)).toBeNull();
});
