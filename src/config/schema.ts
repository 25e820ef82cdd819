/** The configuration's schema: every key, its type, range and default. Its JSON Schema is published. */
import { z } from 'zod';
import { dialectNames } from '../providers/names.ts';
import { simulateSchema } from '../simulate/settings.ts';

const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/, {
  error: 'must be 1–128 letters, digits or . _ : / -, and begin with a letter or digit',
});
const ms = (min: number, max: number) => z.int().min(min).max(max);
const bytes = (max: number) => z.int().min(1024).max(max);
const modelPattern = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^*]*\*?$/, { error: 'may hold * only at its end' });
const port = z.int().min(0).max(65_535);
const secret = z.string().min(1).meta({ description: 'A secret: `${ENV}` or `file:/path`.' });

const listen = z
  .strictObject({
    host: z.string().default('127.0.0.1').meta({ description: 'Address of the data port.' }),
    port: port.default(4100).meta({ description: 'Data port; 0 picks a free one.' }),
    socket: z.string().optional().meta({ description: 'Unix socket path, instead of host and port.' }),
    allowedHosts: z
      .array(z.string())
      .max(64)
      .default([])
      .meta({ description: 'Host names accepted in `Host` besides localhost, 127.0.0.1 and [::1].' }),
    allowedOrigins: z
      .array(z.string())
      .max(64)
      .default([])
      .meta({ description: 'Web origins that may call; all others are refused.' }),
    bodyMaxBytes: bytes(256 * 1024 * 1024)
      .default(20 * 1024 * 1024)
      .meta({ description: 'Largest request body.' }),
    bodyTimeoutMs: ms(10, 600_000).default(30_000).meta({ description: 'Time to receive a whole request.' }),
    keepAliveMs: ms(10, 600_000)
      .default(15_000)
      .meta({ description: 'Silence on a stream after which a comment is sent to the client.' }),
    clientTimeoutMs: ms(10, 3_600_000)
      .default(60_000)
      .meta({ description: 'Time a client may read nothing of its stream before it is given up.' }),
    connectionsMax: z.int().min(1).max(65_535).default(4096).meta({ description: 'Open connections.' }),
    inFlightMax: z
      .int()
      .min(1)
      .max(65_535)
      .default(1024)
      .meta({ description: 'Requests at work at once; more are refused.' }),
    drainMs: ms(0, 600_000).default(25_000).meta({ description: 'Time streams get to finish on SIGTERM.' }),
  })
  .prefault({});

const admin = z
  .strictObject({
    host: z.string().default('127.0.0.1').meta({ description: 'Address of the admin port.' }),
    port: port.default(4101).meta({ description: 'Admin port; 0 picks a free one.' }),
  })
  .prefault({});

const key = z.strictObject({
  id: name.meta({ description: 'Shown in logs instead of the key.' }),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, { error: 'must be the SHA-256 of the key in 64 lower-case hex digits' })
    .meta({ description: 'SHA-256 of the key, hex. `printf %s KEY | sha256sum` makes it.' }),
  tenant: name.meta({ description: 'Whom the calls are counted for.' }),
  team: name.optional().meta({ description: 'Team, for attribution.' }),
  user: name.optional().meta({ description: 'User, for attribution; else `x-sidegate-user`.' }),
  tags: z.array(name).max(16).default([]).meta({ description: 'Tags, for attribution.' }),
  models: z
    .array(modelPattern)
    .min(1)
    .optional()
    .meta({ description: 'Models this key may use; a trailing * matches the rest. Unset: all.' }),
});

const authenticate = z
  .strictObject({
    anonymousTenant: name
      .optional()
      .meta({ description: 'Tenant of calls without a known key; unset: a key is required.' }),
    keys: z.array(key).max(100_000).default([]).meta({ description: 'Virtual keys, by digest.' }),
  })
  .prefault({});

const replay = z
  .strictObject({
    ttlSeconds: z
      .int()
      .min(1)
      .max(604_800)
      .default(86_400)
      .meta({ description: 'How long a reply is kept for its `Idempotency-Key`.' }),
    entriesMax: z.int().min(1).max(1_000_000).default(10_000).meta({ description: 'Replies kept.' }),
    bytesMax: bytes(4 * 1024 ** 3)
      .default(64 * 1024 * 1024)
      .meta({ description: 'Memory for them.' }),
  })
  .prefault({});

const limit = z.strictObject({
  name: name.meta({ description: 'Named in refusals and metrics.' }),
  tenant: z
    .string()
    .min(1)
    .default('*')
    .meta({ description: 'Tenant it applies to; * gives every tenant its own.' }),
  algorithm: z.enum(['token_bucket']).default('token_bucket').meta({ description: 'How it counts.' }),
  unit: z
    .enum(['requests', 'characters', 'tokens'])
    .default('requests')
    .meta({ description: 'What it counts.' }),
  per: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(1)
    .meta({ description: 'Units of a cost of one, rounded up: 500 characters cost one.' }),
  capacity: z.number().positive().max(1e12).meta({ description: 'Largest burst, in cost.' }),
  refillPerSecond: z.number().positive().max(1e12).meta({ description: 'Refill, in cost per second.' }),
});

const scrubMode = z.enum(['mask', 'block', 'off']);
const scrub = z
  .strictObject({
    email: scrubMode
      .default('mask')
      .meta({ description: 'E-mail addresses: masked and restored, refused, or let through.' }),
    card: scrubMode.default('mask').meta({ description: 'Payment card numbers: the same.' }),
  })
  .prefault({});

