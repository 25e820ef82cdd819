/**
 * `npm run bench:quota`: eight sidecars share a limit over a real Redis, and a provider counts what they let through.
 * Exit 1 when the published bound is broken. The last line is JSON.
 */
import { parseArgs } from 'node:util';
import { type Demand, startDemand } from './load.ts';
import { runMany } from './many.ts';
import { runCost, runHung } from './pair.ts';
import { type Pod, removeWork, startPod } from './processes.ts';
import { type Backend, type Scenario, type Stage, scenarios, type Unit } from './scenarios.ts';
import { type Oracle, plainTokens, startOracle, streamTokens } from './upstream.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    only: { type: 'string', multiple: true },
    many: { type: 'boolean', default: false },
    hung: { type: 'boolean', default: false },
    cost: { type: 'boolean', default: false },
  },
});
const durationMs = Number(values.seconds) * 1000;

/** Dollars of one request: 10 reply tokens at $100 per million. */
const usdPerRequest = 0.001;
const usdPerMTok = 100;
/** Pods know of each other by then. */
const settleMs = 2500;

/** What a scenario came to. Amounts in the unit it counts. */
interface Result {
  readonly scenario: string;
  readonly admitted: number;
  readonly bound: number;
  /** Of what could have been admitted: the smaller of limit and demand. */
  readonly share: number;
  /** The same of the pod that came off worst, but for one that was stopped or killed. */
  readonly least: number;
}

function configOf(scenario: Scenario, backend: Backend, oracle: Oracle): object {
  const { unit } = scenario.limit;
  const { capacity, perSecond } = limitOf(scenario);
  const limit = { name: 'shared', per: [], unit, capacity, refillPerSecond: perSecond };
  return {
    authenticate: { anonymousTenant: 'bench' },
    cache: { enabled: false },
    providers: {
      own: { dialect: 'openai', baseUrl: `http://127.0.0.1:${oracle.port}/v1`, apiKey: 'sk-bench' },
    },
    routes: [{ model: 'bench', targets: [{ provider: 'own' }] }],
    attempt: { retriesMax: 0 },
    sync: backend.sync,
    catalog: {
      models: [
        {
          provider: 'own',
          model: 'bench',
          inputUsdPerMTok: 0,
          outputUsdPerMTok: usdPerMTok,
          outputMaxTokens: 1000,
        },
      ],
    },
    ...(unit === 'usd'
      ? { budgets: [{ name: 'shared', per: [], usd: capacity, window: 'month' }] }
      : { limits: [limit] }),
    observe: { log: 'silent' },
  };
}

/** The limit; of a budget, half of what is asked for. */
function limitOf({ limit, demand }: Scenario): { capacity: number; perSecond: number } {
  if (limit.unit !== 'usd') return limit;
  const requests = (demand.reduce((sum, rate) => sum + rate, 0) * durationMs) / 1000;
  return { capacity: Math.round((requests / 2) * usdPerRequest * 1000) / 1000, perSecond: 0 };
}

async function runScenario(scenario: Scenario, oracle: Oracle): Promise<Result> {
  const backend = await scenario.backend();
  const config = configOf(scenario, backend, oracle);
  const pods: (Pod | null)[] = [];
  const demands: Demand[] = [];
  const { streaming = false, maxTokens = 10, demand } = scenario;
  const ask = (pod: number): void => {
    const { port } = pods[pod] as Pod;
    demands[pod] = startDemand({ port, pod, perSecond: demand[pod] ?? 0, streaming, maxTokens });
  };
  const join = async (pod: number): Promise<void> => {
    pods[pod] = await startPod(pod, config, backend.clock?.env);
    ask(pod);
  };
  const leave = async (pod: number): Promise<void> => {
    await pods[pod]?.stop();
    await demands[pod]?.stop();
  };
  const stage: Stage = { pods, backend, durationMs, join, leave };
  try {
    const first = scenario.first ?? demand.length;
    const started = await Promise.allSettled(
      Array.from({ length: first }, async (_, pod) => {
        pods[pod] = await startPod(pod, config, backend.clock?.env);
      }),
    );
    // Those that did start are stopped below.
    const fault = started.find((one) => one.status === 'rejected');
    if (fault !== undefined) throw fault.reason;
    await new Promise((done) => setTimeout(done, settleMs));
    oracle.reset();
    const beganMs = performance.now();
    for (let pod = 0; pod < first; pod++) ask(pod);
    const ended = new Promise((done) => setTimeout(done, durationMs));
    const outage = (await scenario.act?.(stage)) ?? null;
    await ended;
    const calls = await callsOf(pods);
    await Promise.all(demands.map((one) => one.stop()));
    const { answered, failed } = calls;
    const perPod = answered / calls.pods / ((durationMs + settleMs) / 1000);
    process.stdout.write(
      `${scenario.name}: ${perPod.toFixed(2)} calls to Redis per pod and second, ${failed} failed\n`,
    );
    // From the first request to the last that was let through.
    const seconds = Math.max(durationMs, oracle.lastMs - beganMs) / 1000;
    return judge(scenario, oracle, demands, seconds, outage === null ? null : outage.ms / 1000);
  } finally {
    await Promise.all(demands.map((one) => one.stop()));
    await Promise.all(pods.map((pod) => pod?.stop()));
    await Promise.all(backend.processes.map((one) => one.stop()));
    backend.proxy?.close();
  }
}

