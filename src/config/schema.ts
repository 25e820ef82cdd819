/** The configuration's schema: every key with its type, range and default. It is published as JSON Schema. */

import { z } from 'zod';
import { authenticateSchema } from '../authenticate/settings.ts';
import { port, secret } from '../base/settings.ts';
import { batch } from '../batch/settings.ts';
import { cache } from '../cache/settings.ts';
import { catalog } from '../catalog/settings.ts';
import { count } from '../count/settings.ts';
import { modeNames } from '../exchange/key-limit.ts';
import { budgetSchema, limitSchema } from '../limit/settings.ts';
import { listen } from '../listen/settings.ts';
import { observe } from '../observe/settings.ts';
import { replay } from '../replay/settings.ts';
import { route } from '../route/settings.ts';
import { scrub } from '../scrub/settings.ts';
import { store } from '../store/settings.ts';
import { sync } from '../sync/settings.ts';
import { attempt, provider, providerName } from '../upstream/settings.ts';

const admin = z
  .strictObject({
    host: z.string().default('127.0.0.1').meta({ description: 'Address of the admin port.', restart: true }),
    port: port.default(4101).meta({ description: 'Admin port; 0 picks a free one.', restart: true }),
    allowedHosts: z.array(z.string()).max(64).default([]).meta({
      description:
        'Host names accepted in the `Host` header, besides localhost and addresses, which no DNS name can stand for.',
      restart: true,
    }),
    token: secret.min(16, { error: 'must have at least 16 characters' }).optional().meta({
      description:
        'Secret that gives access to `/keys`, `/limits`, `/cache` with its purge, the playground and `explain --admin`, and to `x-sidegate-debug` on the data port: `${ENV}` or `file:/path`. Unset: no access.',
    }),
  })
  .prefault({});

const memory = z
  .strictObject({
    maxMb: z.int().min(64).max(1_048_576).optional().meta({
      description:
        "Most memory of the process, in MB (10⁶ bytes). Near it, as near the container's limit, the cache makes room, and then new requests are refused. Unset: only the container's limit counts.",
    }),
  })
  .prefault({});

/** Most threads that serve requests: each has about 45 MB of its own. */
const workersMax = 16;

/** The whole file. Unknown keys are refused at every level. */
export const configSchema = z.strictObject({
  listen,
  admin,
  memory,
  workers: z.int().min(1).max(workersMax).default(1).meta({
    description:
      'Threads that serve requests. Limits, budgets, breakers, the cache and idempotency keys count for all of them together; bounds of memory and of requests in flight are divided.',
    restart: true,
  }),
  authenticate: authenticateSchema,
  replay,
  count,
  mode: z.enum(modeNames).default('enforce').meta({
    description:
      '`observe`: keys, limits and budgets only report what they would refuse, and let everything pass.',
  }),
  limits: z
    .array(limitSchema)
    .max(1000)
    .default([])
    .meta({ description: 'Limits. A request must pass all limits that match it.' }),
  budgets: z
    .array(budgetSchema)
    .max(1000)
    .default([])
    .meta({ description: 'Budgets in dollars over calendar windows.' }),
  scrub,
  cache,
  providers: z.record(providerName, provider).default({}).meta({ description: 'Providers, by name.' }),
  routes: z
    .array(route)
    .max(10_000)
    .default([])
    .meta({ description: 'Routes: which targets serve which model name.' }),
  catalog,
  attempt,
  sync,
  batch,
  store,
  observe,
});

/** A checked configuration, defaults filled in, secrets resolved. */
export type Config = z.output<typeof configSchema>;
