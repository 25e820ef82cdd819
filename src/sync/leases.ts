/**
 * Leases over Redis: reports what this pod used of shared limits, and fetches what it may use, in one call a tick for
 * all of them. No request waits for it, but for those that ask, and those wait 10 ms at most. A call that fails changes
 * nothing but the state: each pod then goes on at its share.
 */
import { createHash, randomUUID } from 'node:crypto';
import type { Telemetry } from '../base/telemetry.ts';
import { askTimeoutMs, type LeaseBook, type Leases } from '../exchange/lease.ts';
import { leaseEntry } from '../native/leases.ts';
import { adoptAnswer, type Births, itemsMax, type LeaseCall, packCalls } from './lease-call.ts';
import { leaseScript } from './lease-script.ts';
import { type RedisClient, reasonOf, redisClient } from './redis.ts';
import type { SyncConfig } from './settings.ts';

/** How often all leases are renewed, and how long they last: one tick may be lost. */
const tickMs = 1000;
const leaseMs = 3000;
/** A lease should last for two ticks. */
const horizonMs = 2 * tickMs;
/** An answer that takes longer is none. */
const callTimeoutMs = 900;
/** Leases go on for this long after calls began to fail; then each pod goes on at its share. */
const graceMs = 1500;
/** Leases that run low are looked for this often, and may be renewed ahead of the tick, on average once a second. */
const urgentEveryMs = 50;
const urgentPerSecond = 0.8;
const urgentMax = 10;
/** Reports in one round; more leases take turns. */
const reportsMax = 10 * itemsMax;
/** Calls that Redis has not answered: beyond it none is sent. */
const unansweredMax = 8;
/** A connection with a call that is older is given up. */
const hungMs = 5000;
/** Requests that wait for Redis at once; more are decided by the fair share. */
const asksMax = 1000;
/** Once an ask was not answered in time, none is made for this long. */
const askPauseMs = 1000;

export interface LeaseSync extends Leases {
  /** Adopts settings: connects elsewhere, or not at all. */
  update(sync: SyncConfig): void;
  /** Whether Redis answers. */
  readonly up: boolean;
  /** Reports what was used one last time, for a moment, and disconnects. */
  close(): Promise<void>;
}

/** What leases need. */
export interface LeaseSyncDeps {
  readonly book: LeaseBook;
  /** Monotonic ms. */
  readonly clock: () => number;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly telemetry: Pick<Telemetry, 'leases' | 'leaseCall' | 'leaseForeign'>;
}

/** Requests that wait for Redis, by the meter they ask for. */
interface Asks {
  /** Null: too many wait, or Redis was too slow a moment ago. */
  add(id: number, cost: number): Promise<boolean> | null;
  /** Takes all that wait; each is told whether it was answered. */
  take(): { readonly costs: ReadonlyMap<number, number>; done(answered: boolean): void };
  readonly size: number;
}

function createAsks(clock: () => number): Asks {
  let costs = new Map<number, number>();
  let waiting: ((answered: boolean) => void)[] = [];
  let pauseUntilMs = Number.NEGATIVE_INFINITY;
  return {
    add(id, cost) {
      if (clock() < pauseUntilMs || waiting.length >= asksMax) return null;
      costs.set(id, (costs.get(id) ?? 0) + cost);
      return new Promise((resolve) => {
        const timer = setTimeout(() => {
          pauseUntilMs = clock() + askPauseMs;
          resolve(false);
        }, askTimeoutMs);
        waiting.push((answered) => {
          clearTimeout(timer);
          resolve(answered);
        });
      });
    },
    take() {
      const taken = { costs, waiting };
      costs = new Map();
      waiting = [];
      return {
        costs: taken.costs,
        done(answered) {
          for (const resolve of taken.waiting) resolve(answered);
        },
      };
    },
    get size() {
      return costs.size;
    },
  };
}

export function createLeases(deps: LeaseSyncDeps): LeaseSync {
  let settings = '';
  let link: Link | null = null;
  return {
    ask: (id, cost) => link?.ask(id, cost) ?? Promise.resolve(false),
    update(sync) {
      const next = JSON.stringify(sync);
      if (next === settings) return;
      settings = next;
      void link?.close();
      const { redis } = sync;
      link = redis === undefined ? null : openLink({ ...sync, redis }, deps);
    },
    get up() {
      return link?.up ?? false;
    },
    async close() {
      await link?.close();
      link = null;
    },
  };
}

/** Sends calls, one after the other, and never waits long. */
interface Wire {
  connected(client: RedisClient): void;
  /** Rejects when it is not answered within `callTimeoutMs`. */
  send(call: LeaseCall): Promise<Buffer>;
  /** Whether too much is unanswered to send more; a connection that hangs is then replaced. */
  hangs(): boolean;
  close(): void;
}

function createWire(pod: string, clock: () => number): Wire {
  const sha = createHash('sha1').update(leaseScript).digest('hex');
  const unanswered = new Set<{ readonly sentMs: number }>();
  let client: RedisClient | null = null;
  return {
    connected(made) {
      client = made;
    },
    async send(call) {
      const connection = client;
      if (connection === null) throw new Error('not connected');
      const sent = { sentMs: clock() };
      const args = [...call.keys, pod, call.blob];
      unanswered.add(sent);
      const answer = connection
        .callBuffer('EVALSHA', sha, call.keys.length, ...args)
        .catch((cause: Error) => {
          if (!cause.message.startsWith('NOSCRIPT')) throw cause;
          return connection.callBuffer('EVAL', leaseScript, call.keys.length, ...args);
        })
        .finally(() => unanswered.delete(sent));
      answer.catch(() => {});
      return (await within(answer, callTimeoutMs)) as Buffer;
    },
    hangs() {
      const [oldest] = unanswered;
      if (oldest === undefined) return false;
      if (clock() - oldest.sentMs > hungMs) {
        unanswered.clear();
        client?.disconnect(true);
        return true;
      }
      return unanswered.size >= unansweredMax;
    },
    close: () => client?.disconnect(),
  };
}

