/** Renders RESULTS.md from the measurements. */
import { readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { dialectNames } from '../src/exchange/dialects.ts';
import { askedMax, goals, readyMaxMs } from './gate.ts';
import { type BenchRow, type BytePath, compareIn } from './load/byte-path.ts';
import { usualStreams } from './load/facts.ts';
import { gatewayVersions } from './load/gateways.ts';
import { pinning, type ServerName } from './load/processes.ts';
import {
  type CpuResults,
  connectionsFull,
  type Latency,
  type LatencyRow,
  type LoadOptions,
  type Memory,
  type SemanticCpu,
} from './load/run.ts';
import { type Comparison, median } from './load/stats.ts';
import type { MicroRow } from './micro/run.ts';
import { requestTask, streamTask, subject as translate } from './micro/translate.bench.ts';

/** Everything a full run measures; what was not requested is absent. */
export interface Results {
  readonly load?: LoadResults;
  readonly bytePath?: BytePath;
  readonly micro?: readonly MicroRow[];
}

/** Results of the load tests. */
export interface LoadResults {
  readonly cpu: CpuResults;
  readonly semantic: SemanticCpu;
  /** The floor compared with itself. */
  readonly noise: Comparison;
  readonly latency: readonly LatencyRow[];
  readonly memory: Memory;
  readonly start: Comparison;
}

const row = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const rule = head.map((_, i) => (i === 0 ? '---' : '---:'));
  return [row(head), row(rule), ...rows.map(row)].join('\n');
}

const fixed = (value: number, digits = 0): string => value.toFixed(digits);

function judged(
  name: string,
  { floor, sidegate, ratio, ratioLow, ratioHigh, rounds }: Comparison,
  limit?: number,
): string[] {
  const digits = sidegate < 1000 ? 1 : 0;
  const verdict = limit === undefined ? '' : `≤ ${limit.toFixed(1)}: ${ratio <= limit ? 'holds' : 'FAILS'}`;
  return [
    name,
    fixed(floor, digits),
    fixed(sidegate, digits),
    `**${fixed(ratio, 2)}**`,
    `${fixed(ratioLow, 2)}–${fixed(ratioHigh, 2)}`,
    String(rounds),
    verdict,
  ];
}

const comparisonHead = (unit: string): string[] => [
  '',
  `floor, ${unit}`,
  `Sidegate, ${unit}`,
  'ratio',
  'quartiles',
  'rounds',
  'limit',
];

function cpuTable({ cpu, semantic, noise }: LoadResults): string {
  const rows: string[][] = [];
  if (cpu.miss) rows.push(judged('cache miss', cpu.miss, goals.miss));
  if (cpu.hit) rows.push(judged('exact-cache hit', cpu.hit, goals.hit));
  rows.push(judged('hit in other words that were decided on before', semantic.hit, goals.reworded));
  if (cpu.stream) rows.push(judged(`a stream of ${usualStreams.events} events`, cpu.stream));
  rows.push(judged('the floor against itself (scatter of the method)', noise));
  return table(comparisonHead('µs'), rows);
}

/** What looking for a hit in other words adds to a miss. */
function askedSection({ miss: { floor: without, sidegate: asked }, watched }: SemanticCpu): string {
  const limit = without * askedMax.ratio + askedMax.us;
  return (
    `A short question that is a miss takes ${fixed(without, 1)} µs without the semantic level and ${fixed(asked, 1)} µs where it ` +
    `is looked for among 10,000 others and decided on (≤ ${askedMax.ratio} × and ${askedMax.us} µs, which is ` +
    `${fixed(limit, 1)}: ${asked <= limit ? 'holds' : 'FAILS'}). Where a wording is decided on for the first time, a hit in other ` +
    `words takes as much more. Where nothing is served yet, as after a start, 50 questions a second are looked for, and a miss ` +
    `takes ${fixed(watched.ratio, 2)} of one without the semantic level.`
  );
}

const plus = (way: Latency, direct: Latency, key: keyof Latency): string =>
  `${fixed(way[key])} (+${fixed(Math.max(0, way[key] - direct[key]))})`;

function latencyTable(rows: readonly LatencyRow[]): string {
  const names: Partial<Record<LatencyRow['mode'], string>> = {
    miss: 'cache miss',
    hit: 'cache hit',
    stream: 'stream, first token',
  };
  return table(
    ['', 'connections', 'direct p50', 'floor p50', 'Sidegate p50', 'direct p99', 'floor p99', 'Sidegate p99'],
    rows.map(({ mode, connections, direct, floor, sidegate }) => [
      names[mode] ?? mode,
      connections,
      fixed(direct.p50Us),
      plus(floor, direct, 'p50Us'),
      plus(sidegate, direct, 'p50Us'),
      fixed(direct.p99Us),
      plus(floor, direct, 'p99Us'),
      plus(sidegate, direct, 'p99Us'),
    ]),
  );
}

/** Limit for translating a request of 100 KB. */
const requestMaxNs = 5e5;

