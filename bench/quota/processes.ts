/** Processes of the quota benchmark: sidecars, and Redis in each of its forms. Each is ended by its id. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'sidegate-quota-'));
const readyWithinMs = 30_000;
const triesMax = 5;

/** Removes what the benchmark wrote. */
export const removeWork = (): void => rmSync(work, { recursive: true, force: true });

/** Listens on a free port of the loopback address; gives the port. */
export async function listenLocally(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenLocally(server);
  server.close();
  await once(server, 'close');
  return port;
}

/** A process of ours. */
export interface Process {
  readonly port: number;
  readonly pid: number;
  signal(name: NodeJS.Signals): void;
  stop(): Promise<void>;
}

function processOf(child: ChildProcess, port: number): Process {
  return {
    port,
    pid: child.pid ?? 0,
    signal: (name) => void child.kill(name),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGCONT');
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** The library that gives a process another time of day, from a file that may change; null: it isn't installed. */
const faketime = ['x86_64', 'aarch64']
  .map((arch) => `/usr/lib/${arch}-linux-gnu/faketime/libfaketime.so.1`)
  .find(existsSync);

/** A time of day that can be set. */
export interface WallClock {
  readonly env: Readonly<Record<string, string>>;
  /** @param offset such as `+1h` or `-1h` */
  set(offset: string): void;
}

/** A clock for processes started with its environment; null without Debian's `faketime`. */
export function wallClock(): WallClock | null {
  if (faketime === undefined) return null;
  const file = join(work, `clock-${Math.random().toString(36).slice(2)}`);
  const set = (offset: string): void => writeFileSync(file, `${offset}\n`);
  set('+0');
  return {
    set,
    env: {
      // Redis' own allocator asks for the time before the library can tell it: the usual one comes first.
      LD_PRELOAD: `${faketime}:${join(dirname(dirname(faketime)), 'libc.so.6')}`,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      DONT_FAKE_MONOTONIC: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
  };
}

/** A sidecar with its admin port. */
export interface Pod extends Process {
  readonly adminPort: number;
}

/** Starts a sidecar, and waits until it is ready. */
export async function startPod(number: number, config: object, env: object = {}): Promise<Pod> {
  for (let tried = 1; ; tried++) {
    const pod = await tryPod(number, config, env);
    if (pod !== null) return pod;
    // Another process may have taken its port meanwhile.
    if (tried === triesMax) throw new Error(`pod ${number} ended before it was ready`);
  }
}

/** Null: it ended before it was ready. */
async function tryPod(number: number, config: object, env: object): Promise<Pod | null> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const file = join(work, `pod-${number}-${port}.json`);
  const listening = { listen: { port, drainMs: 0 }, admin: { port: adminPort } };
  writeFileSync(file, JSON.stringify({ ...config, ...listening }));
  const child = spawn(process.execPath, [main, 'run', '--config', file], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...env },
  });
  const started = performance.now();
  for (;;) {
    if (child.exitCode !== null) return null;
    const reply = await fetch(`http://127.0.0.1:${adminPort}/readyz`).catch(() => null);
    if (reply?.ok === true) break;
    if (performance.now() - started > readyWithinMs) {
      child.kill('SIGKILL');
      throw new Error(`pod ${number} was not ready in time`);
    }
    await wait(20);
  }
  return { ...processOf(child, port), adminPort };
}

/** Starts a `redis-server`, and waits until it answers. @param port 0: a free one */
export async function startRedis(args: readonly string[] = [], port = 0, env: object = {}): Promise<Process> {
  const at = port === 0 ? await freePort() : port;
  const folder = mkdtempSync(join(work, 'redis-'));
  const fixed = ['--port', String(at), '--bind', '127.0.0.1', '--dir', folder];
  const kept = args.includes('--sentinel') ? [] : ['--save', '', '--appendonly', 'no'];
  const given = args[0]?.endsWith('.conf') === true ? [...args, ...fixed] : [...fixed, ...kept, ...args];
  const child = spawn('redis-server', given, { stdio: 'ignore', env: { ...process.env, ...env } });
  const started = performance.now();
  for (;;) {
    if (child.exitCode !== null) {
      if (port !== 0) throw new Error('redis-server ended before it was ready');
      return startRedis(args, port, env);
    }
    if (await answers(at)) return processOf(child, at);
    if (performance.now() - started > readyWithinMs) throw new Error('redis-server was not ready in time');
    await wait(20);
  }
}

