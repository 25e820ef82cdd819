/** Settings of providers and of calls to them. */

import { z } from 'zod';
import { bytes, modelPattern, ms, name, secret } from '../base/settings.ts';
import { defaultProbe, engineNames } from '../catalog/engines.ts';
import { reasoningFields } from '../dialects/wire.ts';
import { dialectNames } from '../exchange/dialects.ts';
import { simulateSchema } from '../simulate/settings.ts';
import { isAddressOrBlock } from './addresses.ts';

/** Upstream limits: what a provider allows one account. */
export const ownLimits = z
  .strictObject({
    requestsPerMinute: z.int().min(1).max(1e9).optional().meta({
      description: 'Requests it accepts per minute; when they are used up, the next target is asked.',
    }),
    tokensPerMinute: z
      .int()
      .min(1)
      .max(1e12)
      .optional()
      .meta({ description: 'Tokens of prompts and replies it accepts per minute; the same.' }),
  })
  .optional();

/** Timeouts, retries, hedging and breakers of calls to providers. */
export const attempt = z
  .strictObject({
    connectTimeoutMs: ms(1, 120_000).default(5_000).meta({
      description: 'TCP and TLS connect; the answer of an HTTP/2 connection on which a request was given up.',
    }),
    firstTokenTimeoutMs: ms(1, 600_000)
      .default(60_000)
      .meta({ description: 'Time to the first content of a stream.' }),
    idleTimeoutMs: ms(1, 600_000).default(30_000).meta({ description: 'Silence inside a stream.' }),
    replyTimeoutMs: ms(1, 3_600_000)
      .default(300_000)
      .meta({ description: 'Time for one whole, unstreamed reply.' }),
    totalTimeoutMs: ms(1, 3_600_000)
      .default(600_000)
      .meta({ description: 'Time for the whole request, all attempts together.' }),
    retriesMax: z.int().min(0).max(10).default(1).meta({ description: 'Retries on the same target.' }),
    backoffBaseMs: ms(0, 60_000)
      .default(100)
      .meta({ description: 'First backoff, doubled each time, with full jitter.' }),
    backoffMaxMs: ms(0, 60_000).default(5_000).meta({ description: 'Longest backoff.' }),
    replyMaxBytes: bytes(256 * 1024 * 1024)
      .default(64 * 1024 * 1024)
      .meta({ description: 'Largest reply, decompressed; a stream is only bounded where it is translated.' }),
    eventMaxBytes: bytes(256 * 1024 * 1024)
      .default(64 * 1024 * 1024)
      .meta({ description: 'Largest stream event, and most that is held back before the first content.' }),
    connectionsMax: z.int().min(1).max(65_535).optional().meta({
      description:
        'Most calls to one provider at a time; beyond it the next target is asked. Unset: as many as are admitted (`listen.inFlightMax`).',
    }),
    retryBudget: z
      .strictObject({
        ratio: z
          .number()
          .min(0)
          .max(1)
          .default(0.2)
          .meta({ description: 'Retries and hedges, as a share of the requests of the last 10 s.' }),
        minPerSecond: z
          .number()
          .min(0)
          .max(10_000)
          .default(3)
          .meta({ description: 'Retries and hedges per second that are always allowed.' }),
      })
      .prefault({}),
    hedge: z
      .strictObject({
        enabled: z.boolean().default(false).meta({
          description: 'Make a second call when the first content is late, and use whichever answers first.',
        }),
        delayMs: ms(1, 600_000).optional().meta({
          description:
            'How late that is; unset: the 95th percentile of the route, for a pattern of each model, once known.',
        }),
      })
      .prefault({}),
    breaker: z
      .strictObject({
        failures: z
          .int()
          .min(1)
          .max(1000)
          .default(5)
          .meta({ description: 'Consecutive failures that open it.' }),
        failureRate: z
          .number()
          .min(0.01)
          .max(1)
          .default(0.5)
          .meta({ description: 'Share of failed calls in the window that opens it.' }),
        callsMin: z.int().min(0).max(100_000).default(20).meta({
          description: 'Calls in the window needed to judge their share of failures; 0: never judge it.',
        }),
        windowMs: ms(100, 600_000).default(10_000).meta({ description: 'Length of the window.' }),
        cooldownMs: ms(1, 3_600_000)
          .default(5_000)
          .meta({ description: 'Time it stays open before a probe; doubled each time the probe fails.' }),
        cooldownMaxMs: ms(1, 3_600_000).default(60_000).meta({ description: 'Longest cooldown.' }),
      })
      .prefault({}),
  })
  .prefault({});

