/** Settings of batch requests. */

import { z } from 'zod';
import { bytes, ms } from '../base/settings.ts';

/** The batch queue. */
export const batch = z
  .strictObject({
    queueMax: z.int().min(1).max(1_000_000).default(1024).meta({
      description: 'Batch requests that may wait; each holds a connection (`listen.connectionsMax`).',
    }),
    queueMaxBytes: bytes(16 * 1024 ** 3)
      .default(256 * 1024 * 1024)
      .meta({ description: 'Memory for the bodies of waiting requests.' }),
    deadlineMs: ms(1, 86_400_000)
      .default(3_600_000)
      .meta({ description: 'Total time of a batch request; `x-sidegate-timeout` may ask for less.' }),
    concurrencyMax: z.int().min(1).max(4096).default(16).meta({
      description: 'Batch requests in flight; fewer while providers have no room.',
    }),
    interactiveShare: z.number().positive().max(1).default(0.25).meta({
      description:
        'Share of `listen.inFlightMax` that interactive requests may take before batch requests stop starting.',
    }),
  })
  .prefault({});

/** Settings of batch requests, validated. */
export type BatchSettings = z.output<typeof batch>;
