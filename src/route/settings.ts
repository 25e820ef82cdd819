/** Settings of routes. */

import { z } from 'zod';
import { modelPattern, name } from '../base/settings.ts';
import { capabilities } from '../catalog/facts.ts';
import { priorities } from '../exchange/priority.ts';
import { tiers } from '../native/classify.ts';
import { ownLimits } from '../upstream/settings.ts';
import { fallbackCauses } from '../upstream/target.ts';

/** How a route chooses among its targets. */
export const strategyNames = [
  'fallback',
  'cost',
  'latency',
  'capability',
  'weighted',
  'least_loaded',
] as const;

const target = z.strictObject({
  provider: name.optional().meta({ description: 'A key of `providers`; or else `route`.' }),
  model: modelPattern.optional().meta({
    description:
      "The provider's model name; a trailing * is what the route's * stands for. Unset: as asked for.",
  }),
  route: modelPattern
    .optional()
    .meta({ description: 'Another route, by a model name it serves: its targets, in its own order.' }),
  weight: z
    .number()
    .min(0)
    .max(1_000_000)
    .optional()
    .meta({ description: 'Share under strategy `weighted`, 1 if unset; 0: only when the others fail.' }),
  tier: z.enum(tiers).optional().meta({ description: 'What it is good for; strategy `cost` needs it.' }),
  on: z
    .array(z.enum(fallbackCauses))
    .min(1)
    .max(fallbackCauses.length)
    .optional()
    .meta({ description: 'Failures before it that lead here, under strategy `fallback`; unset: all.' }),
  capabilities: z
    .array(z.enum(capabilities))
    .max(capabilities.length)
    .optional()
    .meta({ description: 'What the model can do; unset: as the catalog says, else anything.' }),
  limits: ownLimits.meta({ description: 'What the provider takes for this model; asked before a call.' }),
});

export const route = z.strictObject({
  model: modelPattern.meta({
    description: 'Model name the app asks for; a trailing * matches the rest. The longest match wins.',
  }),
  priority: z.enum(priorities).optional().meta({
    description: 'Class of requests that name none by `x-sidegate-priority`; unset: `interactive`.',
  }),
  strategy: z.enum(strategyNames).default('fallback').meta({ description: 'How targets are chosen.' }),
  overflow: z
    .strictObject({
      queueDepth: z.int().min(0).max(100_000).meta({
        description: 'Requests that may wait in each own engine before hosted targets go first.',
      }),
    })
    .optional()
    .meta({
      description: 'Of `least_loaded`: when hosted targets go before own engines; unset: only as fallback.',
    }),
  sticky: z
    .enum(['user', 'tenant', 'request'])
    .default('user')
    .meta({ description: 'Whose requests strategy `weighted` keeps together.' }),
  needs: z
    .array(z.enum(capabilities))
    .max(capabilities.length)
    .default([])
    .meta({ description: 'What every request to it needs; targets that cannot do that are left out.' }),
  targets: z.array(target).min(1).max(32).meta({ description: 'Whom to ask; order is preference.' }),
  hedge: z.boolean().optional().meta({
    description: 'Hedge the requests of this route, or not; unset: as `attempt.hedge.enabled` says.',
  }),
});

/** One route, checked. */
export type RouteConfig = z.output<typeof route>;

/** One target of a route, checked. */
export type RouteTargetConfig = RouteConfig['targets'][number];
