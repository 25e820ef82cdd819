/** The catalog: its tables against the package they come from, lookups, families, and the configuration's own entries. */
import { readFileSync } from 'node:fs';
import { calcPrice, type Provider, waitForUpdate } from '@pydantic/genai-prices';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { priceTables } from '../../scripts/prices.ts';
import { createCatalog, memoMax } from '../../src/catalog/catalog.ts';
import { costNanoUsd, type Price } from '../../src/catalog/facts.ts';
import { families, familyOf } from '../../src/catalog/families.ts';
import { hasTable, openTable, priceOf } from '../../src/catalog/prices.ts';
import { type CatalogModelConfig, catalogFileSchema } from '../../src/catalog/settings.ts';
import { configSchema } from '../../src/config/schema.ts';
import { presets } from '../../src/dialects/presets.ts';
import { noUsage } from '../../src/exchange/usage.ts';

const all = (await waitForUpdate()) ?? [];
const day = Date.parse('2026-11-23T12:00:00Z');

const providersOf = (...names: string[]) =>
  configSchema.parse({ providers: Object.fromEntries(names.map((name) => [name, { preset: name }])) })
    .providers;
const entries = (...models: z.input<typeof catalogFileSchema>['models']): CatalogModelConfig[] =>
  catalogFileSchema.parse({ models }).models;
const catalogOf = (names: string[], models: CatalogModelConfig[] = []) =>
  createCatalog(providersOf(...names), models, day);

/** A name that finds each row, if one can be derived from its rule. */
function nameOf(match: Provider['models'][number]['match']): string | null {
  if ('or' in match) return match.or.map(nameOf).find((name) => name !== null) ?? null;
  if ('equals' in match) return match.equals;
  if ('starts_with' in match) return `${match.starts_with}-x`;
  if ('contains' in match) return `x-${match.contains}-x`;
  if ('ends_with' in match) return `x-${match.ends_with}`;
  return null;
}

const names: [provider: string, model: string][] = all.flatMap(({ id, models }) =>
  models.flatMap(({ id: own, match }) =>
    [own, nameOf(match)].flatMap((name): [string, string][] => (name === null ? [] : [[id, name]])),
  ),
);

