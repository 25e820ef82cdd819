/** Settings that all limits and budgets share, and the limits set on a virtual key. */

import { z } from 'zod';
import { name } from '../base/settings.ts';
import { algorithmNames, algorithmsText } from './algorithm.ts';

/** What a limit can count. */
export const units = [
  'requests',
  'tokens',
  'inputTokens',
  'outputTokens',
  'usd',
  'concurrency',
  'characters',
] as const;

/** What a limit counts. */
export type Unit = (typeof units)[number];

/** Kinds of requests that limits can be restricted to. */
const trafficNames = ['streaming', 'plain', 'batch'] as const;

/** A kind of request that a limit is restricted to. */
export type Traffic = (typeof trafficNames)[number];

/** Whom a limit counts for: all pods together, or each by itself. */
export const sharingNames = ['shared', 'pod'] as const;

/** Refuse requests over the limit, or only report them. */
export const modeNames = ['enforce', 'observe'] as const;

/** Settings of every limit and budget. @param what the requests it counts if `traffic` is unset */
export const shared = (what: string) => ({
  traffic: z
    .enum(trafficNames)
    .optional()
    .meta({
      description: `Only streams, only plain requests, or only batch requests. Unset: ${what}.`,
    }),
  scope: z.enum(sharingNames).optional().meta({
    description:
      '`shared`: all pods together have this much; `pod`: each pod has. Unset: `shared` if `sync.redis` is set.',
  }),
  softShare: z
    .number()
    .gt(0)
    .max(1)
    .default(0.8)
    .meta({ description: 'Share that, once used, is announced by header, metric and log.' }),
  mode: z
    .enum(modeNames)
    .default('enforce')
    .meta({ description: '`observe`: decide and report, but let requests pass.' }),
  onHardEnd: z.enum(['finish', 'stop']).default('finish').meta({
    description: 'When a stream needs more than is left: let it finish, or stop it as its token limit would.',
  }),
  unpriced: z.enum(['refuse', 'allow']).default('refuse').meta({
    description:
      'In dollars, for a model without a known price: refuse it, or let it pass uncounted and report it.',
  }),
});

/** Settings of every limit, but not of budgets. */
export const counted = {
  name: name.meta({ description: 'Name in refusals, headers and metrics.' }),
  unit: z.enum(units).default('requests').meta({ description: 'What it counts.' }),
  unitSize: z.int().min(1).max(1_000_000).default(1).meta({
    description:
      'How many units cost 1, rounded up: with `unit: characters` and 500, each 500 characters cost 1.',
  }),
  algorithm: z.enum(algorithmNames).default('token_bucket').meta({ description: algorithmsText }),
  capacity: z.number().positive().max(1e12).meta({
    description:
      'Largest burst, longest queue, most in a window, or most at once; in units of cost, or dollars.',
  }),
  refillPerSecond: z.number().positive().max(1e12).optional().meta({
    description: 'Refill of a token bucket or drain of a leaky bucket, per second; required for both.',
  }),
  windowSeconds: z
    .int()
    .min(1)
    .max(31 * 86_400)
    .optional()
    .meta({ description: 'Length of a sliding window; required for it.' }),
};

/** A limit that applies to one virtual key only. */
export const keyLimitSchema = z.strictObject({ ...counted, ...shared('all') });

/** A limit set on a virtual key. */
export type KeyLimitConfig = z.output<typeof keyLimitSchema>;
