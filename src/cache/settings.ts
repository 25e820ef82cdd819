/** Settings of the cache. */

import { z } from 'zod';
import { bytes } from '../base/settings.ts';

export const cache = z
  .strictObject({
    enabled: z.boolean().default(true).meta({ description: 'Answer identical requests from memory.' }),
    ttlSeconds: z.int().min(1).max(2_592_000).default(3600).meta({ description: 'Life of an entry.' }),
    entriesMax: z.int().min(1).max(10_000_000).default(10_000).meta({ description: 'Entries kept.' }),
    bytesMax: bytes(16 * 1024 ** 3)
      .default(64 * 1024 * 1024)
      .meta({ description: 'Memory for them.' }),
    entryMaxBytes: bytes(64 * 1024 * 1024)
      .default(1024 * 1024)
      .meta({ description: 'Largest reply stored.' }),
    shareUsers: z.boolean().default(false).meta({ description: 'Share entries between users of a tenant.' }),
  })
  .prefault({});

/** Settings of the cache, checked. */
export type CacheSettings = z.output<typeof cache>;
