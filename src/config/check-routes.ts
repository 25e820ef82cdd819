/** Checks of routes that the schema can't express: they lead to targets, and these can serve the route's requests. */

import { didYouMean } from '../base/did-you-mean.ts';
import { tiers } from '../native/classify.ts';
import { findConfig } from '../route/compile.ts';
import { stepsMax } from '../upstream/target.ts';
import { checkOverflow } from './check-batch.ts';
import { servedModels, serves } from './check-catalog.ts';
import type { Path } from './faults.ts';
import { absent, type Draft, faultyAt, once, type Report } from './report.ts';

type DraftRoute = NonNullable<NonNullable<Draft['routes']>[number]>;
type DraftTarget = NonNullable<NonNullable<DraftRoute['targets']>[number]>;
/** A route with a valid name, and its path. */
type Named = DraftRoute & { readonly model: string; readonly path: Path };

/** Checks all routes. */
export function checkRoutes(draft: Draft, report: Report): void {
  const sectionFaulty = !absent(draft, 'routes') && draft.routes === undefined;
  if ((draft.routes?.length ?? 0) === 0 && !sectionFaulty) {
    const message =
      'no model is served: add a route, such as `{ model: "gpt-*", targets: [{ provider: openai }] }`';
    report.fault(['routes'], message, 'key');
  }
  const model = once(report, 'route for this model');
  const named: Named[] = [];
  draft.routes?.forEach((route, index) => {
    const path = ['routes', index];
    model(route?.model, [...path, 'model']);
    if (route?.model !== undefined) named.push({ ...route, model: route.model, path });
  });
  const before = report.count();
  checkCycles(named, report);
  const circular = report.count() > before;
  draft.routes?.forEach((route, index) => {
    if (route === undefined) return;
    const path = ['routes', index];
    const known = report.count();
    checkTargets(route, path, draft, named, report);
    checkStrategy(route, path, report);
    // The targets a route leads to can only be judged if its parts are valid.
    if (circular || report.count() > known || route.model === undefined) return;
    checkLeaves({ ...route, model: route.model, path }, named, draft, report);
  });
}

function checkTargets(
  route: DraftRoute,
  path: Path,
  draft: Draft,
  named: readonly Named[],
  report: Report,
): void {
  const seen = once(report, 'target');
  route.targets?.forEach((target, position) => {
    if (target === undefined) return;
    const at = [...path, 'targets', position];
    const both = !absent(target, 'provider') && !absent(target, 'route');
    if (both) report.fault([...at, 'route'], 'cannot be combined with `provider`: remove one of them', 'key');
    if (absent(target, 'provider') && absent(target, 'route')) {
      report.fault(at, 'needs a `provider`, or the name of another `route`', 'key');
    }
    if (target.route !== undefined && !both) checkNested(target, at, named, report);
    if (target.provider !== undefined)
      checkProvider(target.provider, target, route, [at, path], draft, report);
    const { provider = null, model = null, route: nested = null, tier = null } = target;
    seen(JSON.stringify([provider, model, nested, tier]), at);
  });
}

/** Checks a target that names a provider. `at` and `routeAt` are the paths of the target and its route. */
function checkProvider(
  name: string,
  { model }: DraftTarget,
  route: DraftRoute,
  [at, routeAt]: readonly [Path, Path],
  draft: Draft,
  report: Report,
): void {
  const providers = draft.providers ?? {};
  if (faultyAt(draft, 'providers')) return;
  if (!Object.hasOwn(providers, name)) {
    const guess = didYouMean(name, Object.keys(providers));
    report.fault([...at, 'provider'], `there is no provider ${report.show(name)}${guess}`);
    return;
  }
  if (model?.endsWith('*') === true && route.model?.endsWith('*') === false) {
    const message = "may end in * only if the route's model does: the * stands for the same text";
    report.fault([...at, 'model'], message);
  }
  // If the provider's models are listed, they must include the one requested.
  const served = servedModels(providers[name] ?? {});
  const asked = model ?? route.model;
  if (served === undefined || asked === undefined || serves(served, asked)) return;
  const message = `the provider has no model ${report.show(asked)}${didYouMean(asked, served)}`;
  report.fault(model === undefined ? [...routeAt, 'model'] : [...at, 'model'], message);
}

function checkNested(target: DraftTarget, at: Path, named: readonly Named[], report: Report): void {
  for (const key of ['model', 'capabilities'] as const) {
    if (absent(target, key)) continue;
    report.fault(
      [...at, key],
      `has no effect together with \`route\`: set it at the targets of that route`,
      'key',
    );
  }
  const name = target.route ?? '';
  if (findConfig(named, name) !== undefined) return;
  const guess = didYouMean(
    name,
    named.map(({ model }) => model),
  );
  report.fault([...at, 'route'], `there is no route for ${report.show(name)}${guess}`);
}

/** Settings of a target that only one strategy uses. */
const usedBy = { weight: 'weighted', tier: 'cost', on: 'fallback' } as const;

