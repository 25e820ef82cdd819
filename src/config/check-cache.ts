/** Checks of the cache's settings against those of other rooms. */
import { didYouMean } from '../base/did-you-mean.ts';
import { entryOf } from '../base/json.ts';
import { presets } from '../dialects/presets.ts';
import { embeddingDialects } from '../exchange/dialects.ts';
import type { Draft, Report } from './report.ts';

/** Checks that the provider of the cache's vectors is there, and can be asked by the gateway itself. */
function checkEmbedder({ cache, providers = {} }: Draft, report: Report): void {
  const path = ['cache', 'semantic', 'embedder', 'provider'];
  const name = cache?.semantic?.embedder?.provider;
  if (name === undefined) return;
  if (!Object.hasOwn(providers, name))
    return report.fault(
      path,
      `there is no provider ${report.show(name)}${didYouMean(name, Object.keys(providers))}`,
    );
  const provider = entryOf(providers, name);
  if (provider?.credential === 'client')
    report.fault(
      path,
      `${report.show(name)} has \`credential: client\`: the cache has no client's credential`,
    );
  const dialect = provider?.dialect ?? entryOf(presets, provider?.preset ?? '')?.dialect;
  if (dialect !== undefined && !embeddingDialects.has(dialect))
    report.fault(path, `${report.show(name)} has no embeddings: its dialect is ${dialect}`);
}

/** Warns of a cache that pods are meant to share and can't, and of places that don't exist; checks its embedder. */
export function checkCache(draft: Draft, report: Report): void {
  checkEmbedder(draft, report);
  const { cache, sync, scrub, routes } = draft;
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
