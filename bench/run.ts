/**
 * `npm run bench`: measures everything and writes RESULTS.md. With `--gate` it only judges the ratios; exit code 1 if
 * one fails.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { gateOptions, runGate } from './gate.ts';
import { measureBytePath } from './load/byte-path.ts';
import { defaultHeapFlags } from './load/processes.ts';
import { costLines, profileStages } from './load/profile.ts';
import {
  connectionsFull,
  type LatencyRow,
  type LoadOptions,
  measureCpu,
  measureLatency,
  measureMemory,
  measureMemoryRuns,
  measureSemantic,
  measureStart,
  withPair,
  withRig,
} from './load/run.ts';
import { runMicro } from './micro/run.ts';
import {
  bytePathSection,
  gatewaysTitle,
  type LoadResults,
  renderResults,
  sectionOf,
  withSection,
} from './report.ts';

const help = `npm run bench -- [options]

  --gate              only judge the ratios to the floor, with short rounds; exit code 1 when one fails
  --only micro|load|semantic   a part of the full run; RESULTS.md is printed, not written
  --profile MODE      only prints what each stage of a miss, hit or stream costs
  --prompt-kb N       length of its prompts, instead of 1 KB
  --only byte-path    that section of RESULTS.md alone, which is replaced there
  --rounds N          pairs of rounds for CPU time      --round-ms N       length of a round
  --rss-requests N    requests before memory is read    --micro-ms N       time for each micro benchmark
  --heap FLAGS        heap flags of both processes, instead of ${defaultHeapFlags.join(' ')}
  --sidegate FLAGS    more runtime flags for Sidegate alone, such as --cpu-prof; nothing is written
  --self              the floor stands in for Sidegate: shows what the method itself scatters; nothing is written
`;

const fullOptions: LoadOptions = {
  ...gateOptions,
  rounds: 31,
  latencyRounds: 11,
  rssRuns: 3,
};
const microMs = 500;

const { values } = parseArgs({
  options: {
    gate: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' },
    'round-ms': { type: 'string' },
    'rss-requests': { type: 'string' },
    'micro-ms': { type: 'string' },
    heap: { type: 'string' },
    sidegate: { type: 'string', default: '' },
    self: { type: 'boolean', default: false },
    profile: { type: 'string' },
    'prompt-kb': { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const resultsFile = new URL('RESULTS.md', import.meta.url);

const say = (line: string): void => void process.stderr.write(`${line}\n`);

function count(text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${text} is not a positive whole number`);
  return value;
}

const flags = (text: string): string[] => text.split(' ').filter((flag) => flag !== '');

function optionsFrom(base: LoadOptions): LoadOptions {
  return {
    ...base,
    rounds: count(values.rounds, base.rounds),
    roundMs: count(values['round-ms'], base.roundMs),
    rssRequests: count(values['rss-requests'], base.rssRequests),
    heapFlags: values.heap === undefined ? defaultHeapFlags : flags(values.heap),
    sidegateFlags: flags(values.sidegate),
    self: values.self,
  };
}

/** Runs all load tests. One pair of processes serves memory, CPU and latency in turn, so all are measured warm. */
function runLoad(options: LoadOptions): Promise<LoadResults> {
  return withRig(options, say, async (rig) => {
    const start = await measureStart(rig);
    const memory = await measureMemoryRuns(rig, options.rssRuns);
    const noise = await withRig({ ...options, self: true }, say, (twins) =>
      withPair(twins, (pair) =>
        measureCpu(twins, pair, { mode: 'miss', connections: connectionsFull }, options.rounds),
      ),
    );
    const semantic = await measureSemantic(rig, options.rounds);
    return withPair(rig, async (pair) => {
      await measureMemory(rig, pair);
      const cpu: LoadResults['cpu'] = {};
      for (const mode of ['miss', 'hit'] as const) {
        cpu[mode] = await measureCpu(rig, pair, { mode, connections: connectionsFull }, options.rounds);
      }
      const streamRounds = Math.ceil(options.rounds / 3);
      cpu.stream = await measureCpu(
        rig,
        pair,
        { mode: 'stream', connections: connectionsFull },
        streamRounds,
      );
      const latency: LatencyRow[] = [];
      for (const mode of ['miss', 'hit', 'stream'] as const) {
        for (const connections of [1, connectionsFull]) {
          latency.push(await measureLatency(rig, pair, { mode, connections }));
        }
      }
      return { cpu, semantic, noise, latency, memory, start };
    });
  });
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  if (values.gate) {
    const failures = await runGate(optionsFrom(gateOptions), say);
    for (const failure of failures) say(`FAILS: ${failure}`);
    if (failures.length === 0) say('All ratios hold.');
    return failures.length === 0 ? 0 : 1;
  }
  const options = optionsFrom(fullOptions);
  const { only, profile } = values;
  if (profile === 'miss' || profile === 'hit' || profile === 'stream') {
    const promptBytes = 1024 * count(values['prompt-kb'], 1);
    const load = { mode: profile, connections: connectionsFull, promptBytes } as const;
    for (const line of costLines(await withRig(options, say, (rig) => profileStages(rig, load)))) say(line);
    return 0;
  }
  if (profile !== undefined) throw new Error(`--profile ${profile}: miss, hit or stream`);
  if (only === 'semantic') {
    await withRig(options, say, (rig) => measureSemantic(rig, options.rounds));
    return 0;
  }
  const writes = !options.self && options.sidegateFlags.length === 0;
  const measured = (): ReturnType<typeof measureBytePath> => withRig(options, say, measureBytePath);
  if (only === 'byte-path') {
    write(withSection(readFileSync(resultsFile, 'utf8'), bytePathSection(await measured())), writes);
    return 0;
  }
  const micro = only === 'load' ? undefined : await runMicro(count(values['micro-ms'], microMs), say);
  const load = only === 'micro' ? undefined : await runLoad(options);
  const bytePath = only === undefined ? await measured() : undefined;
  const results = { ...(load && { load }), ...(bytePath && { bytePath }), ...(micro && { micro }) };
  const page = renderResults(results, options);
  const others = sectionOf(readFileSync(resultsFile, 'utf8'), gatewaysTitle);
  write(others === null ? page : withSection(page, others), only === undefined && writes);
  return 0;
}

/** Writes the page, or prints it. */
function write(page: string, toFile: boolean): void {
  if (!toFile) return void process.stdout.write(page);
  writeFileSync(resultsFile, page);
  say('bench/RESULTS.md is written.');
}

process.exitCode = await main();
