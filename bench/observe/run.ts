/**
 * `npm run bench:observe`: what observability costs. A sidecar with the ledger, OpenTelemetry and the log on, and its
 * metrics scraped, against one with all of it off: CPU time of all threads per request, and memory when idle. The last
 * line is JSON.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { LoadOrder } from '../load/client.ts';
import { defaultHeapFlags, type Peers, type Server, startPeers, startSidegate } from '../load/processes.ts';
import { type Comparison, compare, quantile } from '../load/stats.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '24' },
    'round-ms': { type: 'string', default: '1500' },
    connections: { type: 'string', default: '32' },
    // Traces a second. A busy machine answers fewer requests in a second, so that a larger share of them is traced.
    traces: { type: 'string', default: '100' },
    only: { type: 'string', default: '' },
  },
});
const [rounds, roundMs, connections] = [values.rounds, values['round-ms'], values.connections].map(
  Number,
) as [number, number, number];
/** Rounds that two processes serve before others take their place. */
const pairsOfProcesses = 4;
/** Until everything that a round left behind is written. */
const settleMs = 800;
/** Memory that only a start needs has been returned by then. */
const startedMs = 10_000;
const say = (line: string): void => void process.stderr.write(`${line}\n`);

const folder = mkdtempSync(join(tmpdir(), 'sidegate-bench-observe-'));
/** Takes whatever is exported. */
const receiver = createServer((req, res) => {
  req.resume();
  req.on('end', () => res.writeHead(200, { 'content-type': 'application/x-protobuf' }).end());
}).listen(0, '127.0.0.1');
await new Promise((resolve) => receiver.once('listening', resolve));
const endpoint = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;

const otlp = { endpoint, tracesPerSecond: Number(values.traces) };
let ledgers = 0;
const ledger = () => ({ path: join(folder, `${ledgers++}.db`) });
const ways = {
  off: () => ({ log: 'silent' }),
  log: () => ({ log: 'info' }),
  ledger: () => ({ log: 'silent', ledger: ledger() }),
  otlp: () => ({ log: 'silent', otlp }),
  on: () => ({ log: 'info', ledger: ledger(), otlp }),
  idle: () => ({ log: 'info', ledger: ledger() }),
} as const;

const start = (peers: Peers, way: keyof typeof ways): Promise<Server> =>
  startSidegate({
    upstreamPort: peers.upstreamPort,
    heapFlags: defaultHeapFlags,
    pinned: true,
    observe: ways[way](),
  });

/** CPU time per request of one round, with all that is written after it. */
async function round(peers: Peers, server: Server, mode: LoadOrder['mode']): Promise<number> {
  const before = server.cpuUs();
  const order = { port: server.port, mode, connections, requestsMax: 10_000_000, durationMs: roundMs };
  const report = await peers.load(order);
  if (report.errors > 0) throw new Error(report.firstError);
  await sleep(settleMs);
  const used = server.cpuUs() - before;
  server.trim();
  return used / report.requests;
}

/**
 * Rounds in pairs, A B, B A, …, so that drift of the machine affects both equally; and with new processes every few
 * pairs, since two processes of the same program differ by some percent as long as they live.
 */
async function against(peers: Peers, way: keyof typeof ways, mode: LoadOrder['mode']): Promise<Comparison> {
  const pairs: [number, number][] = [];
  while (pairs.length < rounds) {
    // Which of them starts first changes, too.
    const order = (pairs.length / pairsOfProcesses) % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const);
    const servers: Server[] = [];
    try {
      for (const at of order) servers[at] = await start(peers, at === 0 ? 'off' : way);
      const measure = async (at: 0 | 1): Promise<number> => round(peers, servers[at] as Server, mode);
      for (const at of [...order, ...order]) await measure(at);
      for (let i = 0; i < pairsOfProcesses && pairs.length < rounds; i++) {
        const measured: [number, number] = [0, 0];
        for (const at of i % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const))
          measured[at] = await measure(at);
        pairs.push(measured);
      }
    } finally {
      for (const server of servers) await server?.stop();
    }
  }
  const result = compare(pairs);
  // Other work on the machine only ever adds CPU time: the least disturbed quarter of the rounds says most.
  const [off, on] = ([0, 1] as const).map((at) =>
    quantile(
      pairs.map((pair) => pair[at]),
      0.25,
    ),
  ) as [number, number];
  say(
    `${mode}: least disturbed quarter ${on.toFixed(1)} µs, off ${off.toFixed(1)} µs, ratio ${(on / off).toFixed(3)}`,
  );
  say(
    `${mode}: ${way} ${result.sidegate.toFixed(1)} µs, off ${result.floor.toFixed(1)} µs, ratio ` +
      `${result.ratio.toFixed(3)} (${result.ratioLow.toFixed(3)}–${result.ratioHigh.toFixed(3)})`,
  );
  return result;
}

async function idleMb(peers: Peers): Promise<Comparison> {
  const pairs: [number, number][] = [];
  for (let i = 0; i < 3; i++) {
    const both = [await start(peers, 'off'), await start(peers, 'idle')] as const;
    await sleep(startedMs);
    pairs.push([both[0].rssMb(), both[1].rssMb()]);
    for (const server of both) await server.stop();
  }
  const result = compare(pairs);
  say(`idle: ${result.sidegate.toFixed(1)} MB with log and ledger, ${result.floor.toFixed(1)} MB without`);
  return result;
}

const peers = await startPeers();
try {
  const found: Record<string, Comparison> = {};
  const wanted = values.only === '' ? ['miss on', 'stream on', 'idle'] : values.only.split(',');
  for (const one of wanted) {
    const [mode = '', way = ''] = one.split(' ');
    found[one] =
      one === 'idle'
        ? await idleMb(peers)
        : await against(peers, way as keyof typeof ways, mode as LoadOrder['mode']);
  }
  process.stdout.write(`${JSON.stringify(found)}\n`);
} finally {
  peers.stop();
  receiver.close();
  receiver.closeAllConnections();
  rmSync(folder, { recursive: true, force: true });
}