/** Calls to Redis of the pods that are there. */
async function callsOf(
  pods: readonly (Pod | null)[],
): Promise<{ pods: number; answered: number; failed: number }> {
  const sums = { pods: 0, answered: 0, failed: 0 };
  for (const pod of pods) {
    const text = await fetch(`http://127.0.0.1:${pod?.adminPort}/metrics`).then(
      (reply) => reply.text(),
      () => null,
    );
    if (text === null) continue;
    sums.pods += 1;
    for (const [, outcome, count] of text.matchAll(/^sidegate_lease_calls_total\{outcome="(\w+)"\} (\d+)/gm))
      if (outcome === 'answered' || outcome === 'failed') sums[outcome] += Number(count);
  }
  return sums;
}

function judge(
  scenario: Scenario,
  oracle: Oracle,
  demands: readonly Demand[],
  seconds: number,
  outageSeconds: number | null,
): Result {
  const { demand, streaming = false, maxTokens = 10, limit } = scenario;
  const { capacity: B, perSecond: r } = limitOf(scenario);
  const cost = costOf(limit.unit, streaming ? streamTokens : plainTokens);
  const reserve = costOf(limit.unit, maxTokens + (limit.unit === 'tokens' ? promptTokensMax : 0));
  const requests = demand.map((_, pod) => oracle.requests[pod] ?? 0);
  const admitted = requests.reduce((sum, n) => sum + n, 0) * cost;
  const N = demand.length;
  const held = Math.max(0.1 * B, N * reserve);
  // A request is charged what it cost, which is never more than it reserved.
  const overrun = 0;
  const outage = outageSeconds === null ? 0 : B + r * outageSeconds;
  const bound = B + r * seconds + held + overrun + outage;
  // What was asked for is what got an answer: a request that was never sent, or failed, is no demand.
  const asked = demands.map(({ sent }) => (sent.admitted + sent.refused) * cost);
  const L = B + r * (durationMs / 1000);
  const fair = fairShares(asked, L);
  const wanted = fair.reduce((sum, n) => sum + n, 0);
  const parts = fair.map((part, pod) => (part === 0 ? 1 : ((requests[pod] ?? 0) * cost) / part));
  const least = Math.min(...parts.filter((_, pod) => pod !== scenario.harmed));
  const number = (value: number): string => value.toFixed(limit.unit === 'usd' ? 3 : 0);
  process.stdout.write(
    `  B ${number(B)}, r ${r}/s, T ${seconds.toFixed(1)} s, N ${N}, Σh ${number(held)}, K·max(0, cost − reserve) 0` +
      `${outageSeconds === null ? '' : `, D ${outageSeconds.toFixed(1)} s: B + r·D ${number(outage)}`}\n` +
      `  admitted ${number(admitted)} ≤ ${number(bound)}: ${admitted <= bound ? 'yes' : 'NO'}, ratio ${(admitted / bound).toFixed(3)}, ` +
      `share of min(limit, demand) ${((100 * admitted) / wanted).toFixed(1)}%, of the pod with the least ${(100 * least).toFixed(1)}%\n` +
      `  of each pod ${parts.map((part) => `${(100 * part).toFixed(0)}%`).join(' ')}; ${othersOf(demands)}\n`,
  );
  return {
    scenario: scenario.name,
    admitted: round(admitted),
    bound: round(bound),
    share: round(admitted / wanted),
    least: round(least),
  };
}

/** Requests that the limit did not decide on, in words. */
function othersOf(demands: readonly Demand[]): string {
  const failed = new Map<string, number>();
  let unsent = 0;
  for (const { sent } of demands) {
    unsent += sent.unsent;
    for (const [why, count] of sent.failed) failed.set(why, (failed.get(why) ?? 0) + count);
  }
  const kinds = [...failed].map(([why, count]) => `${count} × ${why}`);
  return `failed: ${kinds.length === 0 ? 'none' : kinds.join(', ')}; not sent: ${unsent}`;
}

const round = (value: number): number => Math.round(value * 1000) / 1000;

/** Of a prompt of two letters with its envelope, as estimated before anybody has counted. */
const promptTokensMax = 16;

function costOf(unit: Unit, tokens: number): number {
  switch (unit) {
    case 'requests':
      return 1;
    case 'tokens':
      return tokens;
    case 'usd':
      return (tokens * usdPerMTok) / 1e6;
  }
}

/** What each gets at most where all are served alike (max-min fairness). */
function fairShares(asked: readonly number[], limit: number): number[] {
  const order = asked.map((_, i) => i).sort((a, b) => (asked[a] ?? 0) - (asked[b] ?? 0));
  const shares = asked.map(() => 0);
  let left = limit;
  order.forEach((i, n) => {
    const share = Math.min(asked[i] ?? 0, left / (order.length - n));
    shares[i] = share;
    left -= share;
  });
  return shares;
}

if (values.many) {
  const result = await runMany(200, 500, 10);
  removeWork();
  process.stdout.write(`${JSON.stringify(result)}\n`);
  process.exit(result.admitted > result.bound ? 1 : 0);
}
const oracle = await startOracle();
if (values.hung || values.cost) {
  const result = values.hung ? await runHung(oracle) : await runCost(oracle);
  oracle.close();
  removeWork();
  process.stdout.write(`${JSON.stringify(result)}\n`);
  process.exit(0);
}
const results: Result[] = [];
let failed = false;
try {
  for (const scenario of scenarios) {
    if (values.only !== undefined && !values.only.some((part) => scenario.name.includes(part))) continue;
    const result = await runScenario(scenario, oracle);
    results.push(result);
    if (result.admitted > result.bound) failed = true;
  }
} finally {
  oracle.close();
  removeWork();
}
process.stdout.write(`${JSON.stringify(results)}\n`);
process.exitCode = failed ? 1 : 0;
