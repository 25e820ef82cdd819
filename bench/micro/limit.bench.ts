/** Times the limit decision before a request, alone and with the settlement after it. */

import { Refusal } from '../../src/base/errors.ts';
import { silent } from '../../src/base/telemetry.ts';
import { configSchema } from '../../src/config/schema.ts';
import { createEstimator } from '../../src/count/estimate.ts';
import { noUsage } from '../../src/exchange/usage.ts';
import { createLimiter } from '../../src/limit/limit.ts';
import { sampleAsking, sampleIdentity, samplePlan, sampleRequest } from '../../test/support/samples.ts';

/** Name of this group in the report. */
export const subject = 'limits';

const plenty = { capacity: 1e12, refillPerSecond: 1e9 };
/** Ten limits that apply to every request: each algorithm, each unit, and a budget. */
const ten = [
  { name: 'r', ...plenty },
  { name: 'r-user', per: ['tenant', 'user'], ...plenty },
  { name: 'r-route', per: ['route'], ...plenty },
  { name: 't', unit: 'tokens', ...plenty },
  { name: 't-user', unit: 'tokens', per: ['user'], ...plenty },
  { name: 'in', unit: 'inputTokens', algorithm: 'sliding_window', capacity: 1e12, windowSeconds: 60 },
  { name: 'out', unit: 'outputTokens', ...plenty },
  { name: 'smooth', algorithm: 'leaky_bucket', ...plenty },
  { name: 'at-once', unit: 'concurrency', capacity: 1e12 },
] as const;

const price = { input: 150, cachedInput: 75, cacheWrite: 150, output: 600 };

/** The tasks to time. */
export function tasks(): Record<string, () => unknown> {
  const decision = (limits: unknown, budgets: unknown, users: number, settles: boolean) => {
    let nowMs = 0;
    const limiter = createLimiter(configSchema.parse({ limits, budgets }), {
      estimator: createEstimator(),
      clock: () => nowMs,
      wallClock: () => 1.8e12,
      telemetry: silent,
    });
    const request = { request: sampleRequest({ maxTokens: 100 }), plan: samplePlan([{ price }]) };
    const asking = sampleAsking(request);
    const askings = Array.from({ length: users }, (_, i) => ({
      ...asking,
      identity: sampleIdentity({ keyId: `key-${i}`, user: `user-${i}`, team: 'team' }),
    }));
    let turn = 0;
    return (): void => {
      nowMs += 0.001;
      const next = askings[turn++ % users];
      const permit = next === undefined ? null : limiter.admit(next, nowMs);
      if (permit === null || permit instanceof Refusal) throw new Error(permit?.message);
      if (settles) permit.settle(noUsage, 0);
    };
  };
  const budgets = [{ name: 'b', usd: 1e9, window: 'month' }];
  return {
    'decide, no limit': decision([], [], 1, false),
    'decide, 1 limit': decision(ten.slice(3, 4), [], 1, false),
    'decide, 10 limits': decision(ten, budgets, 1, false),
    'decide, 10 limits, 1,000 keys': decision(ten, budgets, 1000, false),
    'decide, 10 limits, 9,000 keys': decision(ten, budgets, 9000, false),
    'decide and settle, 10 limits': decision(ten, budgets, 1, true),
  };
}
