/**
 * Leases over Redis: reports what this pod used of shared limits, and fetches what it may use, in one call a tick for
 * all of them. No request waits for it, but for those that ask, and those wait 10 ms at most. A call that fails changes
 * nothing but the state: each pod then goes on at its share.
 */
import { randomUUID } from 'node:crypto';
import type { Telemetry } from '../base/telemetry.ts';
import type { LeaseBook, Leases } from '../exchange/lease.ts';
import { leaseEntry } from '../native/leases.ts';
import { createAsks } from './asks.ts';
import {
  adoptAnswer,
  type Births,
  createClocks,
  itemsMax,
  type LeaseCall,
  type LeaseTimes,
  packCalls,
} from './lease-call.ts';
import { createWire } from './lease-wire.ts';
import { reasonOf, redisClient } from './redis.ts';
import type { SyncConfig } from './settings.ts';

/** How often leases are renewed, and for how long they are good, ms. */
export interface Rhythm extends LeaseTimes {
  /** A lease should last for this long: two ticks and a bit. */
  readonly horizonMs: number;
  /** Leases go on for this long after calls began to fail; then each pod goes on at its share. */
  readonly graceMs: number;
  /** Calls ahead of the tick, on average. */
  readonly urgentPerSecond: number;
}

/** The rhythm where limits are spread over so many slots, each of which is called in each tick. */
export function rhythmOf(shards: number): Rhythm {
  const tickMs = shards === 1 ? 900 : 750 * shards;
  const ticks = (count: number): number => Math.round(count * tickMs);
  return {
    tickMs,
    // One tick may be lost.
    leaseMs: ticks(10 / 3),
    horizonMs: ticks(20 / 9),
    graceMs: ticks(5 / 3),
    // With those of ticks, and what keeps connections to peers alive, two a second.
    urgentPerSecond: 1.75 - (shards * 1000) / tickMs,
  };
}

/** Leases that run low are looked for this often, as requests come; calls that were not needed are saved, up to `max`. */
export const urgency = { everyMs: 50, max: 10 } as const;
/** Reports in one round; more leases take turns. */
const reportsMax = 10 * itemsMax;

export interface LeaseSync extends Leases {
  /** Adopts settings: connects elsewhere, or not at all. */
  update(sync: SyncConfig): void;
  /** Whether Redis answers; null: none is configured. */
  readonly up: boolean | null;
  /** Pods that share, this one included, as Redis last said; 0: it hasn't. */
  readonly pods: number;
  /** Reports what was used one last time, for a moment, and disconnects. */
  close(): Promise<void>;
}

/** What leases need. */
export interface LeaseSyncDeps {
  readonly book: LeaseBook;
  /** Called with the version of the stored keys that Redis has. */
  readonly onKeysVersion?: (version: number) => void;
  /** Called with the number of pods that Redis knows, again and again. */
  readonly onPods?: (pods: number) => void;
  /** Monotonic ms. */
  readonly clock: () => number;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly telemetry: Pick<Telemetry, 'leases' | 'leaseCall' | 'leasePods' | 'leaseAsk' | 'leasesForeign'>;
}

export function createLeases(deps: LeaseSyncDeps): LeaseSync {
  // The same for all connections: under another name Redis would take what is in flight for the lease of a pod that is gone,
  // and count it as used.
  const pod = randomUUID();
  let settings = '';
  let link: Link | null = null;
  let ended: Promise<unknown> = Promise.resolve();
  let pods = 0;
  const telemetry = {
    ...deps.telemetry,
    leasePods(count: number) {
      pods = count;
      deps.telemetry.leasePods(count);
      deps.onPods?.(count);
    },
  };
  const end = (): void => {
    ended = Promise.all([ended, link?.close()]);
    link = null;
  };
  return {
    used: (nowMs) => link?.used(nowMs),
    ask: (id, cost) => link?.ask(id, cost) ?? Promise.resolve(false),
    update(sync) {
      const next = JSON.stringify(sync);
      if (next === settings) return;
      settings = next;
      end();
      const { redis } = sync;
      link =
        redis === undefined ? null : openLink({ ...sync, redis }, { ...deps, telemetry, pod, after: ended });
    },
    get up() {
      return link?.up ?? null;
    },
    get pods() {
      return pods;
    },
    async close() {
      end();
      await ended;
    },
  };
}

