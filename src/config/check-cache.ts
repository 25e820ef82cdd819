/** Checks of the cache's settings against those of other rooms. */
import type { Draft, Report } from './report.ts';

/** Warns of a cache that pods are meant to share and can't, and of places that don't exist. */
export function checkCache({ cache, sync, scrub, routes }: Draft, report: Report): void {
  if (cache?.secret !== undefined) {
    if (sync?.redis === undefined)
      report.warn(['cache', 'secret'], 'has no effect without `sync.redis`: each pod has its own cache');
    else if (scrub?.secret === undefined)
      report.warn(
        ['cache', 'secret'],
        'needs `scrub.secret` too: without it each pod has placeholders of its own, and no entry is common',
      );
  }
  if (cache?.snapshot !== undefined && scrub?.secret === undefined)
    report.warn(
      ['cache', 'snapshot'],
      'needs `scrub.secret` too: without it each process has placeholders of its own, and finds nothing again',
    );
  const known = new Set(routes?.map((route) => route?.model));
  for (const model of Object.keys(cache?.routes ?? {}))
    if (!known.has(model)) report.warn(['cache', 'routes', model], 'no route has this `model`');
}
