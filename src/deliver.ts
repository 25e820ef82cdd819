/** The way out: counts, restores and keeps a reply, and closes the request when its last byte is known. */
import type { AttemptReply } from './attempt/attempt.ts';
import type { AnswerStream } from './attempt/follow.ts';
import type { Exchange, Reply, StoredReply, StreamReply } from './exchange.ts';
import type { ReplyFacts } from './native.ts';
import { countUsage } from './observe/usage.ts';
import type { Passage } from './passage.ts';
import { createListWriter, type ListWriter } from './providers/gemini/list.ts';
import { dialects } from './providers/index.ts';
import type { Dialect } from './providers/provider.ts';
import { translateError } from './providers/translate.ts';
import { requestIdHeaders } from './respond.ts';
import { createRestorer } from './scrub/restore.ts';
import { restoreBody, type Vault } from './scrub/scrub.ts';

const streamType = 'text/event-stream; charset=utf-8';
const keepAliveComment = ': keep-alive\n\n';
/** White space, which a list may hold anywhere between its elements. */
const keepAliveSpace = '\n';
const jsonType = 'application/json';

type WholeAnswer = Extract<AttemptReply, { kind: 'whole' }>;

/** Answers from the cache or for an idempotency key: no provider is asked, nothing is charged but the request. */
export function deliverStored(
  stored: StoredReply,
  from: 'hit' | 'replay',
  vault: Vault | null,
  passage: Passage,
): Reply {
  const { exchange } = passage;
  const replayed = from === 'replay';
  const list = stored.stream && isList(exchange) ? createListWriter() : null;
  const headers = replyHeaders(
    passage,
    list === null ? stored.contentType : jsonType,
    stored.target,
    replayed ? 'sidegate; detail=replay' : 'sidegate; hit',
  );
  if (replayed) headers.push('idempotent-replayed', 'true');
  addDropped(stored.dropped, headers);
  const keep = replayed ? null : stored;
  passage.close({
    status: stored.status,
    target: stored.target,
    cache: replayed ? 'bypass' : 'hit',
    replayed,
    keep,
  });
  if (list === null && (vault === null || !stored.stream)) {
    const body = vault === null ? stored.body : restoreBody(stored.body, vault);
    return { kind: 'whole', status: stored.status, headers, body };
  }
  const restorer = vault === null ? null : createRestorer(dialects[exchange.endpoint.dialect], vault);
  const events = restorer === null ? [stored.body] : [restorer.push(stored.body), restorer.finish()];
  const body = Buffer.concat(list === null ? events : [...events.map(list.push), list.finish()]);
  return { kind: 'whole', status: stored.status, headers, body };
}

/** Passes a provider's reply on. */
export function deliverAnswer(answer: AttemptReply, vault: Vault | null, passage: Passage): Reply {
  const { exchange, stages } = passage;
  const upstreamMs = stages.clock() - answer.begunMs;
  const across = answer.target.provider.dialect.name !== exchange.endpoint.dialect;
  const given = across ? undefined : answer.headers['content-type'];
  const type = answer.kind === 'stream' ? (isList(exchange) ? jsonType : streamType) : (given ?? jsonType);
  const headers = replyHeaders(passage, type, answer.target.label, cacheStatus(passage));
  const dropped = answer.dropped.length === 0 ? {} : { dropped: answer.dropped.join(', ') };
  addDropped(dropped.dropped, headers);
  headers.push(
    'x-sidegate-attempts',
    String(answer.trail.calls),
    'server-timing',
    serverTiming(passage, upstreamMs),
  );
  addProviderHeaders(answer, across, headers);
  if (answer.kind === 'stream') return deliverStream(answer, headers, dropped, vault, passage, upstreamMs);
  const { status, facts, target } = answer;
  const body = across && facts === null ? translatedError(answer, exchange) : answer.body;
  if (facts === null) {
    headers.push('x-should-retry', 'false');
    if (status === 429) addRetryAfter(answer, stages.clock(), headers);
    passage.close({ status, target: target.label, upstreamMs });
  } else {
    const usage = countUsage(requestOf(passage), facts, true, stages.estimator);
    const kept = { status, contentType: type, body, stream: false, target: target.label };
    const keep: StoredReply = { ...kept, ...dropped, usage };
    const cacheable = mayCache(facts, exchange.endpoint.name === 'embeddings');
    passage.close({ status, target: target.label, usage, upstreamMs, keep, cacheable });
  }
  return { kind: 'whole', status, headers, body: vault === null ? body : restoreBody(body, vault) };
}

/** A provider's refusal in the client's words. */
function translatedError({ target, status, body }: WholeAnswer, { endpoint, id }: Exchange): Buffer {
  const { chatProvider } = target.provider.dialect;
  const { chatClient } = dialects[endpoint.dialect];
  if (chatProvider === null || chatClient === null) return body;
  return translateError(status, body, chatProvider, chatClient, id);
}

