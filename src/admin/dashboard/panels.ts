/** Views of sums: overview, costs and configuration. */
import { ask, nothingYet, type SpendRow, type Story, state } from './data.ts';
import { bar, card, el, table } from './dom.ts';
import { clock, count, ms, percent, quantile, sorted, usd } from './format.ts';
import { limitTable } from './limits.ts';
import { plot } from './plot.ts';
import { outcome } from './requests.ts';
import { routeMap } from './targets.ts';

const bucketMs = 5000;
const bucketsMax = 60;
/** So many are shown at least. */
const bucketsMin = 12;
const minuteMs = 60_000;

const failed = ({ status, error }: Story): boolean => status >= 400 || error !== '';

/** Requests by time, since the first of them: one list for each of the last buckets. */
function buckets(nowMs: number): { times: number[]; lists: Story[][] } {
  // Whole ones only: the current one would seem to fall.
  const last = Math.floor(nowMs / bucketMs) - 1;
  const oldest = Math.floor((state.requests[0]?.endedMs ?? nowMs) / bucketMs);
  const length = Math.min(bucketsMax, Math.max(bucketsMin, last - oldest + 1));
  const first = last - length + 1;
  const times = Array.from({ length }, (_, i) => (first + i) * bucketMs);
  const lists = times.map((): Story[] => []);
  for (const story of state.requests) lists[Math.floor(story.endedMs / bucketMs) - first]?.push(story);
  return { times, lists };
}

/**
 * How many requests there were, of which these are the newest that the page was told of: with many a second it isn't
 * told of all.
 */
const countOf = (list: readonly Story[]): number => (list.at(-1)?.number ?? 0) - (list[0]?.number ?? 1) + 1;

/** Each list's sum of something a second, for all requests of its time. */
const rateOf = (lists: readonly (readonly Story[])[], of: (story: Story) => number): number[] =>
  lists.map((list) => {
    const told = list.reduce((sum, story) => sum + of(story), 0);
    return list.length === 0 ? 0 : (((told * countOf(list)) / list.length) * 1000) / bucketMs;
  });

/** Percentile of something over each list; null: there is nothing. */
const lineOf = (lists: readonly Story[][], of: (story: Story) => number, share: number): (number | null)[] =>
  lists.map((list) => {
    const values = sorted(list.map(of).filter((value) => value > 0));
    return values.length === 0 ? null : quantile(values, share);
  });

function percentilePlot(
  title: string,
  lists: readonly Story[][],
  times: readonly number[],
  of: (story: Story) => number,
) {
  return plot({
    title,
    times,
    format: ms,
    series: [
      { label: 'p50', colour: 'one', values: lineOf(lists, of, 0.5) },
      { label: 'p95', colour: 'two', values: lineOf(lists, of, 0.95) },
      { label: 'p99', colour: 'three', values: lineOf(lists, of, 0.99) },
    ],
  });
}

