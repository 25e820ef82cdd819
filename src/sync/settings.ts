/** Settings of stage sync: what peers share. */
import { z } from 'zod';

/** Schema of stage sync's settings. */
export const sync = z
  .strictObject({
    redis: z.string().min(1).optional().meta({
      description:
        'URL of the Redis through which pods exchange hints, `redis://` or `rediss://`; unset: none.',
    }),
  })
  .prefault({});
