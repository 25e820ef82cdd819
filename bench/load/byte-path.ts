/**
 * The byte path: what a request costs beyond moving its bytes, beside nginx, bare sockets and the floor. In a calm hour,
 * and in a busy one, when another process moves memory on the next core.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { startNginx } from './nginx.ts';
import {
  type Server,
  type ServerName,
  type ServerOptions,
  startFloor,
  startSidegate,
  withNeighbour,
} from './processes.ts';
import { inTurn, type Load, type Rig, type Round } from './run.ts';
import { type Comparison, compare, median } from './stats.ts';

/** One row of the results. */
export interface BenchRow {
  readonly name: string;
  readonly unit: 'µs' | 'MB';
  /** What each round showed; a server that couldn't be started is missing. */
  readonly values: ReadonlyMap<ServerName, readonly number[]>;
  /** Most that Sidegate should take, as a share of the floor; null: it is told only. */
  readonly goal: number | null;
}

/** Two servers of a row. @param base the one that the other is measured by */
export const compareIn = ({ values }: BenchRow, base: ServerName, other: ServerName): Comparison =>
  compare((values.get(base) ?? []).map((value, i) => [value, values.get(other)?.[i] ?? NaN]));

/** What was measured in one hour. */
export interface Hour {
  readonly name: 'calm' | 'busy';
  readonly rows: readonly BenchRow[];
}

/** All results. */
export interface BytePath {
  readonly hours: readonly Hour[];
  /** Why there is no nginx; null: there is. */
  readonly without: string | null;
}

/** One figure of a round. */
export interface Figure {
  readonly name: string;
  readonly goal?: number;
  /** µs. */
  of(round: Round): number;
  /** What asking the upstream directly takes is subtracted. */
  readonly added?: true;
}

/** A load, and what is read from its rounds. */
export interface Task {
  readonly load: Load;
  readonly rounds: Readonly<Record<Hour['name'], number>>;
  readonly figures: readonly Figure[];
}

/** 10,000 events a second each: at ten times that, the load itself would take more than its core. */
const streamLoads = [
  { count: 100, pace: { events: 200, pauseMs: 10 } },
  { count: 1000, pace: { events: 20, pauseMs: 100 } },
] as const;
const streamMs = 2000;
const settleMs = 1000;

/** CPU time of a request. */
export const cpu = (name: string, goal?: number): Figure => ({
  name,
  ...(goal !== undefined && { goal }),
  of: ({ cpuUs }) => cpuUs,
});
/** What half of the requests took at most. */
export const p50 = (name: string): Figure => ({ name, of: ({ report }) => report.p50Us });

const tasks: readonly Task[] = [
  {
    load: { mode: 'miss', connections: 32 },
    rounds: { calm: 11, busy: 11 },
    figures: [cpu('CPU, a miss of 1 KB', 1)],
  },
  {
    load: { mode: 'hit', connections: 32 },
    rounds: { calm: 11, busy: 11 },
    figures: [cpu('CPU, an exact hit of 1 KB', 0.45)],
  },
  {
    load: { mode: 'miss', connections: 32, promptBytes: 100 * 1024 },
    rounds: { calm: 11, busy: 11 },
    figures: [cpu('CPU, a miss of 100 KB', 1)],
  },
  {
    load: { mode: 'miss', connections: 1 },
    rounds: { calm: 11, busy: 5 },
    figures: [{ ...p50('p50 added at one connection'), goal: 1, added: true }],
  },
  {
    load: { mode: 'miss', connections: 64, ratePerSecond: 500, durationMs: 2000, warmMs: 200 },
    rounds: { calm: 5, busy: 3 },
    figures: [
      p50('p50 at 500 requests a second'),
      { name: 'p99 at 500 requests a second', goal: 0.53, of: ({ report }) => report.p99Us },
    ],
  },
  ...streamLoads.map(
    ({ count, pace }): Task => ({
      // They begin one after the other over the time of a stream; latencies count once half of them run.
      load: {
        ...{ mode: 'stream', connections: count, streams: pace },
        ...{ durationMs: 2 * streamMs, warmMs: streamMs / 2 },
      },
      rounds: { calm: 3, busy: 2 },
      figures: [
        { name: `CPU an event, ${count} streams`, goal: 1.1, of: ({ cpuUs }) => cpuUs / pace.events },
        { name: `first token p50, ${count} streams`, of: ({ report }) => report.firstP50Us },
        { name: `first token p99, ${count} streams`, goal: 1.2, of: ({ report }) => report.firstP99Us },
      ],
    }),
  ),
];

/** A row of what each round showed of each server. */
const rowOf = (
  name: string,
  unit: BenchRow['unit'],
  servers: readonly Server[],
  rounds: readonly (readonly number[])[],
  goal: number | null,
): BenchRow => {
  const values = new Map(servers.map((server, i) => [server.name, rounds.map((each) => each[i] ?? NaN)]));
  return { name, unit, values, goal };
};