/** The first view. @param open shows a request */
export function overviewView(open: (id: string) => void): HTMLElement {
  const { overview } = state;
  if (overview === null) return el('p', { class: 'empty' }, 'Waiting for the first figures …');
  const { times, lists } = buckets(overview.nowMs);
  const recent = state.requests.filter(({ endedMs }) => endedMs > overview.nowMs - minuteMs);
  // Less than a minute, if it began less than a minute ago.
  const sinceMs = overview.nowMs - (state.requests[0]?.endedMs ?? 0);
  const seconds = Math.max(1, Math.min(minuteMs, sinceMs) / 1000);
  const durations = sorted(recent.map(({ durationMs }) => durationMs));
  const firsts = sorted(recent.map(({ ttftMs }) => ttftMs).filter((value) => value > 0));
  const total = (of: (row: SpendRow) => number): number =>
    overview.spend.reduce((sum, row) => sum + of(row), 0);
  const requests = total((row) => row.requests);
  const tile = (value: string, label: string): HTMLElement =>
    el('div', { class: 'tile' }, el('b', {}, value), el('span', {}, label));
  return el(
    'div',
    { class: 'grid' },
    overview.recentMax === 0
      ? card('Requests', 'not kept', '', el('p', { class: 'soft' }, nothingYet()))
      : null,
    el(
      'div',
      { class: 'tiles' },
      tile(
        overview.recentMax === 0 ? '–' : count(countOf(recent) / seconds),
        'requests a second, last minute',
      ),
      tile(
        recent.length === 0 ? '–' : percent(recent.filter(failed).length / recent.length),
        'failed, last minute',
      ),
      tile(ms(quantile(durations, 0.5)), `latency p50, p99 ${ms(quantile(durations, 0.99))}`),
      tile(ms(quantile(firsts, 0.5)), `first token p50, p99 ${ms(quantile(firsts, 0.99))}`),
      tile(usd(total((row) => row.costNanoUsd)), `spent, ${count(requests)} requests since the start`),
      tile(
        usd(total((row) => row.savedNanoUsd + row.routingSavedNanoUsd)),
        `saved: ${usd(total((row) => row.savedNanoUsd))} by ${count(total((row) => row.hits))} stored replies, ${usd(total((row) => row.routingSavedNanoUsd))} by routing`,
      ),
      tile(
        count(overview.numbers.inFlight),
        `in flight, ${count(overview.numbers.batchWaiting)} batch waiting`,
      ),
    ),
    card(
      'Latency',
      'by percentile',
      'half',
      percentilePlot('Latency', lists, times, ({ durationMs }) => durationMs),
    ),
    card(
      'Time to first token',
      'streams and whole replies',
      'half',
      percentilePlot('Time to first token', lists, times, ({ ttftMs }) => ttftMs),
    ),
    card(
      'Requests',
      'a second',
      'half',
      plot({
        title: 'Requests a second',
        times,
        format: count,
        series: [
          { label: 'all', colour: 'one', values: rateOf(lists, () => 1) },
          {
            label: 'from the cache',
            colour: 'four',
            values: rateOf(lists, ({ cache, replayed }) => Number(cache === 'hit' || replayed)),
          },
          { label: 'failed', colour: 'three', values: rateOf(lists, (story) => Number(failed(story))) },
        ],
      }),
    ),
    card(
      'Tokens',
      'a second',
      'half',
      plot({
        title: 'Tokens a second',
        times,
        format: count,
        series: [
          { label: 'input', colour: 'one', values: rateOf(lists, ({ inputTokens }) => inputTokens) },
          { label: 'output', colour: 'two', values: rateOf(lists, ({ outputTokens }) => outputTokens) },
        ],
      }),
    ),
    card(
      'Costs by team',
      'since the start',
      'half',
      spendTable('team', ({ tenant, team }) => [tenant, team].filter(Boolean).join(' / '), 6),
    ),
    card(
      'Costs by model',
      'since the start',
      'half',
      spendTable('model', ({ target }) => target, 6),
    ),
    card('Limits and budgets', 'the fullest', 'half', limitTable(overview.limits.slice(0, 6))),
    card('Last requests', '', 'half', lastRequests(open)),
    card('Personal data and secrets', 'found in the last requests, by kind', '', kindTable()),
    card('Targets', '', '', routeMap(overview)),
  );
}

const kindsMax = 10;

/** How often each kind of personal data was found in the requests that the page knows. */
function kindTable(): HTMLElement {
  const sums = new Map<string, { asked: number; replied: number }>();
  const of = (kind: string) => {
    const sum = sums.get(kind) ?? { asked: 0, replied: 0 };
    sums.set(kind, sum);
    return sum;
  };
  for (const { findings, replyFindings } of state.requests) {
    for (const [kind, found] of Object.entries(findings)) of(kind).asked += found;
    for (const [kind, found] of Object.entries(replyFindings)) of(kind).replied += found;
  }
  const rows = [...sums].sort(([, a], [, b]) => b.asked + b.replied - a.asked - a.replied).slice(0, kindsMax);
  if (rows.length === 0) return el('p', { class: 'empty' }, 'None found.');
  return table(
    'Personal data and secrets',
    ['Kind', '#In requests', '#In replies'],
    rows.map(([kind, { asked, replied }]) => [kind, count(asked), count(replied)]),
  );
}

function lastRequests(open: (id: string) => void): HTMLElement {
  const rows = state.requests.slice(-8).reverse();
  if (rows.length === 0) return el('p', { class: 'empty' }, nothingYet());
  return table(
    'Last requests',
    ['Time', 'Status', 'Model', '#Time taken', '#Cost'],
    rows.map((story) => [
      el(
        'button',
        { type: 'button', class: 'link mono', click: () => open(story.requestId) },
        clock(story.endedMs),
      ),
      outcome(story, true),
      story.model,
      ms(story.durationMs),
      usd(story.costNanoUsd),
    ]),
  );
}

