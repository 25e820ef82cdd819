/** The processes of a load test: starts, pins, measures and stops them. Linux only, since it reads /proc. */
import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { get } from 'node:http';
import { type AddressInfo, connect, createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { LoadOrder, LoadReport } from './client.ts';
import type { PeersOrder } from './peers.ts';

const repository = fileURLToPath(new URL('../../', import.meta.url));
/** Where what a run writes and installs is kept; not in git. */
export const work = `${repository}.sidegate/bench/`;
/** Heap flags of both the floor and Sidegate; `--heap` replaces them. */
export const defaultHeapFlags = ['--max-semi-space-size=8'];
/** The virtual key the clients send. */
export const benchKey = 'sk-sidegate-bench-0000000000000000';
const readyUsualMs = 60_000;
const pollEveryMs = 2;

/** What can be measured: `direct` is the upstream itself, `raw` bare sockets; the last two are other gateways. */
export type ServerName = 'direct' | 'nginx' | 'raw' | 'floor' | 'sidegate' | 'portkey' | 'litellm';

/** A server under test. */
export interface Server {
  readonly name: ServerName;
  readonly port: number;
  readonly pid: number;
  /** Headers that its requests need, as `name: value`. */
  readonly headers?: readonly string[];
  /** Time from exec to the first 200 of `/readyz`; for the floor, to the first accepted connection. */
  readonly readyMs: number;
  /** CPU time of all its threads so far, user and system, in µs. */
  cpuUs(): number;
  /** Resident memory now, in MB (10⁶ bytes). */
  rssMb(): number;
  /** Empties its log file. */
  trim(): void;
  stop(): Promise<void>;
}

/** How a server is started. */
export interface ServerOptions {
  readonly upstreamPort: number;
  readonly heapFlags: readonly string[];
  /** Whether it is pinned to the first core; otherwise the system schedules it. */
  readonly pinned: boolean;
  /** Additional flags for the runtime, such as `--cpu-prof`. */
  readonly nodeFlags?: readonly string[];
  /** Settings of `observe` and `cache` in place of the template's. */
  readonly observe?: object;
  readonly cache?: object;
  /** Threads that serve; 1 unless it is said. */
  readonly workers?: number;
}

function canPin(): boolean {
  if (availableParallelism() < 2) return false;
  try {
    execFileSync('taskset', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Whether the server gets its own core, which takes two cores and `taskset`. */
export const pinning = canPin();
const serverCore = '0';
const otherCores = availableParallelism() > 2 ? `1-${availableParallelism() - 1}` : '1';

/** What a command begins with to run on these cores. */
const onCores = (cores: string, pinned: boolean): string[] =>
  pinned && pinning ? ['taskset', '-c', cores] : [];

/** The clients and the provider, together in one process separate from the server under test. */
export interface Peers {
  /** The provider's port. */
  readonly upstreamPort: number;
  /** Requests the provider has answered so far. */
  requests(): Promise<number>;
  /** Runs one order; one at a time. */
  load(order: Omit<LoadOrder, 'key'>): Promise<LoadReport>;
  stop(): void;
}

/**
 * Starts a program of this folder on the cores that the server under test doesn't have.
 * @param sharing the server isn't pinned, and needs all cores: the program sleeps when there is nothing to do
 */
export function forkBeside(file: string, sharing = false): ChildProcess {
  const [execPath = process.execPath, ...execArgv] = [...onCores(otherCores, !sharing), process.execPath];
  const env = sharing ? { ...process.env, PEERS_SLEEP: '1' } : process.env;
  return fork(new URL(file, import.meta.url), { execPath, execArgv, env, stdio: 'inherit' });
}

/** Calls `use` beside a process that moves memory on another core. */
export async function withNeighbour<T>(use: () => Promise<T>): Promise<T> {
  const neighbour = forkBeside('neighbour.ts');
  await once(neighbour, 'message');
  try {
    return await use();
  } finally {
    neighbour.kill();
  }
}

/** Starts the peers. @param sharing as of `forkBeside` */
export async function startPeers(sharing = false): Promise<Peers> {
  const child = forkBeside('peers.ts', sharing);
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  const ask = async <T>(order: PeersOrder): Promise<T> => {
    child.send(order);
    const [answer] = (await once(child, 'message')) as [T];
    return answer;
  };
  return {
    upstreamPort: port,
    requests: async () => (await ask<{ requests: number }>('count')).requests,
    load: (order) => ask<LoadReport>({ ...order, key: benchKey }),
    stop: () => void child.kill(),
  };
}

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Requests `/readyz` once; false if nothing answers or it isn't ready. */
function isReady(port: number, path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const request = get({ host: '127.0.0.1', port, path, agent: false }, (response) => {
    response.resume();
    resolve(response.statusCode === 200);
  });
  request.on('error', () => resolve(false));
  return promise;
}

async function untilReady(
  child: ChildProcess,
  name: string,
  withinMs: number,
  probe: () => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await probe())) {
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode} before it was ready`);
    if (performance.now() > deadline) throw new Error(`${name} was not ready within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, pollEveryMs));
  }
}

