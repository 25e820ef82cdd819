/** The sinks that many processes share: Redis, a webhook, PostgreSQL, ClickHouse. Served by a thread of their own. */
import { hostname } from 'node:os';
import { scriptOf } from '../../base/place.ts';
import type { Thread, World } from '../../base/world.ts';
import type { SinkState } from '../sink-state.ts';
import { configuredKinds, type SinkKind } from './kinds.ts';
import type { SinkSettings } from './settings.ts';
import type { SinkNews, SinksOrder } from './worker.ts';

/** The open sinks. */
export interface Sinks {
  /** The ledger has new rows. @param another in another file, which is read from now on */
  wake(another?: boolean): void;
  /** Of those whose progress is known: the counts go on from the last process, so none begins at 0. */
  states(): (readonly [SinkKind, SinkState])[];
  /** Sends what waits, for at most `waitMs`; the rest is sent after the next start. */
  close(waitMs: number): Promise<void>;
}

/** What sinks need. */
export interface SinksDeps extends Pick<World, 'startThread' | 'wallClock'> {
  /** A sink can't be reached (with the reason), or can be again (null). Once per change. */
  onProblem(sink: SinkKind, problem: string | null): void;
}

const threadUrl = scriptOf('observe/sinks/worker');
/** Shortest time between two wakes: rows that come meanwhile are sent together. */
const wakeEveryMs = 250;
/** How long the thread may take to end, in addition. */
const endMs = 1000;

/** Starts the thread of the sinks. @param path the ledger's file */
export function openSinks(path: string, settings: SinkSettings, deps: SinksDeps): Sinks {
  const known = new Map<SinkKind, SinkNews>();
  const failing = new Set<SinkKind>();
  let timer: NodeJS.Timeout | null = null;
  let closed = false;
  const order = (thread: Thread, message: SinksOrder): void => thread.postMessage(message);

  const report = (sink: SinkKind, problem: string | null): void => {
    if ((problem !== null) === failing.has(sink)) return;
    if (problem === null) failing.delete(sink);
    else failing.add(sink);
    deps.onProblem(sink, problem);
  };

  const start = (): Thread => {
    const opened = deps.startThread(threadUrl);
    opened.unref();
    opened.on('message', (news: SinkNews) => {
      if (opened !== thread && !closed) return;
      known.set(news.sink, news);
      if (news.problem !== undefined) report(news.sink, news.problem);
    });
    opened.on('error', (cause: Error) => {
      if (opened !== thread || closed) return;
      // Started again at the next rows.
      thread = null;
      for (const sink of configuredKinds(settings)) report(sink, `their thread has ended: ${cause.message}`);
    });
    const instance = settings.instance ?? hostname();
    order(opened, { kind: 'open', path, instance, settings });
    return opened;
  };
  let thread: Thread | null = start();

  return {
    wake(another = false) {
      if (another && !closed) {
        void thread?.terminate();
        thread = start();
      }
      timer ??= setTimeout(() => {
        timer = null;
        if (closed) return;
        if (thread === null) thread = start();
        else order(thread, { kind: 'wake' });
      }, wakeEveryMs).unref();
    },
    states: () =>
      [...known.values()].map(({ sink, progress: { sent, dropped, waiting, oldestMs } }) => {
        const lagMs = oldestMs === 0 ? 0 : Math.max(0, deps.wallClock() - oldestMs);
        return [sink, { sent, dropped, waiting, lagMs }];
      }),
    async close(waitMs) {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      const ending = thread;
      thread = null;
      if (ending === null) return;
      await new Promise<void>((resolve) => {
        const late = setTimeout(resolve, waitMs + endMs);
        ending.once('exit', () => {
          clearTimeout(late);
          resolve();
        });
        order(ending, { kind: 'close', waitMs });
      });
      void ending.terminate();
    },
  };
}
