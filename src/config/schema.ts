/** The configuration's schema: every key, its type, range and default. Its JSON Schema is published. */
import { z } from 'zod';
import { authenticateSchema } from '../authenticate/settings.ts';
import { bytes, modelPattern, ms, name, port, secret } from '../base/settings.ts';
import { priorities } from '../batch/priority.ts';
import { capabilities } from '../catalog/facts.ts';
import { dialectNames } from '../exchange/dialects.ts';
import { budgetSchema, limitSchema, modeNames } from '../limit/settings.ts';
import { simulateSchema } from '../simulate/settings.ts';
import { engineNames, usualProbe } from '../upstream/engine.ts';
import { fallbackCauses, tiers } from '../upstream/target.ts';
import { attempt, ownLimits, sync } from './attempt.ts';

/** How a route chooses among its targets. */
export const strategyNames = [
  'fallback',
  'cost',
  'latency',
  'capability',
  'weighted',
  'least_loaded',
] as const;

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
    uploadMaxBytes: bytes(1024 ** 3)
      .default(64 * 1024 * 1024)
      .meta({ description: 'Largest upload: a form with files.' }),
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
    token: secret
      .min(16, { error: 'must have at least 16 characters' })
      .optional()
      .meta({ description: 'Secret that opens `/keys`: `${ENV}` or `file:/path`. Unset: nobody may.' }),
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
      .meta({ description: 'Memory for them, and for streams that are gathered to be kept.' }),
    entryMaxBytes: bytes(256 * 1024 * 1024)
      .default(4 * 1024 * 1024)
      .meta({ description: 'Largest reply kept.' }),
    joinersMax: z.int().min(0).max(1024).default(16).meta({
      description:
        'Repeats that may wait for the first request with their key at once; more get 409. 0: all of them.',
    }),
  })
  .prefault({});

const count = z
  .strictObject({
    queueMax: z.int().min(1).max(100_000).default(256).meta({
      description:
        'Replies without stated usage that may wait for the tokenizer; the rest is estimated from bytes.',
    }),
    deadlineMs: ms(10, 60_000)
      .default(5_000)
      .meta({ description: 'How long such a reply may wait to be counted; then it is estimated.' }),
  })
  .prefault({});

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

/** How a self-hosted engine is watched. */
const probe = z.strictObject({
  intervalMs: ms(100, 600_000)
    .default(usualProbe.intervalMs)
    .meta({ description: 'Between two probes, ± 20%.' }),
  timeoutMs: ms(10, 60_000).default(usualProbe.timeoutMs).meta({ description: 'For the answer to a probe.' }),
  failuresMax: z.int().min(1).max(100).default(usualProbe.failuresMax).meta({
    description: 'Failed probes in a row after which the engine is passed over while another target lives.',
  }),
});

const provider = z.strictObject({
  preset: z
    .string()
    .optional()
    .meta({ description: 'A known provider: `sidegate presets` lists them. Gives dialect and base URL.' }),
  dialect: z.enum(dialectNames).optional().meta({ description: 'Wire dialect; needed without a preset.' }),
  baseUrl: z.string().optional().meta({
    description:
      'URL before `/chat/completions` or `/messages`, with a query if need be; needed without a preset.',
  }),
  apiVersion: z
    .string()
    .regex(/^[\w.-]{1,64}$/, { error: 'must be a version such as 2024-10-21' })
    .optional()
    .meta({ description: "Sent as `api-version` in the query: Azure's deployments need it." }),
  apiKey: secret.optional().meta({ description: 'Credential sent upstream: `${ENV}` or `file:/path`.' }),
  apiKeys: z
    .array(secret)
    .min(1)
    .max(64)
    .optional()
    .meta({ description: 'More credentials: calls take turns, and one that is limited or refused rests.' }),
  accessKeys: z
    .array(
      z.strictObject({
        id: secret.meta({ description: 'Access key id: `${ENV}` or `file:/path`.' }),
        secret: secret.meta({ description: 'Secret access key: the same.' }),
        sessionToken: secret.optional().meta({ description: 'Session token of keys that end: the same.' }),
      }),
    )
    .min(1)
    .max(64)
    .optional()
    .meta({ description: "AWS access keys that sign Bedrock's requests; calls take turns." }),
  region: z
    .string()
    .regex(/^[a-z0-9-]{1,32}$/, { error: 'must be a region such as eu-central-1' })
    .optional()
    .meta({ description: 'AWS region of Bedrock; unset: as the base URL says.' }),
  credential: z.enum(['gateway', 'client', 'google', 'azure', 'aws']).default('gateway').meta({
    description:
      "Whose credential is sent: `apiKey`, the client's own, or the machine's at Google (for Vertex), Azure or AWS (for Bedrock).",
  }),
  headers: z
    .record(z.string(), z.string())
    .default({})
    .meta({ description: 'Headers added to each upstream request.' }),
  limits: ownLimits.meta({ description: 'What the provider as a whole takes; asked before a call.' }),
  engine: z.enum(engineNames).optional().meta({
    description:
      'Self-hosted engine behind it, watched by health probes; `generic`: any other. Unset: hosted.',
  }),
  probe: probe.optional(),
  models: z
    .array(modelPattern)
    .min(1)
    .optional()
    .meta({ description: 'Models it serves, so that `check` refuses routes to others. Unset: any.' }),
  files: z.array(name).max(10_000).optional().meta({
    description: 'Tenants whose files it keeps (`/v1/files`); others are told nothing of it. Unset: all.',
  }),
  simulate: simulateSchema.optional().meta({ description: 'Settings of the `simulator` presets.' }),
});

