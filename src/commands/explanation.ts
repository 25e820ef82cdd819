/** Explains how a request would be routed: its tier, and every target's price and verdict. Starts no sidecar. */

import { anonymousIdentity } from '../authenticate/keyring.ts';
import { Cancellation } from '../base/cancellation.ts';
import { Refusal } from '../base/errors.ts';
import { createCatalog } from '../catalog/catalog.ts';
import type { Config } from '../config/schema.ts';
import { createEstimator } from '../count/estimate.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { inspect } from '../inspect/inspect.ts';
import { breaker } from '../native/breaker.ts';
import { classify, featureNames, type Tier, tiers } from '../native/classify.ts';
import { capabilityNames } from '../route/ask.ts';
import { createRouteTable, fillAsk, findWay, route } from '../route/route.ts';
import { inabilities, type Leaf, type Node, price, unable } from '../route/tree.ts';
import { createScrubPolicies } from '../scrub/policy.ts';
import { breakerSettings } from '../upstream/health.ts';
import { PeakEwma } from '../upstream/peak-ewma.ts';
import { createProvider } from '../upstream/provider.ts';
import type { Provider } from '../upstream/target.ts';

/** One target of the route. */
export interface TargetVerdict {
  readonly target: string;
  readonly tier: Tier | null;
  /** Estimated cost of this request; null: unknown. */
  readonly costUsd: number | null;
  /** Position in the order of attempts, from 1; null: it is left out. */
  readonly order: number | null;
  readonly verdict: string;
}

/** What `explain` prints. */
export interface Explanation {
  readonly model: string;
  readonly route: string;
  /** The tier it is routed by, from classifier or header; null: the route doesn't use tiers. */
  readonly tier: Tier | null;
  /** The classifier's tier, whatever the route. */
  readonly classified: Tier | null;
  readonly scores: Readonly<Record<Tier, number>> | null;
  readonly needs: readonly string[];
  readonly promptTokens: number;
  readonly maxTokens: number | null;
  /** Features that aren't 0. */
  readonly features: Readonly<Record<string, number>>;
  readonly targets: readonly TargetVerdict[];
}

/** The request to explain. */
export interface RequestFile {
  readonly body: Buffer;
  readonly endpoint: Exchange['endpoint'];
  /** Path without query. */
  readonly path: string;
  /** Names in lowercase. */
  readonly headers: Exchange['headers'];
}

/**
 * Explains one request under a configuration, with the health and latency of a fresh start.
 * @param wallMs date of the prices, ms since 1970
 */
export function explain(
  config: Config,
  { body, endpoint, path, headers }: RequestFile,
  wallMs: number,
): Explanation | Refusal {
  const exchange: Exchange = {
    id: 'explain',
    endpoint,
    path,
    query: '',
    headers,
    body,
    cancellation: new Cancellation(),
    startedMs: 0,
    holdReply: () => true,
    detach: () => {},
    park: () => {},
  };
  const key = Buffer.alloc(32);
  const request = inspect(exchange, createScrubPolicies(config.scrub, key).of('').request, key, true);
  if (request instanceof Refusal) return request;
  const user = headers['x-sidegate-user'];
  const identity = {
    ...anonymousIdentity(config.authenticate.anonymousTenant ?? ''),
    user: typeof user === 'string' ? user : null,
  };
  // One closed breaker serves every target: nothing is called here.
  const closed = breaker.open(breakerSettings(config.attempt, 1));
  const table = createRouteTable(config.routes, {
    providers: idleProviders(config),
    catalog: createCatalog(config.providers, config.catalog.models, wallMs),
    healthOf: () => ({ breakerId: closed, inFlight: 0, latency: new PeakEwma() }),
    random: () => 0,
    tokensOf: createEstimator().tokens,
  });
  const way = findWay(request.model, endpoint, table);
  if (way instanceof Refusal) return way;
  const plan = route(exchange, identity, request, table, 0);
  if (plan instanceof Refusal && plan.code !== 'not_capable') return plan;
  const { ask } = table;
  // A fixed plan doesn't need this, but the explanation does.
  if (way.fixed !== null) fillAsk(ask, exchange, identity, request, table, 0);
  const steps = plan instanceof Refusal ? [] : plan.steps.map(({ target }) => target);
  const targets = tieredLeaves(way.root, -1).map(({ leaf, tier }): TargetVerdict => {
    const at = steps.indexOf(leaf.target);
    const costNano = price({ ...leaf, able: -1 }, ask);
    return {
      target: leaf.target.label,
      tier: tiers[tier] ?? null,
      costUsd: Number.isFinite(costNano) ? costNano / 1e9 : null,
      order: at < 0 ? null : at + 1,
      verdict: verdictOf(at, unable(leaf, ask)),
    };
  });
  const found = classify(body, endpoint.inspectedAs);
  const names = featureNames();
  return {
    model: request.model,
    route: way.pattern,
    tier: plan instanceof Refusal ? null : plan.tier,
    classified: request.tier,
    scores: found === null ? null : scoresOf(found.scores),
    needs: capabilityNames(ask.needs),
    promptTokens: ask.promptTokens,
    maxTokens: request.maxTokens,
    features: Object.fromEntries(
      (found?.features ?? []).flatMap((value, i) => (value === 0 ? [] : [[names[i] ?? '', value / 8]])),
    ),
    targets: targets.sort(
      (a, b) => (a.order ?? Number.POSITIVE_INFINITY) - (b.order ?? Number.POSITIVE_INFINITY),
    ),
  };
}

