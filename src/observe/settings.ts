/** Settings of stage observe: the log and the records. */

import { z } from 'zod';
import { bytes, ms, secret } from '../base/settings.ts';
import { sinks } from './sinks/settings.ts';

const ledger = z
  .strictObject({
    path: z.string().min(1).optional().meta({
      description: 'SQLite file with a row for each request, for `sidegate costs`; unset: none is kept.',
      restart: true,
    }),
    keepDays: z.int().min(1).max(3650).default(90).meta({ description: 'Older rows are deleted.' }),
    maxBytes: bytes(1024 ** 4)
      .default(1024 ** 3)
      .meta({ description: 'Beyond this size, the oldest rows are deleted.' }),
    waitingMax: z
      .int()
      .min(1000)
      .max(1_000_000)
      .default(20_000)
      .meta({ description: 'Most rows that wait in memory for a file that cannot be written.' }),
  })
  .prefault({});

const otlp = z
  .strictObject({
    endpoint: z
      .url({ protocol: /^https?$/ })
      .optional()
      .meta({
        description:
          'URL of an OTLP/HTTP receiver, such as http://collector:4318; unset: nothing is exported.',
        restart: true,
      }),
    protocol: z
      .enum(['http/protobuf', 'http/json'])
      .default('http/protobuf')
      .meta({ description: 'Encoding of what is exported.', restart: true }),
    headers: z.record(z.string(), secret).default({}).meta({
      description: 'Headers of exports, such as a credential.',
      restart: true,
    }),
    signals: z
      .array(z.enum(['traces', 'metrics']))
      .min(1)
      .default(['traces', 'metrics'])
      .meta({ description: 'What is exported.', restart: true }),
    serviceName: z.string().min(1).max(255).default('sidegate').meta({
      description: '`service.name` of what is exported.',
      restart: true,
    }),
    ratio: z.number().min(0).max(1).default(1).meta({
      description: 'Share of traces that are recorded, where the request brings no trace of its own.',
      restart: true,
    }),
    tracesPerSecond: z.int().min(1).max(10_000).default(100).meta({
      description:
        'Most requests recorded as traces in one second, and as many more that failed; the rest are in the metrics only.',
      restart: true,
    }),
    contentMaxBytes: z.int().min(0).max(65_536).default(0).meta({
      description:
        'Most bytes of prompts, and as many of replies and of system instructions, exported with a trace, without personal data; 0: none.',
      restart: true,
    }),
    metricsEveryMs: ms(1000, 3_600_000).default(60_000).meta({
      description: 'How often metrics are exported.',
      restart: true,
    }),
  })
  .prefault({});

/** Schema of stage observe's settings. */
export const observe = z
  .strictObject({
    log: z.enum(['silent', 'error', 'warn', 'info', 'debug']).default('info').meta({
      description:
        'Log level. A request is one line: `info`, `warn` if it was refused, `error` if it failed.',
    }),
    logShare: z.number().min(0).max(1).default(1).meta({
      description:
        'Share of the lines of requests that went well; those that were refused or failed are all written.',
    }),
    recent: z.int().min(0).max(10_000).default(0).meta({
      description:
        'How many of the last requests are kept in memory for the dashboard; 0: none, which keeps the process small.',
    }),
    spendMetrics: z.boolean().default(false).meta({
      description:
        'Metrics of dollars and tokens by tenant, team, key and target, at most 2000 series of each.',
    }),
    ledger,
    otlp,
    sinks,
    logTime: z
      .enum(['epoch', 'iso'])
      .default('epoch')
      .meta({ description: 'Times in the log: ms since 1970, or RFC 3339.', restart: true }),
    digestKey: secret.optional().meta({
      description:
        'Key of the request digests in the log; unset: random at each start, so digests of two runs differ.',
    }),
  })
  .prefault({});

/** Stage observe's settings, checked. */
export type ObserveSettings = z.output<typeof observe>;

/** Settings of OpenTelemetry's export, with a receiver. */
export type OtlpSettings = ObserveSettings['otlp'] & { readonly endpoint: string };
