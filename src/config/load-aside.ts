/**
 * Loads a configuration beside the process's own work, in a thread that ends with it: what takes a large file a second
 * holds up no request, and the libraries that read and check take no memory afterwards, 15 MB where nothing else needs
 * them (a store, peers and the simulator do).
 */
import { Worker } from 'node:worker_threads';
import type { ConfigResult, Environment } from './load.ts';

/** What the thread is told. */
export interface LoadOrder {
  readonly path: string;
  readonly env: Environment;
}

/** The file beside this one, compiled or not. */
const workerUrl = new URL(
  import.meta.url.endsWith('.ts') ? './load-worker.ts' : './load-worker.js',
  import.meta.url,
);

/** A file system that hangs must not keep later changes from being read. */
const loadMaxMs = 60_000;

/** As `loadConfig`. Rejects when it takes longer than `maxMs`, or the thread is lost. */
export function loadAside(path: string, env: Environment, maxMs = loadMaxMs): Promise<ConfigResult> {
  const worker = startWorker({ path, env: { ...env } });
  if (worker === null) return loadHere(path, env);
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      reject(new Error(`${path} was not read within ${maxMs / 1000} s`));
      worker.unref();
      void worker.terminate();
    }, maxMs);
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => {
      clearTimeout(late);
      reject(new Error(`the thread that reads ${path} ended with ${code}`));
    });
  });
}

/** Null: there is no thread to be had, as under Node's permission model or a bound on processes. */
function startWorker(order: LoadOrder): Worker | null {
  try {
    return new Worker(workerUrl, { workerData: order });
  } catch {
    return null;
  }
}

async function loadHere(path: string, env: Environment): Promise<ConfigResult> {
  const { loadConfig } = await import('./load.ts');
  return loadConfig(path, env);
}
