/** Settings of what peers share. */
import { z } from 'zod';

export const sync = z
  .strictObject({
    redis: z.string().min(1).optional().meta({
      description:
        'URL of the Redis through which pods exchange hints, `redis://` or `rediss://`; unset: none.',
    }),
  })
  .prefault({});
