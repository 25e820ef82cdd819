/** The data port on a Unix socket: the file that a killed process left is replaced, and nothing else is. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { runCommand } from '../support/run-command.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';

let path = '';
beforeEach(() => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-socket-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  path = join(folder, 'data.sock');
});

const start = (): Promise<TestSidecar> =>
  startTestSidecar({
    listen: { socket: path },
    providers: { sim: { preset: 'simulator' } },
    routes: [{ model: 'sim', targets: [{ provider: 'sim' }] }],
  });

/** Status of a request over the socket. */
const ask = (): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    const sent = request(
      { socketPath: path, path: '/v1/models', headers: { host: 'localhost' } },
      (reply) => {
        reply.resume();
        resolve(reply.statusCode);
      },
    );
    sent.on('error', reject);
    sent.end();
  });

test('one that a killed process left does not keep the next from starting', async () => {
  const killed = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
  expect(spawnSync(process.execPath, ['-e', killed, path]).signal).toBe('SIGKILL');
  expect(existsSync(path)).toBe(true);
  const sidecar = await start();
  expect(await ask()).toBe(200);
  await sidecar.stop();
  expect(existsSync(path)).toBe(false);
});

test('one that another process listens on is refused by its path, and goes on', async () => {
  const first = await start();
  onTestFinished(() => first.stop());
  const config = `${path}.yaml`;
  writeFileSync(
    config,
    `listen: { socket: "${path}" }\nadmin: { port: 0 }\nauthenticate: { anonymousTenant: all }\n` +
      'providers: { sim: { preset: simulator } }\nroutes: [{ model: "*", targets: [{ provider: sim }] }]\n',
  );
  const { code, err } = await runCommand(['run', '--config', config]);
  expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining(`${path} is already in use`) });
  expect(await ask()).toBe(200);
});

test('another file at its path stays', async () => {
  writeFileSync(path, 'a file');
  await expect(start()).rejects.toThrow('EADDRINUSE');
  expect(readFileSync(path, 'utf8')).toBe('a file');
});
