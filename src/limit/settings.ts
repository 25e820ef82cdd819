/** The settings of limits and budgets: part of the configuration's schema. */
import { z } from 'zod';
import { modelPattern, name } from '../base/settings.ts';

/** What a meter may be kept for each of. */
export const scopeNames = ['key', 'user', 'team', 'tenant', 'route', 'tag'] as const;
export type ScopeName = (typeof scopeNames)[number];

export const units = [
  'requests',
  'tokens',
  'inputTokens',
  'outputTokens',
  'usd',
  'concurrency',
  'characters',
] as const;
export type Unit = (typeof units)[number];

export const algorithmNames = ['token_bucket', 'leaky_bucket', 'sliding_window'] as const;

/** Kinds of requests that may have limits of their own. */
export const trafficNames = ['streaming', 'plain', 'batch'] as const;
export type Traffic = (typeof trafficNames)[number];

export const windowNames = ['hour', 'day', 'week', 'month'] as const;
export type WindowName = (typeof windowNames)[number];

/** Decide and refuse, or decide, report and let pass. */
export const modeNames = ['enforce', 'observe'] as const;

const patterns = z.union([modelPattern, z.array(modelPattern).min(1).max(256)]).optional();
const describedBy = (what: string) => patterns.meta({ description: what });

const match = z
  .strictObject({
    tenant: describedBy('Tenants, by name or with a trailing *; one or a list. Unset: all.'),
    team: describedBy('Teams. A * asks that there be one.'),
    user: describedBy('Users, likewise.'),
    key: describedBy('Ids of virtual keys, likewise.'),
    tag: describedBy('Tags, of which the request must have one.'),
    route: describedBy('Routes, by their `model` as configured.'),
    model: describedBy('Models, as asked for.'),
  })
  .prefault({});

/** What limits and budgets have in common; `what` names them in descriptions. */
const shared = (what: string) => ({
  traffic: z
    .enum(trafficNames)
    .optional()
    .meta({
      description: `Only streams, only plain requests, or only batch requests. Unset: ${what}.`,
    }),
  softShare: z
    .number()
    .gt(0)
    .max(1)
    .default(0.8)
    .meta({ description: 'Share of it that, once used, is told by header, metric and log.' }),
  mode: z
    .enum(modeNames)
    .default('enforce')
    .meta({ description: '`observe`: decide, report, and let pass.' }),
  onHardEnd: z.enum(['finish', 'stop']).default('finish').meta({
    description: 'A stream that needs more than there is: let it finish, or stop it as at its token limit.',
  }),
  unpriced: z.enum(['refuse', 'allow']).default('refuse').meta({
    description: 'Of dollars: a model without a known price is refused, or let pass uncounted and reported.',
  }),
});

const perAndMatch = {
  per: z
    .array(z.enum(scopeNames))
    .max(scopeNames.length)
    .default(['tenant'])
    .meta({ description: 'One of it for each combination of these; an empty list: one for all.' }),
  match,
};

const counted = {
  name: name.meta({ description: 'Named in refusals, headers and metrics.' }),
  unit: z.enum(units).default('requests').meta({ description: 'What it counts.' }),
  unitSize: z.int().min(1).max(1_000_000).default(1).meta({
    description: 'Units of a cost of one, rounded up: `unit: characters` and 500 cost one each 500.',
  }),
  algorithm: z
    .enum(algorithmNames)
    .default('token_bucket')
    .meta({ description: 'How it counts: with bursts, smoothed by a queue, or exactly over a window.' }),
  capacity: z.number().positive().max(1e12).meta({
    description: 'Largest burst, longest queue, most in a window, or most at once; in cost, or dollars.',
  }),
  refillPerSecond: z.number().positive().max(1e12).optional().meta({
    description: 'Refill of a token bucket, drain of a leaky bucket, per second; needed for both.',
  }),
  windowSeconds: z
    .int()
    .min(1)
    .max(31 * 86_400)
    .optional()
    .meta({ description: 'Length of a sliding window; needed for it.' }),
};

/** One limit. What a field needs of the others is checked in `config/check-limits.ts`. */
export const limitSchema = z.strictObject({ ...counted, ...perAndMatch, ...shared('all') });

/** A limit of one virtual key: like any other, but it is for that key alone. */
export const keyLimitSchema = z.strictObject({ ...counted, ...shared('all') });

/** Dollars over a window of the calendar. */
export const budgetSchema = z.strictObject({
  name: name.meta({ description: 'Named in refusals, headers and metrics.' }),
  usd: z.number().positive().max(1e9).meta({ description: 'Dollars in each window.' }),
  window: z.enum(windowNames).meta({ description: 'Window of the calendar; weeks begin on Monday.' }),
  timeZone: z
    .string()
    .default('UTC')
    .meta({ description: 'IANA time zone that windows begin in, such as `Europe/Berlin`.' }),
  ...perAndMatch,
  ...shared('all'),
});

export type LimitConfig = z.output<typeof limitSchema>;
export type KeyLimitConfig = z.output<typeof keyLimitSchema>;
export type BudgetConfig = z.output<typeof budgetSchema>;