describe('the tables', () => {
  test('are those of the package', async () => {
    for (const [name, text] of await priceTables()) {
      const file = readFileSync(new URL(`../../src/catalog/prices/${name}`, import.meta.url), 'utf8');
      expect(file === text, `${name}: run npm run generate`).toBe(true);
    }
  });

  test('each preset with prices has one', () => {
    for (const [name, { prices }] of Object.entries(presets))
      if (prices !== null) expect([name, hasTable(prices)]).toEqual([name, true]);
  });

  test('find the same row as the package for every model of every provider, and for unknown names', () => {
    expect(names.length).toBeGreaterThan(2500);
    const tables = new Map(all.map(({ id }) => [id, openTable(id)]));
    const strange = [
      'gpt-4o-20240806',
      'claude-sonnet-4-20250514',
      'GPT-4O',
      ' gpt-4o ',
      '',
      'nothing',
      'a/b:free',
    ];
    const asked = [...names, ...all.flatMap(({ id }) => strange.map((name): [string, string] => [id, name]))];
    for (const [provider, model] of asked) {
      const theirs = calcPrice({}, model, { providerId: provider, timestamp: new Date(day) });
      expect([provider, model, tables.get(provider)?.(model)?.id]).toEqual([
        provider,
        model,
        theirs?.model.id,
      ]);
      const context = tables.get(provider)?.(model)?.contextTokens;
      expect(context).toBe(theirs?.model.context_window);
    }
  });

  test('cost the same as the package says, for every model priced by tokens, at any usage', () => {
    const tables = new Map(all.map(({ id }) => [id, openTable(id)]));
    const priced = names.flatMap(([provider, model]) => {
      const row = tables.get(provider)?.(model);
      const price = row === undefined ? null : priceOf(row, day);
      // A price that changes by the hour is the dearest of the day: see below.
      const hourly = row?.prices.some(({ daily }) => daily === true) ?? true;
      return price === null || hourly ? [] : [{ provider, model, price }];
    });
    expect(priced.length).toBeGreaterThan(2300);
    const tokens = fc.oneof(
      fc.nat(1000),
      fc.constantFrom(128_000, 200_000, 200_001, 272_000, 272_001),
      fc.nat(2e6),
    );
    const usage = fc.record({ plain: tokens, cached: tokens, written: tokens, output: tokens });
    const compared = new Set<string>();
    fc.assert(
      fc.property(fc.constantFrom(...priced), usage, ({ provider, model, price }, used) => {
        const inputTokens = used.plain + used.cached + used.written;
        const theirs = calcPrice(
          {
            input_tokens: inputTokens,
            cache_read_tokens: used.cached,
            cache_write_tokens: used.written,
            output_tokens: used.output,
          },
          model,
          { providerId: provider, timestamp: new Date(day) },
        );
        const ours = costNanoUsd(price, {
          inputTokens,
          cachedInputTokens: used.cached,
          cacheWriteTokens: used.written,
          outputTokens: used.output,
          known: true,
        });
        compared.add(`${provider}/${model}`);
        // Rounded up, and both sides add binary fractions.
        const exact = (theirs?.total_price ?? Number.NaN) * 1e9;
        const slack = 1e-3 + exact * 1e-12;
        expect(ours).toBeGreaterThanOrEqual(exact - slack);
        expect(ours).toBeLessThan(exact + 1 + slack);
      }),
      { numRuns: 20_000 },
    );
    expect(compared.size).toBeGreaterThan(1000);
  });

  test('a price that changes by the hour is the highest of the day, never less than what is billed', () => {
    const table = openTable('deepseek');
    const hourly = ['deepseek-chat', 'deepseek-reasoner', 'deepseek-v4-flash', 'deepseek-v4-pro'];
    for (const model of hourly) {
      const row = table(model);
      const price = row === undefined ? null : priceOf(row, day);
      const usage = { ...noUsage, inputTokens: 1000, outputTokens: 1000 };
      const ours = price === null ? Number.NaN : costNanoUsd(price, usage);
      const billed = Array.from({ length: 48 }, (_, half) => {
        const timestamp = new Date(Date.parse('2026-11-23') + half * 1_800_000);
        const result = calcPrice({ input_tokens: 1000, output_tokens: 1000 }, model, {
          providerId: 'deepseek',
          timestamp,
        });
        return (result?.total_price ?? 0) * 1e9;
      });
      expect(ours).toBeCloseTo(Math.max(...billed), 3);
      expect(Math.min(...billed)).toBeLessThan(ours);
    }
  });

  test('a price that changes on a day is that of the passed-in date', () => {
    const row = openTable('openai')('o3');
    const at = (date: string): Price | null => (row === undefined ? null : priceOf(row, Date.parse(date)));
    expect(at('2025-06-09')?.input).toBe(10_000);
    expect(at('2025-06-10')?.input).toBe(2000);
  });

  test('a row without prices is unknown, and costs nothing only where its name says so', () => {
    const find = openTable('openrouter');
    const price = (model: string) => {
      const row = find(model);
      return row === undefined ? undefined : priceOf(row, day);
    };
    expect(price('google/lyria-3-pro-preview')).toBe(null);
    expect(price('openai/gpt-oss-20b:free')).toMatchObject({ input: 0, output: 0 });
  });
});

describe('costs', () => {
  const price: Price = { input: 37.5, cachedInput: 3.75, cacheWrite: 46.875, output: 150.5 };
  const usage = { ...noUsage, inputTokens: 3, cachedInputTokens: 1, outputTokens: 1 };

  test('are whole nano-dollars, rounded up once', () => {
    expect(costNanoUsd(price, usage)).toBe(Math.ceil(37.5 * 2 + 3.75 + 150.5));
    expect(costNanoUsd(price, { ...usage, cacheWriteTokens: 1 })).toBe(
      Math.ceil(37.5 + 46.875 + 3.75 + 150.5),
    );
    expect(
      costNanoUsd(
        { ...price, input: 0.1 },
        { ...usage, inputTokens: 30, cachedInputTokens: 0, outputTokens: 0 },
      ),
    ).toBe(3);
  });

  test('count no token twice when a provider says more were cached than there are', () => {
    const odd = { ...noUsage, inputTokens: 2, cachedInputTokens: 9, cacheWriteTokens: 9 };
    expect(costNanoUsd(price, odd)).toBe(Math.ceil(2 * 3.75));
  });

  test('add what a request costs by itself', () => {
    const facts = catalogOf(['perplexity']).facts('perplexity', 'sonar');
    expect(
      facts.price === null
        ? null
        : costNanoUsd(facts.price, { ...usage, inputTokens: 0, cachedInputTokens: 0, outputTokens: 0 }),
    ).toBe(12_000_000);
  });
});

