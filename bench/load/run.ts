/** The load tests: Sidegate with all stages on against the floor, in alternating rounds through real sockets. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadOrder, LoadReport } from './client.ts';
import {
  compileFloor,
  type Peers,
  type Server,
  type ServerOptions,
  startFloor,
  startPeers,
  startSidegate,
} from './processes.ts';
import { type Comparison, compare, median } from './stats.ts';

/** How long and how often to measure. */
export interface LoadOptions {
  /** Pairs of rounds for CPU time. */
  readonly rounds: number;
  readonly roundMs: number;
  /** Pairs of rounds for latencies; 0 skips them. */
  readonly latencyRounds: number;
  /** Requests sent before memory is read. */
  readonly rssRequests: number;
  /** Number of fresh process pairs for memory. */
  readonly rssRuns: number;
  readonly starts: number;
  readonly heapFlags: readonly string[];
  /** Additional runtime flags for Sidegate only, such as `--cpu-prof`. */
  readonly sidegateFlags: readonly string[];
  /** Runs the floor in place of Sidegate, which shows the scatter of the method itself. */
  readonly self: boolean;
}

/** Latencies in µs over one path to the model. */
export interface Latency {
  readonly p50Us: number;
  readonly p99Us: number;
}

/** Latencies of the same load over three paths. */
export interface LatencyRow {
  readonly mode: LoadOrder['mode'];
  readonly connections: number;
  /** Of a stream: to its first token; otherwise to the reply's last byte. */
  readonly direct: Latency;
  readonly floor: Latency;
  readonly sidegate: Latency;
}

/** CPU time per request (or per stream), in µs. */
export type CpuResults = Partial<Record<LoadOrder['mode'], Comparison>>;

/** Connections of a full load. */
export const connectionsFull = 32;
const orderMs = 120_000;
const settleMs = 1000;
/**
 * By then, in ms, memory used only for starting (such as the thread that reads the configuration) has been returned.
 */
const startedMs = 10_000;
const unlimited = 10_000_000;
/** Questions stored before what it costs to find one is measured. */
const questionsStored = 10_000;

/** What all measurements share. */
export interface Rig {
  readonly peers: Peers;
  readonly options: LoadOptions;
  readonly say: (line: string) => void;
}

/** Two servers, started the same way. */
export interface Pair {
  readonly floor: Server;
  readonly sidegate: Server;
}

/** Starts everything besides the servers, calls `use`, then stops it. */
export async function withRig<T>(
  options: LoadOptions,
  say: Rig['say'],
  use: (rig: Rig) => Promise<T>,
): Promise<T> {
  compileFloor();
  const peers = await startPeers();
  try {
    return await use({ peers, options, say });
  } finally {
    peers.stop();
  }
}

async function start(rig: Rig, which: keyof Pair, pinned: boolean): Promise<Server> {
  const { heapFlags, sidegateFlags, self } = rig.options;
  const common: ServerOptions = { upstreamPort: rig.peers.upstreamPort, heapFlags, pinned };
  if (which === 'floor' || self) return startFloor(common);
  return startSidegate({ ...common, nodeFlags: sidegateFlags });
}

/** Starts a fresh pair, pinned to one core, calls `use`, then stops it. */
export async function withPair<T>(rig: Rig, use: (pair: Pair) => Promise<T>): Promise<T> {
  const floor = await start(rig, 'floor', true);
  try {
    const sidegate = await start(rig, 'sidegate', true);
    try {
      return await use({ floor, sidegate });
    } finally {
      await sidegate.stop();
    }
  } finally {
    await floor.stop();
  }
}

/** Runs an order in which every request must succeed: a benchmark of refusals would be worthless. */
async function load(rig: Rig, order: Omit<LoadOrder, 'key'>): Promise<LoadReport> {
  const report = await rig.peers.load(order);
  if (report.errors > 0 || report.requests === 0) {
    throw new Error(`${report.errors} of ${report.requests} requests failed: ${report.firstError}`);
  }
  return report;
}

/** A load: an order without the server it is for, and for how long. */
export type Load = Omit<LoadOrder, 'key' | 'port' | 'requestsMax' | 'durationMs'> & {
  /** Unset: the length of a round. */
  readonly durationMs?: number;
};

