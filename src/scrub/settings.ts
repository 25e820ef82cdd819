/** Settings of personal data. */
import { z } from 'zod';

const scrubMode = z.enum(['mask', 'block', 'off']);

export const scrub = z
  .strictObject({
    email: scrubMode
      .default('mask')
      .meta({ description: 'E-mail addresses: masked and restored, refused, or let through.' }),
    card: scrubMode.default('mask').meta({ description: 'Payment card numbers: the same.' }),
  })
  .prefault({});

/** Settings of personal data, checked. */
export type ScrubSettings = z.output<typeof scrub>;