/** All targets of a node, each with its tier or that of the nearest enclosing route. */
function tieredLeaves(node: Node, outer: number): { leaf: Leaf; tier: number }[] {
  const tier = node.tier < 0 ? outer : node.tier;
  if (node.kind === 'leaf') return [{ leaf: node, tier }];
  return node.children.flatMap((child) => tieredLeaves(child, tier));
}

const scoresOf = (scores: readonly number[]): Record<Tier, number> => {
  // In units of the logistic regression that trained them; only their differences are meaningful.
  const unit = 65_536;
  const [simple = 0, moderate = 0, complex = 0] = scores.map(
    (score) => Math.round((100 * score) / unit) / 100,
  );
  return { simple, moderate, complex };
};

function verdictOf(at: number, reason: ReturnType<typeof unable>): string {
  const asked =
    at === 0 ? 'chosen' : at > 0 ? 'tried if those before fail' : 'left out: the same target comes before';
  if (reason === null) return asked;
  const why = inabilities[reason];
  return at < 0 ? `left out: ${why}` : `${asked}, although ${why}: this route does not check that`;
}

/** The providers, which are never called; a simulator has no port here. */
function idleProviders(config: Config): ReadonlyMap<string, Provider> {
  return new Map(
    Object.entries(config.providers).map(([name, settings]) => [
      name,
      createProvider(name, settings, config.attempt, 'http://127.0.0.1:9/v1'),
    ]),
  );
}

const dollars = (usd: number | null): string => (usd === null ? 'unknown' : `$${usd.toFixed(6)}`);

/** An explanation as text for people. */
export function explanationText(it: Explanation): string {
  const { scores } = it;
  const rows = it.targets.map(({ target, tier, costUsd, order, verdict }) =>
    [
      String(order ?? '-').padStart(5),
      target.padEnd(36),
      (tier ?? '-').padEnd(10),
      dollars(costUsd).padStart(12),
      ` ${verdict}`,
    ].join(' '),
  );
  const features = Object.entries(it.features).map(([name, value]) => `${name} ${value}`);
  return [
    `model     ${it.model}, served by the route ${it.route}`,
    `tier      ${it.tier ?? 'none: the route does not use tiers'}${it.classified === it.tier ? '' : ` (classified as ${it.classified ?? 'nothing'})`}`,
    `scores    ${scores === null ? '-' : tiers.map((tier) => `${tier} ${scores[tier]}`).join(', ')}`,
    `needs     ${it.needs.length === 0 ? 'nothing special' : it.needs.join(', ')}`,
    `tokens    about ${it.promptTokens} in the prompt, ${it.maxTokens === null ? 'no limit' : `at most ${it.maxTokens}`} in the reply`,
    `features  ${features.join(', ')}`,
    '',
    `${'order'.padStart(5)} ${'target'.padEnd(36)} ${'tier'.padEnd(10)} ${'cost'.padStart(12)}  verdict`,
    ...rows,
    '',
  ].join('\n');
}
