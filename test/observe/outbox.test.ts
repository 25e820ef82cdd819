/** The queue of sinks while the ledger's file can't be written: what a sink has, it doesn't get again. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { realWorld } from '../../src/base/world.ts';
import { openWriter } from '../../src/observe/ledger/writer.ts';
import { observe } from '../../src/observe/settings.ts';
import { openSinks } from '../../src/observe/sinks/sinks.ts';
import { packed, recordOf } from '../support/segments.ts';
import { eventually } from '../support/until.ts';

test('a batch that was taken isn’t sent again because that can’t be noted yet', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-outbox-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'ledger.db');
  const writer = await openWriter(path);
  writer.write('k', packed([recordOf('a'), Date.now()]));
  writer.close();
  const lock = new DatabaseSync(path);
  onTestFinished(() => lock.close());
  let batches = 0;
  const server = createServer((req, res) => {
    req.resume().on('end', () => {
      // Nobody can write until it is given back.
      if (batches === 0) lock.exec('BEGIN IMMEDIATE');
      batches += 1;
      res.end();
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const { sinks: settings } = observe.parse({ sinks: { webhook: { url, secret: 's' } } });
  const problems: (string | null)[] = [];
  const sinks = openSinks(path, settings, {
    ...realWorld,
    onProblem: (_, problem) => problems.push(problem),
  });
  onTestFinished(() => sinks.close(10_000));
  await eventually(() => expect(problems).toEqual(['database is locked']));
  lock.exec('ROLLBACK');
  await eventually(() => expect(sinks.states()).toMatchObject([['webhook', { sent: 1, waiting: 0 }]]));
  expect(batches).toBe(1);
});
