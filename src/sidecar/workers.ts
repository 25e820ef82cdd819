/** The workers beside the first one, as that one sees them: started, given connections, asked, and ended. */
import type { Socket } from 'node:net';
import { scriptOf } from '../base/place.ts';
import type { Thread, World } from '../base/world.ts';
import type { Purge } from '../cache/purged.ts';
import type { Config } from '../config/schema.ts';
import { doubleSocket } from '../native/socket.ts';
import type { Segment } from '../observe/ledger/segment.ts';
import type { WorkerMetrics } from '../observe/merge.ts';
import type { Answers, Given, Order, Report, WorkerState } from './crew.ts';

/** The workers beside the first one; none if there is one in all. */
export interface Workers {
  /** Passes a connection on to the worker that has fewest; false: that is the first one. */
  passOn(socket: Socket): boolean;
  /** Has all compose what a configuration needs. Rejects if one can't. */
  compose(config: Config): Promise<void>;
  /** Has all adopt what they composed. */
  adopt(): Promise<void>;
  /** Makes entries of the cache unreachable for all. */
  purge(what: Purge): Promise<void>;
  /** Tells all what a snapshot of the cache begins with. Resolves once they know it. */
  restored(head: Uint8Array): Promise<void>;
  /** Has all let the cache and request bodies take this share of what is configured. */
  squeeze(share: number): void;
  /** The memory is full, or there is room again. */
  full(full: boolean): void;
  /** Has all collect their garbage. */
  collect(): void;
  /** What each knows; one that doesn't answer is left out. */
  states(): Promise<WorkerState[]>;
  /** Those of each; null: it doesn't answer. */
  metrics(): Promise<(WorkerMetrics | null)[]>;
  /** Has requests in flight finish, and ends the threads. */
  drain(drainMs: number): Promise<void>;
}

/** What the first worker does for others. */
export interface WorkersDeps extends Pick<World, 'startThread' | 'onKeyRefused'> {
  /** Open connections of the first worker. */
  connections(): number;
  passLines(lines: Buffer): void;
  takeSegment(segment: Segment): void;
}

/** How long people who look wait for a worker. */
const lookMs = 10_000;
const script = scriptOf('sidecar/worker');

/** An order that is answered, still without the number by which its answer is known. */
type Question = Order extends infer Each ? (Each extends { id: number } ? Omit<Each, 'id'> : never) : never;

/** A worker's thread. */
interface Member {
  tell(order: Order): void;
  /** @param waitMs rejects after this time; unset: it waits as long as the worker lives */
  ask(question: Question, waitMs?: number): Promise<unknown>;
  end(): Promise<void>;
}

function startMember(deps: WorkersDeps): Member {
  const thread: Thread = deps.startThread(script);
  const asked = new Map<number, { resolve(value: unknown): void; reject(cause: Error): void }>();
  let [asks, over] = [0, false];
  thread.on('message', (report: Report) => {
    if (report.kind === 'log') deps.passLines(Buffer.from(report.lines));
    else if (report.kind === 'segment') deps.takeSegment(report.segment);
    else if (report.kind === 'keyRefused') deps.onKeyRefused();
    else {
      const waiting = asked.get(report.id);
      asked.delete(report.id);
      if (report.kind === 'answer') waiting?.resolve(report.value);
      else waiting?.reject(new Error(report.reason));
    }
  });
  let defect: Error | null = null;
  // Thrown once the thread has ended: Node may lose what is thrown before.
  thread.on('error', (cause: Error) => {
    defect = cause;
  });
  // As if it had been thrown in the first worker: the process ends, and with it all that they share.
  thread.on('exit', (code: number) => {
    if (!over) throw defect ?? new Error(`a worker has ended with code ${code}`);
  });
  const tell = (order: Order): void => thread.postMessage(order);
  return {
    tell,
    ask: (question, waitMs) =>
      new Promise((resolve, reject) => {
        if (over) return reject(new Error('a worker has ended'));
        const id = ++asks;
        asked.set(id, { resolve, reject });
        tell({ ...question, id } as Order);
        if (waitMs === undefined) return;
        const late = (): void => {
          if (asked.delete(id)) reject(new Error(`a worker has not answered for ${waitMs} ms`));
        };
        setTimeout(late, waitMs).unref();
      }),
    async end() {
      over = true;
      await thread.terminate();
    },
  };
}

/** There is one worker. */
export const noWorkers: Workers = {
  passOn: () => false,
  compose: async () => {},
  adopt: async () => {},
  purge: async () => {},
  restored: async () => {},
  squeeze: () => {},
  full: () => {},
  collect: () => {},
  states: async () => [],
  metrics: async () => [],
  drain: async () => {},
};

/**
 * Starts the workers beside the first one. Rejects, with none left, if one can't serve.
 * @param given what each gets, besides its number
 */
export async function startWorkers(
  given: Omit<Given, 'worker' | 'connections'>,
  deps: WorkersDeps,
): Promise<Workers> {
  const count = given.config.workers;
  const connections = new Int32Array(new SharedArrayBuffer(4 * count));
  const members = Array.from({ length: count - 1 }, () => startMember(deps));
  const everyone = (question: Question): Promise<unknown[]> =>
    Promise.all(members.map((member) => member.ask(question)));
  const tellAll = (order: Order): void => {
    for (const member of members) member.tell(order);
  };
  const looked = <K extends keyof Answers>(kind: K): Promise<(Answers[K] | null)[]> =>
    Promise.all(
      members.map((member) => member.ask({ kind }, lookMs).catch(() => null)) as Promise<Answers[K] | null>[],
    );
  const end = async (): Promise<void> => {
    await Promise.all(members.map((member) => member.end()));
  };
  try {
    await Promise.all(
      members.map((member, i) =>
        member.ask({ kind: 'start', given: { ...given, worker: i + 1, connections } }),
      ),
    );
  } catch (cause) {
    await end();
    throw cause;
  }
  return {
    passOn(socket) {
      let [to, fewest] = [0, deps.connections()];
      for (let worker = 1; worker < count; worker++) {
        const open = Atomics.load(connections, worker);
        if (open < fewest) [to, fewest] = [worker, open];
      }
      const descriptor = to === 0 ? null : doubleOf(socket);
      if (descriptor === null) return false;
      Atomics.add(connections, to, 1);
      members[to - 1]?.tell({ kind: 'connection', descriptor });
      // Nothing was read from it yet. The other descriptor keeps it open.
      socket.destroy();
      return true;
    },
    async compose(config) {
      await everyone({ kind: 'compose', config });
    },
    async adopt() {
      await everyone({ kind: 'adopt' });
    },
    async purge(what) {
      await everyone({ kind: 'purge', what });
    },
    async restored(head) {
      await everyone({ kind: 'restored', head });
    },
    squeeze: (share) => tellAll({ kind: 'squeeze', share }),
    full: (full) => tellAll({ kind: 'full', full }),
    collect: () => tellAll({ kind: 'collect' }),
    states: async () => (await looked('state')).filter((each) => each !== null),
    metrics: () => looked('metrics'),
    async drain(drainMs) {
      await everyone({ kind: 'drain', drainMs });
      await end();
    },
  };
}

/** Another descriptor of a connection; null: there is none to be had, so that it has to be served here. */
function doubleOf(socket: Socket): number | null {
  // Node has no other way to hand a connection to a thread.
  const { _handle: handle } = socket as unknown as { readonly _handle: { readonly fd: number } | null };
  try {
    return handle === null ? null : doubleSocket(handle.fd);
  } catch {
    return null;
  }
}
