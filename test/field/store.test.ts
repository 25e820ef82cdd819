/** One store, one process; a wrong clock; a full disk: issue 22, item 13. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { keyTables } from '../../src/authenticate/stored-keys.ts';
import { runCli } from '../../src/cli.ts';
import { lockStore, openStore } from '../../src/store/database.ts';
import { ask } from '../support/client.ts';
import { openaiWire } from '../support/replies.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { fillDisk, smallDisk } from '../support/small-disk.ts';
import { answers, startUpstream } from '../support/upstream.ts';

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-store-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function startAt(path: string, wallMs: () => number = Date.now): Promise<TestSidecar> {
  const upstream = await startUpstream(answers(openaiWire, 'Good'));
  onTestFinished(() => upstream.close());
  return startTestSidecar(
    {
      cache: { enabled: false },
      store: { path },
      providers: { p: { dialect: 'openai', baseUrl: upstream.baseUrl } },
      catalog: { models: [{ model: '*', inputUsdPerMTok: 0, outputUsdPerMTok: 1000 }] },
      routes: [{ model: '*', targets: [{ provider: 'p' }] }],
      budgets: [{ name: 'b', usd: 0.02, window: 'month' }],
    },
    { wallClock: wallMs },
  );
}

const post = async ({ url }: TestSidecar): Promise<number> =>
  (await ask(url, openaiWire.path, { body: { ...(openaiWire.request('hi') as object), max_tokens: 15 } }))
    .status;

test('item 13: a second sidecar on the same store is refused, and takes nothing from the first', async () => {
  const path = join(newFolder(), 'store.db');
  const first = await startAt(path);
  await expect(startAt(path)).rejects.toThrow(
    `The store ${path} is used by another sidecar. Each needs a file of its own: change store.path, or stop the other one.`,
  );
  expect(await post(first)).toBe(200);
  // Commands may use it meanwhile.
  (await openStore(path, [keyTables])).close();
  await first.stop();
  const next = await startAt(path);
  await next.stop();
});

test('item 13: a sidecar that is refused has changed nothing of the store, such as its tables', async () => {
  const path = join(newFolder(), 'store.db');
  const lock = await lockStore(path);
  await expect(startAt(path)).rejects.toThrow('is used by another sidecar');
  expect(existsSync(path)).toBe(false);
  lock.release();
  await (await startAt(path)).stop();
});

test.each([
  ['1970', Date.UTC(1970, 0, 1)],
  ['a year ago', Date.now() - 366 * 86_400_000],
  ['the month before', Date.now() - 31 * 86_400_000],
])('item 13: a clock that says %s at a restart resets no budget, and the log says so', async (_, wallMs) => {
  const path = join(newFolder(), 'store.db');
  const first = await startAt(path);
  // 15 tokens for 0.015 dollars, of 0.02.
  expect([await post(first), await post(first)]).toEqual([200, 429]);
  expect(first.logText()).not.toContain('the clock is behind');
  await first.stop();
  const wrong = await startAt(path, () => wallMs);
  expect(await post(wrong)).toBe(429);
  expect(wrong.logText()).toContain('the clock is behind the budgets in the store');
  await wrong.stop();
  const right = await startAt(path);
  expect(await post(right)).toBe(429);
  await right.stop();
});

test('item 13: `keys create` on a full disk says why it fails', async (context) => {
  const folder = smallDisk(256);
  if (folder === null) return context.skip('no disk can be mounted here');
  const path = join(folder, 'store.db');
  (await openStore(path, [keyTables])).close();
  fillDisk(folder);
  let said = '';
  const shell = {
    env: {},
    print: () => {},
    printError: (text: string) => {
      said += text;
    },
    terminal: false,
    onSignal: () => {},
  };
  expect(await runCli(['keys', 'create', '--store', path, '--id', 'a', '--tenant', 't'], shell)).toBe(1);
  expect(said).toContain(`the disk of ${folder} is full`);
});