function deliverStream(
  answer: AttemptReply & { kind: 'stream' },
  headers: readonly string[],
  dropped: Pick<StoredReply, 'dropped'>,
  vault: Vault | null,
  passage: Passage,
  upstreamMs: number,
): StreamReply {
  const dialect = dialects[passage.exchange.endpoint.dialect];
  // What is kept for later must not outgrow what the stores take.
  const { replay, cache } = passage.stages.config;
  const kept = collector(
    passage.claim !== null ? replay.bytesMax : passage.cacheKey !== null ? cache.entryMaxBytes : 0,
  );
  const list = isList(passage.exchange) ? createListWriter() : null;
  const chunks = streamOut(answer.stream, dialect, vault, kept, list, passage.exchange.id, () => {
    const { stream } = answer;
    const facts = stream.facts();
    const complete = stream.refusal === null && !stream.aborted;
    const usage = countUsage(requestOf(passage), facts, complete, passage.stages.estimator);
    const body = complete && !stream.restarted ? kept.body() : null;
    const target = stream.target.label;
    passage.close({
      status: answer.status,
      error: stream.refusal !== null && !stream.aborted ? stream.refusal.code : '',
      target,
      usage,
      upstreamMs,
      abandoned: stream.aborted,
      keep:
        body === null
          ? null
          : { status: answer.status, contentType: streamType, body, stream: true, target, ...dropped, usage },
      cacheable: mayCache(facts, false),
    });
  });
  const keepAlive = list === null ? keepAliveComment : keepAliveSpace;
  return { kind: 'stream', status: answer.status, headers, keepAlive, chunks };
}

async function* streamOut(
  stream: AnswerStream,
  dialect: Dialect,
  vault: Vault | null,
  kept: Collector,
  list: ListWriter | null,
  requestId: string,
  onEnd: () => void,
): AsyncGenerator<Buffer> {
  const restorer = vault === null ? null : createRestorer(dialect, vault);
  const form = (events: Buffer): Buffer => (list === null ? events : list.push(events));
  try {
    for (let chunk = await stream.next(); chunk !== null; chunk = await stream.next()) {
      kept.push(chunk);
      yield form(restorer === null ? chunk : restorer.push(chunk));
    }
    const rest = restorer?.finish();
    if (rest !== undefined && rest.length > 0) yield form(rest);
    if (stream.refusal !== null) yield form(dialect.errorEvent(stream.refusal, requestId));
    if (list !== null) yield list.finish();
  } finally {
    onEnd();
  }
}

/** Whether a stream goes out as one list. */
const isList = ({ endpoint }: Exchange): boolean => endpoint.inPath?.list === true;

interface Collector {
  push(chunk: Buffer): void;
  /** Null: it grew over the bound. */
  body(): Buffer | null;
}

function collector(maxBytes: number): Collector {
  let chunks: Buffer[] | null = maxBytes > 0 ? [] : null;
  let bytes = 0;
  return {
    push(chunk) {
      if (chunks === null) return;
      bytes += chunk.length;
      if (bytes > maxBytes) chunks = null;
      else chunks.push(chunk);
    },
    body: () => (chunks === null ? null : Buffer.concat(chunks)),
  };
}

/** Only complete, successful, plain answers: never tool calls, refusals or truncated text. */
function mayCache(facts: ReplyFacts, embeddings: boolean): boolean {
  if (facts.error || facts.tool || facts.refused) return false;
  return facts.finish === 'stop' || (embeddings && facts.finish === 'none');
}

function replyHeaders(passage: Passage, contentType: string, target: string, cache: string): string[] {
  const { endpoint, id } = passage.exchange;
  const headers = ['content-type', contentType, ...requestIdHeaders(endpoint.dialect, id)];
  headers.push('x-sidegate-target', headerText(target), 'cache-status', cache);
  if (passage.permit !== null) headers.push(...passage.permit.headers);
  return headers;
}

/** Names what a reply's request lost on its way. */
function addDropped(dropped: string | undefined, headers: string[]): void {
  if (dropped !== undefined) headers.push('x-sidegate-dropped', headerText(dropped));
}

/** A label as a header can carry it: models may be named in any script. */
const headerText = (label: string): string =>
  /^[\x20-\x7e]*$/.test(label) ? label : encodeURI(label.toWellFormed());

const cacheStatus = (passage: Passage): string =>
  passage.cacheUse === 'miss' ? 'sidegate; fwd=uri-miss' : 'sidegate; fwd=bypass';

/** Server-Timing: what the gateway took, and what the provider took until its reply began, in ms. */
function serverTiming(passage: Passage, upstreamMs: number): string {
  const totalMs = passage.stages.clock() - passage.exchange.startedMs;
  return `sidegate;dur=${Math.max(0, totalMs - upstreamMs).toFixed(3)}, upstream;dur=${upstreamMs.toFixed(3)}`;
}

/** Those of the provider's headers that say something to the client; its own request id takes the place of ours. */
function addProviderHeaders(
  { target, headers: given }: AttemptReply,
  across: boolean,
  headers: string[],
): void {
  for (const name in given) {
    const passes = across ? name.startsWith('retry-after') : target.provider.dialect.passesBack(name);
    if (!passes) continue;
    const value = given[name];
    if (typeof value !== 'string') continue;
    const ours = headers.indexOf(name);
    if (ours < 0) headers.push(name, value);
    else headers[ours + 1] = value;
  }
}

/** A provider may send one of the two, or none; clients get both. */
function addRetryAfter({ target, headers: given }: AttemptReply, nowMs: number, headers: string[]): void {
  const waitMs = Math.max(1, Math.ceil(target.health.restsUntilMs - nowMs));
  if (given['retry-after'] === undefined) headers.push('retry-after', String(Math.ceil(waitMs / 1000)));
  if (given['retry-after-ms'] === undefined) headers.push('retry-after-ms', String(waitMs));
}

function requestOf(passage: Passage): NonNullable<Passage['request']> {
  if (passage.request === null) throw new Error('a reply without a request');
  return passage.request;
}
