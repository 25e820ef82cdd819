/** Runs the micro benchmarks: every `*.bench.ts` beside this file, timed by tinybench. */
import { readdirSync } from 'node:fs';
import { Bench } from 'tinybench';

type Tasks = Record<string, () => unknown>;

/** A file of benchmarks: what it times, and its tasks by name. */
export interface Subject {
  readonly subject: string;
  /** Builds the tasks; each runs many times and must leave things as it found them. */
  readonly tasks: () => Readonly<Tasks> | Promise<Readonly<Tasks>>;
}

/** One task's time a call, in ns. */
export interface MicroRow {
  readonly subject: string;
  readonly task: string;
  readonly medianNs: number;
  readonly p99Ns: number;
  /** The median's spread: half the 95% confidence interval of the mean, in percent. */
  readonly marginPercent: number;
}

/** Short tasks run in batches of about this long: a clock reading costs as much as some of them. */
const batchMs = 0.1;
const batchMax = 10_000;
const trialMs = 20;

/** Calls of `task` that make up a batch, found by running it for a while, which warms it up too. */
function batchOf(task: () => unknown): number {
  const start = performance.now();
  let calls = 0;
  while (performance.now() - start < trialMs) {
    for (let i = 0; i < 10; i++) task();
    calls += 10;
  }
  return Math.min(batchMax, Math.max(1, Math.round((calls / trialMs) * batchMs)));
}

/** Times every task for `timeMs`. */
export async function runMicro(timeMs: number, say: (line: string) => void): Promise<MicroRow[]> {
  const rows: MicroRow[] = [];
  const files = readdirSync(new URL('', import.meta.url)).filter((name) => name.endsWith('.bench.ts'));
  for (const file of files.sort()) {
    const { subject, tasks } = (await import(`.//${file}`)) as Subject;
    for (const [task, run] of Object.entries(await tasks())) {
      const calls = batchOf(run);
      const bench = new Bench({ time: timeMs, warmupTime: timeMs / 5 });
      bench.add(task, () => {
        for (let i = 0; i < calls; i++) run();
      });
      const [timed] = await bench.run();
      if (timed?.result.state !== 'completed') throw new Error(`${file}: ${task} failed`);
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
