/** The catalog: facts of each provider's models, from the price tables, the model families and the configuration. */

import { matchesPattern } from '../base/pattern.ts';
import { presets } from '../dialects/presets.ts';
import {
  type Capability,
  freeFacts,
  type ModelFacts,
  type Price,
  type TokenPrice,
  unknownFacts,
} from './facts.ts';
import { familyOf } from './families.ts';
import { type FindRow, namesOf, openTable, priceOf, type Row } from './prices.ts';
import { refusesOf } from './refuses.ts';
import { servicesOf } from './services.ts';
import type { CatalogModelConfig } from './settings.ts';

/** Looks up facts of models. */
export interface Catalog {
  /**
   * Facts of a provider's model. A known name costs one look-up in a map; a new one about 50 µs.
   * @param provider its name in the configuration
   */
  facts(provider: string, model: string): ModelFacts;
  /** The models that are known of a provider; read when first asked for. */
  names(provider: string): readonly string[];
}

/** A provider, as far as its prices depend on it. */
interface PricedProvider {
  readonly preset?: string | undefined;
  readonly price?: 'free' | undefined;
}

/** Model names remembered; apps choose them, so the oldest are evicted. */
export const memoMax = 2000;
/** Longest model name looked up and remembered; no model has a longer one. */
export const nameMaxLength = 256;

/**
 * Opens only the price tables that these providers need.
 * @param wallMs date of the prices, Unix ms; later price changes take effect with the next reload or start
 */
export function createCatalog(
  providers: Readonly<Record<string, PricedProvider>>,
  models: readonly CatalogModelConfig[],
  wallMs: number,
): Catalog {
  const opened = new Map<string, FindRow>();
  const tables = new Map<string, FindRow>();
  const stating = new Set<string>();
  const tableOf = (provider: string): string | null =>
    presets[providers[provider]?.preset ?? '']?.prices ?? null;
  for (const name of Object.keys(providers)) {
    const id = tableOf(name);
    if (id === costStating) stating.add(name);
    if (id === null) continue;
    const table = opened.get(id) ?? openTable(id);
    opened.set(id, table);
    tables.set(name, table);
  }
  const memo = new Map<string, ModelFacts>();
  const named = new Map<string, readonly string[]>();

  const namesAt = (provider: string): readonly string[] => {
    const id = tableOf(provider);
    const own = models.filter((entry) => entry.provider === '*' || entry.provider === provider);
    const exact = own.map(({ model }) => model).filter((model) => !model.endsWith('*'));
    return [...new Set([...exact, ...(id === null ? [] : namesOf(id))])];
  };

  /** The price of a row of the provider's table; null: unknown. */
  const tablePrice = (provider: string, row: Row | undefined, model: string): Price | null => {
    if (providers[provider]?.price === 'free') return freeFacts.price;
    const price = row === undefined ? null : priceOf(row, wallMs);
    const services = servicesOf(model, tableOf(provider) ?? '');
    return price === null || services === undefined ? price : { ...price, services };
  };

  const find = (provider: string, model: string): ModelFacts => {
    const row = tables.get(provider)?.(model);
    const family = familyOf(model);
    const refuses = refusesOf(model);
    const own = models.find((entry) => fits(entry, provider, model));
    return override(
      {
        price: tablePrice(provider, row, model),
        contextTokens: row?.contextTokens ?? null,
        outputMaxTokens: family?.outputMaxTokens ?? null,
        capabilities: family === null ? null : new Set(family.capabilities),
        ...(refuses === undefined ? {} : { refuses }),
        ...(stating.has(provider) ? { statesCost: true } : {}),
      },
      own,
    );
  };

  return {
    facts(provider, model) {
      if (model.length > nameMaxLength) return unknownFacts;
      const key = `${provider}\n${model}`;
      const known = memo.get(key);
      if (known !== undefined) return known;
      const facts = find(provider, model);
      if (memo.size >= memoMax) memo.delete(memo.keys().next().value ?? '');
      memo.set(key, facts);
      return facts;
    },
    names(provider) {
      const found = named.get(provider) ?? namesAt(provider);
      named.set(provider, found);
      return found;
    },
  };
}

