/** The runbook's parts that follow tables: a heading for each alert, line of the log and error code. */
import { catalogue, type ErrorCode } from '../src/base/errors.ts';
import { type LogLine, logLines } from '../src/base/log-lines.ts';
import { alerts } from './alerts.ts';

/** What to do about each alert. */
const onAlert: Readonly<Record<string, string>> = {
  SidegateRequestsFail:
    "The dashboard's requests, filtered by *failed*, name the error code; it has a heading below. If a provider fails, its targets' calls say how.",
  SidegateBreakerOpen:
    "A target failed so often that it isn't called for a while, and no probe has succeeded since; one is the next request after each cooldown (half-open). Its calls in the dashboard name the outcome and the provider's own error. Requests go to the route's other targets; if there are none, add one.",
  SidegateProviderSlow:
    'Put a faster target first, use strategy `latency`, or [hedge](resilience.md). The panel *Time to first token by target* says since when.',
  SidegateKeyRests:
    "The provider refused a key (401, 403) or limits it (429). The log's line about it has the provider and the key's position in `apiKeys`, from 0. Replace a refused key; for a limited one, ask for more or add keys.",
  SidegateCertificate:
    "No request is sent to that target. The request's page in the dashboard has the reason, such as `CERT_HAS_EXPIRED`. The provider has to renew it; if it is your own engine, you have to. An unknown issuer is named by `tls.ca` of the provider, or for all providers by `NODE_EXTRA_CA_CERTS`.",
  SidegateRecogniserDown:
    'The log has the reason. Look after the service at `scrub.recogniser.url`. Callers get 503 `recogniser_down` for text that was not checked before, or, with `onFailure: pass`, names leave the pod.',
  SidegateBudgetEndsSoon:
    '`sidegate limits` shows when its window ends. Raise the budget, or tell the team that requests will be refused.',
  SidegateBudgetEnds:
    'A budget is nearly used up for at least one caller; the view Limits of the dashboard names whom. Raise it, or tell the team.',
  SidegateLedgerLags:
    "Rows of the ledger can't be written; the log has the reason, such as a full disk. Requests go on, and rows wait in memory, at most `observe.ledger.waitingMax`. Make room; it catches up by itself.",
  SidegateSinkLags:
    "The log has the reason. Records stay in the ledger, and are sent once the sink can be reached; those that the ledger's retention deletes before are dropped and counted.",
  SidegateConfigRefused:
    'The log has each fault of the new configuration with its place. The old one stays in use. `sidegate check FILE` says the same before a rollout.',
  SidegateCatalogFile:
    'The log has the first fault and its place; `sidegate check` lists them all. Until it is corrected, the entries that the file had before apply, or, after a start, only those of `catalog.models` and the built-in tables. A model that they have no price for is refused by budgets, unless `unpriced: allow`.',
  SidegateRetryBudgetUsedUp:
    'More retries would make it worse. Look at the targets first; `attempt.retryBudget` bounds the share of retries.',
  SidegateEventLoopLags:
    "The process gets too little CPU time, so each request is late. Raise the pod's limit, or run more pods.",
};

