/**
 * Long computations, done in worker threads: no request may hold up the others, and one with a body of many MB would,
 * for seconds. Anything done here takes time linear in the body's length, so its length decides where it is done.
 */
import { type Cancellation, cancelRefusal } from './cancellation.ts';
import { Refusal } from './errors.ts';
import { scriptOf } from './place.ts';
import type { Thread, World } from './world.ts';

/** What a module of computations exports as `work`. It runs in a thread, so all it takes and returns is cloned. */
export type Work<Input, Output> = (body: Buffer, input: Input) => Worked<Output> | Refusal;

/** The result of a computation. */
export interface Worked<Output> {
  readonly value: Output;
  /** A body it made; null: none. */
  readonly body: Buffer | null;
}

/** What a thread is sent. */
export interface Job {
  /** URL of the module. */
  readonly module: string;
  readonly body: Uint8Array<ArrayBuffer>;
  readonly input: unknown;
}

type RefusalMembers = Pick<Refusal, 'code' | 'message' | 'param' | 'retryAfterMs' | 'headers'>;

/** What a thread sends back. */
export type JobResult =
  | { readonly kind: 'done'; readonly value: unknown; readonly body: Uint8Array | null }
  /** A clone has no methods. */
  | { readonly kind: 'refused'; readonly refusal: RefusalMembers }
  /** It threw: the name of the error, since its message may contain text of the body. */
  | { readonly kind: 'failed'; readonly error: string };

/** How long a result is waited for. */
export interface Waits {
  readonly cancellation: Cancellation;
  /** The request's deadline, monotonic ms. */
  readonly deadlineMs: number;
}

/** Does computations aside. */
export interface Aside {
  /**
   * Runs `work` of a module. Resolves with a refusal if there is no room for it, if it takes too long or too much
   * memory, at once when the request is cancelled or its time is over, or if `work` refuses; rejects if it throws.
   * @param module URL of a module that exports `work`
   */
  run<Input, Output>(
    module: string,
    body: Buffer,
    input: Input,
    waits: Waits,
  ): Promise<Worked<Output> | Refusal>;
  /** Ends the threads. What is under way is refused. */
  close(): void;
}

/** Bodies up to this size have a thread of their own, so that they don't wait behind one that takes seconds. */
const smallMaxBytes = 1024 * 1024;
/**
 * Computations that may wait for one thread, and how long. Far more than requests are in flight: many prompts may come at
 * once, and `listen.bodiesMaxBytes` bounds what they take.
 */
const queueMax = 10_000;
const waitMaxMs = 30_000;
/** Longest time for one computation. */
const jobMaxMs = 30_000;
/** By then it has been given up, whatever the request's deadline is. */
const timerMaxMs = 2 * (waitMaxMs + jobMaxMs);
/** Bytes that are copied at once, which takes up to 1 ns each: 4 ms. */
const copiedMaxBytes = 4 * 1024 * 1024;
/** A thread that has nothing to do gives its memory back. */
const idleMs = 5000;
/**
 * Heap of a thread, MB: more than any computation may need, since V8 ends the whole process where a large allocation would
 * exceed it. What bounds the memory is the length of a body and what it is made of (`partsMax` of `parts.ts`).
 */
const heapMaxMb = 4096;

interface Waiting {
  readonly module: string;
  readonly body: Buffer;
  readonly input: unknown;
  readonly sinceMs: number;
  resolve(result: Worked<never> | Refusal): void;
  reject(error: Error): void;
}

const script = scriptOf('base/aside-thread');

const busy = new Refusal('overloaded', 'Too many large requests are being processed.', {
  retryAfterMs: 1000,
});
const tooMuch = new Refusal(
  'body_too_complex',
  'Processing this body takes more time or memory than allowed.',
);

/** Creates it without threads; they are started when first needed, and ended when idle. */
export function createAside({ clock, startThread }: Pick<World, 'clock' | 'startThread'>): Aside {
  const small = createLane(clock, startThread);
  const large = createLane(clock, startThread);
  return {
    run: (module, body, input, waits) =>
      new Promise((resolve, reject) => {
        const lane = body.length <= smallMaxBytes ? small : large;
        lane.add({ module, body, input, sinceMs: clock(), resolve, reject }, waits);
      }),
    close() {
      small.close();
      large.close();
    },
  };
}

/** One thread, and what waits for it. */
interface Lane {
  add(waiting: Waiting, waits: Waits): void;
  close(): void;
}

