/** Google's tokens: fetched before they are needed, replaced before they expire, sent to Vertex's paths. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { fetchToken } from '../../src/upstream/credentials/google.ts';
import { keepToken, type Token } from '../../src/upstream/credentials/keeper.ts';
import { createKeepers } from '../../src/upstream/credentials/keepers.ts';
import { ask } from '../support/client.ts';
import { geminiWire } from '../support/gemini-wire.ts';
import { openaiWire, testModel } from '../support/replies.ts';
import { startTestSidecar } from '../support/sidecar.ts';
import { answers, startUpstream } from '../support/upstream.ts';

/** Timers and a wall clock that are advanced by hand. */
function handTime() {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  let nowMs = 0;
  const passed = async (ms: number): Promise<void> => {
    nowMs += ms;
    await vi.advanceTimersByTimeAsync(ms);
  };
  return { now: () => nowMs, passed };
}

test('a token is replaced before it expires, kept over failures, and never used after its expiry', async () => {
  const { now, passed } = handTime();
  let given = 0;
  let fails = false;
  const failures: unknown[] = [];
  const fetchToken = async (): Promise<Token> => {
    if (fails) throw new Error('no network');
    given += 1;
    return { value: `t${given}`, expiresMs: now() + 20 * 60_000 };
  };
  const keeper = await keepToken(fetchToken, now, (cause) => failures.push(cause));
  expect(keeper.current()).toBe('t1');
  await passed(9 * 60_000);
  expect(keeper.current()).toBe('t1');
  await passed(60_000);
  expect(keeper.current()).toBe('t2');
  fails = true;
  await passed(11 * 60_000);
  expect(keeper.current()).toBe('t2');
  expect(failures.length).toBeGreaterThan(1);
  await passed(9 * 60_000);
  expect(keeper.current()).toBeNull();
  fails = false;
  await passed(15_000);
  expect(keeper.current()).toBe('t3');
  keeper.close();
  await passed(60 * 60_000);
  expect(given).toBe(3);
});

test('a credential with an invalid expiry is kept, and not fetched in a loop', async () => {
  const { now, passed } = handTime();
  let given = 0;
  const keeper = await keepToken(
    async () => ({ value: `t${++given}`, expiresMs: Number.NaN }),
    now,
    () => {},
  );
  expect(keeper.current()).toBe('t1');
  await passed(29 * 60_000);
  expect(given).toBe(1);
  await passed(60_000);
  expect(given).toBe(2);
  keeper.close();
});

test('a try that hangs is abandoned so that the start continues, then repeated; a refused token is fetched again', async () => {
  const { now, passed } = handTime();
  let asked = 0;
  const failures: unknown[] = [];
  const starting = keepToken(
    (): Promise<Token> => {
      asked += 1;
      return asked === 1 ? new Promise(() => {}) : Promise.resolve({ value: `t${asked}`, expiresMs: 9e9 });
    },
    now,
    (cause) => failures.push(cause),
  );
  await passed(10_000);
  const keeper = await starting;
  expect([keeper.current(), failures.length]).toEqual([null, 1]);
  await passed(15_000);
  expect(keeper.current()).toBe('t2');
  // A burst of refusals asks once.
  keeper.renew();
  expect(asked).toBe(2);
  await passed(15_000);
  keeper.renew();
  keeper.renew();
  await passed(0);
  expect([asked, keeper.current()]).toEqual([3, 't3']);
  keeper.close();
  await passed(60_000);
  keeper.renew();
  expect(asked).toBe(3);
});

test('what several use is kept once, tells each of a failure, and ends with the last', async () => {
  const { now, passed } = handTime();
  let [asked, up] = [0, true];
  const told: string[] = [];
  const keepers = createKeepers(now);
  const open = (user: string) =>
    keepers.open(
      'it',
      async () => {
        asked++;
        if (!up) throw new Error('down');
        return { value: `t${asked}`, expiresMs: 9e12 };
      },
      () => told.push(user),
    );
  const [first, second] = await Promise.all([open('first'), open('second')]);
  expect([first.current(), second.current(), asked]).toEqual(['t1', 't1', 1]);
  up = false;
  await passed(30 * 60_000);
  expect([told, second.current()]).toEqual([['first', 'second'], 't1']);
  first.close();
  first.close();
  up = true;
  await passed(15_000);
  expect(second.current()).toBe('t3');
  second.close();
  await passed(60 * 60_000);
  expect(asked).toBe(3);
  const third = await open('third');
  expect(third.current()).toBe('t4');
  third.close();
});

