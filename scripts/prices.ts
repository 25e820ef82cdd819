/** Writes the price tables in src/catalog/prices/ from `@pydantic/genai-prices`, which takes 20 MB when loaded. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { type ModelInfo, type Provider, waitForUpdate } from '@pydantic/genai-prices';
import type { DatedPrices, PriceTable } from '../src/catalog/prices.ts';

/** Prices of what the gateway counts; others, such as of searches, are left out. */
const kept = [
  'input_mtok',
  'output_mtok',
  'cache_read_mtok',
  'cache_write_mtok',
  'requests_kcount',
  'input_audio_mtok',
  'input_image_mtok',
  'output_image_mtok',
  'output_audio_mtok',
  'audio_hours',
];

type Dated = Exclude<ModelInfo['prices'], Record<string, unknown>>;

function pricesOf({ prices }: ModelInfo): DatedPrices[] {
  const dated = Array.isArray(prices) ? (prices as Dated) : [{ prices, constraint: undefined }];
  return dated.map(({ constraint, prices: all }): DatedPrices => {
    const known = Object.entries(all).filter(([key, value]) => kept.includes(key) && value !== undefined);
    const when: Pick<DatedPrices, 'from' | 'daily'> =
      constraint === undefined
        ? {}
        : constraint.type === 'start_date'
          ? { from: constraint.start_date }
          : { daily: true };
    return { ...when, ...Object.fromEntries(known) };
  });
}

const row = (model: ModelInfo): PriceTable['models'][number] => ({
  id: model.id,
  match: model.match,
  ...(model.context_window === undefined ? {} : { contextTokens: model.context_window }),
  prices: pricesOf(model),
});

/** One model per line, so that a new version of the package is a readable diff of prices. */
function text({ fallback_model_providers: others, models }: Provider): string {
  const rows = models.map((model) => `    ${JSON.stringify(row(model))}`).join(',\n');
  return `{\n  "fallback": ${JSON.stringify(others ?? [])},\n  "models": [\n${rows}\n  ]\n}\n`;
}

/** Every table by its file name. @throws if the package contains no data */
export async function priceTables(): Promise<ReadonlyMap<string, string>> {
  const providers = await waitForUpdate();
  if (providers === null) throw new Error('@pydantic/genai-prices contains no prices');
  return new Map(providers.map((provider) => [`${provider.id}.json`, text(provider)]));
}

/** Passes every table to `write`, and deletes tables of providers that no longer exist. */
export async function writePrices(folder: URL, write: (name: string, text: string) => void): Promise<void> {
  const tables = await priceTables();
  mkdirSync(folder, { recursive: true });
  for (const [name, table] of tables) write(name, table);
  for (const name of readdirSync(folder)) if (!tables.has(name)) rmSync(new URL(name, folder));
}
