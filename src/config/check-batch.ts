/** Checks of the batch queue and of self-hosted engines that the schema can't express. */

import type { Path } from './faults.ts';
import type { Draft, Report } from './report.ts';
import { configSchema } from './schema.ts';

type DraftRoute = NonNullable<NonNullable<Draft['routes']>[number]>;

/** Checks that the queue leaves connections to others, and finds settings without effect. */
export function checkBatch(draft: Draft, report: Report): void {
  const defaults = configSchema.parse({});
  const { queueMax } = { ...defaults.batch, ...draft.batch };
  const { connectionsMax } = { ...defaults.listen, ...draft.listen };
  if (queueMax !== undefined && connectionsMax !== undefined && queueMax >= connectionsMax) {
    const place = draft.batch?.queueMax === undefined ? ['listen', 'connectionsMax'] : ['batch', 'queueMax'];
    report.warn(
      place,
      `each waiting request holds a connection: ${queueMax} waiting requests can use up all ${connectionsMax} ` +
        'connections (listen.connectionsMax)',
    );
  }
  const providers = draft.providers ?? {};
  for (const [name, provider] of Object.entries(providers)) {
    if (provider?.probe === undefined || Object.hasOwn(provider, 'engine')) continue;
    report.fault(
      ['providers', name, 'probe'],
      'has no effect without `engine`: name the engine to probe',
      'key',
    );
  }
  draft.routes?.forEach((route, index) => {
    if (route?.overflow === undefined) return;
    const path = ['routes', index, 'overflow'];
    if ((route.strategy ?? 'fallback') !== 'least_loaded') {
      report.fault(path, 'has no effect without `strategy: least_loaded`', 'key');
    }
  });
}

/** Checks that an overflow has both self-hosted and hosted targets. @param leaves the route's targets, in order */
export function checkOverflow(
  { overflow, strategy, path }: Pick<DraftRoute, 'overflow' | 'strategy'> & { readonly path: Path },
  leaves: readonly { readonly provider: string; readonly at: Path }[],
  draft: Draft,
  report: Report,
): void {
  if (overflow === undefined || strategy !== 'least_loaded') return;
  // A nested route counts as its first target.
  const first = leaves.filter(({ at }, index) => at !== leaves[index - 1]?.at);
  const named = first.map(({ provider }) => draft.providers?.[provider]);
  // Missing providers are reported elsewhere.
  if (named.length === 0 || named.includes(undefined)) return;
  const isOwn = named.map((provider) => provider !== undefined && Object.hasOwn(provider, 'engine'));
  const at = [...path, 'overflow'];
  if (!isOwn.includes(true))
    report.fault(at, 'no target is a self-hosted engine: set `engine` at its provider', 'key');
  else if (!isOwn.includes(false))
    report.fault(at, 'all targets are self-hosted engines: add a hosted target to overflow to', 'key');
}