/** A name that is new to the process is compared with each of them. */
const catalogModelsMax = 2000;
const usdPerMTok = z.number().min(0).max(1e6);
const catalogTokens = z.int().min(1).max(1e9);
const catalogModel = z.strictObject({
  provider: z
    .string()
    .min(1)
    .default('*')
    .meta({ description: 'A key of `providers`; * means each of them.' }),
  model: modelPattern.meta({
    description:
      "The provider's model name; a trailing * matches the rest. The first entry that fits counts.",
  }),
  inputUsdPerMTok: usdPerMTok
    .optional()
    .meta({ description: 'Dollars for a million prompt tokens; 0 where the model costs nothing.' }),
  outputUsdPerMTok: usdPerMTok.optional().meta({ description: 'The same for reply tokens.' }),
  cachedInputUsdPerMTok: usdPerMTok
    .optional()
    .meta({ description: "The same for prompt tokens read from the provider's cache." }),
  cacheWriteUsdPerMTok: usdPerMTok
    .optional()
    .meta({ description: "The same for prompt tokens written into the provider's cache." }),
  usdPerSearchUnit: z
    .number()
    .min(0)
    .max(1000)
    .optional()
    .meta({ description: 'Dollars for a search unit, by which Cohere bills a rerank.' }),
  contextTokens: catalogTokens.optional().meta({ description: 'Tokens of prompt and reply together.' }),
  outputMaxTokens: catalogTokens.optional().meta({ description: 'Longest reply the model gives.' }),
  capabilities: z
    .array(z.enum(capabilities))
    .optional()
    .meta({ description: `What the model can do, of ${capabilities.join(', ')}.` }),
});

/** A catalog file: the same entries in a file of their own. */
export const catalogFileSchema = z.strictObject({ models: z.array(catalogModel).max(catalogModelsMax) });

const catalog = z
  .strictObject({
    file: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'YAML file with more `models`, asked after these; read again when it changes.' }),
    models: z
      .array(catalogModel)
      .max(catalogModelsMax)
      .default([])
      .meta({ description: 'Your own prices and facts of models, over what Sidegate knows.' }),
  })
  .prefault({});

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

const route = z.strictObject({
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

const batch = z
  .strictObject({
    queueMax: z.int().min(1).max(1_000_000).default(1024).meta({
      description: 'Batch requests that may wait; each holds a connection (`listen.connectionsMax`).',
    }),
    queueMaxBytes: bytes(16 * 1024 ** 3)
      .default(256 * 1024 * 1024)
      .meta({ description: 'Memory for the bodies that wait.' }),
    deadlineMs: ms(1, 86_400_000)
      .default(3_600_000)
      .meta({ description: 'Time a batch request has in all; `x-sidegate-timeout` may ask for less.' }),
    concurrencyMax: z.int().min(1).max(4096).default(16).meta({
      description: 'Batch requests at work at once; fewer while providers have no room.',
    }),
    interactiveShare: z.number().positive().max(1).default(0.25).meta({
      description:
        'Share of `listen.inFlightMax` interactive requests may take before no batch request starts.',
    }),
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

const store = z
  .strictObject({
    path: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'SQLite file for what outlives the process; unset: in memory only.' }),
    flushMs: ms(10, 60_000)
      .default(1000)
      .meta({ description: 'How often budgets are written to it; what a crash may forget.' }),
  })
  .prefault({});

/** The whole file. Unknown keys are refused at every level. */
export const configSchema = z.strictObject({
  listen,
  admin,
  authenticate: authenticateSchema,
  replay,
  count,
  mode: z
    .enum(modeNames)
    .default('enforce')
    .meta({ description: '`observe`: keys, limits and budgets decide and report, and let everything pass.' }),
  limits: z
    .array(limitSchema)
    .max(1000)
    .default([])
    .meta({ description: 'Limits; a request must pass all that match it.' }),
  budgets: z
    .array(budgetSchema)
    .max(1000)
    .default([])
    .meta({ description: 'Budgets in dollars over windows of the calendar.' }),
  scrub,
  cache,
  providers: z.record(name, provider).default({}).meta({ description: 'Upstreams, by name.' }),
  routes: z.array(route).max(10_000).default([]).meta({ description: 'What each model name is served by.' }),
  catalog,
  attempt,
  sync,
  batch,
  store,
  observe,
});

/** A checked configuration, defaults filled in, secrets resolved. */
export type Config = z.output<typeof configSchema>;
export type ProviderConfig = Config['providers'][string];
export type CatalogModelConfig = Config['catalog']['models'][number];
export type RouteConfig = Config['routes'][number];
export type RouteTargetConfig = RouteConfig['targets'][number];
