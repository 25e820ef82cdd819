/** Delivers replies: restores masked values, adds headers, stores the reply, and closes the request at its end. */
import type { AttemptReply, SessionAnswer } from '../attempt/answer.ts';
import { Refusal } from '../base/errors.ts';
import { dollarsText, thousandthsText } from '../base/numbers.ts';
import type { NearHit } from '../cache/alike.ts';
import type { Bill } from '../count/usage.ts';
import { dialects } from '../dialects/index.ts';
import { addRequestId } from '../dialects/refusal.ts';
import { translateError } from '../dialects/translate.ts';
import { generated } from '../exchange/chunks.ts';
import { isOfProvider } from '../exchange/endpoint.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Reply, StoredReply, WholeReply } from '../exchange/reply.ts';
import { givesBytes } from '../exchange/request.ts';
import { findingsText, noFindings } from '../native/pii.ts';
import type { KeptReply, Passage } from '../passage.ts';
import { restoreBody, type Vault } from '../scrub/scrub.ts';
import type { Seen } from '../store/flights.ts';
import { cooldownOf } from '../upstream/credential.ts';
import { outOf } from './kept-events.ts';
import { isUrlHeader, mustFilter, noteStored, objectHeaders, ownObjects, ownUrl, unread } from './objects.ts';
import { passBytes, passStream } from './pass.ts';
import { restoreReply } from './restore-reply.ts';
import { scrubReply } from './scrub-reply.ts';
import { deliverSession } from './session.ts';
import { createOutput, followRecording, isList, keepAliveOf, mayCache, streamType } from './stream.ts';

const jsonType = 'application/json';
const bytesType = 'application/octet-stream';
const noneDropped: { readonly dropped?: string } = {};

/** Why a request shares the reply of an earlier one: they have one idempotency key, or came at once. */
export type SharedBy = 'replay' | 'joined';

/** `Cache-Status` (RFC 9211). */
const sharedStatus: Readonly<Record<SharedBy, string>> = {
  replay: 'sidegate; detail=replay',
  joined: 'sidegate; fwd=uri-miss; collapsed',
};

type WholeAnswer = Extract<AttemptReply, { kind: 'whole' }>;

/**
 * Answers with a reply that is here: from the cache, for a repeated idempotency key, or that of an identical request
 * which came first. No provider is asked, and only the request is charged.
 * @param near it answers the same question in other words
 */
export function deliverStored(
  stored: StoredReply,
  from: 'hit' | SharedBy,
  vault: Vault | null,
  passage: Passage,
  near: NearHit | null = null,
): Reply {
  const { exchange } = passage;
  const replayed = from === 'replay';
  const list = stored.stream && isList(exchange);
  const headers = replyHeaders(
    passage,
    list ? jsonType : stored.contentType,
    stored.target,
    from === 'hit' ? hitStatus(near) : sharedStatus[from],
  );
  if (replayed) headers.push('idempotent-replayed', 'true');
  if (!stored.stream) headers.push('x-sidegate-cost-usd', freeText);
  addDropped(stored.dropped, headers);
  const keep = from === 'hit' ? stored : null;
  passage.hear(stored.body, stored.stream);
  passage.close({
    status: stored.status,
    target: stored.target,
    replayed,
    savedNanoUsd: stored.costNanoUsd,
    keep,
  });
  const bytes = stored.stream && givesBytes(exchange.endpoint, passage.request);
  if (!list && (vault === null || bytes || !stored.stream)) {
    const body = vault === null || bytes ? stored.body : restoreBody(stored.body, vault);
    return { kind: 'whole', status: stored.status, headers, body };
  }
  const onDefect = (cause: unknown): void => passage.reportDefect(cause);
  const out = outOf(stored.body, createOutput(exchange, dialects[exchange.endpoint.dialect], vault));
  return Buffer.isBuffer(out)
    ? { kind: 'whole', status: stored.status, headers, body: out }
    : { kind: 'stream', status: stored.status, headers, keepAlive: '', chunks: generated(out, onDefect) };
}

/** Answers with the running stream of the first request. */
export function deliverRunning(
  { recording, left }: Seen & { readonly kind: 'running' },
  from: SharedBy,
  vault: Vault | null,
  passage: Passage,
): Reply {
  const { exchange } = passage;
  const { status, contentType, target, dropped } = recording.head;
  const type = isList(exchange) ? jsonType : contentType;
  const headers = replyHeaders(passage, type, target, sharedStatus[from]);
  if (from === 'replay') headers.push('idempotent-replayed', 'true');
  addDropped(dropped, headers);
  const bytes = givesBytes(exchange.endpoint, passage.request);
  const chunks = followRecording(recording, from, bytes ? null : vault, passage, left, bytes);
  return { kind: 'stream', status, headers, keepAlive: bytes ? '' : keepAliveOf(exchange), chunks };
}

