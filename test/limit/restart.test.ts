/** Dollar budgets over the end of the process: terminated or killed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { ask } from '../support/client.ts';
import { openaiWire as wire } from '../support/replies.ts';
import { type SidecarProcess, spawnSidecar } from '../support/sidecar.ts';
import { until } from '../support/until.ts';
import { type Script, startUpstream, type Upstream } from '../support/upstream.ts';

/** Each reply costs 1,000 of the budget's 10,000 nano-dollars; a request reserves as much. */
const replyTokens = 1000;
const budgetNanoUsd = 10_000;

const replies: Script = (call) =>
  call.whole(
    200,
    { 'content-type': 'application/json' },
    JSON.stringify({
      choices: [{ index: 0, message: { role: 'assistant', content: 'x' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 1, completion_tokens: replyTokens },
    }),
  );

interface Setup {
  readonly upstream: Upstream;
  readonly storePath: string;
  start(flushMs: number): Promise<SidecarProcess>;
}

async function setup(): Promise<Setup> {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-restart-'));
  const storePath = join(folder, 'store.db');
  const upstream = await startUpstream(replies);
  onTestFinished(async () => {
    await upstream.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    upstream,
    storePath,
    async start(flushMs) {
      const sidecar = await spawnSidecar(`
listen: { port: 0 }
admin: { port: 0 }
authenticate: { anonymousTenant: acme }
cache: { enabled: false }
providers: { p: { dialect: openai, baseUrl: "${upstream.baseUrl}", apiKey: provider-key } }
routes: [{ model: test-model, targets: [{ provider: p }] }]
catalog: { models: [{ model: test-model, inputUsdPerMTok: 0, outputUsdPerMTok: 0.001 }] }
budgets: [{ name: month, usd: ${budgetNanoUsd / 1e9}, window: month }]
store: { path: "${storePath}", flushMs: ${flushMs} }
`);
      onTestFinished(async () => {
        await sidecar.stop();
      });
      return sidecar;
    },
  };
}

const send = async (sidecar: SidecarProcess): Promise<number> =>
  (await ask(sidecar.url, wire.path, { body: wire.request('hi', { max_tokens: replyTokens }) })).status;

/** How many requests pass before the first that is refused. */
async function passing(sidecar: SidecarProcess): Promise<number> {
  for (let count = 0; ; count++) if ((await send(sidecar)) !== 200) return count;
}

/** Waits until the database holds this amount. */
async function stored(path: string, nanoUsd: number): Promise<void> {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 1000 });
  const row = database.prepare('SELECT nano_usd FROM budgets');
  await until(() => row.get()?.nano_usd === nanoUsd);
  database.close();
}

/** Ends a process as `kill -9` does. */
async function kill(sidecar: SidecarProcess): Promise<void> {
  const { pid } = sidecar.child;
  if (pid === undefined) throw new Error('no process');
  process.kill(pid, 'SIGKILL');
  await sidecar.exitCode;
}

test('a process that is terminated forgets nothing, however long the interval', async () => {
  const { start } = await setup();
  const first = await start(60_000);
  for (let i = 0; i < 7; i++) expect(await send(first)).toBe(200);
  expect(await first.stop()).toBe(0);
  expect(await passing(await start(60_000))).toBe(3);
});

test('a process that is killed forgets nothing that was written', async () => {
  const { start, storePath } = await setup();
  const first = await start(10);
  for (let i = 0; i < 7; i++) expect(await send(first)).toBe(200);
  await stored(storePath, 7000);
  await kill(first);
  const second = await start(10);
  expect(await passing(second)).toBe(3);
  await stored(storePath, budgetNanoUsd);
  await kill(second);
  expect(await passing(await start(10))).toBe(0);
});

test('it forgets at most what was granted since the last write', async () => {
  const { start, storePath } = await setup();
  const first = await start(10);
  for (let i = 0; i < 4; i++) expect(await send(first)).toBe(200);
  await stored(storePath, 4000);
  await kill(first);
  // No further write within this test.
  const second = await start(60_000);
  for (let i = 0; i < 2; i++) expect(await send(second)).toBe(200);
  await kill(second);
  // Of 6,000 spent the last 2,000 are forgotten, and no more.
  expect(await passing(await start(60_000))).toBe(6);
});

test('requests in flight when it was killed count as reserved', async () => {
  const { start, storePath, upstream } = await setup();
  const first = await start(10);
  expect(await send(first)).toBe(200);
  upstream.answer(() => {});
  const cut = Promise.allSettled([send(first), send(first)]);
  await upstream.call(2);
  await stored(storePath, 3000);
  await kill(first);
  await cut;
  upstream.answer(replies);
  expect(await passing(await start(10))).toBe(7);
});
