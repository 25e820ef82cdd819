/**
 * One worker thread for all sidecars of a test file, where threads answer each message: those that count tokens and that
 * do the work of large requests. A thread of its own for each sidecar would read the tokenizer's vocabulary anew, which
 * takes more CPU time than most tests and makes their real deadlines late on a busy machine.
 */
import { EventEmitter } from 'node:events';
import { Worker } from 'node:worker_threads';
import { scriptOf } from '../../src/base/place.ts';
import { realWorld, type Thread } from '../../src/base/world.ts';

const answering = ['count/worker', 'base/aside-thread'].map((name) => scriptOf(name).href);

interface Running {
  readonly worker: Worker;
  /** Who waits for the answers that are still to come, in their order; null: nobody any more. */
  asked: (EventEmitter | null)[];
}

const running = new Map<string, Running>();

function runningOf(script: URL): Running {
  const found = running.get(script.href);
  if (found !== undefined) return found;
  const worker = new Worker(script);
  worker.unref();
  const one: Running = { worker, asked: [] };
  running.set(script.href, one);
  worker.on('message', (message) => one.asked.shift()?.emit('message', message));
  worker.on('error', (error) => {
    running.delete(script.href);
    for (const waiting of one.asked.splice(0)) waiting?.emit('error', error);
  });
  return one;
}

/** What looks like a thread of its own, or is one where messages aren't each answered: the ledger's. */
export function sharedThread(script: URL): Thread {
  if (!answering.includes(script.href)) return realWorld.startThread(script);
  const one = runningOf(script);
  const thread = new EventEmitter();
  return Object.assign(thread, {
    postMessage(message: unknown): void {
      one.asked.push(thread);
      one.worker.postMessage(message);
    },
    async terminate(): Promise<number> {
      one.asked = one.asked.map((waiting) => (waiting === thread ? null : waiting));
      return 0;
    },
    unref(): void {},
  });
}
