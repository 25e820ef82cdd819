/** Stage route: a model name → the targets that may answer it, in order. */
import type { Provider } from '../attempt/connection.ts';
import { type Catalog, emptyCatalog, nameMaxLength } from '../catalog/catalog.ts';
import { unknownFacts } from '../catalog/facts.ts';
import type { RouteConfig } from '../config/schema.ts';
import { Refusal } from '../errors.ts';
import type { DialectName } from '../providers/provider.ts';
import type { Plan, Step, TargetHealth } from './plan.ts';

export interface RouteTable {
  readonly exact: ReadonlyMap<string, Plan>;
  /** Patterns with a trailing *, longest first. */
  readonly patterns: readonly OpenPlan[];
  readonly catalog: Catalog;
}

/** A pattern's plan: what is known of its targets' models shows only when one is asked for. */
interface OpenPlan {
  readonly prefix: string;
  readonly plan: Plan;
  /** By the model asked for. */
  readonly closed: Map<string, Plan>;
}

/** Models remembered for a pattern; apps choose the names, so the oldest make room. */
const closedMax = 1000;

/** @param healthOf the state kept for a label. @param catalog what is known of the targets' models */
export function createRouteTable(
  routes: readonly RouteConfig[],
  providers: ReadonlyMap<string, Provider>,
  healthOf: (label: string) => TargetHealth,
  catalog: Catalog = emptyCatalog,
): RouteTable {
  const exact = new Map<string, Plan>();
  const patterns: OpenPlan[] = [];
  for (const { model: pattern, targets: chain, ...settings } of routes) {
    const { priority = 'interactive', strategy = 'fallback', overflow = null } = settings;
    const steps = chain.flatMap(({ provider: name, model }, group): Step[] => {
      const provider = providers.get(name);
      if (provider === undefined) return [];
      const label = `${name}/${model ?? pattern}`;
      const asked = model ?? pattern;
      const facts = asked.endsWith('*') ? unknownFacts : catalog.facts(name, asked);
      const target = { provider, model: model ?? null, label, health: healthOf(label), facts };
      return [{ target, on: null, group }];
    });
    const version = steps.map(({ target: { label, provider } }) => `${label}@${provider.baseUrl}`).join(' ');
    const plan = { pattern, steps, version, priority, strategy, overflow };
    if (pattern.endsWith('*')) patterns.push({ prefix: pattern.slice(0, -1), plan, closed: new Map() });
    else exact.set(pattern, plan);
  }
  patterns.sort((a, b) => b.prefix.length - a.prefix.length);
  return { exact, patterns, catalog };
}

/** The plan for one model of a pattern: what the * stands for is filled in, and what is known of the model. */
function close({ prefix, plan, closed }: OpenPlan, model: string, catalog: Catalog): Plan {
  const known = closed.get(model);
  if (known !== undefined) return known;
  const steps = plan.steps.map((step): Step => {
    const { target } = step;
    if (target.model !== null && !target.model.endsWith('*')) return step;
    const own = target.model === null ? null : target.model.slice(0, -1) + model.slice(prefix.length);
    const facts = catalog.facts(target.provider.name, own ?? model);
    return { ...step, target: { ...target, model: own, facts } };
  });
  const made = { ...plan, steps };
  if (model.length > nameMaxLength) return made;
  if (closed.size >= closedMax) closed.delete(closed.keys().next().value ?? '');
  closed.set(model, made);
  return made;
}

/** The plan for a model, whoever asks. */
function planOf(model: string, { exact, patterns, catalog }: RouteTable): Plan | undefined {
  const plan = exact.get(model);
  if (plan !== undefined) return plan;
  const open = patterns.find(({ prefix }) => model.startsWith(prefix));
  return open === undefined ? undefined : close(open, model, catalog);
}

/** Finds the plan for a model, with the targets that speak the client's dialect. */
export function route(model: string, dialect: DialectName, table: RouteTable): Plan | Refusal {
  const found = planOf(model, table);
  if (found === undefined) {
    return new Refusal('model_not_found', `No route serves the model "${model.slice(0, 128)}".`, {
      param: 'model',
    });
  }
  if (found.steps.every(({ target }) => target.provider.dialect.name === dialect)) return found;
  const steps = found.steps.filter(({ target }) => target.provider.dialect.name === dialect);
  if (steps.length === 0) {
    const other = found.steps[0]?.target.provider.dialect.name ?? 'another';
    return new Refusal(
      'model_not_found',
      `The model "${model.slice(0, 128)}" is served in the ${other} dialect only, and this endpoint speaks ${dialect}.`,
      { param: 'model' },
    );
  }
  return { ...found, steps };
}

/** The model names a client may be shown: patterns stand for names unknown here. */
export function modelNames(table: RouteTable): string[] {
  return [...table.exact.keys()];
}
