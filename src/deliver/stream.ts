/**
 * Delivers streams: restores masked values and collects the stream while it passes, and closes the request at
 * its end.
 */
import type { AnswerStream, AttemptReply } from '../attempt/answer.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { Dialect } from '../dialects/dialect.ts';
import { createListWriter } from '../dialects/gemini/list.ts';
import { dialects } from '../dialects/index.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { StoredReply } from '../exchange/reply.ts';
import type { ReplyFacts } from '../native/reply.ts';
import type { Passage } from '../passage.ts';
import { createReplyScrubber, createRestorer } from '../scrub/restore.ts';
import type { Vault } from '../scrub/scrub.ts';
import type { Recording, RecordingMemory } from '../store/recording.ts';
import { noteStored, noteStreamed } from './objects.ts';
import { Pace } from './pace.ts';

/** Content type of event streams. */
export const streamType = 'text/event-stream; charset=utf-8';
const keepAliveComment = ': keep-alive\n\n';
/** White space, allowed between the elements of a JSON list. */
const keepAliveSpace = '\n';

/** Whether a stream is sent as one JSON list. */
export const isList = ({ endpoint }: Exchange): boolean => endpoint.inPath?.list === true;

/** What is sent to keep a silent stream alive. */
export const keepAliveOf = (exchange: Exchange): string =>
  isList(exchange) ? keepAliveSpace : keepAliveComment;

/** Collects a stream to be stored. */
interface Collector {
  push(chunk: Buffer): void;
  /** The whole stream; null: it was too large, or there was no room for it. */
  body(): Buffer | null;
  /** It is stored, or never will be; undefined: somebody else says so. */
  free?(): void;
}

const collectsNothing: Collector = { push: () => {}, body: () => null };

/** Delivers a provider's event stream. Never throws. Closes the request at its end, even if it is ended early. */
export async function* passStream(
  answer: AttemptReply & { readonly kind: 'stream' },
  dropped: Pick<StoredReply, 'dropped'>,
  vault: Vault | null,
  passage: Passage,
  upstreamMs: number,
): AsyncGenerator<Buffer> {
  const { stream, status } = answer;
  const { exchange } = passage;
  const dialect = dialects[exchange.endpoint.dialect];
  const kept = collect(answer, dropped, passage);
  const heard = passage.stages.observer.content?.begin() ?? null;
  const out = createOutput(exchange, dialect, vault);
  const scope = passage.policy?.reply ?? null;
  const scrubber = scope === null ? null : createReplyScrubber(dialect, scope);
  // What is kept is scrubbed already.
  const pass = (events: Buffer): Buffer => {
    kept.push(events);
    heard?.push(events);
    return out.push(events);
  };
  let stopped = false;
  let begun = false;
  try {
    for (let chunk = await stream.next(); chunk !== null; chunk = await stream.next()) {
      if (!begun) noteStored(chunk, answer, passage);
      begun = true;
      yield pass(scrubber === null ? chunk : scrubber.push(chunk));
      if (!mustStop(stream, passage)) continue;
      stopped = true;
      stream.stop();
      if (scrubber !== null) yield pass(scrubber.finish());
      const end = lengthEnd(stream, chunk, dialect, passage);
      kept.push(end);
      heard?.push(end);
      return yield out.finish(end);
    }
    if (scrubber !== null) yield pass(scrubber.finish());
    const rest = out.finish(stream.refusal === null ? null : dialect.errorEvent(stream.refusal, exchange.id));
    if (rest.length > 0) yield rest;
  } finally {
    stream.close();
    if (heard !== null) passage.reply = heard.finish();
    if (scrubber !== null) passage.replyFindings = scrubber.findings();
    const complete = stream.refusal === null && !stream.aborted;
    const body = complete && !stream.restarted ? kept.body() : null;
    kept.free?.();
    const target = stream.target.label;
    passage.close({
      status,
      error: stream.refusal !== null && !stream.aborted ? stream.refusal.code : '',
      target,
      upstreamMs,
      abandoned: stream.aborted,
      stopped,
      complete,
      keep:
        body === null ? null : { status, contentType: streamType, body, stream: true, target, ...dropped },
      cacheable: !stopped && mayCache(stream.facts(), true),
    });
  }
}

/**
 * Delivers a stream of bytes rather than events. No error event can be added, so the client only learns from the closed
 * connection that the stream broke off. Never throws, and closes the request at its end.
 * @param cut set if the stream breaks off
 */
export async function* passBytes(
  answer: AttemptReply & { readonly kind: 'stream' },
  contentType: string,
  passage: Passage,
  upstreamMs: number,
  cut: Cut,
): AsyncGenerator<Buffer> {
  const { stream, status } = answer;
  const target = stream.target.label;
  const kept = passage.claim?.stream({ status, contentType, target }) ?? collectsNothing;
  const noteIds = noteStreamed(answer, passage);
  try {
    for (let chunk = await stream.next(); chunk !== null; chunk = await stream.next()) {
      noteIds?.(chunk);
      kept.push(chunk);
      yield chunk;
    }
    cut.yes = stream.refusal !== null;
  } finally {
    stream.close();
    const complete = stream.refusal === null && !stream.aborted;
    const body = complete ? kept.body() : null;
    passage.close({
      status,
      error: stream.refusal !== null && !stream.aborted ? stream.refusal.code : '',
      target,
      upstreamMs,
      abandoned: stream.aborted,
      complete,
      keep: body === null ? null : { status, contentType, body, stream: true, target },
    });
  }
}