/** What one round on one server showed. */
export interface Round {
  /** CPU time of all its threads per request, µs. */
  readonly cpuUs: number;
  readonly report: LoadReport;
}

/** One round on one server. @throws if requests failed, or were answered otherwise than the load means */
export async function round(rig: Rig, server: Server, what: Load): Promise<Round> {
  const { mode, connections } = what;
  const before = await rig.peers.requests();
  const cpuBefore = server.cpuUs();
  const report = await load(rig, {
    durationMs: rig.options.roundMs,
    ...what,
    port: server.port,
    headers: server.headers ?? [],
    requestsMax: unlimited,
  });
  const used = server.cpuUs() - cpuBefore;
  const reached = (await rig.peers.requests()) - before;
  const cached = (mode === 'hit' || mode === 'rewording') && server.name === 'sidegate';
  const expected = cached ? 0 : report.requests;
  // The very first request is a miss, and up to one per connection may be in flight until its reply is stored. Of
  // thousands of questions made from parts, a few ask the same but for courtesy words, which is answered from the cache.
  const allowed = cached ? connections : mode === 'question' ? Math.ceil(report.requests / 100) : 0;
  if (Math.abs(reached - expected) > allowed) {
    throw new Error(
      `${server.name}: ${reached} of ${report.requests} requests reached the upstream (${mode})`,
    );
  }
  server.trim();
  return { cpuUs: used / report.requests, report };
}

/**
 * Rounds on several servers in turn: A B, B A, A B, …, so that drift of the machine affects all equally. Each gets one
 * first that doesn't count, unless the load has a time to get warm. Returns the rounds, each with the servers in their order.
 */
export async function inTurn(
  rig: Rig,
  servers: readonly Server[],
  what: Load,
  rounds: number,
): Promise<Round[][]> {
  if (what.warmMs === undefined) for (const server of servers) await round(rig, server, what);
  const all: Round[][] = [];
  for (let i = 0; i < rounds; i++) {
    const order = i % 2 === 0 ? servers : servers.toReversed();
    const seen = new Map<Server, Round>();
    for (const server of order) seen.set(server, await round(rig, server, what));
    all.push(servers.flatMap((server) => seen.get(server) ?? []));
  }
  return all;
}

/** CPU time per request, in pairs of rounds. */
export async function measureCpu(rig: Rig, pair: Pair, what: Load, rounds: number): Promise<Comparison> {
  const pairs = await inTurn(rig, [pair.floor, pair.sidegate], what, rounds);
  const result = compare(pairs.map(([floor, sidegate]) => [floor?.cpuUs ?? NaN, sidegate?.cpuUs ?? NaN]));
  rig.say(
    `${what.mode}, ${what.connections} connections: ${result.sidegate.toFixed(1)} µs CPU against ` +
      `${result.floor.toFixed(1)} µs, ratio ${result.ratio.toFixed(2)}`,
  );
  return result;
}

/** What the semantic level costs over HTTP. */
export interface SemanticCpu {
  /** A hit in other words, against the floor. */
  readonly hit: Comparison;
  /** A miss for which a hit in other words was looked for, against one without that. Not the floor: both are Sidegate. */
  readonly miss: Comparison;
  /** The same where none would be served, so that only some are looked for. */
  readonly watched: Comparison;
}

/** Measures it with an index as full as misses make it. */
export async function measureSemantic(rig: Rig, rounds: number): Promise<SemanticCpu> {
  const { upstreamPort } = rig.peers;
  const common = { upstreamPort, heapFlags: rig.options.heapFlags, pinned: true };
  const opened: Server[] = [];
  const open = async (server: Promise<Server>): Promise<Server> => {
    const one = await server;
    opened.push(one);
    return one;
  };
  const withLevel = (semantic: object): Promise<Server> =>
    open(startSidegate({ ...common, cache: { semantic } }));
  try {
    const without = await withLevel({ mode: 'off' });
    // All are looked for, and none is served, so that each is a miss.
    const looking = await withLevel({ mode: 'shadow', watchPerSecond: 1_000_000 });
    const watching = await withLevel({ mode: 'shadow' });
    const live = await withLevel({ mode: 'on' });
    const asked = { mode: 'question', connections: connectionsFull } as const;
    for (const { port } of [without, looking, watching, live])
      await load(rig, { ...asked, port, requestsMax: questionsStored, durationMs: orderMs });
    const miss = await measureCpu(rig, { floor: without, sidegate: looking }, asked, rounds);
    const watched = await measureCpu(rig, { floor: without, sidegate: watching }, asked, rounds);
    const floor = await open(startFloor(common));
    const reworded = { mode: 'rewording', connections: connectionsFull } as const;
    return { miss, watched, hit: await measureCpu(rig, { floor, sidegate: live }, reworded, rounds) };
  } finally {
    for (const server of opened) await server.stop();
  }
}