interface Link extends Leases {
  readonly up: boolean;
  /** Called once. */
  close(): Promise<void>;
}

interface LinkDeps extends LeaseSyncDeps {
  /** Names this sidecar. */
  readonly pod: string;
  /** The connections before have ended: no report of theirs may overtake one of this. */
  readonly after: Promise<unknown>;
}

function openLink(sync: SyncConfig & { readonly redis: string }, deps: LinkDeps): Link {
  const { book, pod, clock, random, telemetry } = deps;
  const shards = sync.mode === 'cluster' ? sync.shards : 1;
  const births: Births = new Map();
  const foreign = createForeign(telemetry);
  const rhythm = rhythmOf(shards);
  const clocks = createClocks(clock);
  const wire = createWire(pod);
  const asks = createAsks(clock);
  const reports = new Float64Array(reportsMax * leaseEntry.report);
  const timers: NodeJS.Timeout[] = [];
  let lastError: unknown = null;
  let up: boolean | null = null;
  let upMs = Number.NEGATIVE_INFINITY;
  let round: Promise<void> | null = null;
  let closing = false;
  const ahead = createAhead(rhythm.urgentPerSecond, clock());

  const state = (next: boolean, why: string): void => {
    // Once it closes, another one says whether Redis is there.
    if (closing || next === up) return;
    up = next;
    book.alone(!next);
    telemetry.leases(next, why);
  };
  const failed = (cause: unknown): void => {
    telemetry.leaseCall('failed');
    // A client that isn't connected says only that: what ended the connection says more.
    const told = /enableOfflineQueue|Connection is closed/.test(String((cause as Error)?.message));
    if (clock() - upMs >= rhythm.graceMs) state(false, reasonOf(told ? (lastError ?? cause) : cause));
  };

  const exchange = async (from: Float64Array, call: LeaseCall): Promise<void> => {
    const sentMs = clock();
    const answer = await wire.send(call);
    const nowMs = clock();
    const adopted = adoptAnswer(book, from, call, answer, births, rhythm, sentMs, nowMs);
    if (adopted === null) throw new Error('not an answer');
    telemetry.leaseCall('answered');
    clocks.told(call.shard, { sentMs, cameMs: nowMs, clockMs: adopted.clockMs });
    if (call.shard === 0) {
      book.pods(adopted.pods);
      telemetry.leasePods(adopted.pods);
      deps.onKeysVersion?.(adopted.keysVersion);
    }
    foreign.note(call.names, adopted.foreign);
  };

  /**
   * Sends what `from` holds; one round at a time, so that no report overtakes another. Gives the calls it took; 0: one
   * was not answered.
   * @param greets says that this pod is there, though it has nothing to report
   */
  const exchangeAll = async (from: Float64Array, count: number, greets: boolean): Promise<number> => {
    const calls = packCalls(book, from, count, {
      greets,
      prefix: sync.prefix,
      shards,
      births,
      ...rhythm,
      clockOf: clocks.of,
    });
    const results = await Promise.allSettled(calls.map((call) => exchange(from, call)));
    const fault = results.find((result) => result.status === 'rejected');
    if (fault !== undefined) {
      failed(fault.reason);
      return 0;
    }
    if (calls.length === 0) return 0;
    upMs = clock();
    state(true, '');
    return calls.length;
  };

  const reportAll = async (greets: boolean): Promise<number> => {
    if (!wire.hangs()) return exchangeAll(reports, book.report(reports, rhythm.horizonMs, clock()), greets);
    failed(new Error('timed out'));
    return 0;
  };

  const reportAsks = async (): Promise<void> => {
    const { costs, done } = asks.take();
    const { from, count } = reportCosts(book, costs, rhythm.horizonMs, clock());
    done((await exchangeAll(from, count, false)) > 0);
  };

  const start = (work: () => Promise<unknown>): void => {
    round = work()
      .then(() => {}, failed)
      .finally(() => {
        round = null;
        if (asks.size > 0 && !closing) start(reportAsks);
      });
  };

  const tick = (): void => {
    if (round === null) start(() => reportAll(true));
  };
  const lookForUrgent = (): void => {
    if (round !== null || up !== true || !book.urgent()) return;
    start(async () => ahead.made(await reportAll(false)));
  };

  const connect = async (): Promise<void> => {
    await deps.after;
    const made = await redisClient(sync, random);
    if (closing) return made.disconnect();
    wire.connected(made);
    made.on('error', (cause) => {
      lastError = cause;
    });
    await made.connect().catch(() => {});
    tick();
    // Not all pods in the same moment.
    timers.push(
      setTimeout(() => {
        if (!closing) timers.push(setInterval(tick, rhythm.tickMs).unref());
      }, random() * rhythm.tickMs).unref(),
    );
  };
  void connect().catch(failed);

  return {
    used(nowMs) {
      // Not by a timer: waking an idle process twenty times a second costs more than all calls to Redis.
      if (ahead.mayCall(nowMs)) lookForUrgent();
    },
    ask(id, cost) {
      const asked = up === true ? asks.add(id, cost) : null;
      if (asked === null) return Promise.resolve(false);
      if (round === null) start(reportAsks);
      void asked.then((answered) => telemetry.leaseAsk(answered ? 'answered' : 'late'));
      return asked;
    },
    get up() {
      return up === true;
    },
    async close() {
      closing = true;
      for (const timer of timers) clearInterval(timer);
      if (up === true) {
        await round;
        await exchangeAll(reports, book.report(reports, 0, clock()), true).catch(() => {});
      }
      wire.close();
    },
  };
}

