/** A secret whose file is rotated is used without a restart: FIELD row B20, faults row 37. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { rarely } from '../../src/config/reload.ts';
import { ask } from '../support/client.ts';
import { openaiWire } from '../support/replies.ts';
import { spawnSidecar, startTestSidecar } from '../support/sidecar.ts';
import { eventually } from '../support/until.ts';
import { answers, startUpstream } from '../support/upstream.ts';

/** Puts a secret where Kubernetes does: in a folder of its own, to which a link is swapped. */
function rotate(folder: string, version: string, key: string): void {
  mkdirSync(join(folder, version));
  writeFileSync(join(folder, version, 'key'), `${key}\n`);
  symlinkSync(version, join(folder, '..next'));
  renameSync(join(folder, '..next'), join(folder, '..data'));
}

test('B20: a key that Kubernetes rotates is followed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-secret-'));
  rotate(folder, '..1', 'old-key');
  symlinkSync(join('..data', 'key'), join(folder, 'key'));
  const upstream = await startUpstream(answers(openaiWire, 'good'));
  const sidecar = await spawnSidecar(`
listen: { port: 0 }
admin: { port: 0 }
authenticate: { anonymousTenant: test }
cache: { enabled: false }
providers: { p: { dialect: openai, baseUrl: "${upstream.baseUrl}", apiKey: "file:${join(folder, 'key')}" } }
routes: [{ model: "*", targets: [{ provider: p }] }]
`);
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const keyUsed = async (): Promise<unknown> => {
    await ask(sidecar.url, openaiWire.path, { body: openaiWire.request('hi') });
    return upstream.calls.at(-1)?.headers.authorization;
  };
  expect(await keyUsed()).toBe('Bearer old-key');
  rotate(folder, '..2', 'new-key');
  await eventually(async () => expect(await keyUsed()).toBe('Bearer new-key'));
});

test('item 12: a refusal of the key has its file read again, and the key in it is used', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-secret-'));
  const path = join(folder, 'key');
  writeFileSync(path, 'old-key');
  const upstream = await startUpstream((call) =>
    call.headers.authorization === 'Bearer new-key'
      ? answers(openaiWire, 'good')(call)
      : call.whole(401, { 'content-type': 'application/json' }, '{"error":{"message":"no"}}'),
  );
  let refused = 0;
  const provider = { dialect: 'openai', baseUrl: upstream.baseUrl, apiKey: 'old-key' } as const;
  const inside = await startTestSidecar(
    { providers: { p: provider }, routes: [{ model: '*', targets: [{ provider: 'p' }] }] },
    { onKeyRefused: () => refused++ },
  );
  const sidecar = await spawnSidecar(`
listen: { port: 0 }
admin: { port: 0 }
authenticate: { anonymousTenant: test }
cache: { enabled: false }
providers: { p: { dialect: openai, baseUrl: "${upstream.baseUrl}", apiKey: "file:${path}" } }
routes: [{ model: "*", targets: [{ provider: p }] }]
`);
  onTestFinished(async () => {
    await Promise.all([sidecar.stop(), inside.stop()]);
    await upstream.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const post = async (url: string) =>
    (await ask(url, openaiWire.path, { body: openaiWire.request('hi') })).status;
  expect(await post(inside.url)).toBe(502);
  expect(refused).toBe(1);
  // Nothing to adopt: a refusal alone reloads nothing, and is asked about no more than now and then.
  expect(await post(sidecar.url)).toBe(502);
  writeFileSync(path, 'new-key');
  await eventually(async () => expect(await post(sidecar.url)).toBe(200));
  await sidecar.outputMatching(/configuration reloaded/);
});

test('item 12: a file that a new configuration names before it is there is waited for', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-secret-'));
  const path = join(folder, 'key');
  const upstream = await startUpstream(answers(openaiWire, 'good'));
  const yaml = (key: string): string => `
listen: { port: 0 }
admin: { port: 0 }
authenticate: { anonymousTenant: test }
cache: { enabled: false }
providers: { p: { dialect: openai, baseUrl: "${upstream.baseUrl}", apiKey: "${key}" } }
routes: [{ model: "*", targets: [{ provider: p }] }]
`;
  const sidecar = await spawnSidecar(yaml('old-key'));
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
    rmSync(folder, { recursive: true, force: true });
  });
  writeFileSync(sidecar.configPath, yaml(`file:${path}`));
  await sidecar.outputMatching(/configuration refused/);
  writeFileSync(path, 'new-key');
  await sidecar.outputMatching(/configuration reloaded/);
  await ask(sidecar.url, openaiWire.path, { body: openaiWire.request('hi') });
  expect(upstream.calls.at(-1)?.headers.authorization).toBe('Bearer new-key');
});

test('item 12: files are read again rarely, and once more for what was refused meanwhile', () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  let runs = 0;
  const asked = rarely(() => runs++, 5000);
  for (let i = 0; i < 100; i++) asked();
  expect(runs).toBe(1);
  vi.advanceTimersByTime(5000);
  expect(runs).toBe(2);
  vi.advanceTimersByTime(60_000);
  expect(runs).toBe(2);
  asked();
  expect(runs).toBe(3);
});
