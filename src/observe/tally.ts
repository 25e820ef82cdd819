/**
 * Counts kept as plain numbers while requests run, and shown to prom-client when Prometheus asks. Its own metrics
 * build and hash labels for each count: 1.8 µs of CPU time for a counter and two histograms, against 0.1 here.
 */
import type { Registry } from 'prom-client';
import Counter from 'prom-client/lib/counter.js';

/** A counter with labels. */
export interface Tally {
  /** Adds to the series of these label values, in the order of the names. */
  add(amount: number, ...values: readonly string[]): void;
}

/** Label values come from the configuration or closed lists, so series are bounded; this is a safeguard. */
const seriesMax = 100_000;

/** Series by their label values, one level for each label: no key has to be built and hashed to count. */
interface Level {
  readonly next: Map<string, Level>;
  amount: number;
}

const createLevel = (): Level => ({ next: new Map(), amount: 0 });

export function createTally(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly string[],
): Tally {
  const root = createLevel();
  // Never shown.
  const overflow = createLevel();
  let size = 0;
  new Counter({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect() {
      this.reset();
      const show = ({ next, amount }: Level, values: readonly string[]): void => {
        if (values.length === labelNames.length)
          this.inc(Object.fromEntries(labelNames.map((label, i) => [label, values[i] ?? ''])), amount);
        else for (const [value, level] of next) show(level, [...values, value]);
      };
      show(root, []);
    },
  });
  const grow = (values: readonly string[]): Level => {
    if (size >= seriesMax) return overflow;
    size += 1;
    let level = root;
    for (const value of values) {
      const next = level.next.get(value) ?? createLevel();
      level.next.set(value, next);
      level = next;
    }
    return level;
  };
  return {
    add(amount, ...values) {
      let level: Level | undefined = root;
      for (let i = 0; i < values.length && level !== undefined; i++)
        level = level.next.get(values[i] as string);
      (level ?? grow(values)).amount += amount;
    },
  };
}

/** Durations in seconds, one distribution for each value of one label. */
export interface Distribution {
  observe(value: string, seconds: number): void;
}

interface Spread {
  /** Observations in each bucket, the last one without an upper bound. */
  readonly counts: number[];
  sum: number;
}

export function createDistribution(
  registry: Registry,
  name: string,
  help: string,
  labelName: string,
  bounds: readonly number[],
): Distribution {
  const spreads = new Map<string, Spread>();

  const samples = (value: string, { counts, sum }: Spread): object[] => {
    let total = 0;
    const buckets = counts.map((count, i) => {
      total += count;
      return {
        metricName: `${name}_bucket`,
        labels: { le: bounds[i] ?? '+Inf', [labelName]: value },
        value: total,
      };
    });
    const labels = { [labelName]: value };
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: sum },
      { metricName: `${name}_count`, labels, value: total },
    ];
  };

  // What prom-client asks of a metric of its own.
  const metric = {
    name,
    help,
    type: 'histogram',
    aggregator: 'sum',
    get: async () => ({
      name,
      help,
      type: 'histogram',
      aggregator: 'sum',
      values: [...spreads].flatMap(([value, spread]) => samples(value, spread)),
    }),
    reset: () => spreads.clear(),
  };
  registry.registerMetric(metric as never);

  return {
    observe(value, seconds) {
      let spread = spreads.get(value);
      if (spread === undefined) {
        spread = { counts: new Array(bounds.length + 1).fill(0), sum: 0 };
        spreads.set(value, spread);
      }
      let at = 0;
      while (at < bounds.length && seconds > (bounds[at] ?? 0)) at++;
      spread.counts[at] = (spread.counts[at] ?? 0) + 1;
      spread.sum += seconds;
    },
  };
}