/** What to do about each line of the log. */
const onLine: Readonly<Record<LogLine, string>> = {
  listening:
    'It serves. `data` and `admin` are the ports, `simulated` the providers whose answers are invented.',
  draining: 'It was asked to end: it accepts nothing new, and lets requests finish for `listen.drainMs`.',
  stopped: 'All is written and closed. If this line is missing, the process was killed.',
  configWarning:
    'The configuration is valid, but a part of it has no effect or may surprise. `path` names it.',
  configRefused: 'Correct the fault at `path`. `sidegate check` finds them all before a reload does.',
  configReloaded: 'The new configuration is in use.',
  catalogDown:
    'Correct `catalog.file`: `reason` has its first fault, and `sidegate check` lists them all. It is read again when it changes. Meanwhile requests go on with the entries that it had before, or, after a start, with those of `catalog.models` and the built-in tables.',
  catalogUp: 'Nothing to do.',
  needsRestart: 'Restart the process to apply the setting at `path`; all others are in use.',
  breakerOpened:
    'The target or provider failed too often, and gets no requests until a probe succeeds. See its calls in the dashboard.',
  breakerClosed: 'It answers again.',
  keyRefused:
    "Replace the key: `apiKey` is its position in the provider's `apiKeys`, from 0, and `status` what the provider said.",
  keySpent:
    "Top the account up, or raise its quota: `apiKey` is the key's position in `apiKeys`, and `status` what the provider said.",
  usageImplausible:
    "`target` stated a usage of many context windows, or a cost over 10,000 dollars. Budgets and costs go by what was counted. Tell the provider, or set the model's `contextTokens` if it is larger than known.",
  unreachable:
    '`failure` and `code` say why, and `advice` what may help. The line comes at most once a minute for each provider.',
  noPlatformCredential:
    '`advice` says what may help. Requests to that provider fail once its last credential has expired.',
  engineDown:
    'Its requests go to other targets. Look at the engine itself: it fails the probe of its health path.',
  engineUp: 'It gets requests again.',
  issuerDown:
    'Callers with tokens of known keys are served. Check that `issuer` can be reached from here before its keys change.',
  issuerUp: 'Nothing to do.',
  peersDown:
    "Pods don't hear of each other's breakers and cooldowns. Check Redis; requests are served meanwhile.",
  peersUp: 'Nothing to do.',
  leasesDown: 'Each pod enforces its share of shared limits until Redis answers again. Check Redis.',
  leasesUp: 'Nothing to do.',
  leasesOwn: 'Nothing to do.',
  leasesForeign: 'Something else writes to the same Redis. Give Sidegate a prefix or a database of its own.',
  embedderDown:
    '`why` is the last failure. It is asked again after a second, then after longer times, a minute at most. Look at its provider; `sidegate_cache_embeddings_total` counts what came of each question.',
  embedderUp: 'Similar questions are answered from the cache again.',
  cacheTrusted:
    'Questions of `tenant` to `route` are answered in other words too. `sidegate cache report` shows what was judged.',
  cacheDistrusted:
    'Too many of the latest judged answers were wrong; it judges on and may answer again. If its answers change over time, set `cache.routes` to `off` for it.',
  snapshotRestored: 'Nothing to do.',
  snapshotRefused:
    '`reason` says why, such as damage or a format of another version. The file is removed; answers are cached anew.',
  snapshotUnsaved:
    'Check that the folder of `cache.snapshot` can be written to and has room, and that the process is not killed while it ends.',
  memoryShort:
    "The process is near `memory.maxMb`, or the container's limit. Raise it, or lower `cache.bytesMax` and `listen.inFlightMax`.",
  memoryFull:
    'Callers get 503 until memory is free again; requests in flight go on. Raise the limit, or add pods.',
  memoryEased: 'Nothing to do.',
  verifierReady: 'Nothing to do.',
  verifierMissing:
    'Questions of which the small model is unsure go to the provider. `why` names the file: install Sidegate anew, or set `cache.semantic.verifier` to `false`.',
  limitSoft:
    'The share `softShare` of a limit or budget is used. Tell the caller named by `scope`, or raise the limit.',
  limitObserved: 'With `mode: enforce`, this request would have been refused.',
  limitUnpriced:
    'Give the model a price in `catalog.models`; until then it is refused or not counted, by `unpriced`.',
  limitOverflow:
    'More callers than meters: new ones share one. Count the limit by something with fewer values, such as the team.',
  clockBehind:
    'Set the clock of the machine: `now` is what it says, and `saved` is when the latest saved window began. No budget is reset, and none is blocked for longer than one of its windows.',
  budgetsUnsaved:
    'Spending since the last save would be forgotten by a restart. Check the disk of `store.path`.',
  budgetsSaved: 'Nothing to do.',
  recogniserDown:
    '`why` says what the last of its failures was. Look after the service at `scrub.recogniser.url`; if it is only slow, raise `timeoutMs` or give it more workers. It is asked again every now and then.',
  recogniserUp: 'Nothing to do.',
  ledgerDown:
    '`reason` says why: make room on its disk, end whoever locks the file, or delete what was left beside one that was moved. Rows wait in memory, at most `observe.ledger.waitingMax`.',
  ledgerUp: 'Nothing is lost unless `sidegate_ledger_rows_total` counts dropped rows.',
  sinkDown: '`reason` says why. Nothing to do here: records are sent once it can be reached.',
  sinkUp: 'It catches up; `sidegate_sink_lag_seconds` says how far it is.',
  defect: 'A bug of Sidegate. Report it with the line, which has no text of requests.',
};

