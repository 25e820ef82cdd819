/** Settings of sinks that many processes share. */
import { z } from 'zod';
import { isPercentEncoded, notPercentEncoded, secret } from '../../base/settings.ts';

const url = (protocol: RegExp, example: string) =>
  z
    .url({ protocol, error: `must be a URL such as ${example}` })
    .refine((text) => !URL.canParse(text) || isPercentEncoded(new URL(text)), { error: notPercentEncoded });

const table = z
  .string()
  .regex(/^[a-z_][a-z0-9_]{0,62}$/, { error: 'must be a plain lowercase name' })
  .default('sidegate_requests')
  .meta({ description: 'Table with a row for each request; created if it is missing.', restart: true });

/** Schema of the sinks; each is optional. */
export const sinks = z
  .strictObject({
    instance: z.string().min(1).max(255).optional().meta({
      description: 'Name of this process in the rows; unset: the name of the host.',
      restart: true,
    }),
    redis: z
      .strictObject({
        url: url(/^rediss?$/, 'redis://redis:6379').meta({ description: 'A Redis.', restart: true }),
        key: z
          .string()
          .min(1)
          .max(255)
          .default('sidegate:records')
          .meta({ description: 'Key of the stream.', restart: true }),
        recordsMax: z
          .int()
          .min(1000)
          .max(1_000_000_000)
          .default(1_000_000)
          .meta({ description: 'Beyond it, the stream forgets its oldest.', restart: true }),
      })
      .optional(),
    webhook: z
      .strictObject({
        url: url(/^https?$/, 'https://example.com/records').meta({
          description: 'Where batches are posted to; with a user and password, as Basic credentials.',
          restart: true,
        }),
        secret: secret.meta({
          description: 'Key of the signature in `webhook-signature`, as in Standard Webhooks.',
          restart: true,
        }),
      })
      .optional(),
    postgres: z
      .strictObject({
        url: url(/^postgres(ql)?$/, 'postgres://user:password@db/costs').meta({
          description: 'A PostgreSQL.',
          restart: true,
        }),
        table,
      })
      .optional(),
    clickhouse: z
      .strictObject({
        url: url(/^https?$/, 'http://user:password@clickhouse:8123/costs').meta({
          description: 'The HTTP interface of a ClickHouse.',
          restart: true,
        }),
        table,
      })
      .optional(),
  })
  .prefault({});

/** The sinks of a configuration. */
export type SinkSettings = z.output<typeof sinks>;
