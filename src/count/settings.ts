/** Settings of the tokenizer. */

import { z } from 'zod';
import { ms } from '../base/settings.ts';

/** The tokenizer. */
export const count = z
  .strictObject({
    queueMax: z.int().min(1).max(100_000).default(256).meta({
      description:
        'Replies without stated usage that may wait for the tokenizer; others are estimated from their bytes.',
    }),
    deadlineMs: ms(10, 60_000)
      .default(5_000)
      .meta({ description: 'How long such a reply may wait to be counted before it is estimated.' }),
  })
  .prefault({});

/** Settings of the tokenizer, validated. */
export type CountSettings = z.output<typeof count>;
