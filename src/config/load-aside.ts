/**
 * Loads a configuration beside the process's own work, in a thread that ends with it. Reading and checking need
 * libraries that nothing else does, 15 MB of them; and what takes a large file a second holds up no request.
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

/** As `loadConfig`. Rejects when there is no thread to be had, or it is lost. */
export function loadAside(path: string, env: Environment): Promise<ConfigResult> {
  const order: LoadOrder = { path, env: { ...env } };
  return new Promise((resolve, reject) => {
    const worker = new Worker(workerUrl, { workerData: order });
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the thread that loads ${path} ended with ${code}`)));
  });
}
