/** Runs the micro benchmarks: every `*.bench.ts` in this folder, timed by tinybench. */
import { readdirSync } from 'node:fs';
import { Bench } from 'tinybench';

type Tasks = Record<string, () => unknown>;

/** A benchmark file: the name of its group, and its tasks by name. */
export interface Subject {
  readonly subject: string;
  /** Builds the tasks; each runs many times, so it must leave no state behind. */
  readonly tasks: () => Readonly<Tasks> | Promise<Readonly<Tasks>>;
}

/** Time per call of one task, in ns. */
export interface MicroRow {
  readonly subject: string;
  readonly task: string;
  readonly medianNs: number;
  readonly p99Ns: number;
  /** Spread of the median: half the 95% confidence interval of the mean, in percent. */
  readonly marginPercent: number;
}

/** Duration of a batch of short tasks, in ms: reading the clock costs as much as some of them. */
const batchMs = 0.1;
const batchMax = 10_000;
const trialMs = 20;

/** Number of calls of `task` per batch, found by running it for a while, which also warms it up. */
function batchOf(task: () => unknown): number {
  const start = performance.now();
  let calls = 0;
  while (performance.now() - start < trialMs) {
    for (let i = 0; i < 10; i++) task();
    calls += 10;
  }
  return Math.min(batchMax, Math.max(1, Math.round((calls / trialMs) * batchMs)));
}

/** The files of this folder, by name. */
export async function loadSubjects(): Promise<Subject[]> {
  const files = readdirSync(new URL('.', import.meta.url)).filter((name) => name.endsWith('.bench.ts'));
  return Promise.all(files.sort().map((file): Promise<Subject> => import(`./${file}`)));
}

/** Times every task for `timeMs`, and returns a row for each. */
export async function runMicro(timeMs: number, say: (line: string) => void): Promise<MicroRow[]> {
  const rows: MicroRow[] = [];
  for (const { subject, tasks } of await loadSubjects()) {
    for (const [task, run] of Object.entries(await tasks())) {
      const calls = batchOf(run);
      const bench = new Bench({ time: timeMs, warmupTime: timeMs / 5 });
      bench.add(task, () => {
        for (let i = 0; i < calls; i++) run();
      });
      const [timed] = await bench.run();
      if (timed?.result.state !== 'completed') throw new Error(`${subject}: ${task} failed`);
      const { latency } = timed.result;
      const nsPerCall = (ms: number): number => (ms * 1e6) / calls;
      rows.push({
        subject,
        task,
        medianNs: nsPerCall(latency.p50),
        p99Ns: nsPerCall(latency.p99),
        marginPercent: latency.rme,
      });
      say(`${subject}: ${task}: ${nsPerCall(latency.p50).toFixed(0)} ns`);
    }
  }
  return rows;
}
