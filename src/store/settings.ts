/** Settings of the embedded database. */

import { z } from 'zod';
import { ms } from '../base/settings.ts';

/** The embedded database. */
export const store = z
  .strictObject({
    path: z.string().min(1).optional().meta({
      description: 'SQLite file for what survives a restart; unset: in memory only.',
      restart: true,
    }),
    flushMs: ms(10, 60_000).default(1000).meta({
      description: 'How often dollar budgets are written to it, and how much a crash may lose.',
      restart: true,
    }),
  })
  .prefault({});
