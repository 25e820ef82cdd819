/** Every line that the log has besides those of requests. The runbook has a heading for each. */
import type { Log } from './log.ts';

/** Lines by name. Details are in fields, so that each text is always the same and can be searched for. */
export const logLines = {
  listening: { level: 'info', text: 'listening' },
  draining: { level: 'info', text: 'draining' },
  stopped: { level: 'info', text: 'stopped' },
  configWarning: { level: 'warn', text: 'configuration' },
  configRefused: { level: 'error', text: 'configuration refused; the old one stays in use' },
  configReloaded: { level: 'info', text: 'configuration reloaded' },
  catalogDown: {
    level: 'error',
    text: 'the catalog file cannot be used; its earlier prices, or the built-in ones, apply',
  },
  catalogUp: { level: 'info', text: 'nothing is wrong with the catalog file any more' },
  needsRestart: { level: 'warn', text: 'this change needs a restart' },
  breakerOpened: { level: 'warn', text: 'circuit breaker opened' },
  breakerClosed: { level: 'info', text: 'circuit breaker closed' },
  keyRefused: {
    level: 'error',
    text: 'the provider refused this apiKey; it is not used for a minute',
  },
  keySpent: {
    level: 'warn',
    text: "this apiKey's credit or quota is used up; it is not used for that model for a while",
  },
  usageImplausible: {
    level: 'warn',
    text: 'the provider states more than a request can use; its tokens were counted here instead',
  },
  unreachable: {
    level: 'error',
    text: 'the provider cannot be reached as it is configured; other targets are asked',
  },
  noPlatformCredential: {
    level: 'error',
    text: "the platform's credential cannot be fetched; trying again in 15 s",
  },
  engineDown: { level: 'warn', text: 'the engine fails its probes' },
  engineUp: { level: 'info', text: 'the engine passes its probes again' },
  issuerDown: { level: 'warn', text: "the issuer's keys cannot be fetched; known keys stay in use" },
  issuerUp: { level: 'info', text: "the issuer's keys can be fetched again" },
  peersDown: { level: 'warn', text: 'peers cannot be reached over Redis; requests are served as before' },
  peersUp: { level: 'info', text: 'peers can be reached over Redis' },
  leasesDown: {
    level: 'warn',
    text: 'shared limits cannot be leased from Redis; this pod goes on at its share of each',
  },
  leasesUp: { level: 'info', text: 'shared limits are leased' },
  leasesForeign: {
    level: 'error',
    text: 'keys of shared limits in Redis hold something else; this pod goes on at its share of them',
  },
  leasesOwn: { level: 'info', text: 'the keys of all shared limits can be used again' },
  limitSoft: { level: 'warn', text: 'a soft limit was crossed' },
  limitObserved: { level: 'warn', text: 'a limit in observe mode would have refused' },
  limitUnpriced: {
    level: 'warn',
    text: 'a limit in dollars applies to a model without a known price',
  },
  limitOverflow: { level: 'warn', text: 'too many scopes: new ones share one meter' },
  clockBehind: {
    level: 'error',
    text: 'the clock is behind the budgets in the store; they continue, and begin anew after one window',
  },
  budgetsUnsaved: {
    level: 'error',
    text: 'budgets could not be saved to the store; trying again',
  },
  budgetsSaved: { level: 'info', text: 'budgets are saved to the store again' },
  verifierReady: { level: 'info', text: "the semantic cache's verifier is ready" },
  verifierMissing: {
    level: 'error',
    text: "the semantic cache's verifier cannot be read; the cache answers without it",
  },
  embedderDown: {
    level: 'warn',
    text: "the semantic cache's embedder fails; similar questions go to their providers meanwhile",
  },
  embedderUp: { level: 'info', text: "the semantic cache's embedder answers again" },
  cacheTrusted: {
    level: 'info',
    text: 'judged answers prove the semantic cache right here; it answers from now on',
  },
  cacheDistrusted: {
    level: 'warn',
    text: 'judged answers prove the semantic cache wrong here; it no longer answers',
  },
  snapshotRestored: { level: 'info', text: 'the cache begins with what an earlier process kept' },
  snapshotRefused: {
    level: 'warn',
    text: "the cache's snapshot cannot be used; the cache begins without it",
  },
  snapshotUnsaved: { level: 'warn', text: 'the cache could not be kept; the next process begins without it' },
  memoryShort: { level: 'warn', text: 'memory runs short; the cache makes room' },
  memoryFull: { level: 'error', text: 'memory is full; new requests are refused' },
  memoryEased: { level: 'info', text: 'there is memory again; new requests are accepted' },
  recogniserDown: {
    level: 'error',
    text: 'the recogniser of names fails; requests are refused, or pass as onFailure says',
  },
  recogniserUp: { level: 'info', text: 'the recogniser of names answers again' },
  ledgerDown: { level: 'error', text: 'the ledger cannot be written; its rows wait in memory' },
  ledgerUp: { level: 'info', text: 'the ledger can be written again' },
  sinkDown: { level: 'error', text: 'a sink of records cannot be reached; records wait' },
  sinkUp: { level: 'info', text: 'a sink of records can be reached again' },
  defect: { level: 'error', text: 'defect' },
} as const;

/** A line's name. */
export type LogLine = keyof typeof logLines;

/** Writes a line. @param fields details, never text of a request */
export function say(log: Log, line: LogLine, fields: object = {}): void {
  const { level, text } = logLines[line];
  log[level](fields, text);
}
