/** Starts sidecars for tests: inside the test process, or as the real program in its own process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import type { z } from 'zod';
import { realWorld, type World } from '../../src/base/world.ts';
import { configSchema } from '../../src/config/schema.ts';
import { type Sidecar, startSidecar } from '../../src/sidecar/sidecar.ts';
import { type LoggedRecord, recordsIn } from './log-line.ts';
import { sharedThread } from './shared-thread.ts';

/** A configuration before defaults are filled in. */
export type ConfigInput = z.input<typeof configSchema>;

/** A sidecar inside the test process. */
export interface TestSidecar {
  readonly sidecar: Sidecar;
  readonly url: string;
  readonly adminUrl: string;
  /** All log lines so far, as text. */
  logText(): string;
  records(): LoggedRecord[];
  /** The first record that fits, past or future. */
  recordWhere(fits: (record: LoggedRecord) => boolean): Promise<LoggedRecord>;
  metrics(): Promise<string>;
  stop(): Promise<void>;
}

/** Starts a sidecar on free ports. @param world clocks, chance and threads */
export async function startTestSidecar(input: ConfigInput, world: Partial<World> = {}): Promise<TestSidecar> {
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines.push(
        ...String(chunk)
          .split('\n')
          .filter((line) => line !== ''),
      );
      for (const look of waiting) look();
      done();
    },
  });
  const config = configSchema.parse({
    authenticate: { anonymousTenant: 'test' },
    ...input,
    // The thread that counts takes seconds to start on a busy machine.
    count: { deadlineMs: 60_000, ...input.count },
    listen: { port: 0, drainMs: 0, ...input.listen },
    admin: { port: 0, ...input.admin },
  });
  const shared = { ...realWorld, startThread: sharedThread };
  const passLines = (lines: Buffer): void => void sink.write(lines);
  const sidecar = await startSidecar(config, pino({ base: null }, sink), { ...shared, ...world }, passLines);
  const logText = (): string => lines.join('\n');
  const records = (): LoggedRecord[] => recordsIn(logText());
  return {
    sidecar,
    url: sidecar.dataUrl,
    adminUrl: sidecar.adminUrl,
    logText,
    records,
    recordWhere: (fits) =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = records().find(fits);
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
    metrics: async () => (await fetch(`${sidecar.adminUrl}/metrics`)).text(),
    stop: () => sidecar.drain(),
  };
}

/** The real program in its own process. */
export interface SidecarProcess {
  readonly child: ChildProcess;
  readonly url: string;
  readonly adminUrl: string;
  readonly configPath: string;
  output(): string;
  /** Resolves with the first output that matches, past or future; `from` skips earlier output. */
  outputMatching(pattern: RegExp, from?: number): Promise<RegExpMatchArray>;
  /** Settles when the process has ended and all its output has been read. */
  readonly exitCode: Promise<number | null>;
  stop(): Promise<number | null>;
}

/** Runs `dist/main.js run` with a YAML text; ports should be 0. Needs a build (`npm test` makes it). */
export async function spawnSidecar(yaml: string, env: Record<string, string> = {}): Promise<SidecarProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'sidegate-test-'));
  const configPath = join(folder, 'sidegate.yaml');
  await writeFile(configPath, yaml);
  const main = new URL('../../dist/main.js', import.meta.url).pathname;
  // As it is shipped (deploy/Dockerfile).
  const child = spawn(process.execPath, ['--max-semi-space-size=8', main, 'run', '--config', configPath], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  const waiting = new Set<() => void>();
  const take = (chunk: Buffer): void => {
    text += chunk;
    for (const look of waiting) look();
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  const exitCode = once(child, 'close').then(([code]) => code as number | null);
  const outputMatching = (pattern: RegExp, from = 0): Promise<RegExpMatchArray> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const match = text.slice(from).match(pattern);
        if (match === null) return;
        waiting.delete(look);
        resolve(match);
      };
      waiting.add(look);
      exitCode.then(() => reject(new Error(`the sidecar ended before ${pattern}: ${text}`)));
      look();
    });
  const [, url = '', adminUrl = ''] = await outputMatching(/"data":"([^"]+)","admin":"([^"]+)"/);
  return {
    child,
    url,
    adminUrl,
    configPath,
    output: () => text,
    outputMatching,
    exitCode,
    async stop() {
      if (child.exitCode === null) child.kill('SIGTERM');
      const code = await exitCode;
      await rm(folder, { recursive: true, force: true });
      return code;
    },
  };
}
