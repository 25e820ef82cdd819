/** The simulator's settings: every key with its range and default, as users write them in the configuration. */
import { z } from 'zod';
import { engineNames } from '../catalog/engines.ts';
import { faultNames } from './faults.ts';
import { ranges, retryHints } from './ranges.ts';

const whole = (key: keyof typeof ranges) => z.int().min(ranges[key][0]).max(ranges[key][1]);
const fraction = (key: keyof typeof ranges) => z.number().min(ranges[key][0]).max(ranges[key][1]);

const engine = z
  .strictObject({
    kind: z.enum(engineNames).default('vllm').meta({ description: 'Engine whose paths and metrics it has.' }),
    slots: z.int().min(1).max(100_000).default(16).meta({
      description: 'Requests it reports as running; more are reported as waiting. None is really held back.',
    }),
    running: z
      .int()
      .min(0)
      .max(1_000_000)
      .default(0)
      .meta({ description: 'Reported as running in addition to real ones.' }),
    waiting: z
      .int()
      .min(0)
      .max(1_000_000)
      .default(0)
      .meta({ description: 'Reported as waiting in addition to real ones.' }),
    cacheUse: z
      .number()
      .min(0)
      .max(1)
      .default(0)
      .meta({ description: 'Share of its cache reported as used when idle.' }),
    healthy: z.boolean().default(true).meta({ description: 'What its health check reports.' }),
  })
  .prefault({});

/** All settings of a simulator; unknown keys are refused. */
export const simulateSchema = z.strictObject({
  seed: whole('seed').default(1).meta({ description: 'Same seed and same request: same answer.' }),
  ttftMs: whole('ttftMs').default(0).meta({ description: 'Time to the first token.' }),
  tokensPerSecond: fraction('tokensPerSecond')
    .default(0)
    .meta({ description: 'Speed after the first token; 0: everything at once.' }),
  jitter: fraction('jitter')
    .default(0)
    .meta({ description: 'Share by which each wait varies, up and down.' }),
  delayMs: whole('delayMs')
    .optional()
    .meta({ description: 'Time to an answer that is not streamed; unset: as long as its stream takes.' }),
  replyTokens: z
    .union([
      whole('replyTokens'),
      z
        .strictObject({ min: whole('replyTokens'), max: whole('replyTokens') })
        .refine((range) => range.min <= range.max, { error: 'min must not be above max' }),
    ])
    .default(64)
    .meta({ description: 'Length of the text, or a range `{min, max}` to choose from.' }),
  contextTokens: whole('contextTokens')
    .default(0)
    .meta({ description: 'Context window; a longer prompt is refused as too long. 0: no limit.' }),
  models: z
    .array(z.string().min(1).max(256))
    .max(1000)
    .default([])
    .meta({ description: 'Models it serves; others are not found. Empty: any name.' }),
  engine,
  fault: z.enum(faultNames).optional().meta({ description: 'Fault that requests meet.' }),
  failureRate: fraction('failureRate')
    .default(1)
    .meta({ description: 'Share of requests that meet `fault`.' }),
  afterTokens: whole('afterTokens')
    .default(3)
    .meta({ description: 'Content events that still arrive before a fault in the middle of a stream.' }),
  retryAfterMs: whole('retryAfterMs').optional().meta({
    description: 'Wait announced by `rate_limited` (1000 if unset) and `overloaded` (none if unset).',
  }),
  retryHint: z.enum(retryHints).default('all').meta({
    description:
      'Which headers announce it: `Retry-After`, `retry-after-ms`, the reset headers, all, or none.',
  }),
  holdMs: whole('holdMs').optional().meta({
    description:
      'Silence of faults that wait; unset: 1 s for `slow_headers`, otherwise until the client leaves.',
  }),
});

/** Checked settings with defaults filled in; `simulateSchema.parse({})` gives all defaults. */
export type SimulateSettings = z.output<typeof simulateSchema>;