/** Whether a stream of bytes broke off before its end. */
export interface Cut {
  yes: boolean;
}

/** Last step of a stream: values restored, events in the client's form. */
export interface Output {
  /** Whole events. */
  push(events: Buffer): Buffer;
  /** Text held back so far, then the last events of the stream. */
  finish(last: Buffer | null): Buffer;
}

/** Creates the last step of one stream. */
export function createOutput(exchange: Exchange, dialect: Dialect, vault: Vault | null): Output {
  const restorer = vault === null ? null : createRestorer(dialect, vault);
  const list = isList(exchange) ? createListWriter() : null;
  const form = (events: Buffer): Buffer => (list === null ? events : list.push(events));
  return {
    push: (events) => form(restorer === null ? events : restorer.push(events)),
    finish(last) {
      const pieces: Buffer[] = [];
      if (restorer !== null) pieces.push(form(restorer.finish()));
      if (last !== null) pieces.push(form(last));
      if (list !== null) pieces.push(list.finish());
      return Buffer.concat(pieces);
    },
  };
}

/** Collects a stream for those that share it, or for the cache, as far as these have room. */
function collect(
  { status, target }: AttemptReply,
  dropped: Pick<StoredReply, 'dropped'>,
  passage: Passage,
): Collector {
  const head = { status, contentType: streamType, target: target.label, ...dropped };
  if (passage.claim !== null) return passage.claim.stream(head);
  return passage.cacheKey === null ? collectsNothing : collector(passage.stages.cache.arriving);
}

function collector(memory: RecordingMemory): Collector {
  let chunks: Buffer[] | null = [];
  let bytes = 0;
  const free = (): void => {
    memory.give(bytes);
    bytes = 0;
    chunks = null;
  };
  return {
    push(chunk) {
      if (chunks === null) return;
      if (!memory.take(chunk.length, bytes)) return free();
      bytes += chunk.length;
      chunks.push(chunk);
    },
    body: () => (chunks === null ? null : Buffer.concat(chunks)),
    free,
  };
}

/** Whether a budget is used up before the reply has ended. */
function mustStop(stream: AnswerStream, { permit, request, stages }: Passage): boolean {
  if (permit === null || request === null) return false;
  const tokens = stages.estimator.tokens(request.model, stream.textBytes);
  return permit.stream(tokens) === 'stop' && stream.facts().finish === 'none';
}

/** The events that end a reply at its token limit, in the client's dialect. */
function lengthEnd(
  stream: AnswerStream,
  last: Buffer,
  dialect: Dialect,
  { request, stages }: Passage,
): Buffer {
  if (request === null) throw new Error('a reply without a request');
  const { estimator } = stages;
  const facts = stream.facts();
  const known = {
    inputTokens: facts.inputTokens || estimator.tokens(request.model, request.textBytes),
    outputTokens: Math.max(facts.outputTokens, estimator.tokens(request.model, stream.textBytes)),
  };
  const own = stream.lengthEnd(known);
  if (own !== null) return own;
  const { choices, wantsUsage } = request;
  const stopped = { last, openBlock: stream.openBlock, choices, wantsUsage, ...known };
  return dialect.lengthEnd?.(stopped) ?? Buffer.alloc(0);
}

/**
 * Delivers the running stream of the first request, with the values of this request restored.
 * @param from whether they have one idempotency key, or came at once
 * @param left called at the end
 * @param cut for a stream of bytes, null for events; set if the stream breaks off
 */
export async function* followRecording(
  recording: Recording,
  from: 'replay' | 'joined',
  vault: Vault | null,
  passage: Passage,
  left: () => void,
  cut: Cut | null = null,
): AsyncGenerator<Buffer> {
  const { exchange } = passage;
  const dialect = dialects[exchange.endpoint.dialect];
  const out = createOutput(exchange, dialect, vault);
  const { status, target } = recording.head;
  const following = recording.follow(exchange.cancellation);
  const pace = new Pace();
  let error: ErrorCode | '' = '';
  let savedNanoUsd = 0;
  try {
    let step = await following.next();
    for (; step.done !== true; step = await following.next()) {
      yield out.push(step.value);
      await pace.after(step.value.length);
    }
    const { refusal } = step.value;
    savedNanoUsd = step.value.costNanoUsd;
    if (refusal !== null) error = refusal.code;
    if (cut !== null) cut.yes = refusal !== null;
    const last = refusal === null || cut !== null ? null : dialect.errorEvent(refusal, exchange.id);
    const rest = out.finish(last);
    if (rest.length > 0) yield rest;
  } finally {
    left();
    const abandoned = exchange.cancellation.reason === 'client_gone';
    passage.close({ status, target, error, replayed: from === 'replay', savedNanoUsd, abandoned });
  }
}

/**
 * Whether a reply may be cached: only complete, successful answers, never tool calls, refusals or truncated text.
 * @param isText the reply is text, which ends with a finish reason; vectors and scores have none
 */
export function mayCache(facts: ReplyFacts, isText: boolean): boolean {
  if (facts.error || facts.tool || facts.refused) return false;
  // An empty answer answers nothing.
  if (isText) return facts.finish === 'stop' && facts.textBytes > 0;
  return facts.finish === 'stop' || facts.finish === 'none';
}