/** Latencies over three paths in turn: for each percentile, the median over all rounds. */
export async function measureLatency(rig: Rig, pair: Pair, what: Load): Promise<LatencyRow> {
  const ways = {
    direct: { port: rig.peers.upstreamPort, seen: [] as LoadReport[] },
    floor: { port: pair.floor.port, seen: [] as LoadReport[] },
    sidegate: { port: pair.sidegate.port, seen: [] as LoadReport[] },
  };
  for (let i = 0; i < rig.options.latencyRounds; i++) {
    for (const way of Object.values(ways)) {
      const order = { ...what, port: way.port, requestsMax: unlimited, durationMs: rig.options.roundMs };
      way.seen.push(await load(rig, order));
    }
    pair.sidegate.trim();
  }
  const of = ({ seen }: { seen: readonly LoadReport[] }): Latency => {
    const stream = what.mode === 'stream';
    return {
      p50Us: median(seen.map((report) => (stream ? report.firstP50Us : report.p50Us))),
      p99Us: median(seen.map((report) => (stream ? report.firstP99Us : report.p99Us))),
    };
  };
  const row = { ...what, direct: of(ways.direct), floor: of(ways.floor), sidegate: of(ways.sidegate) };
  rig.say(`${what.mode}, ${what.connections} connections: p50 ${row.sidegate.p50Us.toFixed(0)} µs`);
  return row;
}

/** Memory in MB, some seconds after the processes became ready and after the load. */
export interface Memory {
  readonly idle: Comparison;
  readonly loaded: Comparison;
}

/** Memory of one fresh pair: some seconds after it became ready, and after many cache misses. Leaves both warm. */
export async function measureMemory(rig: Rig, { floor, sidegate }: Pair): Promise<[number, number][]> {
  await sleep(startedMs);
  const idle: [number, number] = [floor.rssMb(), sidegate.rssMb()];
  for (const server of [floor, sidegate]) {
    const order = { port: server.port, mode: 'miss', connections: connectionsFull } as const;
    await load(rig, { ...order, requestsMax: rig.options.rssRequests, durationMs: orderMs });
    server.trim();
  }
  await sleep(settleMs);
  const loaded: [number, number] = [floor.rssMb(), sidegate.rssMb()];
  rig.say(`memory after the load: ${loaded[1].toFixed(0)} MB against ${loaded[0].toFixed(0)} MB`);
  return [idle, loaded];
}

/** Memory over several fresh pairs of processes. */
export async function measureMemoryRuns(rig: Rig, runs: number): Promise<Memory> {
  const idles: [number, number][] = [];
  const loadeds: [number, number][] = [];
  for (let i = 0; i < runs; i++) {
    const [idle, loaded] = await withPair(rig, (pair) => measureMemory(rig, pair));
    if (idle && loaded) {
      idles.push(idle);
      loadeds.push(loaded);
    }
  }
  return { idle: compare(idles), loaded: compare(loadeds) };
}

/** Time from exec to ready, in ms; not pinned, since a service isn't either. */
export async function measureStart(rig: Rig): Promise<Comparison> {
  const pairs: [number, number][] = [];
  for (let i = 0; i < rig.options.starts; i++) {
    const times: number[] = [];
    for (const which of ['floor', 'sidegate'] as const) {
      const server = await start(rig, which, false);
      times.push(server.readyMs);
      await server.stop();
    }
    pairs.push([times[0] ?? Number.NaN, times[1] ?? Number.NaN]);
  }
  const result = compare(pairs);
  rig.say(`ready after ${result.sidegate.toFixed(0)} ms (the floor: ${result.floor.toFixed(0)} ms)`);
  return result;
}
