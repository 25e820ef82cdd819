/** Starts a real PostgreSQL for a test, from Debian's package, on a free port, in a folder of its own. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './redis.ts';

/** A running PostgreSQL. */
export interface Postgres {
  readonly url: string;
  /** Stops it at once, like a crash; its files stay. */
  kill(): Promise<void>;
  /** Starts it again at the same address. */
  start(): Promise<void>;
  /** Ends it and removes its files. */
  stop(): Promise<void>;
}

const versions = '/usr/lib/postgresql';

/** Starts it. Rejects if it isn't installed. */
export async function startPostgres(): Promise<Postgres> {
  const version = readdirSync(versions).sort().at(-1) ?? '';
  const bin = (name: string): string => join(versions, version, 'bin', name);
  // It refuses to run as root.
  const id = (option: string): number =>
    Number(execFileSync('id', [option, 'postgres'], { encoding: 'utf8' }));
  const isRoot = process.getuid?.() === 0;
  const user = isRoot ? { uid: id('-u'), gid: id('-g') } : {};
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-postgres-'));
  if (user.uid !== undefined && user.gid !== undefined) chownSync(folder, user.uid, user.gid);
  const data = join(folder, 'data');
  execFileSync(bin('initdb'), ['-D', data, '-U', 'test', '-A', 'trust', '--no-sync'], {
    ...user,
    cwd: folder,
    stdio: 'ignore',
  });
  const port = await freePort();
  let child: ReturnType<typeof spawn> | null = null;
  const start = async (): Promise<void> => {
    const options = ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', folder, '-F'];
    child = spawn(bin('postgres'), options, { ...user, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
    let output = '';
    await new Promise<void>((resolve, reject) => {
      child?.stderr?.on('data', (chunk) => {
        output = (output + chunk).slice(-16_384);
        if (output.includes('ready to accept connections')) resolve();
      });
      child?.once('exit', () => reject(new Error(`PostgreSQL did not start:\n${output}`)));
    });
  };
  const kill = async (): Promise<void> => {
    if (child === null || child.exitCode !== null) return;
    const exited = once(child, 'exit');
    // Immediate shutdown.
    child.kill('SIGQUIT');
    await exited;
  };
  await start();
  return {
    url: `postgres://test@127.0.0.1:${port}/postgres`,
    kill,
    start,
    async stop() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
