/** Checks the catalog's entries, in the configuration or in the catalog file, and matches models with providers. */

import { didYouMean } from '../base/did-you-mean.ts';
import { entryOf } from '../base/json.ts';
import { type FindRow, hasTable, openTable, priceOf } from '../catalog/prices.ts';
import { presets } from '../dialects/presets.ts';
import { farFuture } from './check-prices.ts';
import { type Path, pathText } from './faults.ts';
import type { Draft, Report } from './report.ts';

type Entry = NonNullable<NonNullable<Draft['catalog']>['models']>[number];
type Providers = NonNullable<Draft['providers']>;

/** Checks a list of entries. @param path of the list @param providers as written; undefined: invalid */
export function checkCatalog(
  path: Path,
  entries: readonly Entry[],
  providers: Providers | undefined,
  report: Report,
): void {
  const seen = new Map<string, Path>();
  const tables = new Map<string, FindRow>();
  const priced = (provider: string, model: string): boolean => {
    if (provider === '*') return true;
    const { preset = '', price } = entryOf(providers ?? {}, provider) ?? {};
    if (price === 'free') return true;
    const table = entryOf(presets, preset)?.prices ?? null;
    if (table === null || !hasTable(table)) return false;
    const find = tables.get(table) ?? openTable(table);
    tables.set(table, find);
    const row = find(model);
    return model.endsWith('*') || (row !== undefined && priceOf(row, farFuture) !== null);
  };
  const wide: { provider: string; prefix: string; at: Path }[] = [];
  entries.forEach((entry, index) => {
    const at = [...path, index];
    if (entry === undefined) return;
    const { provider = '*', model } = entry;
    if (provider !== '*' && providers !== undefined && !Object.hasOwn(providers, provider)) {
      const guess = didYouMean(provider, Object.keys(providers));
      report.fault([...at, 'provider'], `there is no provider ${report.show(provider)}${guess}`);
    }
    if (model === undefined) return;
    const first = seen.get(JSON.stringify([provider, model]));
    const wider = wide.find((each) => covers(each, provider, model));
    if (first !== undefined) report.fault([...at, 'model'], `duplicate of the model at ${pathText(first)}`);
    else if (wider !== undefined)
      report.warn(
        [...at, 'model'],
        `has no effect: ${pathText(wider.at)} comes first and matches the same models`,
      );
    seen.set(JSON.stringify([provider, model]), at);
    if (model.endsWith('*')) wide.push({ provider, prefix: model.slice(0, -1), at });
    checkPrice(at, entry, () => priced(provider, model), report);
  });
}

const covers = (wide: { provider: string; prefix: string }, provider: string, model: string): boolean =>
  (wide.provider === '*' || wide.provider === provider) && model.replace(/\*$/, '').startsWith(wide.prefix);

/**
 * Checks one entry's facts. Half a price is no price if nobody knows the other half.
 * @param priced whether a built-in table may have it
 */
function checkPrice(at: Path, entry: object, priced: () => boolean, report: Report): void {
  const given = Object.keys(entry).filter((key) => key !== 'provider' && key !== 'model');
  if (given.length === 0)
    report.fault(at, 'has no facts about the model: add a price or another fact', 'key');
  const missing = ['inputUsdPerMTok', 'outputUsdPerMTok'].filter((key) => !given.includes(key));
  const prices = given.some((key) => key.endsWith('UsdPerMTok'));
  if (!prices || missing.length === 0 || priced()) return;
  report.warn(at, `the price is incomplete: add ${missing.map((key) => `\`${key}\``).join(' and ')}`);
}

/** The models that the configuration lists for a provider; undefined: any. */
export function servedModels(provider: NonNullable<Providers[string]>): readonly string[] | undefined {
  const served = provider.models ?? provider.simulate?.models;
  return served === undefined || served.length === 0
    ? undefined
    : served.filter((model) => model !== undefined);
}

/** Whether a list of models, some with a trailing *, includes the model or pattern of a route or target. */
export function serves(served: readonly string[], asked: string): boolean {
  const open = asked.endsWith('*');
  const prefix = asked.replace(/\*$/, '');
  return served.some((model) => {
    const own = model.replace(/\*$/, '');
    if (model.endsWith('*') && prefix.startsWith(own)) return true;
    return open ? own.startsWith(prefix) : model === asked;
  });
}
