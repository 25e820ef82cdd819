/** The thread that loads a configuration and posts the result. */
import * as module from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import type { LoadOrder } from './load-aside.ts';

// Must be enabled in each thread: compiling would be half of its work.
module.enableCompileCache?.();
const { loadConfig } = await import('./load.ts');

const { path, env, kept } = workerData as LoadOrder;
parentPort?.postMessage(loadConfig(path, env, false, kept));
