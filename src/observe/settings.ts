/** Settings of stage observe: the log and the records. */

import { z } from 'zod';
import { secret } from '../base/settings.ts';

/** Schema of stage observe's settings. */
export const observe = z
  .strictObject({
    log: z
      .enum(['silent', 'error', 'warn', 'info', 'debug'])
      .default('info')
      .meta({ description: 'Log level; each request writes one `info` line.' }),
    recent: z
      .int()
      .min(0)
      .max(10_000)
      .default(500)
      .meta({ description: 'How many of the last requests are kept in memory for the dashboard.' }),
    digestKey: secret.optional().meta({
      description:
        'Key of the request digests in the log; unset: random at each start, so digests of two runs differ.',
    }),
  })
  .prefault({});

/** Stage observe's settings, checked. */
export type ObserveSettings = z.output<typeof observe>;