test.each([
  ['groq', 'llama-3.3-70b-versatile', 'flex', 1],
  ['groq', 'openai/gpt-oss-120b', 'flex', 1],
  ['openai', 'gpt-5', 'flex', 0.5],
  ['openai', 'gpt-4.1', 'priority', 1.75],
  ['xai', 'grok-4', 'priority', 2],
] as const)('%s/%s at %s costs %d times as much', (provider, model, service, times) => {
  const { price } = catalogOf([provider]).facts(provider, model);
  const used = { ...noUsage, inputTokens: 1000, outputTokens: 1000 };
  const cost = (pricing: object): number => (price === null ? 0 : costNanoUsd(price, { ...used, pricing }));
  expect(cost({})).toBeGreaterThan(0);
  expect(cost({ service })).toBe(times * cost({}));
});

describe('the catalog', () => {
  test('knows price, window, longest reply and capabilities of a model by its provider', () => {
    const facts = catalogOf(['openai', 'groq']).facts('openai', 'gpt-4o-mini');
    expect(facts).toMatchObject({
      price: { input: 150, cachedInput: 75, cacheWrite: 150, output: 600 },
      contextTokens: 128_000,
      outputMaxTokens: 16_384,
    });
    expect(facts.capabilities).toEqual(new Set(['vision', 'tools', 'schema', 'code']));
  });

  test('never treats unknown as zero', () => {
    const catalog = catalogOf(['openai', 'vllm']);
    const nothing = { price: null, contextTokens: null, outputMaxTokens: null, capabilities: null };
    expect(catalog.facts('openai', 'no-such-model')).toEqual(nothing);
    expect(catalog.facts('vllm', 'my-own')).toEqual(nothing);
    expect(catalog.facts('nobody', 'gpt-4o')).toMatchObject({ price: null, contextTokens: null });
  });

  test('is overridden by the configuration field by field, by its first matching entry', () => {
    const models = entries(
      { provider: 'openai', model: 'gpt-4o-mini', outputUsdPerMTok: 0.3, contextTokens: 64_000 },
      { model: 'gpt-4o*', outputUsdPerMTok: 9 },
      { provider: 'vllm', model: '*', inputUsdPerMTok: 0, outputUsdPerMTok: 0, capabilities: ['tools'] },
      { provider: 'vllm', model: 'dear', inputUsdPerMTok: 5 },
    );
    const catalog = catalogOf(['openai', 'vllm'], models);
    expect(catalog.facts('openai', 'gpt-4o-mini')).toMatchObject({
      price: { input: 150, cachedInput: 75, output: 300 },
      contextTokens: 64_000,
      outputMaxTokens: 16_384,
    });
    expect(catalog.facts('openai', 'gpt-4o').price).toMatchObject({ input: 2500, output: 9000 });
    expect(catalog.facts('vllm', 'dear')).toMatchObject({
      price: { input: 0, cachedInput: 0, cacheWrite: 0, output: 0 },
      capabilities: new Set(['tools']),
    });
  });

  test('needs input and output for a price', () => {
    const catalog = catalogOf(['vllm'], entries({ model: 'a', inputUsdPerMTok: 1 }));
    expect(catalog.facts('vllm', 'a').price).toBe(null);
  });

  test('applies a configured price to every tier', () => {
    const catalog = catalogOf(['openai'], entries({ model: 'gpt-5.5', inputUsdPerMTok: 1 }));
    const { price } = catalog.facts('openai', 'gpt-5.5');
    expect([price?.input, price?.tiers?.[0]?.input, price?.tiers?.[0]?.output]).toEqual([1000, 1000, 45_000]);
  });

  test('what an entry says of input holds for cached tokens, images and sound in proportion', () => {
    const models = entries(
      { provider: 'anthropic', model: 'claude-sonnet-4-5', inputUsdPerMTok: 1.5 },
      { provider: 'openai', model: 'gpt-4o', inputUsdPerMTok: 0, outputUsdPerMTok: 0 },
      { provider: 'openai', model: 'gpt-4o-mini', inputUsdPerMTok: 0.3, cachedInputUsdPerMTok: 0.2 },
      { provider: 'gemini', model: 'gemini-2.5-flash', inputUsdPerMTok: 0, outputUsdPerMTok: 0 },
      { provider: 'gemini', model: 'gemini-2.5-flash-image', outputUsdPerMTok: 1.25 },
      { provider: 'openai', model: 'gpt-realtime', inputUsdPerMTok: 2, outputUsdPerMTok: 8 },
    );
    const catalog = catalogOf(['anthropic', 'openai', 'gemini'], models);
    expect(catalog.facts('anthropic', 'claude-sonnet-4-5').price).toMatchObject({
      ...{ input: 1500, cachedInput: 150, cacheWrite: 1875, output: 15_000 },
      tiers: [{ aboveTokens: 200_000, input: 1500, cachedInput: 150, cacheWrite: 1875, output: 22_500 }],
    });
    expect(catalog.facts('openai', 'gpt-4o-mini').price).toMatchObject({
      ...{ input: 300, cachedInput: 200, cacheWrite: 300, output: 600 },
    });
    expect(catalog.facts('gemini', 'gemini-2.5-flash-image').price).toMatchObject({ mediaOutput: 15_000 });
    expect(catalog.facts('openai', 'gpt-realtime').price).toMatchObject({
      ...{ mediaInput: 2500, soundInput: 16_000, soundOutput: 32_000 },
    });
    const used = { ...noUsage, inputTokens: 900, cachedInputTokens: 300, outputTokens: 100 };
    const media = { inputTokens: 400, outputTokens: 50, soundMs: 0, sound: true } as const;
    for (const [provider, model] of [
      ['openai', 'gpt-4o'],
      ['gemini', 'gemini-2.5-flash'],
    ] as const) {
      const { price } = catalog.facts(provider, model);
      expect([model, price === null ? null : costNanoUsd(price, { ...used, media })]).toEqual([model, 0]);
    }
  });

  test('an entry for a provider whose models are free prices its cached tokens as others', () => {
    const providers = configSchema.parse({
      providers: { own: { preset: 'vllm', price: 'free' } },
    }).providers;
    const models = entries({ provider: 'own', model: 'm', inputUsdPerMTok: 2, outputUsdPerMTok: 8 });
    expect(createCatalog(providers, models, day).facts('own', 'm').price).toEqual({
      ...{ input: 2000, cachedInput: 2000, cacheWrite: 2000, output: 8000 },
    });
  });

  test('remembers what it found, up to a bound', () => {
    const catalog = catalogOf(['openai']);
    const first = catalog.facts('openai', 'gpt-4o');
    expect(catalog.facts('openai', 'gpt-4o')).toBe(first);
    for (let i = 0; i < memoMax; i++) catalog.facts('openai', `gpt-4o-${i}`);
    expect(catalog.facts('openai', 'gpt-4o')).not.toBe(first);
    expect(catalog.facts('openai', 'gpt-4o')).toEqual(first);
  });
});

