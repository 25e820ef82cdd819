/** Stage limit: asks every bucket that applies to a request, all or nothing, and settles them on the way out. */
import type { Config, LimitConfig } from '../config/schema.ts';
import { Refusal } from '../errors.ts';
import type { Identity, ModelRequest, Usage } from '../exchange.ts';
import { bucket } from '../native.ts';
import type { Estimator } from './estimate.ts';

/** A granted request's hold on its buckets. */
export interface Permit {
  /** RateLimit headers, flat. */
  readonly headers: readonly string[];
  /** Asked while a stream runs. `stop`: what it may use has ended. */
  stream(outputTokensSoFar: number): 'go' | 'stop';
  /** The work is over: frees what is held only as long as it goes on. `settle` follows, perhaps later. */
  release(): void;
  /** Exactly once, on every way out, with what was really used. */
  settle(usage: Usage, costNanoUsd: number): void;
}

export interface Limiter {
  admit(identity: Identity, request: ModelRequest, nowMs: number): Permit | Refusal;
  /** Takes over a new configuration; buckets that stay keep their level. */
  update(limits: Config['limits'], nowMs: number): void;
}

interface Hold {
  readonly id: number;
  readonly limit: LimitConfig;
  readonly reserved: number;
}

/** Buckets kept at once; a tenant comes from the configuration, so this is a safeguard only. */
const bucketsMax = 1_000_000;
/** Reply tokens reserved where neither the request nor the model states a limit. */
const replyTokensDefault = 4096;

const cost = (limit: LimitConfig, units: number): number => Math.max(1, Math.ceil(units / limit.per));

function reserve(limit: LimitConfig, request: ModelRequest, estimator: Estimator): number {
  switch (limit.unit) {
    case 'requests':
      return cost(limit, 1);
    case 'characters':
      return cost(limit, request.textCharacters);
    case 'tokens': {
      const reply = (request.maxTokens ?? replyTokensDefault) * request.choices;
      return cost(limit, estimator.tokens(request.model, request.textBytes) + reply);
    }
  }
}

export function createLimiter(limits: Config['limits'], estimator: Estimator, clock: () => number): Limiter {
  let active = limits;
  const buckets = new Map<string, number>();

  const bucketOf = (limit: LimitConfig, tenant: string, nowMs: number): number => {
    const key = `${limit.name}\0${tenant}`;
    const known = buckets.get(key);
    if (known !== undefined) return known;
    if (buckets.size >= bucketsMax) throw new Error(`more than ${bucketsMax} buckets`);
    const id: number = bucket.open(limit.capacity, limit.refillPerSecond, nowMs);
    buckets.set(key, id);
    return id;
  };

  const release = (holds: readonly Hold[], nowMs: number): void => {
    for (const { id, reserved } of holds) bucket.settle(id, reserved, 0, nowMs);
  };

  return {
    admit(identity, request, nowMs) {
      const holds: Hold[] = [];
      for (const limit of active) {
        if (limit.tenant !== '*' && limit.tenant !== identity.tenant) continue;
        const reserved = reserve(limit, request, estimator);
        const id = bucketOf(limit, identity.tenant, nowMs);
        const waitMs = bucket.take(id, reserved, nowMs);
        if (waitMs !== 0) {
          release(holds, nowMs);
          return refuse(limit, identity.tenant, reserved, waitMs, bucket.level(id, nowMs));
        }
        holds.push({ id, limit, reserved });
      }
      const open = holds.filter(({ limit }) => limit.unit === 'tokens');
      // What doesn't hang on the reply is spent at once, so that it refills while the reply is under way.
      for (const { id, limit, reserved } of holds) {
        if (limit.unit !== 'tokens') bucket.settle(id, reserved, reserved, nowMs);
      }
      const [first] = holds;
      return {
        headers: first === undefined ? [] : rateLimitHeaders(first.limit, bucket.level(first.id, nowMs), 0),
        stream: () => 'go',
        release: () => {},
        settle(usage) {
          const settledMs = clock();
          for (const { id, limit, reserved } of open) {
            const used = Math.ceil((usage.inputTokens + usage.outputTokens) / limit.per);
            bucket.settle(id, reserved, used, settledMs);
          }
        },
      };
    },

    update(next, nowMs) {
      const keep = new Map(next.map((limit) => [limit.name, limit]));
      for (const [key, id] of buckets) {
        const [name = '', tenant = ''] = key.split('\0');
        const limit = keep.get(name);
        if (limit !== undefined && (limit.tenant === '*' || limit.tenant === tenant)) {
          bucket.set(id, limit.capacity, limit.refillPerSecond, nowMs);
        }
      }
      active = next;
    },
  };
}

/** A limit's policy never changes while it is configured. */
const policies = new WeakMap<LimitConfig, string>();

function policyOf(limit: LimitConfig): string {
  const known = policies.get(limit);
  if (known !== undefined) return known;
  const window = Math.max(1, Math.ceil(limit.capacity / limit.refillPerSecond));
  const policy = `"${limit.name}";q=${Math.floor(limit.capacity)};w=${window}`;
  policies.set(limit, policy);
  return policy;
}

/** RateLimit-Policy and RateLimit, draft-ietf-httpapi-ratelimit-headers. */
function rateLimitHeaders(limit: LimitConfig, level: number, waitMs: number): string[] {
  const wait = waitMs > 0 ? `;t=${Math.ceil(waitMs / 1000)}` : '';
  return [
    'ratelimit-policy',
    policyOf(limit),
    'ratelimit',
    `"${limit.name}";r=${Math.max(0, Math.floor(level))}${wait}`,
  ];
}

function refuse(limit: LimitConfig, tenant: string, asked: number, waitMs: number, level: number): Refusal {
  const scope = `limit "${limit.name}" of tenant "${tenant}" (${limit.capacity}, refilled at ${limit.refillPerSecond}/s)`;
  if (waitMs < 0) {
    return new Refusal(
      'request_too_costly',
      `The request costs ${asked}, more than the ${scope} can ever hold.`,
      {
        headers: ['x-should-retry', 'false', ...rateLimitHeaders(limit, level, 0)],
      },
    );
  }
  const frees = `it frees in ${(waitMs / 1000).toFixed(1)} s`;
  return new Refusal('rate_limited', `The ${scope} has no room for a cost of ${asked}; ${frees}.`, {
    retryAfterMs: waitMs,
    headers: rateLimitHeaders(limit, level, waitMs),
  });
}