/** Delivers a provider's reply. Resolves with a refusal if there is no room for working on a large one. */
export function deliverAnswer(
  given: AttemptReply,
  vault: Vault | null,
  passage: Passage,
): Reply | Promise<Reply | Refusal> {
  const { exchange, stages } = passage;
  const { endpoint } = exchange;
  if (given.kind === 'session') return deliverSession(given, sessionHeaders(given, passage), passage);
  const across = given.target.provider.dialect.name !== endpoint.dialect && !isOfProvider(endpoint);
  // Other dialects may use other status codes for success.
  const answer = across && given.status > 200 && given.status < 300 ? { ...given, status: 200 } : given;
  const nowMs = stages.clock();
  const upstreamMs = nowMs - answer.begunMs;
  const givenType = across ? undefined : answer.headers['content-type'];
  const bytes = answer.kind === 'stream' && givesBytes(exchange.endpoint, passage.request);
  const streamed = isList(exchange) ? jsonType : streamType;
  const type = bytes
    ? (givenType ?? bytesType)
    : answer.kind === 'stream'
      ? streamed
      : (givenType ?? jsonType);
  const headers = replyHeaders(passage, type, answer.target.label, cacheStatus(passage));
  const dropped = answer.dropped.length === 0 ? noneDropped : { dropped: answer.dropped.join(', ') };
  addDropped(dropped.dropped, headers);
  headers.push(
    'x-sidegate-attempts',
    String(answer.trail.calls),
    'server-timing',
    serverTiming(passage, upstreamMs, nowMs),
  );
  const { passedOver } = answer.trail;
  if (passedOver !== '') headers.push('x-sidegate-passed-over', headerText(passedOver));
  addProviderHeaders(answer, across, passage, headers);
  if (answer.kind === 'stream' && mustFilter(answer.target.provider, passage)) {
    answer.stream.stop();
    return passage.refuse(unread);
  }
  if (answer.kind === 'stream') {
    const chunks = bytes
      ? passBytes(answer, type, passage, upstreamMs)
      : passStream(answer, dropped, vault, passage, upstreamMs);
    const keepAlive = bytes ? '' : keepAliveOf(exchange);
    return { kind: 'stream', status: answer.status, headers, keepAlive, chunks };
  }
  const { status, facts, target } = answer;
  /** @param restored the same body for the client, with its values */
  const finish = (body: Buffer, restored: Buffer, endMs: number): WholeReply => {
    if (facts === null) {
      if (status === 429) addRetryAfter(answer, nowMs, headers);
      else headers.push('x-should-retry', 'false');
      passage.close({ status, target: target.label, upstreamMs }, endMs);
    } else {
      passage.hear(body, false);
      const kept: KeptReply = { status, contentType: type, body, stream: false, target: target.label };
      const keep = dropped.dropped === undefined ? kept : { ...kept, ...dropped };
      const { kind } = exchange.endpoint;
      const cacheable = mayCache(facts, kind === 'chat');
      addCost(passage.close({ status, target: target.label, upstreamMs, keep, cacheable }, endMs), headers);
    }
    return { kind: 'whole', status, headers, body: restored };
  };
  const finishRestored = (body: Buffer, endMs: number): WholeReply | Promise<WholeReply | Refusal> => {
    const restored = restoreReply(body, vault, passage);
    if (!(restored instanceof Promise)) return finish(body, restored, endMs);
    return restored.then((each) => (each instanceof Refusal ? each : finish(body, each, stages.clock())));
  };
  if (facts !== null) noteStored(answer.body, answer, passage);
  const own = facts === null ? answer.body : ownObjects(answer, passage);
  if (own instanceof Refusal) return passage.refuse(own);
  const scrubbed = scrubReply(across && facts === null ? translatedError(answer, exchange) : own, passage);
  if (!(scrubbed instanceof Promise)) return finishRestored(scrubbed, nowMs);
  return scrubbed.then((body) => (body instanceof Refusal ? body : finishRestored(body, stages.clock())));
}

/** A provider's error in the client's dialect. */
function translatedError({ target, status, body }: WholeAnswer, { endpoint, id }: Exchange): Buffer {
  const { chatProvider } = target.provider.dialect;
  const { chatClient } = dialects[endpoint.dialect];
  if (chatProvider === null || chatClient === null) return body;
  return translateError(status, body, chatProvider, chatClient, id);
}

