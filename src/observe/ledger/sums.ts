/** Adds up rows of the ledger by any dimension. Exact, however large the sums are. */
import { type ChargeRow, type Row, reading } from './segment.ts';

const modelOf = (target: string): string => target.slice(target.indexOf('/') + 1);
const providerOf = (target: string): string =>
  target.includes('/') ? target.slice(0, target.indexOf('/')) : target;

const text = reading<string>;
const number = reading<number>;
const [targetOf, errorOf, endedMsOf] = [text('target'), text('error'), number('ended_ms')];
const [statusOf, pricedOf, costOf, savedOf, routedOf] = [
  number('status'),
  number('priced'),
  number('cost_nano_usd'),
  number('saved_nano_usd'),
  number('routing_saved_nano_usd'),
];
const [inputOf, outputOf, cachedOf] = [
  number('input_tokens'),
  number('output_tokens'),
  number('cached_input_tokens'),
];

/** What costs can be added up by: its value in a row, of which `target` was billed. */
export const dimensions = {
  tenant: text('tenant'),
  team: text('team'),
  user: text('user'),
  key: text('key_id'),
  route: text('route'),
  endpoint: text('endpoint'),
  target: (_, target) => target,
  provider: (_, target) => providerOf(target),
  model: (_, target) => modelOf(target),
  tag: text('tags'),
  priority: text('priority'),
  day: (row) => new Date(endedMsOf(row)).toISOString().slice(0, 10),
} as const satisfies Record<string, (row: Row, target: string) => string>;

/** A dimension's name. */
export type Dimension = keyof typeof dimensions;

/** Dimensions by which a request belongs to each of its billed calls. */
const ofCalls: ReadonlySet<Dimension> = new Set(['target', 'provider', 'model']);

/** Sums of the requests with one value of each dimension; amounts may exceed what a number holds exactly. */
export interface CostRow {
  readonly values: readonly string[];
  /** Requests; by target, provider or model: requests that had a call to it billed, or were answered from its store. */
  readonly requests: bigint;
  readonly failed: bigint;
  readonly inputTokens: bigint;
  readonly outputTokens: bigint;
  readonly cachedInputTokens: bigint;
  readonly costNanoUsd: bigint;
  /** By stored replies, and by the choice of targets by price. */
  readonly savedNanoUsd: bigint;
  readonly routingSavedNanoUsd: bigint;
  /** Requests of which some cost is unknown, because a model has no price. */
  readonly unpriced: bigint;
}

/** Numbers that are added: all but the values of a `CostRow`. */
const amounts = [
  'requests',
  'failed',
  'inputTokens',
  'outputTokens',
  'cachedInputTokens',
  'costNanoUsd',
  'savedNanoUsd',
  'routingSavedNanoUsd',
  'unpriced',
] as const;
type Amounts = Record<(typeof amounts)[number], number>;

/** A group's sums: what is exact as a number, and what was too large for it. */
interface Group {
  readonly values: readonly string[];
  readonly sums: Amounts;
  readonly carried: Partial<Record<keyof Amounts, bigint>>;
}

const zero = (): Amounts => ({
  requests: 0,
  failed: 0,
  inputTokens: 0,
  outputTokens: 0,
  cachedInputTokens: 0,
  costNanoUsd: 0,
  savedNanoUsd: 0,
  routingSavedNanoUsd: 0,
  unpriced: 0,
});

/** Two numbers up to here have an exact sum. */
const exactMax = Number.MAX_SAFE_INTEGER / 2;

function add({ sums, carried }: Group, more: Amounts): void {
  for (const name of amounts) {
    const value = more[name];
    if (value === 0) continue;
    if (value > exactMax || sums[name] > exactMax) {
      carried[name] = (carried[name] ?? 0n) + BigInt(value) + BigInt(sums[name]);
      sums[name] = 0;
    } else sums[name] += value;
  }
}

/** Which of a request's calls one is: the first one, and the one that answered. */
interface Place {
  readonly isFirst: boolean;
  readonly isAnswer: boolean;
}
const onlyCall: Place = { isFirst: true, isAnswer: true };

