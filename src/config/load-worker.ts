/** The thread that loads a configuration; what came of it is all that it leaves. */
import * as module from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import type { LoadOrder } from './load-aside.ts';

// Each thread has to ask for it: half of its work would be to compile.
module.enableCompileCache?.();
const { loadConfig } = await import('./load.ts');

const { path, env } = workerData as LoadOrder;
parentPort?.postMessage(loadConfig(path, env));