/** Median translation times, by client and provider. */
function translationSection(rows: readonly MicroRow[]): string {
  const medians = new Map(rows.map(({ task, medianNs }) => [task, medianNs]));
  const micros = (task: string): string => {
    const ns = medians.get(task);
    return ns === undefined ? '–' : fixed(ns / 1000, 1);
  };
  const large = (task: string): string =>
    (medians.get(task) ?? 0) <= requestMaxNs ? micros(task) : `${micros(task)} FAILS`;
  const pairs = dialectNames.flatMap((client) =>
    dialectNames
      .filter((provider) => medians.has(requestTask(client, provider, 1)))
      .map((provider) => [
        `${client} to ${provider}`,
        micros(requestTask(client, provider, 1)),
        large(requestTask(client, provider, 100)),
        micros(streamTask(client, provider)),
      ]),
  );
  return `## Translation

Median µs for each pair of client and provider: a request, from the client's bytes to the provider's (at most
${fixed(requestMaxNs / 1000)} for 100 KB), and a reply of 200 events back. Long texts of a request stand aside as
bytes; most of the rest is spent by the runtime on JSON.

${table(['', 'request of 1 KB', 'request of 100 KB', 'stream of 200 events'], pairs)}
`;
}

function microTable(rows: readonly MicroRow[]): string {
  const time = (ns: number): string => (ns < 1000 ? `${fixed(ns)} ns` : `${fixed(ns / 1000, 1)} µs`);
  return table(
    ['', 'median', 'p99', '± of the mean'],
    rows.map(({ subject, task, medianNs, p99Ns, marginPercent }) => [
      `${subject}: ${task}`,
      time(medianNs),
      time(p99Ns),
      `${fixed(marginPercent, 1)}%`,
    ]),
  );
}

/** Columns of the byte path's tables. */
const columns: readonly (readonly [ServerName, string])[] = [
  ['nginx', 'nginx'],
  ['raw', 'raw sockets'],
  ['floor', 'floor'],
  ['sidegate', 'Sidegate'],
];

const medianCell = ({ values }: BenchRow, server: ServerName): string => {
  const found = values.get(server);
  if (found === undefined) return '–';
  const value = median(found);
  return fixed(value, value < 100 ? 1 : 0);
};

function bytePathRow(row: BenchRow): (string | number)[] {
  const { name, unit, goal } = row;
  const { ratio, ratioLow, ratioHigh, rounds } = compareIn(row, 'floor', 'sidegate');
  const verdict = goal === null ? '' : `≤ ${goal}: ${ratio <= goal ? 'holds' : 'short'}`;
  const cells = columns.map(([server]) => medianCell(row, server));
  const quartiles = `${fixed(ratioLow, 2)}–${fixed(ratioHigh, 2)}`;
  return [`${name}, ${unit}`, ...cells, `**${fixed(ratio, 2)}**`, quartiles, rounds, verdict];
}

/** Title of the byte path's section. */
const bytePathTitle = '## Byte path';

/** The section of the byte path. */
export function bytePathSection({ hours, without }: BytePath): string {
  const head = ['', ...columns.map(([, name]) => name), '× the floor', 'quartiles', 'rounds', 'goal'];
  const titles = {
    calm: 'In a calm hour',
    busy: 'In a busy hour: another process moves memory without end on the core of clients and upstream',
  };
  const tables = hours.map(
    ({ name, rows }) => `### ${titles[name]}\n\n${table(head, rows.map(bytePathRow))}\n`,
  );
  return `${bytePathTitle}

Written by \`npm run bench:byte-path\` on ${new Date().toISOString().slice(0, 10)}. What a request costs beyond moving its bytes, in
alternating rounds: beside nginx (one worker, its access log in a file) and bare sockets in Node (\`load/raw.ts\`, which
decides nothing), each with a core to itself. Every prompt is new but for hits. At 500 requests a second the loop is
open: a latency counts from when its request was due, so no wait is left out. Streams are 100 at 10 ms an event, and
1,000 at 100 ms; there the first token's latency is that of requests sent while at least half of them run.${without === null ? '' : `\nWithout nginx: ${without}.`}

${tables.join('\n')}`;
}

/** Title of the section of other gateways, which a full run keeps. */
export const gatewaysTitle = '## Other gateways';

/** The section of other gateways. */
export function gatewaysSection(rows: readonly BenchRow[]): string {
  const { portkey, litellm } = gatewayVersions;
  const cells = rows.map((row) => {
    const times = (server: ServerName): string =>
      row.values.has(server) ? fixed(compareIn(row, 'sidegate', server).ratio, 1) : '–';
    const servers = ['floor', 'sidegate', 'portkey', 'litellm'] as const;
    const medians = servers.map((server) => medianCell(row, server));
    return [`${row.name}, ${row.unit}`, ...medians, times('portkey'), times('litellm')];
  });
  const head = ['', 'floor', 'Sidegate', 'Portkey', 'LiteLLM', 'Portkey ÷ Sidegate', 'LiteLLM ÷ Sidegate'];
  return `${gatewaysTitle}

Written by \`npm run bench:peers\` on ${new Date().toISOString().slice(0, 10)}: Portkey ${portkey} and LiteLLM ${litellm} in the same rounds, as
they come, with one worker. Sidegate has every stage on; they pass requests on, LiteLLM after checking a key.

${table(head, cells)}
`;
}

