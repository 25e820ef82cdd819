/** A thread that works on the native core's tables by their names, as a worker of a sidecar does. */
import { parentPort } from 'node:worker_threads';
import { breaker, breakerOutcome } from '../../src/native/breaker.ts';
import { claims } from '../../src/native/claims.ts';
import { AskEntries, MeterAlgorithm, meter, openNamedMeter } from '../../src/native/meters.ts';
import { retryBudget } from '../../src/native/retries.ts';
import { search } from '../../src/native/search.ts';
import { store } from '../../src/native/store.ts';

/** Settings of a breaker that opens with its second failure. */
export const twoFailures = {
  failures: 2,
  rate: 1,
  callsMin: 0,
  windowMs: 60_000,
  cooldownMs: 30_000,
  cooldownMaxMs: 30_000,
  probeMaxMs: 30_000,
  sourcesMin: 1,
};

/** What a thread can do, each on the tables of this name. */
export const works = {
  /** Asks so often for one request of a limit of 100; gives how many were granted. */
  limit(name: string, calls: number): number {
    const table = meter.openTable(name);
    const { id } = openNamedMeter(name, table, MeterAlgorithm.SlidingWindow, 100, 60_000, 1, 0);
    const asks = new AskEntries();
    let granted = 0;
    for (let call = 0; call < calls; call++) {
      asks.clear();
      asks.ask(id, 1, 0, 0, 0);
      if (asks.admit(table, 0, 1000) >= 0) granted += 1;
    }
    return granted;
  },
  /** Opens a breaker by failures; gives its state before and after. */
  fail(name: string, failures: number): readonly number[] {
    const id = breaker.open(twoFailures, name);
    const before = breaker.state(id, 0);
    for (let i = 0; i < failures; i++) breaker.report(id, breaker.admit(id, 0), breakerOutcome.failure, 0, 0);
    return [before, breaker.state(id, 0)];
  },
  /** Takes extra calls from a retry budget of 30. */
  retry(name: string, calls: number): number {
    const id = retryBudget.open(0, 3, name);
    let granted = 0;
    for (let call = 0; call < calls; call++) if (retryBudget.spend(id, 0)) granted += 1;
    return granted;
  },
  put(name: string, key: string, body: string): void {
    const id = store.open(100, 1e6, 60_000, name);
    store.put(id, 1, key, Buffer.alloc(0), 0, Buffer.from(body), 0);
  },
  get(name: string, key: string): string | null {
    const found = store.get(store.open(100, 1e6, 60_000, name), 1, key, 0);
    return found === null ? null : found.bytes.toString('utf8', found.headLength, found.length);
  },
  insert(name: string, entry: number, text: string): boolean {
    return search.insert(search.open(1e6, 256, name), 1, 'scope', entry, text);
  },
  find(name: string, text: string): number | null {
    return search.find(search.open(1e6, 256, name), 'scope', text)?.entry ?? null;
  },
  /** Claims keys for a thread; gives how many are its own. */
  claim(name: string, keys: number, thread: number): number {
    const id = claims.open(name);
    let mine = 0;
    for (let key = 0; key < keys; key++) if (claims.take(id, String(key), '', thread) < 0) mine += 1;
    return mine;
  },
} as const;

/** One of these, with what it is given. */
export type Order = {
  [Name in keyof typeof works]: [Name, ...Parameters<(typeof works)[Name]>];
}[keyof typeof works];

parentPort?.on('message', ([name, ...given]: Order) => {
  parentPort?.postMessage((works[name] as (...all: unknown[]) => unknown)(...given) ?? null);
});