/** The calls that may be made ahead of the tick. @param perSecond on average @param nowMs monotonic */
function createAhead(perSecond: number, nowMs: number) {
  let saved: number = urgency.max;
  let lookedMs = nowMs;
  return {
    /** Whether it is time to look for leases that run low, and a call is left. */
    mayCall(nowMs: number): boolean {
      if (nowMs - lookedMs < urgency.everyMs) return false;
      saved = Math.min(urgency.max, saved + (perSecond * (nowMs - lookedMs)) / 1000);
      lookedMs = nowMs;
      return saved >= 1;
    },
    /** @param calls 0: one was not answered */
    made(calls: number): void {
      saved -= Math.max(1, calls);
    },
  };
}

/** The reports of meters with costs that wait for the answer. */
function reportCosts(book: LeaseBook, costs: ReadonlyMap<number, number>, horizonMs: number, nowMs: number) {
  const from = new Float64Array(costs.size * leaseEntry.report);
  let count = 0;
  for (const [id, cost] of costs) {
    const entry = from.subarray(count * leaseEntry.report);
    if (book.reportOne(id, cost, entry, horizonMs, nowMs)) count += 1;
  }
  return { from, count };
}

/** Limits remembered whose keys hold something else. */
const foreignMax = 1000;

/** Remembers which keys hold something else, and says so when that changes. */
function createForeign(telemetry: Pick<Telemetry, 'leasesForeign'>) {
  const foreign = new Set<string>();
  return {
    /** @param names of the limits that were reported @param found those among them whose key holds something else */
    note(names: readonly string[], found: readonly string[]): void {
      const before = foreign.size;
      if (before === 0 && found.length === 0) return;
      for (const name of names) foreign.delete(name);
      for (const name of found) if (foreign.size < foreignMax) foreign.add(name);
      if (foreign.size !== before) telemetry.leasesForeign(foreign.size);
    },
  };
}
