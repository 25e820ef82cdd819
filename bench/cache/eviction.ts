/**
 * Which entry makes room: the longest unused (LRU), as in the native core, or one that is rarely asked for (W-TinyLFU,
 * Einziger, Friedman and Manes, 2017). `node bench/cache/eviction.ts` runs both over invented days of requests and prints
 * the share that finds its entry. Decision 0008 has the figures.
 */
import { type Random, seeded } from './random.ts';

/** A cache of so many entries: asks for one, stores it if it isn't there, and says whether it was. */
type Policy = (entriesMax: number) => (key: number) => boolean;

const first = (keys: Set<number>): number => keys.values().next().value ?? -1;

/** Moves an entry to the end of those that go, if it is there. */
function touch(keys: Set<number>, key: number): boolean {
  if (!keys.delete(key)) return false;
  keys.add(key);
  return true;
}

const lru: Policy = (entriesMax) => {
  const keys = new Set<number>();
  return (key) => {
    if (touch(keys, key)) return true;
    if (keys.size >= entriesMax) keys.delete(first(keys));
    keys.add(key);
    return false;
  };
};

/** How often keys were asked for lately, roughly: a count-min sketch of four rows, whose counts are halved now and then. */
function createSketch(entriesMax: number) {
  const slots = 2 ** Math.ceil(Math.log2(8 * entriesMax));
  const rows = [0x9e3779b1, 0x85ebca6b, 0xc2b2ae35, 0x27d4eb2f].map((factor) => ({
    factor,
    counts: new Uint8Array(slots),
  }));
  const slot = (key: number, factor: number): number => (Math.imul(key + 1, factor) >>> 8) % slots;
  let added = 0;
  return {
    add(key: number): void {
      for (const { factor, counts } of rows) {
        const at = slot(key, factor);
        counts[at] = Math.min(15, (counts[at] ?? 0) + 1);
      }
      added += 1;
      if (added % (10 * entriesMax) === 0)
        for (const { counts } of rows) for (const [at, count] of counts.entries()) counts[at] = count >> 1;
    },
    of: (key: number): number =>
      Math.min(...rows.map(({ factor, counts }) => counts[slot(key, factor)] ?? 0)),
  };
}

/** @param share of the entries that are new, and go by age only */
const tinyLfu =
  (share: number): Policy =>
  (entriesMax) => {
    const windowMax = Math.max(1, Math.floor(share * entriesMax));
    const mainMax = entriesMax - windowMax;
    const protectedMax = Math.floor(0.8 * mainMax);
    const [fresh, probation, kept] = [new Set<number>(), new Set<number>(), new Set<number>()];
    const sketch = createSketch(entriesMax);
    const promote = (key: number): void => {
      probation.delete(key);
      kept.add(key);
      if (kept.size <= protectedMax) return;
      const demoted = first(kept);
      kept.delete(demoted);
      probation.add(demoted);
    };
    /** What is no longer new stays if it is asked for more often than what would go. */
    const admit = (key: number): void => {
      if (probation.size + kept.size < mainMax) return void probation.add(key);
      const from = probation.size > 0 ? probation : kept;
      const victim = first(from);
      if (sketch.of(key) <= sketch.of(victim)) return;
      from.delete(victim);
      probation.add(key);
    };
    return (key) => {
      sketch.add(key);
      if (touch(fresh, key) || touch(kept, key)) return true;
      if (probation.has(key)) {
        promote(key);
        return true;
      }
      fresh.add(key);
      if (fresh.size <= windowMax) return false;
      const oldest = first(fresh);
      fresh.delete(oldest);
      admit(oldest);
      return false;
    };
  };

/** Draws from so many: the n-th is asked for 1/n^power times as often as the first. */
function zipf(count: number, power: number, random: Random): () => number {
  const sums: number[] = [];
  for (let n = 1; n <= count; n++) sums.push((sums.at(-1) ?? 0) + n ** -power);
  return () => {
    const drawn = random.next() * (sums.at(-1) ?? 0);
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] ?? 0) < drawn) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

const requests = 200_000;
const questions = 20_000;

/** What is asked for, one after the other. */
function* faq(random: Random): Generator<number> {
  const draw = zipf(questions, 0.9, random);
  for (;;) yield draw();
}

/** Half of it is asked once: talks, and jobs that go through a list. */
function* mixed(random: Random): Generator<number> {
  const draw = zipf(questions, 0.9, random);
  for (let once = questions; ; once++) yield random.chance(0.5) ? once : draw();
}

/** What is asked changes: with every 10,000 requests, new questions take the places of so large a share. */
function* changing(random: Random, share: number): Generator<number> {
  const draw = zipf(questions, 0.9, random);
  const keys = Array.from({ length: questions }, (_, rank) => rank);
  for (let [at, next] = [1, questions]; ; at++) {
    yield keys[draw()] ?? 0;
    if (at % 10_000 === 0) for (const rank of keys.keys()) if (random.chance(share)) keys[rank] = next++;
  }
}
const trends = (random: Random): Generator<number> => changing(random, 0.1);
const news = (random: Random): Generator<number> => changing(random, 0.5);

/** What is asked is asked again soon, by a retry or a page that is loaded anew, and then never. */
function* again(random: Random): Generator<number> {
  const recent: number[] = [];
  for (let key = 0; ; ) {
    const known = recent[recent.length - 1 - random.below(1000)];
    yield random.chance(0.5) && known !== undefined ? known : key;
    recent.push(key++);
  }
}

const policies: readonly (readonly [string, Policy])[] = [
  ['LRU', lru],
  ['W-TinyLFU, 1% new', tinyLfu(0.01)],
  ['W-TinyLFU, 20% new', tinyLfu(0.2)],
  ['W-TinyLFU, 50% new', tinyLfu(0.5)],
];

console.log(['entries', 'requests', ...policies.map(([name]) => name)].join(' | '));
for (const entriesMax of [500, 2000, 10_000]) {
  for (const trace of [faq, mixed, trends, news, again]) {
    const found = policies.map(([, policy]) => {
      const [ask, keys] = [policy(entriesMax), trace(seeded(7))];
      let hits = 0;
      for (let at = 0; at < requests; at++) if (ask(keys.next().value as number)) hits += 1;
      return `${((100 * hits) / requests).toFixed(1)}%`;
    });
    console.log([entriesMax, trace.name, ...found].join(' | '));
  }
}
