/** Starts a real `redis-server` for a test, on a free port, without persistence. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A running `redis-server`. */
export interface RedisProcess {
  /** `redis://127.0.0.1:<port>` */
  readonly url: string;
  readonly port: number;
  /** Suspends the process, like a machine that hangs: connections stay open, and nothing is answered. */
  pause(): void;
  resume(): void;
  /** Stops it and removes its files. May be called twice. */
  stop(): Promise<void>;
}

const readyTimeoutMs = 60_000;
/** A free port may be taken by someone else before the server starts. */
const triesMax = 5;
const outputMaxLength = 16 * 1024;

/**
 * Starts Redis. Rejects with instructions if it is not installed, or with its output if it doesn't start.
 * @param more settings, as on its command line
 */
export async function startRedis(
  program = 'redis-server',
  more: readonly string[] = [],
): Promise<RedisProcess> {
  for (let tried = 1; ; tried++) {
    const port = await freePort();
    const started = await start(program, port, more);
    if (typeof started !== 'string') return started;
    if (tried === triesMax || !started.includes('Address already in use')) {
      throw new Error(`redis-server ended before it was ready:\n${started}`);
    }
  }
}

/** The server once it answers, or its output if it ended before that. */
async function start(program: string, port: number, more: readonly string[]): Promise<RedisProcess | string> {
  const folder = await mkdtemp(join(tmpdir(), 'sidegate-redis-'));
  const settings = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    '--dir',
    folder,
    ...more,
  ];
  const child = spawn(program, settings, { stdio: ['ignore', 'pipe', 'pipe'] });
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  let output: string | null;
  try {
    output = await untilReady(child);
  } catch (cause) {
    child.kill('SIGKILL');
    await remove();
    throw cause;
  }
  if (output !== null) {
    await remove();
    return output;
  }
  let stopping: Promise<void> | null = null;
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
    await remove();
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}

/** Null once the server accepts connections; its output if it ended before that. */
function untilReady(child: ChildProcess): Promise<string | null> {
  return new Promise((resolve, reject) => {
    let output = '';
    const timer = setTimeout(() => {
      reject(new Error(`redis-server was not ready after ${readyTimeoutMs} ms:\n${output}`));
    }, readyTimeoutMs);
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      settle();
    };
    const take = (chunk: Buffer): void => {
      // Keep reading, so that the server never blocks on writing its log.
      output = (output + chunk).slice(-outputMaxLength);
      if (output.includes('Ready to accept connections')) finish(() => resolve(null));
    };
    child.stdout?.on('data', take);
    child.stderr?.on('data', take);
    child.once('close', () => finish(() => resolve(output)));
    child.once('error', (cause: NodeJS.ErrnoException) =>
      finish(() => reject(explain(cause, child.spawnfile))),
    );
  });
}

function explain(cause: NodeJS.ErrnoException, program: string): Error {
  if (cause.code !== 'ENOENT') return cause;
  return new Error(
    `${program} is not installed: \`apt-get install redis-server\` gets it on Debian and Ubuntu.`,
    { cause },
  );
}

/** A port that nobody listens at right now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = address === null || typeof address === 'string' ? 0 : address.port;
  server.close();
  await once(server, 'close');
  return port;
}
