/** A limiter whose clocks a test sets, and shorthands for its decisions. */
import { onTestFinished } from 'vitest';
import { Refusal } from '../../src/base/errors.ts';
import type { Price } from '../../src/catalog/facts.ts';
import { configSchema } from '../../src/config/schema.ts';
import { createEstimator } from '../../src/count/estimate.ts';
import type { Identity } from '../../src/exchange/identity.ts';
import type { ModelRequest } from '../../src/exchange/request.ts';
import type { Usage } from '../../src/exchange/usage.ts';
import type { Asking } from '../../src/limit/asking.ts';
import { createLimiter } from '../../src/limit/limit.ts';
import type { Permit } from '../../src/limit/permit.ts';
import { sampleAsking, sampleIdentity, samplePlan, sampleRequest } from './samples.ts';
import type { ConfigInput } from './sidecar.ts';

/** A refill that doesn't matter during a test. */
export const slow = { refillPerSecond: 0.001 };

/** Price of every target unless a test sets another, nano-dollars per token. */
export const price: Price = { input: 100, cachedInput: 10, cacheWrite: 100, output: 1000 };

/** Usage stated by a provider. */
export const used = (inputTokens: number, outputTokens: number): Usage => ({
  inputTokens,
  outputTokens,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  known: true,
});

/** What a request asks of the limiter. */
export interface Ask {
  readonly identity?: Partial<Identity>;
  readonly request?: Partial<ModelRequest>;
  readonly batch?: boolean;
  readonly route?: string;
  /** Prices of the plan's targets; null: unknown. */
  readonly prices?: readonly (Price | null)[];
  readonly outputMaxTokens?: number;
  readonly deadlineMs?: number;
}

/**
 * Starts a limiter, closed when the test ends; `says` decides and returns `ok` or the name of the limit that refuses.
 */
export function stage(config: ConfigInput, scopesMax?: number) {
  const time = { nowMs: 0, wallMs: Date.parse('2026-11-23T10:00:00Z') };
  const events: string[] = [];
  const limiter = createLimiter(configSchema.parse(config), {
    estimator: createEstimator(),
    clock: () => time.nowMs,
    wallClock: () => time.wallMs,
    telemetry: { limit: (limit, event, place) => void events.push(`${event} ${limit} ${place}`.trim()) },
    ...(scopesMax === undefined ? {} : { scopesMax }),
  });
  onTestFinished(() => limiter.close());
  const asking = ({
    identity,
    request,
    batch,
    route,
    prices = [price],
    outputMaxTokens,
    deadlineMs,
  }: Ask): Asking =>
    sampleAsking({
      priority: batch === true ? 'batch' : 'interactive',
      identity: sampleIdentity(identity),
      request: sampleRequest({ textBytes: 0, textCharacters: 0, maxTokens: 10, ...request }),
      plan: samplePlan(
        prices.map((each) => ({ price: each, outputMaxTokens: outputMaxTokens ?? null })),
        route,
      ),
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
    });
  const admit = (ask: Ask = {}): Permit | Refusal => limiter.admit(asking(ask), time.nowMs);
  /** Granted, or the name of the limit that refuses. */
  const says = (ask: Ask = {}): string => {
    const result = admit(ask);
    return result instanceof Refusal ? (/"([^"]+)"/.exec(result.message)?.[1] ?? result.code) : 'ok';
  };
  return { time, events, limiter, admit, says };
}

/** The permit; throws on a refusal. */
export function granted(result: Permit | Refusal): Permit {
  if (result instanceof Refusal) throw new Error(`refused: ${result.message}`);
  return result;
}

/** The refusal; throws on a permit. */
export function refused(result: Permit | Refusal): Refusal {
  if (!(result instanceof Refusal)) throw new Error('granted');
  return result;
}

/** A header's value in a list of names and values. */
export const header = (headers: readonly string[], name: string): string | undefined => {
  const at = headers.indexOf(name);
  return at < 0 ? undefined : headers[at + 1];
};