test('a refused token is fetched again at once, although the clock was set back', async () => {
  const { now, passed } = handTime();
  let [given, backMs] = [0, 0];
  const keeper = await keepToken(
    async () => ({ value: `t${++given}`, expiresMs: 9e9 }),
    () => now() - backMs,
    () => {},
  );
  backMs = 3_600_000;
  keeper.renew();
  await passed(0);
  expect([given, keeper.current()]).toEqual([2, 't2']);
  // A burst of refusals asks once all the same.
  keeper.renew();
  await passed(0);
  expect(given).toBe(2);
  keeper.close();
});

/** A metadata server that this process asks for credentials. @param ready whether it answers yet */
async function startMetadata(ready: () => boolean): Promise<void> {
  const metadata = createServer((req, res) => {
    const isToken = req.url?.includes('/token') ?? false;
    res.writeHead(ready() ? 200 : 404, {
      'metadata-flavor': 'Google',
      'content-type': isToken ? 'application/json' : 'text/plain',
    });
    res.end(
      isToken ? JSON.stringify({ access_token: 'vm-token', expires_in: 3600, token_type: 'Bearer' }) : 'x',
    );
  });
  await new Promise<void>((resolve) => metadata.listen(0, '127.0.0.1', resolve));
  vi.stubEnv('GCE_METADATA_HOST', `127.0.0.1:${(metadata.address() as AddressInfo).port}`);
  vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', '');
  vi.stubEnv('HOME', '/nonexistent');
  onTestFinished(() => {
    vi.unstubAllEnvs();
    metadata.close();
  });
}

test('a metadata server that is not ready yet is asked again', async () => {
  let ready = false;
  await startMetadata(() => ready);
  await expect(fetchToken()).rejects.toThrow();
  ready = true;
  expect((await fetchToken()).value).toBe('vm-token');
});

test('no other program is run for a token', async () => {
  await startMetadata(() => true);
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-gcloud-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'gcloud'), `#!/bin/sh\n: > ${folder}/ran\n`, { mode: 0o755 });
  vi.stubEnv('PATH', `${folder}:${process.env.PATH}`);
  expect((await fetchToken()).value).toBe('vm-token');
  expect(readdirSync(folder)).toEqual(['gcloud']);
});

test('the token of the metadata server is sent to Vertex, on its paths', async () => {
  await startMetadata(() => true);
  const upstream = await startUpstream(answers(geminiWire, 'From Vertex'));
  const base = upstream.baseUrl.replace(/\/v1$/, '');
  const project = '/v1/projects/p/locations/europe-west4/publishers/google';
  const sidecar = await startTestSidecar({
    providers: { vertex: { preset: 'vertex', baseUrl: base + project, credential: 'google' } },
    routes: [{ model: testModel, targets: [{ provider: 'vertex', model: 'gemini-2.5-flash' }] }],
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
  });
  // A busy machine may take longer to load Google's library than one try lasts; the next comes after 15 s.
  const patience = { timeout: 100_000, interval: 500 };
  await vi.waitFor(async () => {
    const reply = await ask(sidecar.url, openaiWire.path, { body: openaiWire.request('Hi') });
    expect(reply.text).toContain('From Vertex');
    // Until there is a token, requests go without.
    expect(upstream.calls.at(-1)?.headers.authorization).toBe('Bearer vm-token');
  }, patience);
  const call = upstream.calls.at(-1);
  expect(call?.path).toBe(`${project}/models/gemini-2.5-flash:generateContent`);
  expect(call?.headers['x-goog-api-key']).toBeUndefined();
});