/** Amounts that are numbers of requests: several calls of a request in one group count once. */
const ofRequests = ['requests', 'unpriced'] as const;
/** The groups in which a request has counted. */
type Seen = Record<(typeof ofRequests)[number], Set<Group>>;

/** What a row adds to the group of a call; what belongs to the request counts with its first call. */
function amountsOf(row: Row, billed: ChargeRow | null, { isFirst, isAnswer }: Place): Amounts {
  return {
    requests: 1,
    failed: isFirst && (statusOf(row) >= 400 || errorOf(row) !== '') ? 1 : 0,
    inputTokens: billed?.inputTokens ?? inputOf(row),
    outputTokens: billed?.outputTokens ?? outputOf(row),
    cachedInputTokens: billed?.cachedInputTokens ?? cachedOf(row),
    costNanoUsd: billed?.costNanoUsd ?? costOf(row),
    savedNanoUsd: isFirst ? savedOf(row) : 0,
    routingSavedNanoUsd: isAnswer ? routedOf(row) : 0,
    unpriced: (billed?.priced ?? pricedOf(row)) === 0 ? 1 : 0,
  };
}

/** Sums, the most expensive first. By `tag`, a request counts for each of its tags. */
export function sumsOf(rows: Iterable<Row>, by: readonly Dimension[]): CostRow[] {
  const groups = new Map<string, Group>();
  const groupOf = (values: readonly string[]): Group => {
    const key = values.join('\0');
    const known = groups.get(key);
    if (known !== undefined) return known;
    const made: Group = { values, sums: zero(), carried: {} };
    groups.set(key, made);
    return made;
  };
  const perCall = by.some((name) => ofCalls.has(name));
  const tagAt = by.indexOf('tag');
  const addTo = (row: Row, billed: ChargeRow | null, place: Place, seen: Seen | null): void => {
    const target = billed?.target ?? targetOf(row);
    const values = by.map((name) => dimensions[name](row, target));
    // An app may name a tag that its key has already.
    const tags = tagAt < 0 ? null : new Set((values[tagAt] as string).split(','));
    const all = tags === null ? [values] : [...tags].map((tag) => values.with(tagAt, tag));
    for (const each of all) {
      const group = groupOf(each);
      const more = amountsOf(row, billed, place);
      if (seen !== null)
        for (const name of ofRequests)
          if (more[name] > 0 && seen[name].has(group)) more[name] = 0;
          else if (more[name] > 0) seen[name].add(group);
      add(group, more);
    }
  };
  for (const row of rows) {
    if (!perCall || row.charges.length === 0) addTo(row, null, onlyCall, null);
    else {
      const seen = { requests: new Set<Group>(), unpriced: new Set<Group>() };
      const answer = row.charges.findLastIndex(({ target }) => target === targetOf(row));
      row.charges.forEach((charge, i) => {
        addTo(row, charge, { isFirst: i === 0, isAnswer: i === answer }, seen);
      });
    }
  }
  return [...groups.values()].map(costRowOf).sort(byCost);
}

function costRowOf({ values, sums, carried }: Group): CostRow {
  const total = (name: keyof Amounts): bigint => BigInt(sums[name]) + (carried[name] ?? 0n);
  return {
    values,
    requests: total('requests'),
    failed: total('failed'),
    inputTokens: total('inputTokens'),
    outputTokens: total('outputTokens'),
    cachedInputTokens: total('cachedInputTokens'),
    costNanoUsd: total('costNanoUsd'),
    savedNanoUsd: total('savedNanoUsd'),
    routingSavedNanoUsd: total('routingSavedNanoUsd'),
    unpriced: total('unpriced'),
  };
}

/** The most expensive first; those of one cost by their values. */
function byCost(a: CostRow, b: CostRow): number {
  if (a.costNanoUsd !== b.costNanoUsd) return a.costNanoUsd < b.costNanoUsd ? 1 : -1;
  return a.values.join('\0') < b.values.join('\0') ? -1 : 1;
}
