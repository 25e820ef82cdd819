/**
 * The order of the batch queue: tenants get equal shares of the work, and of one tenant's requests the most urgent goes
 * first. Shares are kept by start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996): each tenant has a tag that
 * grows with the cost of what it was given, and the smallest tag goes next.
 */
import { createHeap } from './heap.ts';

/** A request in the queue. */
export interface Queued {
  readonly tenant: string;
  /** What it takes of an engine, in tokens; at least 1. */
  readonly cost: number;
  /** Memory it holds. */
  readonly bytes: number;
  /** Monotonic ms. */
  readonly deadlineMs: number;
  /** The queue's own mark: false once it is out. */
  waiting: boolean;
}

interface Tenant<T extends Queued> {
  readonly name: string;
  /** By deadline, those of one deadline by arrival. Entries that left early stay as gaps until there are many. */
  entries: T[];
  /** What stands before it has been taken. */
  head: number;
  live: number;
  tag: number;
}

/** Tenants that are passed over in one search because nothing of theirs can start. */
const passedOverMax = 64;
/** Requests of one tenant that are looked at in one search before it is passed over. */
const looksMax = 64;
/** Gaps, as a share of what waits, from which on they are cleared away. */
const gapShareMax = 1 / 8;

export class FairQueue<T extends Queued> {
  size = 0;
  bytes = 0;
  /** Tenants with something to take. */
  tenants = 0;
  readonly #tenants = new Map<string, Tenant<T>>();
  readonly #order = createHeap<Tenant<T>>(({ tag }) => tag);
  /** Tag of what was taken last: nobody who comes anew starts below it, so idle time earns nothing. */
  #virtual = 0;

  /** O(1) when deadlines come in order, else O(log n) and a move of memory. */
  add(entry: T): void {
    const tenant = this.#tenants.get(entry.tenant) ?? this.#create(entry.tenant);
    const at = place(tenant, entry.deadlineMs);
    if (at === tenant.entries.length) tenant.entries.push(entry);
    else tenant.entries.splice(at, 0, entry);
    entry.waiting = true;
    tenant.live += 1;
    if (tenant.live === 1) this.tenants += 1;
    this.size += 1;
    this.bytes += entry.bytes;
  }

  /** How many of a tenant's own requests would go before one of this deadline; gaps count, so at most an eighth too many. */
  rank(name: string, deadlineMs: number): number {
    const tenant = this.#tenants.get(name);
    return tenant === undefined ? 0 : place(tenant, deadlineMs) - tenant.head;
  }

  /**
   * The request whose turn it is, of those that `fits` lets start now; null: none. A request that can't start holds up
   * those behind it only where so many of its tenant can't. O(log tenants) when the first one may start.
   */
  take(fits: (entry: T) => boolean): T | null {
    const passed: Tenant<T>[] = [];
    let taken: T | null = null;
    while (taken === null && passed.length < passedOverMax) {
      const tenant = this.#order.pop();
      if (tenant === undefined) break;
      if (firstOf(tenant) === undefined) {
        // Its tag is no longer ahead of the others: nothing is left to remember.
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
      // Time in which it could not be served is no credit against the others.
      tenant.tag = Math.max(tenant.tag, this.#virtual);
      this.#order.push(tenant);
    }
    return taken;
  }

  /** Takes a request out before its turn; nothing happens when it is out already. O(1), amortised. */
  remove(entry: T): void {
    if (!entry.waiting) return;
    const tenant = this.#tenants.get(entry.tenant);
    if (tenant !== undefined) this.#leave(tenant, entry);
  }

  /** Goes over all requests in order, and takes out those for which `drop` says so. `rank`: of its tenant's, from 0. */
  sweep(drop: (entry: T, rank: number) => boolean): void {
    for (const tenant of this.#tenants.values()) {
      let rank = 0;
      // What is taken out is a gap until the end of the walk: `entries` must not change under it.
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

  /** The next deadline of all; Infinity: nothing waits. O(tenants). */
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

/** Where an entry of this deadline belongs: after all that are due no later. */
function place<T extends Queued>({ entries, head }: Tenant<T>, deadlineMs: number): number {
  let low = head;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((entries[middle]?.deadlineMs ?? 0) <= deadlineMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first that still waits; moves `head` over the gaps before it. */
function firstOf<T extends Queued>(tenant: Tenant<T>): T | undefined {
  while (tenant.head < tenant.entries.length) {
    const entry = tenant.entries[tenant.head];
    if (entry?.waiting) return entry;
    tenant.head += 1;
  }
  return undefined;
}

/** The most urgent that `fits`, of the first `looksMax` that wait; null: none of them. */
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
