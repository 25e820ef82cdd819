/** Routes over made-up targets, shared by the tests and benchmarks of strategies. */

import { Refusal } from '../../src/base/errors.ts';
import { type ModelFacts, unknownFacts } from '../../src/catalog/facts.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { DialectName } from '../../src/exchange/dialects.ts';
import type { ModelRequest } from '../../src/exchange/request.ts';
import { breaker } from '../../src/native/breaker.ts';
import { createRouteTable, type RouteTable, route } from '../../src/route/route.ts';
import type { RouteConfig } from '../../src/route/settings.ts';
import { breakerSettings } from '../../src/upstream/health.ts';
import { PeakEwma } from '../../src/upstream/peak-ewma.ts';
import { createProvider } from '../../src/upstream/provider.ts';
import type { Plan, Provider, TargetHealth } from '../../src/upstream/target.ts';
import { type ExchangeSample, sampleExchange, sampleIdentity, sampleRequest } from './samples.ts';

const { attempt } = configSchema.parse({});

/** A provider that is never called. */
export function idleProvider(name: string, dialect: DialectName = 'openai'): Provider {
  const settings = { dialect, baseUrl: 'http://127.0.0.1:9/v1', credential: 'gateway', headers: {} } as const;
  return createProvider(name, settings, attempt, null);
}

/** Routes as in a configuration, with defaults filled in. */
export const routesOf = (routes: readonly unknown[]): RouteConfig[] =>
  configSchema.parse({ authenticate: { anonymousTenant: 'a' }, routes }).routes;

/** Routing controlled by a test. */
export interface Routing {
  readonly table: RouteTable;
  /** The state of a target, by its label. */
  health(label: string): TargetHealth;
  /** Opens the breaker of a target. */
  trip(label: string): void;
  /** Routes a request for a model. */
  ask(model: string, asking?: Asking): Plan | Refusal;
  /** The labels of the resulting plan. @throws on a refusal */
  labels(model: string, asking?: Asking): string[];
  /** Clock used by the next request. */
  nowMs: number;
  random: () => number;
}

/** What a request asks of routing. */
export interface Asking extends Partial<ModelRequest>, Omit<ExchangeSample, 'body'> {
  readonly user?: string;
  readonly tenant?: string;
}

/** @param facts what is known of a model, by its name at the provider */
export function startRouting(
  routes: readonly unknown[],
  providers: readonly Provider[],
  facts: Readonly<Record<string, Partial<ModelFacts>>> = {},
): Routing {
  const kept = new Map<string, TargetHealth>();
  const health = (label: string): TargetHealth => {
    const known = kept.get(label);
    const fresh = known ?? {
      breakerId: breaker.open(
        breakerSettings(configSchema.parse({ attempt: { breaker: { failures: 1 } } }).attempt, 1),
      ),
      inFlight: 0,
      latency: new PeakEwma(),
    };
    kept.set(label, fresh);
    return fresh;
  };
  const routing: Routing = {
    nowMs: 0,
    random: () => 0,
    table: createRouteTable(routesOf(routes), {
      providers: new Map(providers.map((provider) => [provider.name, provider])),
      healthOf: health,
      catalog: { names: () => [], facts: (_, model) => ({ ...unknownFacts, ...facts[model] }) },
      random: () => routing.random(),
      tokensOf: (_, bytes) => Math.ceil(bytes / 4),
    }),
    health,
    trip(label) {
      const { breakerId } = health(label);
      breaker.report(breakerId, breaker.admit(breakerId, routing.nowMs), 1, 0, routing.nowMs);
    },
    ask(model, { user, tenant, endpoint = 'chat', headers = {}, ...request } = {}) {
      const exchange = sampleExchange({ endpoint, headers });
      const identity = sampleIdentity({ user: user ?? null, ...(tenant === undefined ? {} : { tenant }) });
      return route(exchange, identity, sampleRequest({ model, ...request }), routing.table, routing.nowMs);
    },
    labels(model, asking) {
      const plan = routing.ask(model, asking);
      if (plan instanceof Refusal) throw new Error(plan.message);
      return plan.steps.map(({ target }) => target.label);
    },
  };
  return routing;
}
