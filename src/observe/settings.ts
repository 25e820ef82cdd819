/** Settings of the log and of records. */

import { z } from 'zod';
import { secret } from '../base/settings.ts';

export const observe = z
  .strictObject({
    log: z
      .enum(['silent', 'error', 'warn', 'info', 'debug'])
      .default('info')
      .meta({ description: 'Log level; each request writes one `info` line.' }),
    digestKey: secret.optional().meta({
      description:
        'Key of the request digests in the log; unset: random at each start, so digests of two runs differ.',
    }),
  })
  .prefault({});

/** Settings of log and records, checked. */
export type ObserveSettings = z.output<typeof observe>;
