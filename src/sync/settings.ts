/** Settings of stage sync: what pods share. */
import { z } from 'zod';

/** Schema of stage sync's settings. */
export const sync = z
  .strictObject({
    redis: z.string().min(1).optional().meta({
      description:
        'URL of the Redis (7.0 or later) or Valkey that pods share, `redis://` or `rediss://`: limits, keys, hints and, with `cache.secret`, cached replies. Unset: each pod is on its own.',
      fromFile: true,
    }),
    mode: z.enum(['single', 'sentinel', 'cluster']).default('single').meta({
      description: 'What `redis` is: one server, a Sentinel, or a node of a cluster.',
    }),
    nodes: z
      .array(z.string().min(1))
      .max(64)
      .default([])
      .meta({ description: 'URLs of more Sentinels or nodes; only their host and port are used.' }),
    sentinelName: z
      .string()
      .min(1)
      .max(128)
      .default('mymaster')
      .meta({ description: 'Name of the master that the Sentinels watch.' }),
    ca: z.string().min(1).optional().meta({
      description:
        'Certificates in PEM that `rediss://` trusts, such as `file:/etc/ca.pem`. Unset: the usual ones.',
      fromFile: true,
    }),
    prefix: z
      .string()
      .regex(/^[A-Za-z0-9._:-]{1,64}$/, { error: 'must be 1–64 letters, digits or . _ : -' })
      .default('sidegate')
      .meta({ description: 'Begins every key and channel. Pods with the same prefix share limits.' }),
    podsExpected: z.int().min(1).max(100_000).default(1).meta({
      description: 'Pods there will be: a limit is divided by it until Redis has answered once.',
    }),
    shards: z.int().min(1).max(8).default(1).meta({
      description:
        'Slots of a cluster that limits are spread over, where one is too busy. A pod calls all of them once in 0.75 s × `shards`, so that it makes no more than two calls a second.',
    }),
  })
  .prefault({});

/** Settings of stage sync. */
export type SyncConfig = z.output<typeof sync>;
