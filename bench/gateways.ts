/** `npm run bench:peers`: other gateways beside Sidegate and the floor; replaces their section of RESULTS.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import { gateOptions } from './gate.ts';
import { type BenchRow, cpu, measureTasks, p50, type Task } from './load/byte-path.ts';
import { startLitellm, startPortkey } from './load/gateways.ts';
import {
  defaultHeapFlags,
  type Server,
  type ServerOptions,
  startFloor,
  startSidegate,
} from './load/processes.ts';
import { type Rig, round, withRig } from './load/run.ts';
import { gatewaysSection, withSection } from './report.ts';

/** The slowest of them answers 60 requests a second. */
const roundMs = 2000;
const rounds = { calm: 5, busy: 0 };

const tasks: readonly Task[] = [
  { load: { mode: 'miss', connections: 8 }, rounds, figures: [cpu('CPU, a miss of 1 KB')] },
  {
    load: { mode: 'miss', connections: 1 },
    rounds,
    figures: [{ ...p50('p50 added at one connection'), added: true }],
  },
  {
    load: { mode: 'stream', connections: 10, streams: { events: 100, pauseMs: 10 }, durationMs: 3000 },
    rounds,
    figures: [
      { name: 'CPU an event, 10 streams', of: ({ cpuUs }) => cpuUs / 100 },
      { name: 'first token p50, 10 streams', of: ({ report }) => report.firstP50Us },
    ],
  },
];

const say = (line: string): void => void process.stderr.write(`${line}\n`);
const file = new URL('RESULTS.md', import.meta.url);
const options = { ...gateOptions, roundMs, heapFlags: defaultHeapFlags };

/** The servers that can do it: streams of Portkey 1.15 fail on Node 24. */
async function able(rig: Rig, servers: readonly Server[], { load }: Task): Promise<Server[]> {
  const found: Server[] = [];
  for (const server of servers) {
    try {
      await round(rig, server, load);
      found.push(server);
    } catch (cause) {
      say(`Without ${server.name} (${load.mode}): ${(cause as Error).message}`);
    }
  }
  return found;
}

const rows = await withRig(options, say, async (rig) => {
  const common: ServerOptions = {
    upstreamPort: rig.peers.upstreamPort,
    heapFlags: options.heapFlags,
    pinned: true,
  };
  const servers: Server[] = [];
  try {
    for (const start of [startFloor, startSidegate, startPortkey, startLitellm])
      servers.push(await start(common));
    const rows: BenchRow[] = [];
    for (const task of tasks)
      rows.push(...(await measureTasks(rig, await able(rig, servers, task), [task], 'calm')));
    return rows;
  } finally {
    for (const server of servers) await server.stop();
  }
});
writeFileSync(file, withSection(readFileSync(file, 'utf8'), gatewaysSection(rows)));
say('bench/RESULTS.md is written.');
