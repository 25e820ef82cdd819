/** A secret whose file is rotated is used without a restart: FIELD row B20. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { ask } from '../support/client.ts';
import { openaiWire } from '../support/replies.ts';
import { spawnSidecar } from '../support/sidecar.ts';
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
  await vi.waitFor(async () => expect(await keyUsed()).toBe('Bearer new-key'), { timeout: 60_000 });
});
