/**
 * The log line of a record, in pino's format, without the fields that have their usual value: a line of all of them is
 * more than twice as long, and most of a line's cost is its bytes. Put together as bytes by hand, since there is one per
 * request.
 */
import { pino } from 'pino';
import { createLineBytes, type LineBytes } from '../base/line-bytes.ts';
import type { Log, LogStream } from '../base/log.ts';
import { wholeText } from '../base/numbers.ts';
import { findingsText, noFindings } from '../native/pii.ts';
import { type CacheUse, type ExchangeRecord, isFailure } from './record.ts';
import { terminalLine } from './terminal.ts';

/** Text that needs no escapes in JSON. */
const plain = /^[ !#-[\]-~]*$/;
const quoted = (text: string): string => (plain.test(text) ? `"${text}"` : JSON.stringify(text));

/** A text member of a line; nothing if it is empty. */
const member = (name: string, text: string): string => (text === '' ? '' : `,"${name}":${quoted(text)}`);
/** A number; nothing if it is zero. */
const numberMember = (name: string, value: number): string =>
  value === 0 ? '' : `,"${name}":${wholeText(value)}`;
/** A member that is there only where `value` isn't the usual one. */
const unusual = (name: string, value: boolean, usual: boolean): string =>
  value === usual ? '' : `,"${name}":${value}`;

/** The last record with one value of `cache`, and its text of the fields that many requests share. */
interface Last {
  readonly record: ExchangeRecord;
  readonly text: string;
  /** The text, once another record had the same. */
  bytes: Buffer | null;
}

const last: Record<CacheUse, Last | null> = { hit: null, miss: null, bypass: null };

/** The caller, the request and its outcome: usually the same as for the last request, whose text is reused. */
function courseOf(r: ExchangeRecord): string | Buffer {
  const known = last[r.cache];
  if (known !== null && isAlike(known.record, r)) {
    known.bytes ??= Buffer.from(known.text);
    return known.bytes;
  }
  const text =
    `,"endpoint":"${r.endpoint}"` +
    member('tenant', r.tenant) +
    member('team', r.team) +
    member('user', r.user) +
    member('keyId', r.keyId) +
    member('tags', r.tags) +
    member('model', r.model) +
    member('route', r.route) +
    member('tier', r.tier) +
    member('target', r.target) +
    member('reportedModel', r.reportedModel) +
    `,"status":${r.status}` +
    member('error', r.error) +
    member('observed', r.observed) +
    unusual('stream', r.stream, false) +
    `,"cache":"${r.cache}"` +
    member('cacheLevel', r.cacheLevel) +
    unusual('replayed', r.replayed, false) +
    numberMember('attempts', r.attempts) +
    member('tried', r.tried);
  last[r.cache] = { record: r, text, bytes: null };
  return text;
}

/** Whether two records share all the fields of `courseOf`. */
const isAlike = (a: ExchangeRecord, b: ExchangeRecord): boolean =>
  a.endpoint === b.endpoint &&
  a.tenant === b.tenant &&
  a.team === b.team &&
  a.user === b.user &&
  a.keyId === b.keyId &&
  a.tags === b.tags &&
  a.model === b.model &&
  a.route === b.route &&
  a.tier === b.tier &&
  a.target === b.target &&
  a.reportedModel === b.reportedModel &&
  a.cacheLevel === b.cacheLevel &&
  a.status === b.status &&
  a.error === b.error &&
  a.observed === b.observed &&
  a.stream === b.stream &&
  a.replayed === b.replayed &&
  a.attempts === b.attempts &&
  a.tried === b.tried;

/** A text that lines have, and its bytes. */
const piece = (text: string): Buffer => Buffer.from(text);

const input = piece(',"inputTokens":');
const output = piece(',"outputTokens":');
const costNano = piece(',"costNanoUsd":');
const costUsd = piece(',"costUsd":');

/** Parts of the usage that most requests don't have. */
const rareUsage = (r: ExchangeRecord): string =>
  numberMember('reasoningTokens', r.reasoningTokens) +
  numberMember('cachedInputTokens', r.cachedInputTokens) +
  numberMember('cacheWriteTokens', r.cacheWriteTokens) +
  numberMember('searchUnits', r.searchUnits) +
  unusual('usageKnown', r.usageKnown, true);

/** Usage and cost. */
function putUsage(to: LineBytes, r: ExchangeRecord): void {
  if (r.inputTokens !== 0) {
    to.piece(input);
    to.whole(r.inputTokens);
  }
  if (r.outputTokens !== 0) {
    to.piece(output);
    to.whole(r.outputTokens);
  }
  const extra = r.reasoningTokens !== 0 || r.cachedInputTokens !== 0 || r.cacheWriteTokens !== 0;
  if (extra || r.searchUnits !== 0 || !r.usageKnown) to.ascii(rareUsage(r));
  if (r.costNanoUsd !== 0) {
    to.piece(costNano);
    to.whole(r.costNanoUsd);
    to.piece(costUsd);
    to.dollars(r.costNanoUsd);
  }
  if (!r.priced || r.routingSavedNanoUsd !== 0 || r.savedNanoUsd !== 0)
    to.ascii(
      unusual('priced', r.priced, true) +
        numberMember('routingSavedNanoUsd', r.routingSavedNanoUsd) +
        numberMember('savedNanoUsd', r.savedNanoUsd),
    );
}

/** Fields that are rarely anything but false or empty; null: they aren't. */
const rareText = ({
  abandoned,
  stopped,
  findings,
  replyFindings,
  priority,
}: ExchangeRecord): string | null =>
  abandoned ||
  stopped ||
  findings !== noFindings ||
  replyFindings !== noFindings ||
  priority !== 'interactive'
    ? unusual('abandoned', abandoned, false) +
      unusual('stopped', stopped, false) +
      member('scrubbed', findingsText(findings)) +
      member('scrubbedReply', findingsText(replyFindings)) +
      (priority === 'interactive' ? '' : member('priority', priority))
    : null;

const digest = piece(',"digest":"');
const duration = piece(',"durationMs":');
const queued = piece(',"queuedMs":');
const upstream = piece(',"upstreamMs":');
const ttft = piece(',"ttftMs":');
const interToken = piece(',"interTokenMs":');

/** A time; nothing if it is zero. */
function putTime(to: LineBytes, name: Buffer, ms: number): void {
  if (ms === 0) return;
  to.piece(name);
  to.thousandths(ms);
}

const trace = piece(',"traceId":"');
const ofClient = piece(',"clientRequestId":"');
const ofProvider = piece(',"providerRequestId":"');

/** An id or a digest; all are plain. */
function putId(to: LineBytes, name: Buffer, id: string): void {
  if (id === '') return;
  to.piece(name);
  to.ascii(id);
  to.piece(quote);
}

let lastWallMs = Number.NaN;
let lastWallBytes = piece('');
let lastIso = false;

/** The time of day, reused within one ms: a busy process has several requests in it. */
function wallBytes(wallMs: number, iso: boolean): Buffer {
  if (wallMs === lastWallMs && iso === lastIso) return lastWallBytes;
  lastIso = iso;
  lastWallMs = wallMs;
  lastWallBytes = piece(
    `,"time":${iso ? `"${new Date(wallMs).toISOString()}"` : wholeText(wallMs)},"requestId":"`,
  );
  return lastWallBytes;
}

/** How lines are written. */
export interface LineForm {
  /** Times as RFC 3339 instead of ms since 1970. */
  readonly iso: boolean;
  /** For people at a terminal instead of programs. */
  readonly terminal: boolean;
  /** Share of the lines of requests that went well. A reload may change it. */
  share: number;
}

/** Level of a record: the gateway or a provider failed, the request was refused, or all is well. */
export const levelOf = (record: ExchangeRecord): 50 | 40 | 30 =>
  isFailure(record) ? 50 : record.status >= 400 || record.error !== '' ? 40 : 30;

const levelNames = { 50: 'error', 40: 'warn', 30: 'info' } as const;

const begins = { 50: piece('{"level":50'), 40: piece('{"level":40'), 30: piece('{"level":30') };
const quote = piece('"');
const end = piece('}\n');

/** Most bytes of what all lines have, numbers included. */
const commonMaxBytes = 1024;
/** A UTF-16 code unit takes at most three bytes in UTF-8. */
const unitMaxBytes = 3;

/** Puts the JSON line of a record. */
function putRecord(to: LineBytes, r: ExchangeRecord, wallMs: number, iso: boolean): void {
  const course = courseOf(r);
  const rare = rareText(r);
  const providerId = r.steps.at(-1)?.providerRequestId ?? '';
  const ids = r.requestId.length + r.traceId.length + r.clientRequestId.length + providerId.length;
  const texts = course.length + (rare?.length ?? 0);
  to.reserve(commonMaxBytes + ids + r.digest.length + texts * unitMaxBytes);
  to.piece(begins[levelOf(r)]);
  to.piece(wallBytes(wallMs, iso));
  to.ascii(r.requestId);
  to.piece(quote);
  if (typeof course === 'string') to.text(course);
  else to.piece(course);
  putUsage(to, r);
  if (rare !== null) to.text(rare);
  putId(to, digest, r.digest);
  to.piece(duration);
  to.thousandths(r.durationMs);
  putTime(to, queued, r.queuedMs);
  putTime(to, upstream, r.upstreamMs);
  putTime(to, ttft, r.ttftMs);
  putTime(to, interToken, r.interTokenMs);
  putId(to, trace, r.traceId);
  putId(to, ofClient, r.clientRequestId);
  putId(to, ofProvider, providerId);
  to.piece(end);
}

/** A record that makes it fail leaves no half of a line before the next. */
function putWhole(to: LineBytes, r: ExchangeRecord, wallMs: number, iso: boolean): void {
  try {
    putRecord(to, r, wallMs, iso);
  } catch (cause) {
    to.undo();
    throw cause;
  }
}

let told = '';
const alone = createLineBytes(4096, (lines) => {
  told = lines.toString();
});

/** The JSON line of a record, as text. @param wallMs whole ms since 1970 @param iso its time as RFC 3339 */
export function recordLine(r: ExchangeRecord, wallMs: number, iso = false): string {
  putWhole(alone, r, wallMs, iso);
  alone.flush();
  return told;
}

/** The documented property of a pino logger that holds its stream. */
interface WithStream {
  readonly [pino.symbols.streamSym]: LogStream;
}

/** Writes records to the stream of the log. */
export function createLineWriter(log: Log, form: LineForm): (record: ExchangeRecord, wallMs: number) => void {
  const { [pino.symbols.streamSym]: stream } = log as Log & WithStream;
  // Spread evenly: a share of 0.1 is each tenth.
  let credit = 0;
  const isLeftOut = (record: ExchangeRecord): boolean => {
    if (form.share === 1 || levelOf(record) !== 30) return false;
    credit += form.share;
    if (credit < 1) return true;
    credit -= 1;
    return false;
  };
  return (record, wallMs) => {
    if (!log.isLevelEnabled(levelNames[levelOf(record)]) || isLeftOut(record)) return;
    if (form.terminal) stream.write(terminalLine(record, wallMs));
    else if (stream.lines === undefined) stream.write(recordLine(record, wallMs, form.iso));
    else putWhole(stream.lines, record, wallMs, form.iso);
  };
}
