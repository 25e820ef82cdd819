/** What the schema can't say of the batch queue and of self-hosted engines. */

import type { Path } from './faults.ts';
import type { Draft, Report } from './report.ts';
import { configSchema } from './schema.ts';

type DraftRoute = NonNullable<NonNullable<Draft['routes']>[number]>;

/** A queue that connections can't fill, and settings that have no use where they stand. */
export function checkBatch(draft: Draft, report: Report): void {
  const defaults = configSchema.parse({});
  const { queueMax } = { ...defaults.batch, ...draft.batch };
  const { connectionsMax } = { ...defaults.listen, ...draft.listen };
  if (queueMax !== undefined && connectionsMax !== undefined && queueMax >= connectionsMax) {
    const place = draft.batch?.queueMax === undefined ? ['listen', 'connectionsMax'] : ['batch', 'queueMax'];
    report.warn(
      place,
      `each request that waits holds a connection: ${queueMax} that wait leave nothing of ${connectionsMax} ` +
        'connections (listen.connectionsMax) to others',
    );
  }
  const providers = draft.providers ?? {};
  for (const [name, provider] of Object.entries(providers)) {
    if (provider?.probe === undefined || Object.hasOwn(provider, 'engine')) continue;
    report.fault(
      ['providers', name, 'probe'],
      'has no use without `engine`: name the engine to probe',
      'key',
    );
  }
  draft.routes?.forEach((route, index) => {
    if (route?.overflow === undefined) return;
    const path = ['routes', index, 'overflow'];
    if ((route.strategy ?? 'fallback') !== 'least_loaded') {
      report.fault(path, 'has no use without `strategy: least_loaded`', 'key');
    }
  });
}

/** Where an overflow leads from and to. @param leaves what the route comes to, in order */
export function checkOverflow(
  { overflow, strategy, path }: Pick<DraftRoute, 'overflow' | 'strategy'> & { readonly path: Path },
  leaves: readonly { readonly provider: string; readonly at: Path }[],
  draft: Draft,
  report: Report,
): void {
  if (overflow === undefined || strategy !== 'least_loaded') return;
  // A nested route counts as what it asks first.
  const first = leaves.filter(({ at }, index) => at !== leaves[index - 1]?.at);
  const named = first.map(({ provider }) => draft.providers?.[provider]);
  // Targets that don't exist are a fault of their own.
  if (named.length === 0 || named.includes(undefined)) return;
  const isOwn = named.map((provider) => provider !== undefined && Object.hasOwn(provider, 'engine'));
  const at = [...path, 'overflow'];
  if (!isOwn.includes(true))
    report.fault(at, 'no target is an own engine: give its provider an `engine`', 'key');
  else if (!isOwn.includes(false)) report.fault(at, 'no target is hosted: there is nowhere to go', 'key');
}