/** Where a section begins and ends in a page; null: it isn't there. */
function placeOf(page: string, title: string): readonly [from: number, to: number] | null {
  const from = page.indexOf(`${title}\n`);
  if (from < 0) return null;
  const to = page.indexOf('\n## ', from);
  return [from, to < 0 ? page.length : to + 1];
}

/** A section with its title; null: the page has none. */
export function sectionOf(page: string, title: string): string | null {
  const place = placeOf(page, title);
  return place === null ? null : page.slice(...place);
}

/** A page with one of its sections replaced, or added at its end. @param section begins with its title */
export function withSection(page: string, section: string): string {
  const [from, to] = placeOf(page, section.split('\n', 1)[0] ?? '') ?? [page.length, page.length];
  const before = page.slice(0, from).trimEnd();
  const parts = [before, section.trim(), page.slice(to).trim()];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

function versionOf(name: string): string {
  const file = new URL(`../node_modules/${name}/package.json`, import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

function machine(): string {
  const [cpu] = cpus();
  const gib = Math.round(totalmem() / 1024 ** 3);
  return `${cpus().length} × ${cpu?.model.trim() ?? 'unknown CPU'}, ${gib} GiB, ${process.platform}-${process.arch}`;
}

function stages(): string {
  const yaml = readFileSync(new URL('load/sidegate.yaml', import.meta.url), 'utf8');
  return `\`\`\`yaml\n${yaml.trim()}\n\`\`\``;
}

function loadSection(load: LoadResults, options: LoadOptions): string {
  const { start, memory } = load;
  const ready = start.sidegate <= readyMaxMs ? 'holds' : 'FAILS';
  return `## CPU time

User and system time of all threads of the process per request, at ${connectionsFull} connections with a
prompt of 1 KB. Rounds of ${options.roundMs} ms alternate (A B, B A, …); the ratio is the median over the pairs' ratios.

${cpuTable(load)}

${askedSection(load.semantic)}

The floor has no cache, so it always asks the upstream: the limit for a hit says that answering it costs less than passing
the request on. Events of a stream come ${usualStreams.pauseMs} ms apart, each in its own write.

## Latency

µs, closed loop; in brackets the time added to asking the upstream directly. At ${connectionsFull} connections the
server's one core is the bottleneck, so latency there is mostly queueing; the streaming load doesn't saturate it.

${latencyTable(load.latency)}

## Memory

RSS in MB of fresh processes: ten seconds after they became ready, and after ${options.rssRequests} cache misses at ${connectionsFull}
connections. By then Sidegate's cache is as full as its configuration allows.

${table(comparisonHead('MB'), [judged('idle', memory.idle), judged('after the load', memory.loaded, goals.memory)])}

## Start

From exec until \`/readyz\` answers 200 (the floor: until it accepts a connection), median of ${start.rounds}, not pinned.

${table(
  ['', 'floor, ms', 'Sidegate, ms', 'limit'],
  [['ready', fixed(start.floor), fixed(start.sidegate), `≤ ${readyMaxMs} ms: ${ready}`]],
)}
`;
}

/** The whole page. @param options those of the load tests */
export function renderResults({ load, bytePath, micro }: Results, options: LoadOptions): string {
  const pinned = pinning
    ? 'The server under test has one core to itself (`taskset`); upstream and clients share the others.'
    : 'Nothing is pinned, as this machine has one core or no `taskset`.';
  return `# Benchmarks

Generated by \`npm run bench\`; don't edit. ${new Date().toISOString().slice(0, 10)}, ${machine()}.
Node ${process.versions.node}, undici ${versionOf('undici')}, pino ${versionOf('pino')}, prom-client ${versionOf('prom-client')}.

The *floor* is the leanest proxy one can write on the same runtime, \`load/floor.ts\`: \`node:http\` and undici's
\`dispatch\`. It buffers the body, passes the reply through, parses nothing and decides nothing. Sidegate is compiled and
runs with every stage on: it checks the key, asks replay, reserves and settles three limits, searches for e-mail
addresses and card numbers, asks and fills the exact cache, routes over two targets behind breakers, writes one log line
per request to a file, and counts metrics. Both run with the same flags: \`${options.heapFlags.join(' ')}\`. ${pinned}

${load ? loadSection(load, options) : ''}
${bytePath ? bytePathSection(bytePath) : ''}
${micro ? `## Micro\n\n${microTable(micro.filter(({ subject }) => subject !== translate))}\n` : ''}
${micro ? translationSection(micro.filter(({ subject }) => subject === translate)) : ''}
## Configuration

${stages()}
`;
}
