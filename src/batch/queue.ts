/**
 * The order of the batch queue: tenants get equal shares, and within a tenant the earliest deadline goes first. The
 * shares follow start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996): each tenant has a tag that grows with
 * the cost of its started requests, and the tenant with the smallest tag is next.
 */
import { createHeap } from './heap.ts';

/** A request in the queue. */
export interface Queued {
  readonly tenant: string;
  /** Work it causes, in tokens; at least 1. */
  readonly cost: number;
  /** Bytes of memory it holds. */
  readonly bytes: number;
  /** Monotonic ms. */
  readonly deadlineMs: number;
  /** Set by the queue: whether it is in it. */
  waiting: boolean;
}

interface Tenant<T extends Queued> {
  readonly name: string;
  /** By deadline, then by arrival. Entries removed early stay as gaps until there are many. */
  entries: T[];
  /** Index of the first entry; those before it were taken. */
  head: number;
  /** Entries that are no gaps. */
  live: number;
  tag: number;
}

/** Tenants skipped in one search because none of their requests can start. */
const passedOverMax = 64;
/** Requests of one tenant tried in one search before it is skipped. */
const looksMax = 64;
/** Share of gaps among waiting entries above which they are removed. */
const gapShareMax = 1 / 8;

/** A queue that is fair to tenants. */
export class FairQueue<T extends Queued> {
  size = 0;
  bytes = 0;
  /** Tenants with waiting requests. */
  tenants = 0;
  readonly #tenants = new Map<string, Tenant<T>>();
  readonly #order = createHeap<Tenant<T>>(({ tag }) => tag);
  /** Tag of the last request taken. New tenants start at it, so that idle time earns no credit. */
  #virtual = 0;

  /** Adds a request. O(1) if deadlines arrive in order, otherwise O(log n) plus moving array entries. */
  add(entry: T): void {
    const tenant = this.#tenants.get(entry.tenant) ?? this.#create(entry.tenant);
    const at = indexFor(tenant, entry.deadlineMs);
    if (at === tenant.entries.length) tenant.entries.push(entry);
    else tenant.entries.splice(at, 0, entry);
    entry.waiting = true;
    tenant.live += 1;
    if (tenant.live === 1) this.tenants += 1;
    this.size += 1;
    this.bytes += entry.bytes;
  }

  /** Number of a tenant's requests before one with this deadline; at most an eighth too high, since gaps count. */
  rank(name: string, deadlineMs: number): number {
    const tenant = this.#tenants.get(name);
    return tenant === undefined ? 0 : indexFor(tenant, deadlineMs) - tenant.head;
  }

  /**
   * Takes the next request that `fits` allows to start now; null: none. A request that can't start only delays those
   * behind it if `looksMax` of its tenant can't. O(log tenants) if the first one may start.
   */
  take(fits: (entry: T) => boolean): T | null {
    const passed: Tenant<T>[] = [];
    let taken: T | null = null;
    while (taken === null && passed.length < passedOverMax) {
      const tenant = this.#order.pop();
      if (tenant === undefined) break;
      if (firstOf(tenant) === undefined) {
        // Its tag is the smallest, no longer ahead of the others, so it need not be remembered.
        this.#tenants.delete(tenant.name);
        continue;
      }
      taken = firstFitting(tenant, fits);
      if (taken === null) {
        passed.push(tenant);
        continue;
      }
      this.#virtual = Math.max(this.#virtual, tenant.tag);
      tenant.tag += Math.max(1, taken.cost);
      this.#order.push(tenant);
      this.#leave(tenant, taken);
    }
    for (const tenant of passed) {
      // Time in which its requests could not start earns no credit.
      tenant.tag = Math.max(tenant.tag, this.#virtual);
      this.#order.push(tenant);
    }
    return taken;
  }

  /** Removes a request before its turn, if it is still waiting. Amortised O(1). */
  remove(entry: T): void {
    if (!entry.waiting) return;
    const tenant = this.#tenants.get(entry.tenant);
    if (tenant !== undefined) this.#leave(tenant, entry);
  }

  /** Visits all requests in order, and removes those for which `drop` returns true. `rank`: within its tenant, from 0. */
  sweep(drop: (entry: T, rank: number) => boolean): void {
    for (const tenant of this.#tenants.values()) {
      let rank = 0;
      // Removed entries stay as gaps until the end of the loop: `entries` must not change during it.
      const out: T[] = [];
      for (let at = tenant.head; at < tenant.entries.length; at++) {
        const entry = tenant.entries[at];
        if (entry === undefined || !entry.waiting) continue;
        if (drop(entry, rank)) out.push(entry);
        else rank += 1;
      }
      for (const entry of out) this.#leave(tenant, entry);
    }
  }

  /** The earliest deadline, monotonic ms; Infinity: the queue is empty. O(tenants). */
  get nextDeadlineMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const tenant of this.#tenants.values()) {
      const first = firstOf(tenant);
      if (first !== undefined && first.deadlineMs < next) next = first.deadlineMs;
    }
    return next;
  }

  #create(name: string): Tenant<T> {
    const tenant: Tenant<T> = { name, entries: [], head: 0, live: 0, tag: this.#virtual };
    this.#tenants.set(name, tenant);
    this.#order.push(tenant);
    return tenant;
  }

  #leave(tenant: Tenant<T>, entry: T): void {
    entry.waiting = false;
    tenant.live -= 1;
    if (tenant.live === 0) this.tenants -= 1;
    this.size -= 1;
    this.bytes -= entry.bytes;
    const gaps = tenant.entries.length - tenant.head - tenant.live;
    const spent = tenant.head;
    if (gaps > 16 + tenant.live * gapShareMax || spent > 16 + tenant.live) {
      tenant.entries = tenant.entries.filter(({ waiting }) => waiting);
      tenant.head = 0;
    }
  }
}

/** Index for an entry with this deadline: after all that are due no later. */
function indexFor<T extends Queued>({ entries, head }: Tenant<T>, deadlineMs: number): number {
  let low = head;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((entries[middle]?.deadlineMs ?? 0) <= deadlineMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first waiting entry; moves `head` past the gaps before it. */
function firstOf<T extends Queued>(tenant: Tenant<T>): T | undefined {
  while (tenant.head < tenant.entries.length) {
    const entry = tenant.entries[tenant.head];
    if (entry?.waiting) return entry;
    tenant.head += 1;
  }
  return undefined;
}

/** The first that `fits` among the first `looksMax` waiting entries; null: none does. */
function firstFitting<T extends Queued>({ entries, head }: Tenant<T>, fits: (entry: T) => boolean): T | null {
  let looks = 0;
  for (let at = head; at < entries.length && looks < looksMax; at++) {
    const entry = entries[at];
    if (entry === undefined || !entry.waiting) continue;
    if (fits(entry)) return entry;
    looks += 1;
  }
  return null;
}