/** The upstream itself, as a server. */
const directly = (port: number): Server => ({
  name: 'direct',
  port,
  pid: process.pid,
  readyMs: 0,
  cpuUs: () => 0,
  rssMb: () => 0,
  trim: () => {},
  stop: async () => {},
});

/** Runs all tasks on servers in turn. */
export async function measureTasks(
  rig: Rig,
  servers: readonly Server[],
  tasks: readonly Task[],
  hour: Hour['name'],
): Promise<BenchRow[]> {
  const direct = directly(rig.peers.upstreamPort);
  const rows: BenchRow[] = [];
  const add = (row: BenchRow): void => {
    rows.push(row);
    rig.say(`${hour}: ${lineOf(row)}`);
  };
  for (const { load, rounds, figures } of tasks) {
    const all = figures.some(({ added }) => added) ? [...servers, direct] : servers;
    const seen = await inTurn(rig, all, load, Math.min(rounds[hour], rig.options.rounds));
    for (const { name, of, added, goal = null } of figures) {
      const values = seen.map((each) => {
        const taken = each.map(of);
        const most = added === undefined ? 0 : (taken.at(-1) ?? NaN);
        return taken.map((value) => value - most);
      });
      add(rowOf(name, 'µs', servers, values, goal));
    }
    if (load.mode === 'stream') {
      const rss = servers.map((server) => server.rssMb());
      add(rowOf(`RSS after ${load.connections} streams`, 'MB', servers, [rss], null));
    }
  }
  return rows;
}

/** A row in words. */
function lineOf(row: BenchRow): string {
  const medians = [...row.values].map(([server, values]) => {
    const value = median(values);
    return `${server} ${value.toFixed(value < 1000 ? 1 : 0)}`;
  });
  const { ratio, ratioLow, ratioHigh } = compareIn(row, 'floor', 'sidegate');
  const quartiles = `${ratioLow.toFixed(2)}–${ratioHigh.toFixed(2)}`;
  return `${row.name}: ${medians.join(', ')} ${row.unit}; ${ratio.toFixed(2)} × the floor (${quartiles})`;
}

/** Requests after which memory is read, and read again after as many more: what grows shows in the second half. */
const halfRequests = 500_000;
const halfMaxMs = 300_000;
/** Small caches, which are full long before. */
const smallCache = { enabled: true, bytesMax: 16 * 1024 * 1024 };

/** Memory over a million requests, of fresh processes. */
async function measureLong(rig: Rig, options: ServerOptions): Promise<BenchRow[]> {
  const servers = [await startFloor(options), await startSidegate({ ...options, cache: smallCache })];
  const rows: BenchRow[] = [];
  try {
    for (const requests of [halfRequests, 2 * halfRequests]) {
      for (const { port, trim } of servers) {
        const order = { port, mode: 'miss', connections: 32, durationMs: halfMaxMs } as const;
        const { errors, requests: done } = await rig.peers.load({ ...order, requestsMax: halfRequests });
        if (errors > 0 || done < halfRequests) throw new Error(`${errors} of ${done} requests failed`);
        trim();
      }
      await sleep(settleMs);
      const rss = servers.map((server) => server.rssMb());
      const name = `RSS after ${requests.toLocaleString('en')} requests, caches of 16 MB`;
      rows.push(rowOf(name, 'MB', servers, [rss], null));
    }
  } finally {
    for (const server of servers) await server.stop();
  }
  for (const row of rows) rig.say(lineOf(row));
  return rows;
}

/** Starts all servers and measures both hours, in about twelve minutes. */
export async function measureBytePath(rig: Rig): Promise<BytePath> {
  const options: ServerOptions = {
    upstreamPort: rig.peers.upstreamPort,
    heapFlags: rig.options.heapFlags,
    pinned: true,
  };
  const servers: Server[] = [];
  try {
    const nginx = await startNginx(options);
    if (typeof nginx === 'string') rig.say(`Without nginx: ${nginx}.`);
    else servers.push(nginx);
    for (const name of ['raw', 'floor'] as const) servers.push(await startFloor(options, name));
    servers.push(await startSidegate({ ...options, nodeFlags: rig.options.sidegateFlags }));
    const calm = await measureTasks(rig, servers, tasks, 'calm');
    const busy = await withNeighbour(() => measureTasks(rig, servers, tasks, 'busy'));
    const hours = [{ name: 'calm', rows: calm } as const, { name: 'busy', rows: busy } as const];
    calm.push(...(await measureLong(rig, options)));
    return { hours, without: typeof nginx === 'string' ? nginx : null };
  } finally {
    for (const server of servers) await server.stop();
  }
}