describe('the families', () => {
  test.each([
    ['gpt-4o-mini-2024-07-18', 16_384, true],
    ['openai/gpt-4.1-nano', 32_768, true],
    ['claude-3.5-sonnet', 8192, true],
    ['us.anthropic.claude-sonnet-4-5-20250929-v1:0', 64_000, true],
    ['claude-opus-4-6', 128_000, true],
    ['accounts/fireworks/models/llama-v3p1-8b', undefined, false],
    ['meta-llama/Llama-3.1-8B-Instruct', null, false],
    ['o3-mini', 100_000, false],
    ['gpt-realtime', 4096, false],
    ['gpt-realtime-2025-08-28', 4096, false],
    ['gpt-realtime-1.5', 4096, false],
    ['gpt-realtime-mini', 4096, false],
    ['gpt-realtime-2', 32_000, true],
    ['gpt-realtime-2.1-mini', 32_000, true],
    ['gpt-4o-realtime-preview-2025-06-03', 4096, false],
  ])('%s: at most %s tokens out, vision %s', (model, outputMaxTokens, vision) => {
    const family = familyOf(model);
    expect(family?.outputMaxTokens).toBe(outputMaxTokens);
    expect(family?.capabilities.includes('vision') ?? false).toBe(vision);
  });

  test('each can be reached, and names the page it was read from', () => {
    for (const { prefixes, docs, capabilities } of families) {
      expect(docs).toMatch(/^https:\/\/[^ ]+$/);
      expect(capabilities.length).toBeGreaterThan(0);
      for (const prefix of prefixes) {
        expect(prefix).toBe(prefix.toLowerCase().replaceAll('.', '-'));
        expect([prefix, familyOf(prefix)?.prefixes.includes(prefix)]).toEqual([prefix, true]);
      }
    }
  });
});
