/** Reloads come one at a time, however often they are asked for, and none outlives the process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { pino } from 'pino';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { needingRestart } from '../../src/config/changed.ts';
import { oneAtATime } from '../../src/config/reload.ts';
import { restartPaths } from '../../src/config/restart.ts';
import { type Config, configSchema } from '../../src/config/schema.ts';
import { startSidecar } from '../../src/sidecar/sidecar.ts';
import { spawnSidecar } from '../support/sidecar.ts';

test('work requested while it is running is done once more', async () => {
  const ends: (() => void)[] = [];
  const ask = oneAtATime(
    () => new Promise((resolve) => ends.push(resolve)),
    (cause) => expect.fail(String(cause)),
  );
  ask();
  for (let i = 0; i < 5; i++) ask();
  expect(ends).toHaveLength(1);
  ends[0]?.();
  await turn();
  expect(ends).toHaveLength(2);
  ends[1]?.();
  await turn();
  expect(ends).toHaveLength(2);
  ask();
  expect(ends).toHaveLength(3);
});

test('work that fails is told, and asked for again it runs', async () => {
  const faults: unknown[] = [];
  let runs = 0;
  const ask = oneAtATime(
    async () => {
      runs += 1;
      throw new Error(`run ${runs}`);
    },
    (cause) => faults.push(String(cause)),
  );
  ask();
  ask();
  for (let i = 0; i < 10; i++) await turn();
  ask();
  for (let i = 0; i < 10; i++) await turn();
  expect(faults).toEqual(['Error: run 1', 'Error: run 2', 'Error: run 3']);
});

test('a changed setting that needs a restart is logged until the file has the value in use again', async () => {
  const config = (port: number): Config =>
    configSchema.parse({
      listen: { port },
      admin: { port: 0 },
      providers: { here: { dialect: 'openai', baseUrl: 'http://127.0.0.1:9/v1' } },
      routes: [{ model: '*', targets: [{ provider: 'here' }] }],
    });
  const restart = restartPaths(configSchema);
  expect(restart.toSorted()).toEqual([
    'admin.allowedHosts',
    'admin.host',
    'admin.port',
    'cache.snapshot',
    'listen.bodyTimeoutMs',
    'listen.host',
    'listen.port',
    'listen.socket',
    'observe.ledger.path',
    'observe.logTime',
    'observe.otlp.contentMaxBytes',
    'observe.otlp.endpoint',
    'observe.otlp.headers',
    'observe.otlp.metricsEveryMs',
    'observe.otlp.protocol',
    'observe.otlp.ratio',
    'observe.otlp.serviceName',
    'observe.otlp.signals',
    'observe.otlp.tracesPerSecond',
    'observe.sinks.clickhouse.table',
    'observe.sinks.clickhouse.url',
    'observe.sinks.instance',
    'observe.sinks.postgres.table',
    'observe.sinks.postgres.url',
    'observe.sinks.redis.key',
    'observe.sinks.redis.recordsMax',
    'observe.sinks.redis.url',
    'observe.sinks.webhook.secret',
    'observe.sinks.webhook.url',
    'store.flushMs',
    'store.path',
    'workers',
  ]);
  const first = config(0);
  const sidecar = await startSidecar(first, pino({ level: 'silent' }));
  const reload = async (next: Config): Promise<string[]> => {
    await sidecar.reload(next);
    return needingRestart(first, next, restart);
  };
  try {
    expect(await reload(config(4321))).toEqual(['listen.port']);
    expect(await reload(config(4321))).toEqual(['listen.port']);
    expect(await reload(config(0))).toEqual([]);
  } finally {
    await sidecar.drain();
  }
});

test('a list that needs a restart is changed by its values alone', () => {
  const allowing = (host: string): unknown => ({ admin: { allowedHosts: [host] } });
  const restart = ['admin.allowedHosts'];
  expect(needingRestart(allowing('a'), allowing('a'), restart)).toEqual([]);
  expect(needingRestart(allowing('a'), allowing('b'), restart)).toEqual(restart);
});

test('the demo that `npm start` began ends with it', async () => {
  // Not its preparation, which would take the compiled program from under other tests.
  const npm = spawn('npm', ['start', '--ignore-scripts', '--', '--port', '0'], {
    cwd: new URL('../..', import.meta.url),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let text = '';
  const url = await new Promise<string>((resolve) => {
    npm.stdout.on('data', (chunk: Buffer) => {
      text += chunk;
      const found = /Sidegate (http:\/\/127\.0\.0\.1:\d+)/.exec(text)?.[1];
      if (found !== undefined) resolve(found);
    });
  });
  expect((await fetch(`${url}/v1/models`)).status).toBe(200);
  npm.kill('SIGTERM');
  // Its output ends with the last process that writes to it.
  await once(npm, 'close');
  await expect(fetch(`${url}/v1/models`)).rejects.toThrow();
});

describe('what changes while the process starts', () => {
  /** A process whose start waits for the token of a managed identity, which comes once `answer` is called. */
  const startSlowly = async (yaml: string) => {
    const folder = mkdtempSync(join(tmpdir(), 'sidegate-reload-'));
    const path = join(folder, 'sidegate.yaml');
    const held: ServerResponse[] = [];
    const identity = createServer((_, res) => {
      held.push(res);
      identity.emit('asked');
    });
    await once(identity.listen(0, '127.0.0.1'), 'listening');
    const { port } = identity.address() as AddressInfo;
    writeFileSync(join(folder, 'key'), 'first');
    writeFileSync(path, yaml.replaceAll('FOLDER', folder));
    const main = new URL('../../dist/main.js', import.meta.url).pathname;
    const child = spawn(process.execPath, [main, 'run', '--config', path], {
      env: { PATH: process.env.PATH, IDENTITY_ENDPOINT: `http://127.0.0.1:${port}/`, IDENTITY_HEADER: 'h' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += chunk));
    const closed = once(child, 'close');
    onTestFinished(async () => {
      child.kill('SIGTERM');
      await closed;
      identity.close();
      rmSync(folder, { recursive: true, force: true });
    });
    await Promise.race([once(identity, 'asked'), closed]);
    const answer = (): void => {
      identity.removeAllListeners('request');
      identity.on('request', (_, res) => res.writeHead(404).end());
      for (const res of held) res.writeHead(404).end();
    };
    return { folder, path, child, closed, answer, text: () => text };
  };
  const slow =
    'listen: { port: 0 }\nadmin: { port: 0 }\nauthenticate: { anonymousTenant: all }\nproviders:\n' +
    '  az: { preset: azure, baseUrl: "https://x.openai.azure.com/openai/v1", credential: azure }\n' +
    '  own: { dialect: openai, baseUrl: "http://127.0.0.1:9/v1", apiKey: "file:FOLDER/key" }\n' +
    'routes: [{ model: first, targets: [{ provider: az }] }]\n';
  const reloaded = (text: () => string) =>
    vi.waitFor(() => expect(text()).toMatch(/listening.*configuration reloaded/s), { timeout: 30_000 });

  test('a changed file is adopted once it serves', async () => {
    const { path, folder, answer, text } = await startSlowly(slow);
    writeFileSync(path, slow.replaceAll('FOLDER', folder).replace('model: first', 'model: second'));
    answer();
    await reloaded(text);
    const url = /"data":"([^"]+)"/.exec(text())?.[1];
    expect(await (await fetch(`${url}/v1/models`)).text()).toMatch('"second"');
  });

  test('so is a changed secret', async () => {
    const { folder, answer, text } = await startSlowly(slow);
    writeFileSync(join(folder, 'key'), 'second');
    answer();
    await reloaded(text);
  });

  test('a SIGHUP does not end it, and is obeyed once it serves', async () => {
    const { child, answer, text } = await startSlowly(slow);
    child.kill('SIGHUP');
    answer();
    await reloaded(text);
    expect(child.exitCode).toBe(null);
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('a %s ends it before it serves', async (signal) => {
    const { child, closed, text } = await startSlowly(slow);
    child.kill(signal);
    expect(await closed).toEqual([0, null]);
    expect(text()).toMatch(/"msg":"stopped"/);
    expect(text()).not.toMatch(/listening/);
  });
});

