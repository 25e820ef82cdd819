/**
 * The log line of a record, in pino's format. Put together as bytes by hand, since there is one per request.
 */
import { pino } from 'pino';
import { createLineBytes, type LineBytes } from '../base/line-bytes.ts';
import type { Log, LogStream } from '../base/log.ts';
import { wholeText } from '../base/numbers.ts';
import { findingsText, noFindings } from '../native/pii.ts';
import type { CacheUse, ExchangeRecord } from './record.ts';
import { terminalLine } from './terminal.ts';

/** Text that needs no escapes in JSON. */
const plain = /^[ !#-[\]-~]*$/;
const quoted = (text: string): string => (plain.test(text) ? `"${text}"` : JSON.stringify(text));

type Who = Pick<ExchangeRecord, 'tenant' | 'team' | 'user' | 'keyId' | 'tags'>;

let lastWho: Who = { tenant: '', team: '', user: '', keyId: '', tags: '' };
let lastWhoText = '"tenant":"","team":"","user":"","keyId":"","tags":"",';

/** The caller. A process serves few callers, and each piece of a line costs time: the last caller's text is reused. */
function whoText(who: Who): string {
  const { tenant, team, user, keyId, tags } = who;
  const same = tenant === lastWho.tenant && team === lastWho.team && user === lastWho.user;
  if (same && keyId === lastWho.keyId && tags === lastWho.tags) return lastWhoText;
  lastWho = { tenant, team, user, keyId, tags };
  lastWhoText =
    `"tenant":${quoted(tenant)},"team":${quoted(team)},"user":${quoted(user)},"keyId":${quoted(keyId)},` +
    `"tags":${quoted(tags)},`;
  return lastWhoText;
}

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
    `,"endpoint":"${r.endpoint}",${whoText(r)}"model":${quoted(r.model)},"route":${quoted(r.route)},` +
    `"tier":"${r.tier}","target":${quoted(r.target)},"reportedModel":"${r.reportedModel}",` +
    `"status":${r.status},"error":"${r.error}",` +
    `"observed":"${r.observed}","stream":${r.stream},"cache":"${r.cache}","cacheLevel":"${r.cacheLevel}",` +
    `"replayed":${r.replayed},` +
    `"attempts":${r.attempts},"tried":${quoted(r.tried)},"inputTokens":`;
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

/** A text that each line has, and its bytes. */
const piece = (text: string): Buffer => Buffer.from(text);

const unused = piece(
  '0,"outputTokens":0,"reasoningTokens":0,"cachedInputTokens":0,"cacheWriteTokens":0,"searchUnits":0,' +
    '"usageKnown":true,"costNanoUsd":0,"costUsd":0,"priced":true,"routingSavedNanoUsd":0,"savedNanoUsd":',
);
const output = piece(',"outputTokens":');
const plainUse = piece(
  ',"reasoningTokens":0,"cachedInputTokens":0,"cacheWriteTokens":0,"searchUnits":0,"usageKnown":true,"costNanoUsd":',
);
const costUsd = piece(',"costUsd":');
const plainCost = piece(',"priced":true,"routingSavedNanoUsd":0,"savedNanoUsd":');

/** Usage and cost; zero if no provider was asked. */
function putUsage(to: LineBytes, r: ExchangeRecord): void {
  const plainly = r.searchUnits === 0 && r.usageKnown;
  const paid = r.priced && r.routingSavedNanoUsd === 0;
  if (r.inputTokens === 0 && r.outputTokens === 0 && r.costNanoUsd === 0 && plainly && paid)
    return to.piece(unused);
  to.whole(r.inputTokens);
  to.piece(output);
  to.whole(r.outputTokens);
  if (plainly && r.reasoningTokens === 0 && r.cachedInputTokens === 0 && r.cacheWriteTokens === 0)
    to.piece(plainUse);
  else
    to.ascii(
      `,"reasoningTokens":${r.reasoningTokens},"cachedInputTokens":${r.cachedInputTokens},` +
        `"cacheWriteTokens":${r.cacheWriteTokens},"searchUnits":${r.searchUnits},"usageKnown":${r.usageKnown},` +
        '"costNanoUsd":',
    );
  to.whole(r.costNanoUsd);
  to.piece(costUsd);
  to.dollars(r.costNanoUsd);
  if (paid) return to.piece(plainCost);
  to.ascii(`,"priced":${r.priced},"routingSavedNanoUsd":${wholeText(r.routingSavedNanoUsd)},"savedNanoUsd":`);
}

const usual = piece(',"abandoned":false,"stopped":false,"scrubbed":"","scrubbedReply":"","digest":"');

/** Fields that are rarely anything but false or empty; null: they aren't. */
const rareText = ({ abandoned, stopped, findings, replyFindings }: ExchangeRecord): string | null =>
  abandoned || stopped || findings !== noFindings || replyFindings !== noFindings
    ? `,"abandoned":${abandoned},"stopped":${stopped},"scrubbed":"${findingsText(findings)}",` +
      `"scrubbedReply":"${findingsText(replyFindings)}","digest":"`
    : null;

const beforeDuration = {
  interactive: piece('","priority":"interactive","durationMs":'),
  batch: piece('","priority":"batch","durationMs":'),
};

const nowhere = piece(',"queuedMs":0,"upstreamMs":0,"ttftMs":0,"interTokenMs":0');
const queued = piece(',"queuedMs":');
const unqueued = piece(',"queuedMs":0,"upstreamMs":');
const upstream = piece(',"upstreamMs":');
const ttft = piece(',"ttftMs":');
const interToken = piece(',"interTokenMs":');
const noInterToken = piece(',"interTokenMs":0');

/** Time spent outside the gateway; zero for stored answers. */
function putElsewhere(to: LineBytes, { queuedMs, upstreamMs, ttftMs, interTokenMs }: ExchangeRecord): void {
  if (queuedMs === 0 && upstreamMs === 0) return to.piece(nowhere);
  if (queuedMs === 0) to.piece(unqueued);
  else {
    to.piece(queued);
    to.thousandths(queuedMs);
    to.piece(upstream);
  }
  to.thousandths(upstreamMs);
  to.piece(ttft);
  to.thousandths(ttftMs);
  if (interTokenMs === 0) return to.piece(noInterToken);
  to.piece(interToken);
  to.thousandths(interTokenMs);
}

const noIds = piece(',"traceId":"","clientRequestId":"","providerRequestId":""}\n');
const trace = piece(',"traceId":"');
const ofClient = piece('","clientRequestId":"');
const ofProvider = piece('","providerRequestId":"');
const end = piece('"}\n');

/** The ids that the client and the last provider gave; all are plain. */
function putGivenIds(to: LineBytes, { traceId, clientRequestId }: ExchangeRecord, providerId: string): void {
  if (traceId === '' && clientRequestId === '' && providerId === '') return to.piece(noIds);
  to.piece(trace);
  to.ascii(traceId);
  to.piece(ofClient);
  to.ascii(clientRequestId);
  to.piece(ofProvider);
  to.ascii(providerId);
  to.piece(end);
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
export const levelOf = ({ status, error }: ExchangeRecord): 50 | 40 | 30 =>
  status >= 500 || error === 'stream_cut' ? 50 : status >= 400 || error !== '' ? 40 : 30;

const levelNames = { 50: 'error', 40: 'warn', 30: 'info' } as const;

const begins = { 50: piece('{"level":50'), 40: piece('{"level":40'), 30: piece('{"level":30') };
const quote = piece('"');

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
  to.whole(r.savedNanoUsd);
  if (rare === null) to.piece(usual);
  else to.text(rare);
  to.ascii(r.digest);
  to.piece(beforeDuration[r.priority]);
  to.thousandths(r.durationMs);
  putElsewhere(to, r);
  putGivenIds(to, r, providerId);
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