interface Link extends Leases {
  readonly up: boolean;
  close(): Promise<void>;
}

function openLink(sync: SyncConfig & { readonly redis: string }, deps: LeaseSyncDeps): Link {
  const { book, clock, random, telemetry } = deps;
  const pod = randomUUID();
  const shards = sync.mode === 'cluster' ? sync.shards : 1;
  const births: Births = new Map();
  const foreign = new Set<string>();
  const answeredMs = new Map<number, number>();
  const wire = createWire(pod, clock);
  const asks = createAsks(clock);
  const reports = new Float64Array(reportsMax * leaseEntry.report);
  const timers: NodeJS.Timeout[] = [];
  let lastError: unknown = null;
  let up: boolean | null = null;
  let upMs = Number.NEGATIVE_INFINITY;
  let round: Promise<void> | null = null;
  let closed = false;
  let urgent = urgentMax;

  const state = (next: boolean, why: string): void => {
    if (closed || next === up) return;
    up = next;
    book.alone(!next);
    telemetry.leases(next, why);
  };
  const failed = (cause: unknown): void => {
    telemetry.leaseCall('failed');
    // A client that isn't connected says only that: what ended the connection says more.
    const told = /enableOfflineQueue|Connection is closed/.test(String((cause as Error)?.message));
    if (clock() - upMs >= graceMs) state(false, reasonOf(told ? (lastError ?? cause) : cause));
  };

  const exchange = async (from: Float64Array, call: LeaseCall): Promise<void> => {
    const sentMs = clock();
    const answer = await wire.send(call);
    const nowMs = clock();
    const told = adoptAnswer(book, from, call, answer, births, { leaseMs, tickMs }, sentMs, nowMs);
    if (told === null) throw new Error('not an answer');
    telemetry.leaseCall('answered');
    answeredMs.set(call.shard, sentMs);
    if (call.shard === 0) book.pods(told.pods);
    for (const name of told.foreign) {
      if (foreign.has(name)) continue;
      if (foreign.size < foreignMax) foreign.add(name);
      telemetry.leaseForeign();
    }
  };

  /** Sends what `from` holds; one round at a time, so that no report overtakes another. */
  const exchangeAll = async (from: Float64Array, count: number): Promise<boolean> => {
    const calls = packCalls(book, from, count, {
      prefix: sync.prefix,
      shards,
      births,
      leaseMs,
      tickMs,
      passedMs: (shard) => clock() - (answeredMs.get(shard) ?? Number.POSITIVE_INFINITY),
    });
    const results = await Promise.allSettled(calls.map((call) => exchange(from, call)));
    const fault = results.find((result) => result.status === 'rejected');
    if (fault !== undefined) {
      failed(fault.reason);
      return false;
    }
    upMs = clock();
    state(true, '');
    return true;
  };

  const reportAll = async (): Promise<void> => {
    if (wire.hangs()) return failed(new Error('timed out'));
    await exchangeAll(reports, book.report(reports, horizonMs, clock()));
  };

  const reportAsks = async (): Promise<void> => {
    const { costs, done } = asks.take();
    const from = new Float64Array(costs.size * leaseEntry.report);
    let count = 0;
    for (const [id, cost] of costs)
      if (book.reportOne(id, cost, from.subarray(count * leaseEntry.report), horizonMs, clock())) count += 1;
    done(await exchangeAll(from, count));
  };

  const start = (work: () => Promise<void>): void => {
    round = work()
      .catch(failed)
      .finally(() => {
        round = null;
        if (asks.size > 0 && !closed) start(reportAsks);
      });
  };

  const tick = (): void => {
    if (round === null) start(reportAll);
  };
  const lookForUrgent = (): void => {
    urgent = Math.min(urgentMax, urgent + (urgentPerSecond * urgentEveryMs) / 1000);
    if (round !== null || urgent < 1 || up !== true || !book.urgent()) return;
    urgent -= 1;
    start(reportAll);
  };

  const connect = async (): Promise<void> => {
    const made = await redisClient(sync, random);
    if (closed) return made.disconnect();
    wire.connected(made);
    made.on('error', (cause) => {
      lastError = cause;
    });
    await made.connect().catch(() => {});
    tick();
    // Not all pods in the same moment.
    timers.push(
      setTimeout(() => {
        if (!closed) timers.push(setInterval(tick, tickMs).unref());
      }, random() * tickMs).unref(),
      setInterval(lookForUrgent, urgentEveryMs).unref(),
    );
  };
  void connect().catch(failed);

  return {
    ask(id, cost) {
      const asked = up === true ? asks.add(id, cost) : null;
      if (asked !== null && round === null) start(reportAsks);
      return asked ?? Promise.resolve(false);
    },
    get up() {
      return up === true;
    },
    async close() {
      if (closed) return;
      for (const timer of timers) clearInterval(timer);
      if (up === true) {
        await round;
        await exchangeAll(reports, book.report(reports, 0, clock())).catch(() => {});
      }
      closed = true;
      wire.close();
    },
  };
}

/** Keys that hold something else and were told of. */
const foreignMax = 1000;

/** Rejects when an answer takes longer. */
async function within<T>(answer: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('timed out')), timeoutMs);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