function createLane(clock: World['clock'], startThread: World['startThread']): Lane {
  const queue = new Set<Waiting>();
  let current: Waiting | null = null;
  let thread: Thread | null = null;
  let timer: NodeJS.Timeout | undefined;

  const stop = (): void => {
    clearTimeout(timer);
    void thread?.terminate();
    thread = null;
  };

  /** Takes the current computation, which is over. */
  const finished = (): Waiting | null => {
    const done = current;
    current = null;
    clearTimeout(timer);
    return done;
  };

  const giveUp = (refusal: Refusal): void => {
    stop();
    finished()?.resolve(refusal);
    next();
  };

  const take = (result: JobResult): void => {
    const done = finished();
    if (result.kind === 'failed') done?.reject(workFailed(result.error));
    else if (result.kind === 'refused') done?.resolve(refusalOf(result.refusal));
    else {
      const { value, body } = result;
      const bytes = body === null ? null : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
      done?.resolve({ value: value as never, body: bytes });
    }
    next();
  };

  const open = (): Thread => {
    const started = startThread(script, { maxOldGenerationSizeMb: heapMaxMb });
    started.unref();
    started.on('message', (result: JobResult) => {
      if (started === thread && current !== null) take(result);
    });
    // It has no memory left: what it throws itself comes as a message.
    started.on('error', () => {
      if (started === thread) giveUp(tooMuch);
    });
    return started;
  };

  const next = (): void => {
    for (const waiting of queue) {
      if (current !== null) break;
      queue.delete(waiting);
      if (clock() - waiting.sinceMs > waitMaxMs) waiting.resolve(busy);
      else begin(waiting);
    }
    if (current !== null || thread === null) return;
    timer = setTimeout(stop, idleMs);
    timer.unref();
  };

  const begin = (waiting: Waiting): void => {
    clearTimeout(timer);
    current = waiting;
    timer = setTimeout(() => giveUp(tooMuch), jobMaxMs);
    timer.unref();
    // A copy, which becomes the thread's without another one. The original may be needed again.
    copy(waiting, new Uint8Array(waiting.body.length), 0);
  };

  /** Copies the rest of a body, a piece in each turn of the event loop, then sends it to the thread. */
  const copy = (waiting: Waiting, body: Uint8Array<ArrayBuffer>, from: number): void => {
    // It was given up meanwhile.
    if (waiting !== current) return;
    const to = Math.min(from + copiedMaxBytes, body.length);
    body.set(waiting.body.subarray(from, to), from);
    if (to < body.length) return void setImmediate(copy, waiting, body, to);
    const { module, input } = waiting;
    const job: Job = { module, body, input };
    thread ??= open();
    thread.postMessage(job, [body.buffer]);
  };

  /** Makes it leave when the request is cancelled or its time is over. What has begun ends, for nobody. */
  const bounded = (waiting: Waiting, { cancellation, deadlineMs }: Waits): Waiting => {
    const leave = (refusal: Refusal): void => {
      queue.delete(left);
      left.resolve(refusal);
    };
    const onCancel = (): void => leave(cancelRefusal(cancellation));
    const late = setTimeout(() => leave(busy), Math.min(Math.max(0, deadlineMs - clock()), timerMaxMs));
    late.unref();
    cancellation.onCancel(onCancel);
    const end = (): void => {
      clearTimeout(late);
      cancellation.off(onCancel);
    };
    const left: Waiting = {
      ...waiting,
      resolve(result) {
        end();
        waiting.resolve(result);
      },
      reject(error) {
        end();
        waiting.reject(error);
      },
    };
    return left;
  };

  return {
    add(waiting, waits) {
      if (waits.cancellation.reason !== null) return waiting.resolve(cancelRefusal(waits.cancellation));
      if (queue.size >= queueMax) return waiting.resolve(busy);
      queue.add(bounded(waiting, waits));
      if (current === null) next();
    },
    close() {
      const left = [...queue];
      queue.clear();
      for (const waiting of left) waiting.resolve(busy);
      stop();
      finished()?.resolve(busy);
    },
  };
}

const refusalOf = ({ code, message, param, retryAfterMs, headers }: RefusalMembers): Refusal =>
  new Refusal(code, message, {
    headers,
    ...(param === null ? {} : { param }),
    ...(retryAfterMs === null ? {} : { retryAfterMs }),
  });

/** A defect in a thread, which tells its name only: as an error's name, that is written to the log. */
function workFailed(name: string): Error {
  const what = `work aside failed: ${name}`;
  return Object.assign(new Error(what), { name: what });
}
