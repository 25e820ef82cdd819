/** Slow, obvious references for the core's meters: integers, every millisecond separately, every event remembered. */

/** A meter's decision: go after some ms, wait some ms (null: unknown how long), or never. */
export type Verdict = { readonly go: number } | { readonly waitMs: number | null } | { readonly never: true };

/** A reference meter. */
export interface Reference {
  /** Advances time by whole ms. */
  pass(ms: number): void;
  ask(cost: number): Verdict;
  take(cost: number, keep: boolean): void;
  settle(reserved: number, used: number): void;
  /** What could be taken now. */
  left(): number;
}

/** Until a reserve is settled its end is unknown; a client that waits for it retries after this time. */
export const heldMs = 1000;

const never: Verdict = { never: true };

/** Refilled by `perMs` each ms, up to the capacity minus reserves. */
export function slowBucket(capacity: number, perMs: number): Reference {
  let level = capacity;
  let reserved = 0;
  return {
    pass(ms) {
      for (let i = 0; i < ms; i++)
        if (level < capacity - reserved) level = Math.min(capacity - reserved, level + perMs);
    },
    ask(cost) {
      if (cost > capacity) return never;
      if (cost <= level) return { go: 0 };
      // Refill never replaces a reserve: that is returned at an unknown time.
      const leastMs = cost > capacity - reserved ? heldMs : 0;
      return { waitMs: Math.max(leastMs, (cost - level) / perMs) };
    },
    take(cost, keep) {
      level -= cost;
      if (keep) reserved += cost;
    },
    settle(held, used) {
      reserved -= held;
      level = Math.min(level + held - used, capacity - reserved);
    },
    left: () => level,
  };
}

/** A queue that loses `perMs` each ms. */
export function slowLeaky(capacity: number, perMs: number): Reference {
  let queued = 0;
  return {
    pass(ms) {
      for (let i = 0; i < ms; i++) queued = Math.max(0, queued - perMs);
    },
    ask(cost) {
      if (cost > capacity) return never;
      const over = queued + cost - capacity;
      return over <= 0 ? { go: queued / perMs } : { waitMs: over / perMs };
    },
    take(cost) {
      queued += cost;
    },
    settle(held, used) {
      queued = Math.max(0, queued - held + used);
    },
    left: () => capacity - queued,
  };
}

/** Records every use with its time; each counts until the 61st part after its own begins. */
export function slowWindow(
  capacity: number,
  windowMs: number,
): Reference & { readonly uses: readonly { readonly atMs: number; readonly used: number }[] } {
  const partMs = windowMs / 60;
  const uses: { atMs: number; used: number }[] = [];
  let reserved = 0;
  let nowMs = 0;
  const endOf = (atMs: number): number => (Math.floor(atMs / partMs) + 61) * partMs;
  const counted = (atMs: number): number =>
    uses.reduce((sum, use) => sum + (endOf(use.atMs) > atMs ? use.used : 0), 0);
  return {
    uses,
    pass(ms) {
      nowMs += ms;
    },
    ask(cost) {
      if (cost > capacity) return never;
      const fits = (atMs: number): boolean => counted(atMs) + reserved + cost <= capacity;
      if (fits(nowMs)) return { go: 0 };
      const ends = uses.map(({ atMs }) => endOf(atMs)).sort((a, b) => a - b);
      const end = ends.find((atMs) => atMs > nowMs && fits(atMs));
      return { waitMs: end === undefined ? null : end - nowMs };
    },
    take(cost, keep) {
      if (keep) reserved += cost;
      else uses.push({ atMs: nowMs, used: cost });
    },
    settle(held, used) {
      reserved -= held;
      uses.push({ atMs: nowMs, used });
    },
    left: () => capacity - counted(nowMs) - reserved,
  };
}

/** Records everything held, one by one. */
export function slowGauge(capacity: number): Reference {
  const held: number[] = [];
  const sum = (): number => held.reduce((a, b) => a + b, 0);
  return {
    pass() {},
    ask(cost) {
      if (cost > capacity) return never;
      return sum() + cost <= capacity ? { go: 0 } : { waitMs: null };
    },
    take(cost) {
      held.push(cost);
    },
    settle(reserved) {
      held.splice(held.indexOf(reserved), 1);
    },
    left: () => capacity - sum(),
  };
}

/** One sum per window of `windowMs`; reserves remember their window. */
export function slowBudget(capacity: number, windowMs: number): Reference {
  const spent = new Map<number, number>();
  const holds: { window: number; reserved: number }[] = [];
  let nowMs = 0;
  const window = (): number => Math.floor(nowMs / windowMs);
  const spentNow = (): number => spent.get(window()) ?? 0;
  const gone = (): number =>
    holds.reduce((sum, hold) => sum + (hold.window === window() ? hold.reserved : 0), spentNow());
  const spend = (of: number, used: number): void => void spent.set(of, (spent.get(of) ?? 0) + used);
  return {
    pass(ms) {
      nowMs += ms;
    },
    ask(cost) {
      if (cost > capacity) return never;
      if (gone() + cost <= capacity) return { go: 0 };
      const leftMs = (window() + 1) * windowMs - nowMs;
      return { waitMs: spentNow() + cost <= capacity ? Math.min(heldMs, leftMs) : leftMs };
    },
    take(cost, keep) {
      if (keep) holds.push({ window: window(), reserved: cost });
      else spend(window(), cost);
    },
    settle(reserved, used) {
      // The oldest reserve of this size, as settlements come in that order.
      const at = holds.findIndex((hold) => hold.reserved === reserved);
      const [hold] = holds.splice(at, 1);
      if (hold !== undefined) spend(hold.window, used);
    },
    left: () => capacity - gone(),
  };
}