const cache = z
  .strictObject({
    enabled: z.boolean().default(true).meta({ description: 'Serve identical requests from memory.' }),
    ttlSeconds: z.int().min(1).max(2_592_000).default(3600).meta({ description: 'Life of an entry.' }),
    entriesMax: z.int().min(1).max(10_000_000).default(10_000).meta({ description: 'Entries kept.' }),
    bytesMax: bytes(16 * 1024 ** 3)
      .default(64 * 1024 * 1024)
      .meta({ description: 'Memory for them.' }),
    entryMaxBytes: bytes(64 * 1024 * 1024)
      .default(1024 * 1024)
      .meta({ description: 'Largest reply stored.' }),
    shareUsers: z.boolean().default(false).meta({ description: 'Share entries between users of a tenant.' }),
  })
  .prefault({});

const provider = z.strictObject({
  preset: z
    .string()
    .optional()
    .meta({ description: 'A known provider: `sidegate presets` lists them. Gives dialect and base URL.' }),
  dialect: z.enum(dialectNames).optional().meta({ description: 'Wire dialect; needed without a preset.' }),
  baseUrl: z
    .string()
    .optional()
    .meta({ description: 'URL before `/chat/completions` or `/messages`; needed without a preset.' }),
  apiKey: secret.optional().meta({ description: 'Credential sent upstream: `${ENV}` or `file:/path`.' }),
  credential: z.enum(['gateway', 'client', 'google']).default('gateway').meta({
    description:
      "Whose credential is sent: `apiKey`, the client's own, or the machine's at Google (for Vertex).",
  }),
  headers: z
    .record(z.string(), z.string())
    .default({})
    .meta({ description: 'Headers added to each upstream request.' }),
  simulate: simulateSchema.optional().meta({ description: 'Settings of the `simulator` presets.' }),
});

const target = z.strictObject({
  provider: name.meta({ description: 'A key of `providers`.' }),
  model: z
    .string()
    .min(1)
    .optional()
    .meta({ description: "The provider's model name; unset: as asked for." }),
});

const route = z.strictObject({
  model: modelPattern.meta({
    description: 'Model name the app asks for; a trailing * matches the rest. The longest match wins.',
  }),
  targets: z.array(target).min(1).max(16).meta({ description: 'Fallback chain, in order.' }),
});

const attempt = z
  .strictObject({
    connectTimeoutMs: ms(1, 120_000).default(5_000).meta({ description: 'TCP and TLS connect.' }),
    firstTokenTimeoutMs: ms(1, 600_000)
      .default(60_000)
      .meta({ description: 'To the first content of a stream.' }),
    idleTimeoutMs: ms(1, 600_000).default(30_000).meta({ description: 'Silence inside a stream.' }),
    replyTimeoutMs: ms(1, 3_600_000).default(300_000).meta({ description: 'One whole, unstreamed reply.' }),
    totalTimeoutMs: ms(1, 3_600_000)
      .default(600_000)
      .meta({ description: 'The whole request, over all attempts.' }),
    retriesMax: z.int().min(0).max(10).default(1).meta({ description: 'Retries on the same target.' }),
    backoffBaseMs: ms(0, 60_000)
      .default(100)
      .meta({ description: 'First backoff, doubled each time, full jitter.' }),
    backoffMaxMs: ms(0, 60_000).default(5_000).meta({ description: 'Largest backoff.' }),
    replyMaxBytes: bytes(256 * 1024 * 1024)
      .default(64 * 1024 * 1024)
      .meta({ description: 'Largest reply, decompressed.' }),
    eventMaxBytes: bytes(64 * 1024 * 1024)
      .default(4 * 1024 * 1024)
      .meta({ description: 'Largest stream event, and what is held back before the first content.' }),
    connectionsMax: z
      .int()
      .min(1)
      .max(4096)
      .default(256)
      .meta({ description: 'Connections to one provider.' }),
    breaker: z
      .strictObject({
        failures: z
          .int()
          .min(1)
          .max(1000)
          .default(5)
          .meta({ description: 'Consecutive failures that open it.' }),
        cooldownMs: ms(1, 3_600_000).default(30_000).meta({ description: 'Open before a probe.' }),
      })
      .prefault({}),
  })
  .prefault({});

const observe = z
  .strictObject({
    log: z
      .enum(['silent', 'error', 'warn', 'info', 'debug'])
      .default('info')
      .meta({ description: 'Log level; one `info` line a request.' }),
    digestKey: secret.optional().meta({
      description:
        'Key of the request digests in records; unset: random per start, so digests of two runs differ.',
    }),
  })
  .prefault({});

/** The whole file. Unknown keys are refused at every level. */
export const configSchema = z.strictObject({
  listen,
  admin,
  authenticate,
  replay,
  limits: z.array(limit).max(1000).default([]).meta({ description: 'Limits; each applies on its own.' }),
  scrub,
  cache,
  providers: z.record(name, provider).default({}).meta({ description: 'Upstreams, by name.' }),
  routes: z.array(route).max(10_000).default([]).meta({ description: 'What each model name is served by.' }),
  attempt,
  observe,
});

/** A checked configuration, defaults filled in, secrets resolved. */
export type Config = z.output<typeof configSchema>;
export type ProviderConfig = Config['providers'][string];
export type KeyConfig = Config['authenticate']['keys'][number];
export type LimitConfig = Config['limits'][number];
export type RouteConfig = Config['routes'][number];
