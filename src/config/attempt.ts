/** The settings of stage attempt, of what a provider lets us ask for, and of where peers meet. */
import { z } from 'zod';
import { bytes, ms } from '../base/settings.ts';

/** What a provider lets one account ask for. */
export const ownLimits = z
  .strictObject({
    requestsPerMinute: z
      .int()
      .min(1)
      .max(1e9)
      .optional()
      .meta({ description: 'Requests it takes in a minute; without room the next target is asked.' }),
    tokensPerMinute: z
      .int()
      .min(1)
      .max(1e12)
      .optional()
      .meta({ description: 'Tokens of prompts and replies it takes in a minute; the same.' }),
  })
  .optional();

export const attempt = z
  .strictObject({
    connectTimeoutMs: ms(1, 120_000).default(5_000).meta({ description: 'TCP and TLS connect.' }),
    firstTokenTimeoutMs: ms(1, 600_000)
      .default(60_000)
      .meta({ description: 'To the first content of a stream.' }),
    idleTimeoutMs: ms(1, 600_000).default(30_000).meta({ description: 'Silence inside a stream.' }),
    replyTimeoutMs: ms(1, 3_600_000).default(300_000).meta({ description: 'One whole, unstreamed reply.' }),
    totalTimeoutMs: ms(1, 3_600_000)
      .default(600_000)
      .meta({ description: 'The whole request, over all attempts.' }),
    retriesMax: z.int().min(0).max(10).default(1).meta({ description: 'Retries on the same target.' }),
    backoffBaseMs: ms(0, 60_000)
      .default(100)
      .meta({ description: 'First backoff, doubled each time, full jitter.' }),
    backoffMaxMs: ms(0, 60_000).default(5_000).meta({ description: 'Largest backoff.' }),
    replyMaxBytes: bytes(256 * 1024 * 1024)
      .default(64 * 1024 * 1024)
      .meta({ description: 'Largest reply, decompressed.' }),
    eventMaxBytes: bytes(64 * 1024 * 1024)
      .default(4 * 1024 * 1024)
      .meta({ description: 'Largest stream event, and what is held back before the first content.' }),
    connectionsMax: z
      .int()
      .min(1)
      .max(4096)
      .default(256)
      .meta({ description: 'Connections to one provider.' }),
    retryBudget: z
      .strictObject({
        ratio: z
          .number()
          .min(0)
          .max(1)
          .default(0.2)
          .meta({ description: 'Retries and hedges, as a share of the requests of the last 10 s.' }),
        minPerSecond: z
          .number()
          .min(0)
          .max(10_000)
          .default(3)
          .meta({ description: 'So many a second are allowed in any case.' }),
      })
      .prefault({}),
    hedge: z
      .strictObject({
        enabled: z
          .boolean()
          .default(false)
          .meta({ description: 'Ask a second time when the first content is late, and take who is first.' }),
        delayMs: ms(1, 600_000)
          .optional()
          .meta({ description: "How late; unset: the route's own 95th percentile, once it is known." }),
      })
      .prefault({}),
    breaker: z
      .strictObject({
        failures: z
          .int()
          .min(1)
          .max(1000)
          .default(5)
          .meta({ description: 'Consecutive failures that open it.' }),
        failureRate: z
          .number()
          .min(0.01)
          .max(1)
          .default(0.5)
          .meta({ description: 'Share of failures in the window that opens it.' }),
        callsMin: z.int().min(0).max(100_000).default(20).meta({
          description: 'Fewer calls in the window say nothing of their share; 0: never look at it.',
        }),
        windowMs: ms(100, 600_000).default(10_000).meta({ description: 'Length of the window.' }),
        cooldownMs: ms(1, 3_600_000)
          .default(5_000)
          .meta({ description: 'Open before a probe; doubled each time the probe fails.' }),
        cooldownMaxMs: ms(1, 3_600_000).default(60_000).meta({ description: 'Longest cooldown.' }),
      })
      .prefault({}),
  })
  .prefault({});

export const sync = z
  .strictObject({
    redis: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'URL of a Redis where peers meet, `redis://` or `rediss://`; unset: none.' }),
  })
  .prefault({});