/** A header that may be passed on: neither of the connection, nor a credential, nor of the body. */
const appHeader =
  /^(?!(?:host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|proxy-.*|content-.*|accept-encoding|authorization|cookie|api-key|x-api-key|x-goog-api-key|idempotency-key|x-sidegate-.*|x-amz-.*)$)[a-z0-9!#$%&'*+.^_`|~-]{1,64}$/;

/** How a self-hosted engine is probed. */
const probe = z.strictObject({
  intervalMs: ms(100, 600_000)
    .default(defaultProbe.intervalMs)
    .meta({ description: 'Time between two probes, ± 20%.' }),
  timeoutMs: ms(10, 60_000).default(defaultProbe.timeoutMs).meta({ description: 'Time a probe may take.' }),
  failuresMax: z.int().min(1).max(100).default(defaultProbe.failuresMax).meta({
    description:
      'Failed probes in a row after which the engine is passed over while another target is alive.',
  }),
});

/** A provider's name. Records, metrics and costs tell it from the model by the first slash of `provider/model`. */
export const providerName = name.regex(/^[^/]*$/, {
  error: 'must have no /, which ends it in `provider/model`',
});

/** One provider. */
export const provider = z.strictObject({
  preset: z
    .string()
    .optional()
    .meta({ description: 'A known provider: `sidegate presets` lists them. Gives dialect and base URL.' }),
  dialect: z
    .enum(dialectNames)
    .optional()
    .meta({ description: 'Dialect it speaks; required without a preset.' }),
  baseUrl: z.string().optional().meta({
    description:
      'URL up to `/chat/completions` or `/messages`, with a query if necessary; required without a preset.',
  }),
  allowedAddresses: z
    .array(
      z.string().refine(isAddressOrBlock, { error: 'must be an address or a block such as 100.64.0.0/10' }),
    )
    .max(64)
    .optional()
    .meta({
      description:
        'Addresses it may have although they are link-local, shared (100.64.0.0/10) or of a metadata service.',
    }),
  apiVersion: z
    .string()
    .regex(/^[\w.-]{1,64}$/, { error: 'must be a version such as 2024-10-21' })
    .optional()
    .meta({ description: "Sent as `api-version` in the query; required for Azure's deployments." }),
  apiKey: secret.optional().meta({ description: 'Credential sent upstream: `${ENV}` or `file:/path`.' }),
  apiKeys: z.array(secret).min(1).max(64).optional().meta({
    description: 'More credentials: calls take turns, and one that is limited or refused cools down.',
  }),
  accessKeys: z
    .array(
      z.strictObject({
        id: secret.meta({ description: 'Access key id: `${ENV}` or `file:/path`.' }),
        secret: secret.meta({ description: 'Secret access key: the same.' }),
        sessionToken: secret.optional().meta({ description: 'Session token of temporary keys: the same.' }),
      }),
    )
    .min(1)
    .max(64)
    .optional()
    .meta({ description: 'AWS access keys that sign requests to Bedrock; calls take turns.' }),
  region: z
    .string()
    .regex(/^[a-z0-9-]{1,32}$/, { error: 'must be a region such as eu-central-1' })
    .optional()
    .meta({ description: 'AWS region of Bedrock; unset: the one in the base URL.' }),
  credential: z.enum(['gateway', 'client', 'google', 'azure', 'aws']).default('gateway').meta({
    description:
      "Which credential is sent: `apiKey`, the client's own, or the machine's at Google (for Vertex), Azure or AWS (for Bedrock).",
  }),
  headers: z
    .record(z.string(), z.string().meta({ fromFile: true }))
    .default({})
    .meta({
      description: 'Headers added to each upstream request; a value may be `${ENV}` or `file:/path`.',
    }),
  passHeaders: z
    .array(
      z
        .string()
        .toLowerCase()
        .regex(appHeader, { error: 'must be a header of the app, not one that Sidegate writes' }),
    )
    .max(64)
    .default([])
    .meta({
      description: "The app's own headers that are passed on to it; `headers` go before them.",
    }),
  limits: ownLimits.meta({ description: 'What the provider accepts in total; checked before a call.' }),
  engine: z.enum(engineNames).optional().meta({
    description:
      'Self-hosted engine behind it, watched by health probes; `generic`: any other. Unset: a hosted API.',
  }),
  probe: probe.optional(),
  proxy: secret.optional().meta({
    description:
      'HTTP proxy to reach it through, as `http://proxy.internal:3128`; `none`: none. Unset: as `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say.',
    fromFile: true,
  }),
  tls: z
    .strictObject({
      ca: secret.optional().meta({
        description:
          'Certificates in PEM that it is trusted by, such as `file:/etc/ca.pem`. Unset: the usual ones.',
        fromFile: true,
      }),
      cert: secret.optional().meta({
        description: 'Client certificate in PEM, with those that it was issued by; needs `key`.',
        fromFile: true,
      }),
      key: secret
        .optional()
        .meta({ description: 'Private key of the client certificate, in PEM.', fromFile: true }),
    })
    .optional(),
  price: z.enum(['free']).optional().meta({
    description:
      '`free`: its models cost nothing, as on an own engine; `catalog.models` goes before it. Unset: as the price tables say.',
  }),
  models: z
    .array(modelPattern)
    .min(1)
    .optional()
    .meta({ description: 'Models it serves; `check` rejects routes to others. Unset: any.' }),
  files: z.array(name).max(10_000).optional().meta({
    description:
      'Tenants whose files, and other objects of `passthrough`, it keeps; hidden from others. Unset: all.',
  }),
  passthrough: z
    .union([z.boolean(), z.enum(['unscrubbed'])])
    .default(false)
    .meta({
      description:
        'Pass on the rest of its API, such as batches and stored responses. `unscrubbed`: bodies too, where the policy would change or refuse personal data in them.',
    }),
  reasoningBack: z.array(z.enum(reasoningFields)).max(reasoningFields.length).optional().meta({
    description:
      "Members of the assistant's messages in which a server of the `openai` dialect takes back what it reasoned. Unset: as its preset or engine is known to; a plain server gets none.",
  }),
  simulate: simulateSchema.optional().meta({ description: 'Settings of the `simulator` presets.' }),
});

/** Settings of calls to providers, validated. */
export type AttemptSettings = z.output<typeof attempt>;

/** One provider, validated. */
export type ProviderConfig = z.output<typeof provider>;

/** The part of a configuration that upstreams depend on. */
export interface UpstreamConfig {
  readonly providers: Readonly<Record<string, ProviderConfig>>;
  readonly attempt: AttemptSettings;
  /** How long a batch request may wait before it is sent, in ms. */
  readonly batch: { readonly deadlineMs: number };
}