const answers = (port: number): Promise<boolean> =>
  cli(port, 'ping').then(
    (text) => text.includes('PONG'),
    () => false,
  );

/** Runs `redis-cli`; gives what it printed. */
export async function cli(port: number, ...args: readonly string[]): Promise<string> {
  return (await run('redis-cli', ['-p', String(port), ...args], { timeout: 10_000 })).stdout;
}

/** A proxy before Redis that can hold back what Redis answers. */
export interface DelayingProxy {
  readonly port: number;
  /** Delay of each answer from now on, ms. */
  delayMs: number;
  close(): void;
}

/** Starts a proxy before a Redis. */
export async function startProxy(to: number): Promise<DelayingProxy> {
  const proxy = { port: 0, delayMs: 0, close: () => void server.close() };
  const server = createServer((client) => {
    const redis = connect(to, '127.0.0.1');
    client.pipe(redis);
    redis.on('data', (chunk: Buffer) => {
      if (proxy.delayMs === 0) client.write(chunk);
      else setTimeout(() => client.write(chunk), proxy.delayMs);
    });
    for (const [one, other] of [
      [client, redis],
      [redis, client],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  });
  proxy.port = await listenLocally(server);
  return proxy;
}

/** A master with a replica, watched by three Sentinels. */
export async function startSentinels() {
  const master = await startRedis();
  const replica = await startRedis(['--replicaof', '127.0.0.1', String(master.port)]);
  const sentinels: Process[] = [];
  for (let i = 0; i < 3; i++) {
    const file = join(work, `sentinel-${i}.conf`);
    writeFileSync(
      file,
      [
        `sentinel monitor mymaster 127.0.0.1 ${master.port} 2`,
        'sentinel down-after-milliseconds mymaster 1000',
        'sentinel failover-timeout mymaster 5000',
        '',
      ].join('\n'),
    );
    sentinels.push(await startRedis([file, '--sentinel']));
  }
  return { master, replica, sentinels, all: [master, replica, ...sentinels] };
}

/** Three masters of a cluster, every slot assigned. */
export async function startCluster(): Promise<Process[]> {
  const nodes: Process[] = [];
  for (let i = 0; i < 3; i++)
    nodes.push(await startRedis(['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000']));
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`);
  const [first] = nodes as [Process];
  await run('redis-cli', ['--cluster', 'create', ...addresses, '--cluster-yes'], { timeout: 30_000 });
  while (!(await cli(first.port, 'cluster', 'info')).includes('cluster_state:ok')) await wait(50);
  return nodes;
}

/** Moves a slot with its keys to another node, as `redis-cli --cluster reshard` would. */
export async function moveSlot(nodes: readonly Process[], slot: number): Promise<void> {
  const ids = await Promise.all(nodes.map(async ({ port }) => (await cli(port, 'cluster', 'myid')).trim()));
  const owner = await ownerOf(nodes, slot);
  const to = (owner + 1) % nodes.length;
  const [source, target] = [nodes[owner] as Process, nodes[to] as Process];
  await cli(target.port, 'cluster', 'setslot', String(slot), 'importing', String(ids[owner]));
  await cli(source.port, 'cluster', 'setslot', String(slot), 'migrating', String(ids[to]));
  for (;;) {
    const keys = (await cli(source.port, 'cluster', 'getkeysinslot', String(slot), '100')).split('\n');
    const found = keys.filter((key) => key !== '');
    if (found.length === 0) break;
    await cli(source.port, 'migrate', '127.0.0.1', String(target.port), '', '0', '5000', 'keys', ...found);
  }
  for (const { port } of [target, source, ...nodes])
    await cli(port, 'cluster', 'setslot', String(slot), 'node', String(ids[to])).catch(() => '');
}

async function ownerOf(nodes: readonly Process[], slot: number): Promise<number> {
  for (const [i, { port }] of nodes.entries()) {
    const line =
      (await cli(port, 'cluster', 'nodes')).split('\n').find((text) => text.includes('myself')) ?? '';
    for (const range of line.split(' ').slice(8)) {
      const [from = Number.NaN, to = from] = range.split('-').map(Number);
      if (slot >= from && slot <= to) return i;
    }
  }
  throw new Error(`no node has slot ${slot}`);
}