/** The provider whose replies state dollars: https://openrouter.ai/docs/use-cases/usage-accounting */
const costStating = 'openrouter';

/** Whether an entry of the configuration is for this model. */
function fits(entry: CatalogModelConfig, provider: string, model: string): boolean {
  return (entry.provider === '*' || entry.provider === provider) && matchesPattern(entry.model, model);
}

/** Overrides facts by the configuration's, field by field. */
function override(known: ModelFacts, own: CatalogModelConfig | undefined): ModelFacts {
  if (own === undefined) return known;
  const capabilities: ReadonlySet<Capability> | null =
    own.capabilities === undefined ? known.capabilities : new Set(own.capabilities);
  return {
    price: overridePrice(known.price, own),
    contextTokens: own.contextTokens ?? known.contextTokens,
    outputMaxTokens: own.outputMaxTokens ?? known.outputMaxTokens,
    capabilities,
    ...(known.statesCost === undefined ? {} : { statesCost: known.statesCost }),
    ...(known.refuses === undefined ? {} : { refuses: known.refuses }),
  };
}

/** A price needs both input and output; cached tokens that nobody knows a price of cost as much as others. */
function overridePrice(table: Price | null, own: CatalogModelConfig): Price | null {
  const nano = (usdPerMTok: number | undefined): number | undefined =>
    usdPerMTok === undefined ? undefined : usdPerMTok * 1000;
  const [input, output] = [nano(own.inputUsdPerMTok), nano(own.outputUsdPerMTok)];
  const [cachedInput, cacheWrite] = [nano(own.cachedInputUsdPerMTok), nano(own.cacheWriteUsdPerMTok)];
  const { usdPerSearchUnit } = own;
  const search = usdPerSearchUnit === undefined ? {} : { search: usdPerSearchUnit * 1e9 };
  // What is free costs nothing by the request or the second either.
  const known = input === 0 && output === 0 ? null : table;
  if (known === null) {
    // A model billed per search unit doesn't bill tokens.
    const least = usdPerSearchUnit === undefined ? undefined : 0;
    const [prompt, reply] = [input ?? least, output ?? least];
    if (prompt === undefined || reply === undefined) return null;
    const cached = { cachedInput: cachedInput ?? prompt, cacheWrite: cacheWrite ?? prompt };
    return { input: prompt, output: reply, ...cached, ...search };
  }
  const over = <Old extends TokenPrice>(old: Old): Old => ({
    ...old,
    input: input ?? old.input,
    output: output ?? old.output,
    cachedInput: cachedInput ?? inProportion(old.cachedInput, old.input, input),
    cacheWrite: cacheWrite ?? inProportion(old.cacheWrite, old.input, input),
  });
  const priced = { ...over(known), ...mediaInProportion(known, input, output), ...search };
  return known.tiers === undefined ? priced : { ...priced, tiers: known.tiers.map(over) };
}

/** What costs a multiple of something else, at that one's new price; undefined: it has none. */
const inProportion = (price: number, usual: number, own: number | undefined): number =>
  own === undefined ? price : usual === 0 ? own : (price * own) / usual;

/** Prices of images and sound, where text costs what a configuration says. */
function mediaInProportion(known: Price, input?: number, output?: number): Partial<Price> {
  const { mediaInput, soundInput, mediaOutput, soundOutput } = known;
  const heard = (price: number): number => inProportion(price, known.input, input);
  const said = (price: number): number => inProportion(price, known.output, output);
  return {
    ...(mediaInput === undefined ? {} : { mediaInput: heard(mediaInput) }),
    ...(soundInput === undefined ? {} : { soundInput: heard(soundInput) }),
    ...(mediaOutput === undefined ? {} : { mediaOutput: said(mediaOutput) }),
    ...(soundOutput === undefined ? {} : { soundOutput: said(soundOutput) }),
  };
}
