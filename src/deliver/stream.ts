/** Streams on their way out: counted, restored and gathered as they pass, and settled when their last byte is known. */
import type { AnswerStream, AttemptReply } from '../attempt/answer.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { Dialect } from '../dialects/dialect.ts';
import { createListWriter } from '../dialects/gemini/list.ts';
import { dialects } from '../dialects/index.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { StoredReply } from '../exchange/reply.ts';
import type { ReplyFacts } from '../native/reply.ts';
import type { Passage } from '../passage.ts';
import type { Recording } from '../replay/recording.ts';
import { createRestorer } from '../scrub/restore.ts';
import type { Vault } from '../scrub/scrub.ts';

export const streamType = 'text/event-stream; charset=utf-8';
const keepAliveComment = ': keep-alive\n\n';
/** White space, which a list may hold anywhere between its elements. */
const keepAliveSpace = '\n';

/** Whether a stream goes out as one list. */
export const isList = ({ endpoint }: Exchange): boolean => endpoint.inPath?.list === true;

/** What a stream's silence is filled with. */
export const keepAliveOf = (exchange: Exchange): string =>
  isList(exchange) ? keepAliveSpace : keepAliveComment;

/** Where a stream is gathered to be kept. */
interface Collector {
  push(chunk: Buffer): void;
  /** Null: it grew over the bound. */
  body(): Buffer | null;
}

/** Passes a provider's stream on. Ends by itself, never throws; ended early, it settles what came. */
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
  const kept = gather(answer, dropped, passage);
  const out = createOut(exchange, dialect, vault);
  let stopped = false;
  try {
    for (let chunk = await stream.next(); chunk !== null; chunk = await stream.next()) {
      kept.push(chunk);
      yield out.push(chunk);
      if (!mustStop(stream, passage)) continue;
      stopped = true;
      stream.stop();
      const end = lengthEnd(stream, chunk, dialect, passage);
      kept.push(end);
      return yield out.finish(end);
    }
    const rest = out.finish(stream.refusal === null ? null : dialect.errorEvent(stream.refusal, exchange.id));
    if (rest.length > 0) yield rest;
  } finally {
    stream.close();
    const complete = stream.refusal === null && !stream.aborted;
    const body = complete && !stream.restarted ? kept.body() : null;
    const target = stream.target.label;
    passage.close({
      status,
      error: stream.refusal !== null && !stream.aborted ? stream.refusal.code : '',
      target,
      upstreamMs,
      abandoned: stream.aborted,
      stopped,
      keep:
        body === null ? null : { status, contentType: streamType, body, stream: true, target, ...dropped },
      cacheable: !stopped && mayCache(stream.facts(), true),
    });
  }
}

/**
 * Passes bytes on that are no events: nothing can be put between them, so that one that breaks off is told by the
 * connection alone. Ends by itself, never throws.
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
  const kept = passage.claim?.stream({ status, contentType, target }) ?? collector(0);
  try {
    for (let chunk = await stream.next(); chunk !== null; chunk = await stream.next()) {
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
      keep: body === null ? null : { status, contentType, body, stream: true, target },
    });
  }
}

/** Whether bytes broke off before their end. */
export interface Cut {
  yes: boolean;
}

/** Whole events on their last way: restored, and in the form that the client asked for. */
interface Out {
  push(events: Buffer): Buffer;
  /** What was held back, then the stream's own last words. */
  finish(last: Buffer | null): Buffer;
}

function createOut(exchange: Exchange, dialect: Dialect, vault: Vault | null): Out {
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

/** What is kept for later must not outgrow what the stores take. */
function gather(
  { status, target }: AttemptReply,
  dropped: Pick<StoredReply, 'dropped'>,
  passage: Passage,
): Collector {
  const head = { status, contentType: streamType, target: target.label, ...dropped };
  if (passage.claim !== null) return passage.claim.stream(head);
  return collector(passage.cacheKey === null ? 0 : passage.stages.config.cache.entryMaxBytes);
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

/** A budget has ended, and the reply hasn't. */
function mustStop(stream: AnswerStream, { permit, request, stages }: Passage): boolean {
  if (permit === null || request === null) return false;
  const tokens = stages.estimator.tokens(request.model, stream.textBytes);
  return permit.stream(tokens) === 'stop' && stream.facts().finish === 'none';
}

/** The end that the dialect knows for a reply that reached its limit of tokens. */
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

/** Follows the first request's stream, with values of one's own restored. @param cut given for bytes that are no events */
export async function* followRecording(
  recording: Recording,
  vault: Vault | null,
  passage: Passage,
  left: () => void,
  cut: Cut | null = null,
): AsyncGenerator<Buffer> {
  const { exchange } = passage;
  const dialect = dialects[exchange.endpoint.dialect];
  const out = createOut(exchange, dialect, vault);
  const { status, target } = recording.head;
  const following = recording.follow(exchange.cancellation);
  let error: ErrorCode | '' = '';
  let savedNanoUsd = 0;
  try {
    let step = await following.next();
    for (; step.done !== true; step = await following.next()) yield out.push(step.value);
    const { refusal } = step.value;
    savedNanoUsd = step.value.costNanoUsd;
    if (refusal !== null) error = refusal.code;
    if (cut !== null) cut.yes = refusal !== null;
    const said = refusal === null || cut !== null ? null : dialect.errorEvent(refusal, exchange.id);
    const rest = out.finish(said);
    if (rest.length > 0) yield rest;
  } finally {
    left();
    const abandoned = exchange.cancellation.reason === 'client_gone';
    passage.close({ status, target, error, replayed: true, savedNanoUsd, abandoned });
  }
}

/** Only complete, successful, plain answers: never tool calls, refusals or truncated text. @param said a text, which ends for a reason; vectors and scores don't */
export function mayCache(facts: ReplyFacts, said: boolean): boolean {
  if (facts.error || facts.tool || facts.refused) return false;
  return facts.finish === 'stop' || (!said && facts.finish === 'none');
}