/** What is said as a session's WebSocket opens. */
function sessionHeaders(answer: SessionAnswer, passage: Passage): string[] {
  const { trail, target } = answer;
  const headers = replyHeaders(passage, null, target.label, cacheStatus(passage));
  headers.push('x-sidegate-attempts', String(trail.calls));
  addProviderHeaders(answer, false, passage, headers);
  return headers;
}

/** @param contentType null: there is no content */
function replyHeaders(passage: Passage, contentType: string | null, target: string, cache: string): string[] {
  const { endpoint, id } = passage.exchange;
  const headers = contentType === null ? [] : ['content-type', contentType];
  addRequestId(endpoint.dialect, id, headers);
  headers.push('x-sidegate-target', headerText(target), 'cache-status', cache);
  if (passage.plan?.tier) headers.push('x-sidegate-tier', passage.plan.tier);
  if (passage.permit !== null) for (const header of passage.permit.headers) headers.push(header);
  const { observed } = passage;
  if (observed !== '') headers.push('x-sidegate-observed', observed);
  const findings = passage.request?.findings ?? noFindings;
  if (findings !== noFindings) headers.push('x-sidegate-scrubbed', findingsText(findings));
  return headers;
}

/** Names the fields that were dropped from the request, since the target has no equivalent. */
function addDropped(dropped: string | undefined, headers: string[]): void {
  if (dropped !== undefined) headers.push('x-sidegate-dropped', headerText(dropped));
}

/** A label in a form that a header can carry: model names may be in any script. */
const headerText = (label: string): string =>
  /^[\x20-\x7e]*$/.test(label) ? label : encodeURI(label.toWellFormed());

/** `Cache-Status` of a hit: its level, and how alike the questions are. */
const hitStatus = (near: NearHit | null): string =>
  near === null
    ? 'sidegate; hit'
    : `sidegate; hit; detail=${near.level}; similarity=${near.similarity.toFixed(3)}`;

function cacheStatus({ cacheUse, judging }: Passage): string {
  if (cacheUse !== 'miss') return 'sidegate; fwd=bypass';
  if (judging === null) return 'sidegate; fwd=uri-miss';
  return `sidegate; fwd=uri-miss; detail=${judging.why}; similarity=${judging.similarity.toFixed(3)}`;
}

/** `Server-Timing`: time in the gateway, in the queue, and until the provider's reply began, in ms. */
function serverTiming(passage: Passage, upstreamMs: number, nowMs: number): string {
  const totalMs = nowMs - passage.exchange.startedMs;
  const { queuedMs } = passage;
  const ownMs = thousandthsText(Math.max(0, totalMs - upstreamMs - queuedMs));
  const queue = queuedMs > 0 ? `queue;dur=${thousandthsText(queuedMs)}, ` : '';
  return `sidegate;dur=${ownMs}, ${queue}upstream;dur=${thousandthsText(upstreamMs)}`;
}

/** Passes on the provider's headers that matter to the client. The provider's request id replaces ours. */
function addProviderHeaders(
  { target, headers: given }: AttemptReply,
  across: boolean,
  passage: Passage,
  headers: string[],
): void {
  const { dialect } = target.provider;
  const isOfObjects = isOfProvider(passage.exchange.endpoint);
  const passes = (name: string): boolean =>
    dialect.passesBack(name) || (isOfObjects && objectHeaders.has(name));
  for (const name in given) {
    if (!(across ? name.startsWith('retry-after') : passes(name))) continue;
    const sent = given[name];
    const value = isUrlHeader(name) ? ownUrl(name, String(sent), target.provider, passage) : sent;
    if (typeof value !== 'string') continue;
    if (name === dialect.requestIdHeader) headers[headers.indexOf(name) + 1] = value;
    else headers.push(name, value);
  }
}

/** Adds `retry-after` and `retry-after-ms` if the provider didn't send them; clients get both, and whether to obey. */
function addRetryAfter(
  { target, trail, headers: given }: AttemptReply,
  nowMs: number,
  headers: string[],
): void {
  const waitMs = Math.max(1, Math.ceil(cooldownOf(target, nowMs).waitMs));
  if (!trail.mayRepeat(waitMs)) headers.push('x-should-retry', 'false');
  if (given['retry-after'] === undefined) headers.push('retry-after', String(Math.ceil(waitMs / 1000)));
  if (given['retry-after-ms'] === undefined) headers.push('retry-after-ms', String(waitMs));
}

const freeText = dollarsText(0);

/** Adds a reply's cost if it is certain: the provider reported its usage, and the price is known. */
function addCost({ usage, costNanoUsd, priced }: Bill, headers: string[]): void {
  if (priced && usage.known) headers.push('x-sidegate-cost-usd', dollarsText(costNanoUsd));
}
