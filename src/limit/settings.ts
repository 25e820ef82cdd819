/** Settings of limits and dollar budgets. */

import { z } from 'zod';
import { modelPattern, name } from '../base/settings.ts';
import { counted, shared } from '../exchange/key-limit.ts';

/** Properties of requests for whose values meters may be kept. */
const scopeNames = ['key', 'user', 'team', 'tenant', 'route', 'tag'] as const;

/** One of these properties. */
export type ScopeName = (typeof scopeNames)[number];

/** Calendar windows of dollar budgets. */
export const windowNames = ['hour', 'day', 'week', 'month'] as const;

export type WindowName = (typeof windowNames)[number];

const patterns = z.union([modelPattern, z.array(modelPattern).min(1).max(256)]).optional();

const describedBy = (what: string) => patterns.meta({ description: what });

const match = z
  .strictObject({
    tenant: describedBy('Tenants, by name or with a trailing *; one or a list. Unset: all.'),
    team: describedBy('Teams; * means any team, but not none.'),
    user: describedBy('Users, in the same way.'),
    key: describedBy('Ids of virtual keys, in the same way.'),
    tag: describedBy('Tags; the request must have one of them.'),
    route: describedBy('Routes, by their `model` as configured.'),
    model: describedBy('Models, as asked for.'),
  })
  .prefault({});

const perAndMatch = {
  per: z.array(z.enum(scopeNames)).max(scopeNames.length).default(['tenant']).meta({
    description: 'A separate count for each combination of these; an empty list: one count for all.',
  }),
  match,
};

/** One limit. Dependencies between its fields are checked in `config/check-limits.ts`. */
export const limitSchema = z.strictObject({ ...counted, ...perAndMatch, ...shared('all') });

/** One dollar budget: dollars per calendar window. */
export const budgetSchema = z.strictObject({
  name: name.meta({ description: 'Name in refusals, headers and metrics.' }),
  usd: z.number().positive().max(1e9).meta({ description: 'Dollars in each window.' }),
  window: z.enum(windowNames).meta({ description: 'Calendar window; weeks begin on Monday.' }),
  timeZone: z
    .string()
    .default('UTC')
    .meta({ description: 'IANA time zone of the calendar, such as `Europe/Berlin`.' }),
  ...perAndMatch,
  ...shared('all'),
});

/** One limit, validated. */
export type LimitConfig = z.output<typeof limitSchema>;

/** One dollar budget, validated. */
export type BudgetConfig = z.output<typeof budgetSchema>;