// Each reload opens the simulator anew, which would keep the process alive.
const yaml = (seed: number): string =>
  'listen: { port: 0, drainMs: 0 }\nadmin: { port: 0 }\nauthenticate: { anonymousTenant: all }\n' +
  `providers: { sim: { preset: simulator, simulate: { seed: ${seed} } } }\n` +
  'routes: [{ model: "*", targets: [{ provider: sim }] }]\n';

test('the level of the log changes with a reload, without a restart', async () => {
  const sidecar = await spawnSidecar(`${yaml(1)}observe: { log: info }\n`);
  const ask = (): Promise<unknown> =>
    fetch(`${sidecar.url}/v1/chat/completions`, {
      method: 'POST',
      body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hi' }] }),
    }).then((reply) => reply.text());
  const reloads = async (level: string, count: number): Promise<void> => {
    writeFileSync(sidecar.configPath, `${yaml(1)}observe: { log: ${level} }\n`);
    sidecar.child.kill('SIGHUP');
    const done = `sidegate_config_reloads_total{result="ok"} ${count}`;
    const metrics = () => fetch(`${sidecar.adminUrl}/metrics`).then((reply) => reply.text());
    await vi.waitFor(async () => expect(await metrics()).toContain(done), { timeout: 60_000 });
  };
  const line = /"endpoint":"chat"/;
  await ask();
  await sidecar.outputMatching(line);
  await reloads('error', 1);
  const quiet = sidecar.output().length;
  await ask();
  await reloads('info', 2);
  await sidecar.outputMatching(/configuration reloaded/, quiet);
  expect(sidecar.output().slice(quiet)).not.toMatch(line);
  const loud = sidecar.output().length;
  await ask();
  await sidecar.outputMatching(line, loud);
  await sidecar.stop();
});

test('a path that cannot be looked at ends neither the start nor the running process', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-reload-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const loop = join(folder, 'loop');
  symlinkSync('loop', loop);
  const sidecar = await spawnSidecar(`${yaml(1)}catalog: { file: "${loop}" }\n`);
  await sidecar.outputMatching(/circle/);
  const keyed = yaml(1).replace('preset: simulator', `preset: simulator, apiKey: "file:${loop}"`);
  const before = sidecar.output().length;
  writeFileSync(sidecar.configPath, keyed);
  sidecar.child.kill('SIGHUP');
  await sidecar.outputMatching(/circle.*configuration refused/, before);
  // It is followed: once it can be read, it is.
  rmSync(loop);
  writeFileSync(loop, 'a-key');
  await sidecar.outputMatching(/configuration reloaded/, before);
  expect(await sidecar.stop()).toBe(0);
});

test.each([0, 30, 60, 90, 120])('a process that is ended %i ms after a reload began ends', async (ms) => {
  const sidecar = await spawnSidecar(yaml(1));
  writeFileSync(sidecar.configPath, yaml(2));
  sidecar.child.kill('SIGHUP');
  // What is tried is every moment of a reload, not that any of it is over by then.
  await new Promise((resolve) => setTimeout(resolve, ms));
  expect(await sidecar.stop()).toBe(0);
  expect(sidecar.output()).not.toMatch(/"level":(50|60)|refused/);
});
