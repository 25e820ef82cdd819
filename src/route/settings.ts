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
  provider: name.optional().meta({ description: 'A name of `providers`; required without `route`.' }),
  model: modelPattern.optional().meta({
    description:
      "The provider's model name; a trailing * is replaced by what the route's * matched. Unset: as requested.",
  }),
  serves: name.optional().meta({
    description:
      'The model that is really served, where `model` is a name that its owner chose, such as an Azure deployment: prices, limits and what it refuses are those of this model.',
  }),
  route: modelPattern
    .optional()
    .meta({ description: "Another route, by a model name it serves: its targets, in that route's order." }),
  weight: z
    .number()
    .min(0)
    .max(1_000_000)
    .optional()
    .meta({ description: 'For `weighted`: its share, 1 if unset; 0: only when the others fail.' }),
  tier: z.enum(tiers).optional().meta({ description: 'Tier it is good for; required by strategy `cost`.' }),
  on: z
    .array(z.enum(fallbackCauses))
    .min(1)
    .max(fallbackCauses.length)
    .optional()
    .meta({ description: 'For `fallback`: failures of earlier targets that lead here; unset: all.' }),
  capabilities: z
    .array(z.enum(capabilities))
    .max(capabilities.length)
    .optional()
    .meta({ description: 'What the model can do; unset: what the catalog says, or anything.' }),
  limits: ownLimits.meta({ description: 'What the provider accepts for this model; checked before a call.' }),
});

/** One route. */
export const route = z.strictObject({
  model: modelPattern.meta({
    description: 'Model name that the app requests; a trailing * matches the rest. The longest match wins.',
  }),
  priority: z.enum(priorities).optional().meta({
    description: 'Priority of requests without `x-sidegate-priority`; unset: `interactive`.',
  }),
  strategy: z.enum(strategyNames).default('fallback').meta({ description: 'How targets are chosen.' }),
  overflow: z
    .strictObject({
      queueDepth: z.int().min(0).max(100_000).meta({
        description: 'Requests that may be queued in each own engine before hosted targets go first.',
      }),
    })
    .optional()
    .meta({
      description: 'For `least_loaded`: when hosted targets go before own engines; unset: only as fallback.',
    }),
  sticky: z
    .enum(['user', 'tenant', 'request'])
    .default('user')
    .meta({ description: 'For `weighted`: whose requests always get the same target.' }),
  needs: z
    .array(z.enum(capabilities))
    .max(capabilities.length)
    .default([])
    .meta({ description: 'Capabilities that every request to it needs; targets without them are left out.' }),
  targets: z.array(target).min(1).max(32).meta({ description: 'Whom to ask, in order of preference.' }),
  unsupported: z.enum(['refuse', 'drop']).default('refuse').meta({
    description:
      "A field that changes the answer and that a target's dialect can't express: the target is skipped and, if none is left, the request refused; or the field is left out and named.",
  }),
  defaultMaxTokens: z.int().min(1).max(1e9).optional().meta({
    description:
      "Longest reply of requests that state none, in tokens: written into them, and what limits reserve for. Unset: the model's.",
  }),
  hedge: z.boolean().optional().meta({
    description: "Whether to hedge this route's requests; unset: as in `attempt.hedge.enabled`.",
  }),
});

/** One route, validated. */
export type RouteConfig = z.output<typeof route>;

/** One target of a route, validated. */
export type RouteTargetConfig = RouteConfig['targets'][number];
