/**
 * Counts tokens of texts off the request path: in one worker thread, from a bounded queue, each job within a deadline. The
 * thread is started when it is needed and ended when it is idle. Jobs that don't fit or are late are left to the estimate.
 */
import { isMarkedAsUntransferable } from 'node:worker_threads';
import { scriptOf } from '../base/place.ts';
import type { CountResult, Telemetry } from '../base/telemetry.ts';
import type { Thread, World } from '../base/world.ts';
import type { Endpoint } from '../exchange/endpoint.ts';
import type { CountSettings } from './settings.ts';
import type { Counts } from './usage.ts';

/** A reply's text, and its bytes before it was truncated to what is kept. */
export interface ReplyText {
  /** Becomes the counter's: nobody else may look at it. */
  readonly text: Uint8Array;
  readonly bytes: number;
}

/** Texts to count. */
export interface CountJob {
  readonly endpoint: Pick<Endpoint, 'dialect' | 'kind'>;
  /** The request's body as sent; null: the provider stated its tokens. */
  readonly prompt: Uint8Array | null;
  /** Text of each reply without stated usage. */
  readonly replies: readonly ReplyText[];
}

/** Counts tokens in the background. */
export interface TokenCounter {
  /** Calls back exactly once: with the counts, or null if they aren't ready in time. */
  count(job: CountJob, done: (counts: Counts | null) => void): void;
  /** Adopts new settings. */
  update(config: CountSettings): void;
  /** Counts waiting jobs for up to `waitMs`; leaves the rest to the estimate, and ends the thread. */
  close(waitMs: number): Promise<void>;
}

/** Total bytes that may wait to be counted. */
const queueMaxBytes = 64 * 1024 * 1024;
/**
 * After this time without a job the thread ends. Its tokens take 60 MB and more, and to start it takes 0.25 s of CPU time:
 * less than 1% of a core if a job always comes just too late.
 */
const idleMs = 30_000;

interface Waiting {
  readonly job: CountJob;
  readonly bytes: number;
  readonly done: (counts: Counts | null) => void;
  readonly timer: NodeJS.Timeout;
}

const sizeOf = ({ prompt, replies }: CountJob): number =>
  replies.reduce((sum, { text }) => sum + text.length, prompt?.length ?? 0);

/** A text that can be handed to the thread, which frees its memory here: it would wait for a collection otherwise. */
const whole = (text: Uint8Array): Uint8Array =>
  text.byteLength === text.buffer.byteLength && !isMarkedAsUntransferable(text.buffer)
    ? text
    : new Uint8Array(text);

const workerUrl = scriptOf('count/worker');

/**
 * A counter without a thread, which is started for the first job.
 * @param start starts the thread
 */
export function createTokenCounter(
  config: CountSettings,
  telemetry: Pick<Telemetry, 'tokenCount'>,
  start: World['startThread'],
): TokenCounter {
  let { queueMax, deadlineMs } = config;
  let worker: Thread | null = null;
  let idle: NodeJS.Timeout | undefined;
  let current: Waiting | null = null;
  let bytes = 0;
  let onIdle: (() => void) | null = null;
  const queue: Waiting[] = [];

  const finish = (waiting: Waiting, counts: Counts | null, result: CountResult): void => {
    clearTimeout(waiting.timer);
    bytes -= waiting.bytes;
    telemetry.tokenCount(result);
    waiting.done(counts);
    if (current === null && queue.length === 0) onIdle?.();
  };

  const end = (): void => {
    clearTimeout(idle);
    void worker?.terminate();
    worker = null;
  };

  /** The thread crashed or is abandoned: fails its current job, which caused that. */
  const drop = (result: CountResult): void => {
    end();
    const lost = current;
    current = null;
    if (lost !== null) finish(lost, null, result);
    next();
  };

  const open = (): Thread => {
    const started = start(workerUrl);
    started.unref();
    started.on('message', (counts: Counts) => {
      if (started !== worker || current === null) return;
      const done = current;
      current = null;
      finish(done, counts, 'counted');
      next();
    });
    started.on('error', () => {
      if (started === worker) drop('failed');
    });
    return started;
  };

  const next = (): void => {
    if (current !== null) return;
    clearTimeout(idle);
    const waiting = queue.shift();
    if (waiting === undefined) {
      if (worker !== null) idle = setTimeout(end, idleMs).unref();
      return;
    }
    current = waiting;
    worker ??= open();
    const { job } = waiting;
    const replies = job.replies.map(({ text, bytes }) => ({ text: whole(text), bytes }));
    worker.postMessage({ ...job, replies }, replies.map(({ text }) => text.buffer) as ArrayBuffer[]);
  };

  const late = (waiting: Waiting): void => {
    // A text that takes this long would delay all others.
    if (waiting === current) return drop('late');
    queue.splice(queue.indexOf(waiting), 1);
    finish(waiting, null, 'late');
  };

  return {
    count(job, done) {
      const size = sizeOf(job);
      if (queue.length >= queueMax || bytes + size > queueMaxBytes) {
        telemetry.tokenCount('queue_full');
        return done(null);
      }
      bytes += size;
      const timer = setTimeout(() => late(waiting), deadlineMs);
      const waiting: Waiting = { job, bytes: size, done, timer };
      queue.push(waiting);
      next();
    },
    update(next) {
      ({ queueMax, deadlineMs } = next);
    },
    async close(waitMs) {
      if (current !== null || queue.length > 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, waitMs);
          onIdle = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      for (const waiting of queue.splice(0)) finish(waiting, null, 'late');
      drop('late');
    },
  };
}
