/** Settings of the cache. */

import { z } from 'zod';
import { bytes } from '../base/settings.ts';

/** Schema of the cache's settings. */
export const cache = z
  .strictObject({
    enabled: z.boolean().default(true).meta({ description: 'Answer identical requests from memory.' }),
    ttlSeconds: z
      .int()
      .min(1)
      .max(2_592_000)
      .default(3600)
      .meta({ description: 'Time until an entry expires.' }),
    entriesMax: z.int().min(1).max(10_000_000).default(10_000).meta({ description: 'Most entries kept.' }),
    bytesMax: bytes(16 * 1024 ** 3)
      .default(64 * 1024 * 1024)
      .meta({ description: 'Most memory for the entries.' }),
    entryMaxBytes: bytes(64 * 1024 * 1024)
      .default(1024 * 1024)
      .meta({ description: 'Largest reply that is stored.' }),
    singleFlight: z
      .boolean()
      .default(false)
      .meta({ description: 'Let identical requests that come at once share one upstream call.' }),
    shareUsers: z
      .boolean()
      .default(false)
      .meta({ description: 'Share entries between the users of a tenant.' }),
  })
  .prefault({});

/** The cache's settings, checked. */
export type CacheSettings = z.output<typeof cache>;
