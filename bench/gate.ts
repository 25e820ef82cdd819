/** The gate: what must hold on every change, judged by ratios to the floor, never by absolute times. */
import {
  connectionsFull,
  type LoadOptions,
  measureCpu,
  measureMemory,
  measureMemoryRuns,
  measureStart,
  type Pair,
  type Rig,
  withPair,
  withRig,
} from './load/run.ts';
import { type Comparison, compare } from './load/stats.ts';

/** Ratios to the floor that are aimed for; RESULTS.md judges by them. */
export const goals = { miss: 2.0, hit: 1.0, memory: 1.3 } as const;
/**
 * What no change may fall behind: the goals. A miss, which is 1.5 in a calm hour, has room for noise besides: whatever
 * else works on the machine's caches costs the larger program more, in one hour 1.4 times as much. They only go down.
 */
export const limits = { ...goals, miss: 2.2 } as const;
/** From exec to ready; the one absolute, judged by the median of five starts. */
export const readyMaxMs = 500;

/** Short rounds, many of them: the machine's drift is slow, so a pair close together sees the same machine. */
export const gateOptions: LoadOptions = {
  rounds: 15,
  roundMs: 400,
  latencyRounds: 0,
  rssRequests: 100_000,
  rssRuns: 1,
  starts: 5,
  heapFlags: [],
  sidegateFlags: [],
  self: false,
};
const repeatedRounds = 31;
const repeatedMemoryRuns = 3;

interface Check {
  readonly name: string;
  readonly limit: number;
  measure(): Promise<Comparison>;
  /** The same with more rounds, for a second opinion. */
  repeat(): Promise<Comparison>;
}

function checks(rig: Rig, pair: Pair): Check[] {
  const cpu = (mode: 'miss' | 'hit', rounds: number): Promise<Comparison> =>
    measureCpu(rig, pair, { mode, connections: connectionsFull }, rounds);
  const { rounds } = rig.options;
  return [
    {
      // First: it leaves both processes warm.
      name: `memory after ${rig.options.rssRequests} requests`,
      limit: limits.memory,
      measure: async () => compare((await measureMemory(rig, pair)).slice(1)),
      repeat: async () => (await measureMemoryRuns(rig, repeatedMemoryRuns)).loaded,
    },
    {
      name: 'CPU a request, cache miss',
      limit: limits.miss,
      measure: () => cpu('miss', rounds),
      repeat: () => cpu('miss', repeatedRounds),
    },
    {
      name: 'CPU a request, cache hit',
      limit: limits.hit,
      measure: () => cpu('hit', rounds),
      repeat: () => cpu('hit', repeatedRounds),
    },
  ];
}

/** Runs the gate; gives the sentences of what failed, none when all held. */
export async function runGate(options: LoadOptions, say: (line: string) => void): Promise<string[]> {
  return withRig(options, say, async (rig) => {
    const failures: string[] = [];
    const start = await measureStart(rig);
    if (start.sidegate > readyMaxMs) {
      const again = await measureStart(rig);
      if (again.sidegate > readyMaxMs)
        failures.push(`ready after ${again.sidegate.toFixed(0)} ms, over ${readyMaxMs} ms`);
    }
    await withPair(rig, async (pair) => {
      for (const { name, limit, measure, repeat } of checks(rig, pair)) {
        const first = await measure();
        if (first.ratio <= limit) continue;
        say(`${name}: ${first.ratio.toFixed(2)} × the floor, over ${limit}; once more, with more rounds`);
        const second = await repeat();
        if (second.ratio > limit)
          failures.push(`${name}: ${second.ratio.toFixed(2)} × the floor, over ${limit}`);
      }
    });
    return failures;
  });
}