const threadNs = (pid: number, thread: string): number =>
  Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);

/** CPU time of a process's first thread, µs, where the kernel counts it in ns. */
export const mainThreadUs = (pid: number): number => threadNs(pid, String(pid)) / 1000;

/** CPU time from the kernel's count in ns if there is one, otherwise in ticks of 10 ms. Ended threads are missing. */
function cpuUs(pid: number): number {
  let ns = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) ns += threadNs(pid, thread);
  if (ns > 0) return ns / 1000;
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

function rssMb(pid: number): number {
  const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return (Number(kib) * 1024) / 1e6;
}

function measured(
  child: ChildProcess,
  fixed: Pick<Server, 'name' | 'port' | 'readyMs'>,
  log: string | null,
  files: readonly string[],
): Server {
  const pid = child.pid ?? 0;
  return {
    ...fixed,
    pid,
    cpuUs: () => cpuUs(pid),
    rssMb: () => rssMb(pid),
    trim() {
      if (log) truncateSync(log);
    },
    async stop() {
      if (child.exitCode === null) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
      for (const file of files) rmSync(file, { force: true });
    },
  };
}

/** Starts a program that takes the port it listens on, pinned to the servers' core; its output goes to a file. */
export async function startProgram(
  name: ServerName,
  args: readonly string[],
  port: number,
  options: ProgramOptions,
): Promise<Server> {
  const { pinned, log, quiet = false, files = [], env = {}, readyMs: withinMs = readyUsualMs } = options;
  const [program = '', ...rest] = [...onCores(serverCore, pinned), ...args];
  mkdirSync(work, { recursive: true });
  const out = openSync(log ?? '/dev/null', 'a');
  const start = performance.now();
  const child = spawn(program, rest, {
    stdio: ['ignore', out, quiet ? out : 'inherit'],
    env: { ...process.env, ...env },
  });
  closeSync(out);
  await untilReady(child, name, withinMs, options.ready ?? (() => accepts(port)));
  const readyMs = performance.now() - start;
  const written = log === undefined ? files : [log, ...files];
  return measured(child, { name, port, readyMs }, log ?? null, written);
}

/** How a program is started. */
export interface ProgramOptions extends Pick<ServerOptions, 'pinned'> {
  /** File for its output, emptied between rounds and removed in the end; unset: its output is dropped. */
  readonly log?: string;
  /** What it says on stderr goes there too. */
  readonly quiet?: boolean;
  /** Time it may take to get ready. */
  readonly readyMs?: number;
  /** Whether it serves; unset: it accepts a connection. */
  readonly ready?: () => Promise<boolean>;
  /** Removed when it has stopped. */
  readonly files?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const accepted = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  });
  socket.destroy();
  return accepted;
}

/** Compiles the floor and its like as the product is, as stripping types at run time would cost it 20–40 MB. */
export function compileFloor(): void {
  execFileSync(`${repository}node_modules/.bin/tsc`, ['-p', `${repository}bench/tsconfig.floor.json`], {
    stdio: 'inherit',
  });
}

/** Starts the floor, or bare sockets. `compileFloor` must have run. */
export async function startFloor(options: ServerOptions, name: 'floor' | 'raw' = 'floor'): Promise<Server> {
  const flags = [...options.heapFlags, ...(options.nodeFlags ?? [])];
  const port = await freePort();
  const args = [process.execPath, ...flags, `${work}${name}.js`, String(options.upstreamPort), String(port)];
  return startProgram(name, args, port, options);
}

/** Starts the built Sidegate with `sidegate.yaml`; its log goes to a file. */
export async function startSidegate(options: ServerOptions): Promise<Server> {
  mkdirSync(work, { recursive: true });
  const [port, adminPort] = [await freePort(), await freePort()];
  const values: Record<string, number> = {
    PORT: port,
    ADMIN_PORT: adminPort,
    UPSTREAM_PORT: options.upstreamPort,
  };
  const template = readFileSync(new URL('sidegate.yaml', import.meta.url), 'utf8');
  const config = `${work}sidegate-${port}.yaml`;
  writeFileSync(
    config,
    `workers: ${options.workers ?? 1}\n${template}`
      .replace(/\$\{(\w+)\}/g, (_, name: string) => String(values[name]))
      .replace(/^(observe|cache): .*$/gm, (line, name: 'observe' | 'cache') =>
        options[name] === undefined ? line : `${name}: ${JSON.stringify(options[name])}`,
      ),
  );
  const flags = [...options.heapFlags, ...(options.nodeFlags ?? [])];
  const args = [process.execPath, ...flags, `${repository}dist/main.js`, 'run', '--config', config];
  return startProgram('sidegate', args, port, {
    pinned: options.pinned,
    log: `${work}sidegate-${port}.log`,
    files: [config],
    ready: () => isReady(adminPort, '/readyz'),
  });
}