type Sums = Omit<SpendRow, 'tenant' | 'team' | 'keyId' | 'target'>;

/** Adds a row's sums to another's, which it returns. */
function added(known: Sums, row: Sums): Sums {
  for (const key of Object.keys(known) as (keyof Sums)[])
    if (typeof known[key] === 'number') known[key] += row[key];
  return known;
}

function spendTable(what: string, nameOf: (row: SpendRow) => string, max: number): HTMLElement {
  const groups = new Map<string, Sums>();
  for (const row of state.overview?.spend ?? []) {
    const name = nameOf(row);
    const known = groups.get(name);
    if (known === undefined) groups.set(name, { ...row });
    else added(known, row);
  }
  const all = [...groups].sort(([, a], [, b]) => b.costNanoUsd - a.costNanoUsd || b.requests - a.requests);
  const rows = all.slice(0, max);
  const rest = all.slice(max).map(([, row]) => row);
  const [first, ...more] = rest;
  if (first !== undefined) rows.push([`${rest.length} more`, more.reduce(added, { ...first })]);
  if (rows.length === 0) return el('p', { class: 'empty' }, 'Nothing spent yet.');
  const most = Math.max(...rows.map(([, { costNanoUsd }]) => costNanoUsd), 1);
  const columns: readonly (readonly [string, (row: Sums) => string])[] = [
    ['#Cost', (row) => usd(row.costNanoUsd)],
    ['#Saved', (row) => usd(row.savedNanoUsd + row.routingSavedNanoUsd)],
    ['#Tokens in', (row) => count(row.inputTokens)],
    ['#Out', (row) => count(row.outputTokens)],
    ['#Requests', (row) => count(row.requests)],
    ['#Cached tokens', (row) => count(row.cachedInputTokens)],
    ['#Hits', (row) => count(row.hits)],
    ['#Failed', (row) => count(row.failed)],
    ['#Saved by routing', (row) => usd(row.routingSavedNanoUsd)],
  ];
  // A half card has room for the first ones.
  const shown = max > 6 ? columns : columns.slice(0, 5);
  return table(
    `Costs by ${what}`,
    [what, 'Share', ...shown.map(([title]) => title)],
    rows.map(([name, row]) => [
      name || '(none)',
      // Only a comparison: nothing is full.
      bar((row.costNanoUsd / most) * 0.79, `${name}: ${usd(row.costNanoUsd)}`),
      ...shown.map(([, of]) => of(row)),
    ]),
  );
}

/** Costs by every dimension that is counted in memory. */
export function costsView(): HTMLElement {
  const { ledger = null, sinks = [] } = state.overview ?? {};
  const note =
    ledger === null
      ? 'No ledger is kept: set observe.ledger.path, and sidegate costs looks back for months.'
      : `Ledger: ${count(ledger.written)} rows written since the start, ${ledger.waiting} waiting, ${ledger.dropped} dropped. For longer spans: sidegate costs.`;
  const behind = sinks.map(
    ([name, { sent, waiting, dropped, lagMs }]) =>
      `${name}: ${count(sent)} sent, ${waiting} waiting${waiting > 0 ? ` for ${Math.round(lagMs / 1000)} s` : ''}, ${dropped} dropped`,
  );
  return el(
    'div',
    { class: 'grid' },
    card(
      'By team',
      'since the start',
      '',
      spendTable('team', ({ tenant, team }) => [tenant, team].filter(Boolean).join(' / '), 50),
    ),
    card(
      'By model',
      '',
      '',
      spendTable('model', ({ target }) => target, 50),
    ),
    card(
      'By key',
      '',
      '',
      spendTable('key', ({ keyId }) => keyId, 50),
    ),
    card('Ledger', '', '', ...[note, ...behind].map((line) => el('p', { class: 'soft' }, line))),
  );
}

/** The configuration in force. */
export async function configView(): Promise<HTMLElement> {
  const config = await ask<unknown>('/api/config');
  return el(
    'div',
    { class: 'grid' },
    card(
      'Configuration in force',
      'defaults filled in, secrets hidden',
      '',
      el('pre', { tabindex: 0 }, JSON.stringify(config, null, 2)),
    ),
  );
}
