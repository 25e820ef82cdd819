/** Reads the log's lines of requests. */
import type { BesideTheLine, ExchangeRecord } from '../../src/observe/record.ts';

/** A record as its line in the log has it, with what the line leaves out. */
export type LoggedRecord = Omit<ExchangeRecord, BesideTheLine> & {
  readonly scrubbed: string;
  readonly scrubbedReply: string;
  readonly providerRequestId: string;
  readonly costUsd: number;
};

/** Fields that a line leaves out where they have this value. */
export const usualFields = {
  tenant: '',
  team: '',
  user: '',
  keyId: '',
  tags: '',
  model: '',
  route: '',
  tier: '',
  target: '',
  reportedModel: '',
  error: '',
  observed: '',
  stream: false,
  cacheLevel: '',
  replayed: false,
  attempts: 0,
  tried: '',
  inputTokens: 0,
  outputTokens: 0,
  reasoningTokens: 0,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  searchUnits: 0,
  usageKnown: true,
  costNanoUsd: 0,
  costUsd: 0,
  priced: true,
  routingSavedNanoUsd: 0,
  savedNanoUsd: 0,
  abandoned: false,
  stopped: false,
  scrubbed: '',
  scrubbedReply: '',
  priority: 'interactive',
  digest: '',
  queuedMs: 0,
  upstreamMs: 0,
  ttftMs: 0,
  interTokenMs: 0,
  traceId: '',
  clientRequestId: '',
  providerRequestId: '',
} as const;

/** Fields that each line has. */
export const steadyFields = [
  'level',
  'time',
  'requestId',
  'endpoint',
  'status',
  'cache',
  'durationMs',
] as const;

/** The records in a log, whose other lines may be anything. */
export const recordsIn = (log: string): LoggedRecord[] =>
  log
    .split('\n')
    .filter((line) => line.includes('"requestId"'))
    .map((line) => JSON.parse(line))
    .filter(({ endpoint }) => endpoint !== undefined)
    .map((fields) => ({ ...usualFields, ...fields }));
