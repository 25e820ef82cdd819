/**
 * Finds a model's price and context window in the tables of src/catalog/prices/, by the match rules in them.
 * `npm run generate` makes the tables from `@pydantic/genai-prices` (MIT): https://github.com/pydantic/genai-prices
 */
import { existsSync, readFileSync } from 'node:fs';
import { placeOf } from '../base/place.ts';
import type { Price } from './facts.ts';

/** Which models a table's row is for. Names are compared ignoring case, except by regular expressions. */
export type MatchRule =
  | { readonly or: readonly MatchRule[] }
  | { readonly and: readonly MatchRule[] }
  | { readonly equals: string }
  | { readonly starts_with: string }
  | { readonly ends_with: string }
  | { readonly contains: string }
  | { readonly regex: string };

/** Dollars per million tokens. Of tiers, the last whose `start` the prompt's tokens exceed applies to all tokens. */
type Rate = number | { readonly base: number; readonly tiers: readonly { start: number; price: number }[] };

/** Prices of a model as in its table, and when they apply: the last row that applies is used. */
export interface DatedPrices {
  /** First day, `YYYY-MM-DD`, UTC. */
  readonly from?: string;
  /** Applies during some hours of each day. */
  readonly daily?: true;
  readonly input_mtok?: Rate;
  readonly output_mtok?: Rate;
  readonly cache_read_mtok?: Rate;
  readonly cache_write_mtok?: Rate;
  /** Dollars per thousand requests. */
  readonly requests_kcount?: number;
  readonly input_audio_mtok?: Rate;
  readonly input_image_mtok?: Rate;
  readonly output_image_mtok?: Rate;
  readonly output_audio_mtok?: Rate;
  /** Dollars per hour of audio. */
  readonly audio_hours?: number;
}

/** One provider's table. */
export interface PriceTable {
  /** Names of tables to search next. */
  readonly fallback: readonly string[];
  readonly models: readonly {
    readonly id: string;
    readonly match: MatchRule;
    readonly contextTokens?: number;
    readonly prices: readonly DatedPrices[];
  }[];
}

/** A model of a table. */
export type Row = PriceTable['models'][number];

/** Finds the row of a model; undefined: the table has none. */
export type FindRow = (model: string) => Row | undefined;

/**
 * Reads a provider's table and those it falls back to. @param id the provider's name in `@pydantic/genai-prices`
 * @throws when there is no such table: presets name them, and a test checks that each exists
 */
export function openTable(id: string): FindRow {
  const own = read(id);
  const others = own.fallback.filter((other) => other !== id).map(read);
  const tables = [own, ...others];
  const among = (name: string): Row | undefined => {
    for (const { models } of tables) {
      const row = models.find(({ match }) => matches(match, name));
      if (row !== undefined) return row;
    }
    return undefined;
  };
  return (model) => {
    const name = model.toLowerCase().trim();
    return among(name) ?? among(dashedDate(name));
  };
}

/** The models of a provider's own table. */
export const namesOf = (id: string): readonly string[] => read(id).models.map((row) => row.id);

const file = (id: string): URL => placeOf(`catalog/prices/${id}.json`);

/** Whether there is a table of this name. */
export const hasTable = (id: string): boolean => /^[a-z_-]+$/.test(id) && existsSync(file(id));

const read = (id: string): PriceTable => JSON.parse(readFileSync(file(id), 'utf8')) as PriceTable;

function matches(rule: MatchRule, name: string): boolean {
  if ('or' in rule) return rule.or.some((each) => matches(each, name));
  if ('and' in rule) return rule.and.every((each) => matches(each, name));
  if ('equals' in rule) return name === rule.equals.toLowerCase();
  if ('starts_with' in rule) return name.startsWith(rule.starts_with.toLowerCase());
  if ('ends_with' in rule) return name.endsWith(rule.ends_with.toLowerCase());
  if ('contains' in rule) return name.includes(rule.contains.toLowerCase());
  return new RegExp(rule.regex).test(name);
}

/** Changes `-20250805` to `-2025-08-05`: names may be dated either way. */
function dashedDate(name: string): string {
  return name.replace(/-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)/g, (as, year, month, day) => {
    const date = `${year}-${month}-${day}`;
    const real = new Date(`${date}T00:00:00Z`);
    return !Number.isNaN(real.getTime()) && real.toISOString().startsWith(date) ? `-${date}` : as;
  });
}

/**
 * A row's price at a date; null: it has none for tokens. Of prices that change by the hour the highest is used, so that
 * no dollar budget is overspent by calling at another time.
 */
export function priceOf(row: Row, wallMs: number): Price | null {
  let best: Price | null = null;
  for (const dated of row.prices.toReversed()) {
    if (dated.from !== undefined && wallMs < Date.parse(dated.from)) continue;
    const price = toPrice(dated, row.id);
    if (price !== null && (best === null || price.input + price.output > best.input + best.output))
      best = price;
    if (dated.daily === undefined) break;
  }
  return best;
}

function toPrice(dated: DatedPrices, id: string): Price | null {
  const { input_mtok: input, output_mtok: output, requests_kcount: requests } = dated;
  // Rows without prices are unpriced, or free of charge if their name says so.
  if (input === undefined) {
    const { audio_hours: hour } = dated;
    if (hour !== undefined) return { ...free, soundSecond: (hour * 1e9) / 3600 };
    return id.endsWith(':free') || id === freeOfCharge ? free : null;
  }
  const rates = [
    input,
    output ?? 0,
    dated.cache_read_mtok ?? input,
    dated.cache_write_mtok ?? input,
  ] as const;
  const at = (tokens: number) => {
    const [plain, reply, cached, written] = rates.map((rate) => nanoUsd(rate, tokens));
    return { input: plain ?? 0, cachedInput: cached ?? 0, cacheWrite: written ?? 0, output: reply ?? 0 };
  };
  const starts = new Set(
    rates.flatMap((rate) => (typeof rate === 'number' ? [] : rate.tiers.map(({ start }) => start))),
  );
  const tiers = [...starts].sort((a, b) => b - a).map((above) => ({ aboveTokens: above, ...at(above + 1) }));
  return {
    ...at(0),
    ...(tiers.length === 0 ? {} : { tiers }),
    ...(requests === undefined ? {} : { request: requests * 1e6 }),
    ...mediaOf(dated),
  };
}

/** Prices of images and audio, where they differ from text. */
function mediaOf({
  input_audio_mtok: heard,
  input_image_mtok: seen,
  output_image_mtok: drawn,
  output_audio_mtok: spoken,
}: DatedPrices): Partial<Price> {
  const input = seen ?? heard;
  return {
    ...(input === undefined ? {} : { mediaInput: nanoUsd(input, 0) }),
    ...(drawn === undefined ? {} : { mediaOutput: nanoUsd(drawn, 0) }),
    ...(heard === undefined ? {} : { soundInput: nanoUsd(heard, 0) }),
    ...(spoken === undefined ? {} : { soundOutput: nanoUsd(spoken, 0) }),
  };
}

/** OpenAI's row of moderation models, which are free: https://platform.openai.com/docs/guides/moderation */
const freeOfCharge = 'moderation';

const free: Price = { input: 0, cachedInput: 0, cacheWrite: 0, output: 0 };

/** Converts dollars per million tokens to nano-dollars per token. */
function nanoUsd(rate: Rate, inputTokens: number): number {
  if (typeof rate === 'number') return rate * 1000;
  const sorted = rate.tiers.toSorted((a, b) => a.start - b.start);
  return (sorted.findLast(({ start }) => inputTokens > start)?.price ?? rate.base) * 1000;
}
