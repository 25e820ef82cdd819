/** Starts a real Prometheus for a test, from Debian's package, with the project's rules. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { root } from './documents.ts';
import { freePort } from './redis.ts';

/** One series of a query's result. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A running Prometheus. */
export interface Prometheus {
  /** Answers a query now. Rejects with Prometheus' own words if it is not valid. */
  query(expr: string): Promise<Sample[]>;
  /** Resolves once a query gives something; rejects after a minute. */
  until(expr: string): Promise<Sample[]>;
  stop(): Promise<void>;
}

/** Starts it. @param targets `host:port` of admin ports */
export async function startPrometheus(targets: readonly string[]): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), 'sidegate-prometheus-'));
  const rules = fileURLToPath(new URL('deploy/prometheus-rules.yaml', root));
  await writeFile(
    join(folder, 'prometheus.yml'),
    JSON.stringify({
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [rules],
      scrape_configs: [{ job_name: 'sidegate', static_configs: [{ targets }] }],
    }),
  );
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(
    'prometheus',
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let output = '';
  child.stderr.on('data', (chunk) => {
    output = (output + chunk).slice(-16_384);
  });
  const exited = once(child, 'exit');
  const query = async (expr: string): Promise<Sample[]> => {
    const reply = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(expr)}`);
    const { status, error, data } = (await reply.json()) as {
      status: string;
      error?: string;
      data: { result: { metric: Record<string, string>; value: [number, string] }[] };
    };
    if (status !== 'success') throw new Error(`${expr}: ${error}`);
    return data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  };
  for (let tries = 0; ; tries++) {
    const ready = await fetch(`${url}/-/ready`).catch(() => null);
    if (ready?.ok === true) break;
    if (child.exitCode !== null || tries > 600) throw new Error(`Prometheus did not start:\n${output}`);
    await wait(100);
  }
  return {
    query,
    async until(expr) {
      for (let tries = 0; tries < 240; tries++) {
        const found = (await query(expr)).filter(({ value }) => Number.isFinite(value));
        if (found.length > 0) return found;
        await wait(250);
      }
      throw new Error(`there is no data for ${expr}`);
    },
    async stop() {
      child.kill('SIGTERM');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
