/**
 * `node bench/load/workers.ts`: one worker beside two, in alternating rounds, neither pinned. Prints the CPU time of a
 * request and the throughput of both, and their ratios. Clients and provider need CPU time of their own: on a machine
 * with as many cores as workers, the throughput can't double.
 */
import { parseArgs } from 'node:util';
import type { LoadOrder } from './client.ts';
import { defaultHeapFlags, type Server, startPeers, startSidegate } from './processes.ts';
import { type Comparison, compare } from './stats.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '11' },
    'round-ms': { type: 'string', default: '1500' },
    connections: { type: 'string', default: '32' },
  },
});
const [rounds, roundMs, connections] = [values.rounds, values['round-ms'], values.connections].map(
  Number,
) as [number, number, number];

const peers = await startPeers(true);
const open = (workers: number): Promise<Server> =>
  startSidegate({ upstreamPort: peers.upstreamPort, heapFlags: defaultHeapFlags, pinned: false, workers });
const servers = [await open(1), await open(2)] as const;

/** What one round gave. */
interface Round {
  readonly perSecond: number;
  readonly cpuUs: number;
}

async function measured(server: Server, mode: LoadOrder['mode']): Promise<Round> {
  const before = server.cpuUs();
  const { port } = server;
  const report = await peers.load({ port, connections, mode, requestsMax: 1e9, durationMs: roundMs });
  if (report.errors > 0) throw new Error(`${report.errors} requests failed: ${report.firstError}`);
  const cpuUs = (server.cpuUs() - before) / report.requests;
  server.trim();
  return { perSecond: report.requests / (report.elapsedMs / 1000), cpuUs };
}

const shown = ({ floor, sidegate, ratio, ratioLow, ratioHigh }: Comparison, digits: number): string =>
  `${floor.toFixed(digits)} → ${sidegate.toFixed(digits)}, ratio ${ratio.toFixed(2)} ` +
  `(${ratioLow.toFixed(2)}–${ratioHigh.toFixed(2)})`;

try {
  for (const mode of ['miss', 'hit'] as const) {
    for (const server of servers) await measured(server, mode);
    const pairs: (readonly [Round, Round])[] = [];
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 === 0 ? [0, 1] : [1, 0];
      const pair: Round[] = [];
      for (const at of order) pair[at] = await measured(servers[at as 0 | 1], mode);
      pairs.push([pair[0] as Round, pair[1] as Round]);
    }
    const of = (what: keyof Round): Comparison => compare(pairs.map(([one, two]) => [one[what], two[what]]));
    console.log(`${mode}: CPU µs a request ${shown(of('cpuUs'), 0)}`);
    console.log(`${mode}: requests a second ${shown(of('perSecond'), 0)}`);
  }
  console.log(`resident MB: ${servers.map((server) => server.rssMb().toFixed(0)).join(' → ')}`);
} finally {
  for (const server of servers) await server.stop();
  peers.stop();
}
