/** Settings of idempotency keys. */

import { z } from 'zod';
import { bytes } from '../base/settings.ts';

/** Idempotency keys and their stored replies. */
export const replay = z
  .strictObject({
    scope: z.enum(['pod', 'shared']).default('pod').meta({
      description:
        '`shared`: pods share keys and replies over `sync.redis`; a request with a key waits for it, 10 ms at most. `pod`: each pod knows its own.',
    }),
    ttlSeconds: z
      .int()
      .min(1)
      .max(604_800)
      .default(86_400)
      .meta({ description: 'How long a reply is kept for its `Idempotency-Key`.' }),
    entriesMax: z.int().min(1).max(1_000_000).default(10_000).meta({ description: 'Replies kept.' }),
    bytesMax: bytes(4 * 1024 ** 3)
      .default(64 * 1024 * 1024)
      .meta({ description: 'Memory for them, and for streams that are being recorded.' }),
    entryMaxBytes: bytes(256 * 1024 * 1024)
      .default(4 * 1024 * 1024)
      .meta({ description: 'Largest reply kept.' }),
    joinersMax: z.int().min(0).max(1024).default(16).meta({
      description:
        'Repeats that may wait for the first request with their key; more get a 409. 0: all of them do.',
    }),
  })
  .prefault({});

/** Settings of idempotency keys, validated. */
export type ReplaySettings = z.output<typeof replay>;