/** What an operator can do about error codes for which the advice to the caller isn't all. */
const onError: Readonly<Partial<Record<ErrorCode, string>>> = {
  not_capable: '`sidegate explain` shows what each target of the route lacks.',
  wrong_key: 'Many of them from one place may be an attack, or an app with an old key after a rotation.',
  key_expired: '`sidegate keys list` shows when keys expire.',
  token_unknown_key: "If it happens to all callers, the issuer's keys can't be fetched: see the log.",
  model_unpriced: 'Add the model to `catalog.models`.',
  model_not_found: '`GET /v1/models` lists what the routes serve.',
  rate_limited:
    'The reply and the dashboard name the limit. `sidegate limits` shows who uses how much of it, and when more becomes free.',
  request_too_costly:
    'The limit is smaller than this one request: raise it, or lower `max_tokens` in the app.',
  recogniser_down:
    'The message says why; `sidegate_recogniser_checks_total` how often. One that is late needs more workers or time.',
  text_unchecked:
    'A model reads as much text in half a second as its machine allows: measure it before you allow more.',
  internal: 'The line `defect` of the log with the same `requestId` has the stack.',
  upstream_failed:
    "The request's page in the dashboard has each call with the provider's own error and request id.",
  upstream_credential: 'The log names the provider and the position of the key it refused.',
  upstream_timeout: "The request's page shows where the time went; the timeout is named in the error.",
  stream_cut:
    "The provider, or something between, closed the connection. Its request id is on the request's page.",
  targets_down: 'All targets of the route fail or cool down. The view Targets shows which, and why.',
  draining: 'Clients that retry reach another process. Long drains mean long streams: see `listen.drainMs`.',
  overloaded: 'Raise `listen.inFlightMax`, or run more pods.',
  memory_full:
    "The log says when the memory was full. Raise `memory.maxMb` or the container's limit, lower `cache.bytesMax`, or run more pods.",
  callers_unknown: "The log says what can't be reached.",
  batch_queue_full:
    'The providers are slower than the batch requests come. `sidegate_batch_waiting` shows since when.',
};

const section = (heading: string, text: string): string => `### ${heading}\n\n${wrapped(text)}`;

/** A heading for each alert. */
export const alertParts = (): string =>
  alerts
    .map(({ name, severity, summary }) =>
      section(name, `${plain(summary)} Severity: ${severity}. ${onAlert[name] ?? ''}`),
    )
    .join('\n\n');

/** A heading for each line of the log. */
export const lineParts = (): string =>
  Object.entries(logLines)
    .map(([name, { level, text }]) =>
      section(`Line: ${text}`, `Level \`${level}\`. ${onLine[name as LogLine]}`),
    )
    .join('\n\n');

/** A heading for each error code. */
export const errorParts = (): string =>
  Object.entries(catalogue)
    .map(([code, { status, source, hint }]) =>
      section(
        `Error: ${code}`,
        `Status ${status}; ${actors[source]} has to act. ${hint} ${onError[code as ErrorCode] ?? ''}`.trimEnd(),
      ),
    )
    .join('\n\n');

/** Prose of at most `widthMax` columns. */
function wrapped(text: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > widthMax) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join('\n');
}

const widthMax = 108;
const actors = { client: 'the caller', gateway: 'whoever runs Sidegate', upstream: 'the provider' } as const;

/** A summary without Prometheus' templates. */
const plain = (summary: string): string =>
  summary.replace(/\{\{ \$labels\.(\w+) \}\}/g, (_, label: string) => `*${label}*`);
