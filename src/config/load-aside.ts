/**
 * Loads a configuration in a separate thread that ends afterwards. So a large file, which takes a second, delays no
 * request, and the libraries that read and check it take no memory afterwards: 15 MB, unless something else needs them
 * (a store, peers or the simulator).
 */
import { Worker } from 'node:worker_threads';
import { scriptOf } from '../base/place.ts';
import type { CatalogModelConfig } from '../catalog/settings.ts';
import type { ConfigResult, Environment } from './load.ts';

/** What the thread gets. */
export interface LoadOrder {
  readonly path: string;
  readonly env: Environment;
  readonly kept: readonly CatalogModelConfig[];
}

const workerUrl = scriptOf('config/load-worker');

/** Longest time for loading: a hung file system must not block later reloads. */
const loadMaxMs = 60_000;

/** Like `loadConfig`. Rejects if it takes longer than `maxMs` or the thread fails. */
export function loadAside(
  path: string,
  env: Environment,
  kept: readonly CatalogModelConfig[] = [],
  maxMs = loadMaxMs,
): Promise<ConfigResult> {
  const order = { path, env: { ...env }, kept };
  const worker = startWorker(order);
  if (worker === null) return loadHere(order);
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

/** Null: no thread can be started, for example under Node's permission model or a process limit. */
function startWorker(order: LoadOrder): Worker | null {
  try {
    return new Worker(workerUrl, { workerData: order });
  } catch {
    return null;
  }
}

async function loadHere({ path, env, kept }: LoadOrder): Promise<ConfigResult> {
  const { loadConfig } = await import('./load.ts');
  return loadConfig(path, env, false, kept);
}