function checkStrategy(route: DraftRoute, path: Path, report: Report): void {
  if (faultyAt(route, 'strategy') || route.targets === undefined) return;
  const strategy = route.strategy ?? 'fallback';
  const targets = route.targets;
  targets.forEach((target, position) => {
    const at = [...path, 'targets', position];
    for (const [key, user] of Object.entries(usedBy)) {
      if (target === undefined || absent(target, key) || strategy === user) continue;
      report.fault(
        [...at, key],
        `is used by strategy \`${user}\` only, and this route has \`${strategy}\``,
        'key',
      );
    }
  });
  if (!absent(targets[0], 'on') && strategy === 'fallback') {
    report.fault([...path, 'targets', 0, 'on'], 'has no effect at the first target: remove it', 'key');
  }
  if (!absent(route, 'sticky') && strategy !== 'weighted') {
    report.fault(
      [...path, 'sticky'],
      `is used by strategy \`weighted\` only, and this route has \`${strategy}\``,
      'key',
    );
  }
  if (strategy === 'weighted' && targets.every((target) => target?.weight === 0)) {
    report.fault([...path, 'targets'], 'the weights sum to 0: no target would ever be chosen');
  }
  if (strategy === 'cost') checkTiers(targets, path, report);
}

function checkTiers(targets: NonNullable<DraftRoute['targets']>, path: Path, report: Report): void {
  targets.forEach((target, position) => {
    if (target === undefined || !absent(target, 'tier')) return;
    report.fault([...path, 'targets', position], `needs a \`tier\`: one of ${tiers.join(', ')}`, 'key');
  });
  if (targets.some((target) => target === undefined || target.tier === undefined)) return;
  for (const tier of tiers) {
    if (targets.some((target) => target?.tier === tier)) continue;
    report.fault([...path, 'targets'], `no target has the tier ${tier}: add one`);
  }
}

/** A target with a provider. `model` is the one it would request; null: the one the client requests. */
interface Leaf {
  readonly provider: string;
  readonly model: string | null;
  readonly serves: string | null;
  readonly capabilities: readonly (string | undefined)[] | null;
  readonly at: Path;
}

/** The targets a route leads to, as `compile` would find them; at most one more than it accepts. */
function leavesOf(
  route: Named,
  asked: string | null,
  named: readonly Named[],
  open: ReadonlySet<string>,
): Leaf[] {
  const leaves: Leaf[] = [];
  if (open.has(route.model)) return leaves;
  const within = new Set(open).add(route.model);
  for (const [position, target] of (route.targets ?? []).entries()) {
    if (target === undefined || leaves.length > stepsMax) continue;
    const at = [...route.path, 'targets', position];
    if (target.route === undefined) {
      const { provider, model = asked, serves = null, capabilities = null } = target;
      if (provider !== undefined) leaves.push({ provider, model, serves, capabilities, at });
      continue;
    }
    const nested = findConfig(named, target.route);
    const name = target.route.endsWith('*') ? asked : target.route;
    if (nested !== undefined)
      leaves.push(...leavesOf(nested, name, named, within).map((leaf) => ({ ...leaf, at })));
  }
  return leaves;
}

function checkLeaves(route: Named, named: readonly Named[], draft: Draft, report: Report): void {
  const { path } = route;
  const leaves = leavesOf(route, null, named, new Set());
  if (leaves.length > stepsMax) {
    report.fault(
      [...path, 'targets'],
      `leads to more than ${stepsMax} targets, including those of nested routes: remove some`,
    );
    return;
  }
  checkEmbeddings(route, leaves, report);
  checkAble(route, leaves, report);
  checkOverflow(route, leaves, draft, report);
  const providers = new Set(leaves.map(({ provider }) => provider));
  if ((route.strategy ?? 'fallback') === 'fallback' && leaves.length > 1 && providers.size === 1) {
    const only = report.show(leaves[0]?.provider);
    report.warn(
      [...path, 'targets'],
      `all targets are at the provider ${only}: if it is down, there is no fallback`,
    );
  }
}

/** Reports targets with different embedding models, whose vectors can't be compared. */
function checkEmbeddings(route: Named, leaves: readonly Leaf[], report: Report): void {
  const modelOf = ({ serves, model }: Leaf): string => serves ?? model ?? route.model;
  const embeds = (leaf: Leaf): boolean =>
    leaf.capabilities?.includes('embeddings') ?? /embed/i.test(modelOf(leaf));
  const first = leaves.find(embeds);
  if (first === undefined) return;
  for (const leaf of leaves) {
    if (!embeds(leaf) || modelOf(leaf) === modelOf(first)) continue;
    const other = report.show(modelOf(first));
    const message = `is a different embedding model than ${other}: their vectors can't be compared, so it is no fallback`;
    report.fault(leaf.at, message);
  }
}

/** Reports capabilities that the route needs and no target has. */
function checkAble(route: Named, leaves: readonly Leaf[], report: Report): void {
  if (leaves.length === 0) return;
  for (const need of route.needs ?? []) {
    if (need === undefined) continue;
    if (leaves.some(({ capabilities }) => capabilities === null || capabilities.includes(need))) continue;
    const message = `no target can serve ${report.show(route.model)}: none lists ${need} in its \`capabilities\``;
    report.fault([...route.path, 'targets'], message);
  }
}

/** Reports each target through which a route leads back to itself. */
function checkCycles(named: readonly Named[], report: Report): void {
  const done = new Set<Named>();
  const open: Named[] = [];
  const visit = (route: Named): void => {
    if (done.has(route)) return;
    open.push(route);
    for (const [position, target] of (route.targets ?? []).entries()) {
      const next = target?.route === undefined ? undefined : findConfig(named, target.route);
      if (next === undefined) continue;
      const from = open.indexOf(next);
      if (from < 0) {
        visit(next);
        continue;
      }
      const cycle = [...open.slice(from), next].map(({ model }) => report.show(model)).join(' → ');
      report.fault([...route.path, 'targets', position, 'route'], `leads in a circle: ${cycle}`);
    }
    open.pop();
    done.add(route);
  };
  for (const route of named) visit(route);
}
