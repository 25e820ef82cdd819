/** Streams on their way out: counted, restored and gathered as they pass, and settled when their last byte is known. */
import type { AttemptReply } from './attempt/answer.ts';
import type { AnswerStream } from './attempt/follow.ts';
import type { ErrorCode } from './errors.ts';
import type { ReplyFacts } from './native.ts';
import type { Passage } from './passage.ts';
import { dialects } from './providers/index.ts';
import type { Recording } from './replay/recording.ts';
import { createRestorer } from './scrub/restore.ts';
import type { Vault } from './scrub/scrub.ts';

export const streamType = 'text/event-stream; charset=utf-8';

/** Where a stream is gathered to be kept. */
interface Collector {
  push(chunk: Buffer): void;
  /** Null: it grew over the bound. */
  body(): Buffer | null;
}

/** Passes a provider's stream on. Ends by itself, never throws; ended early, it settles what came. */
export async function* passStream(
  answer: AttemptReply & { readonly kind: 'stream' },
  vault: Vault | null,
  passage: Passage,
  upstreamMs: number,
): AsyncGenerator<Buffer> {
  const { stream, status } = answer;
  const { dialect } = answer.target.provider;
  const kept = gather(answer, passage);
  const restorer = vault === null ? null : createRestorer(dialect.name, vault);
  let stopped = false;
  try {
    for (let chunk = await stream.next(); chunk !== null; chunk = await stream.next()) {
      kept.push(chunk);
      yield restorer === null ? chunk : restorer.push(chunk);
      if (!mustStop(stream, passage)) continue;
      stopped = true;
      stream.stop();
      const rest = restorer?.finish();
      if (rest !== undefined && rest.length > 0) yield rest;
      const end = lengthEnd(stream, chunk, passage);
      kept.push(end);
      return yield end;
    }
    const rest = restorer?.finish();
    if (rest !== undefined && rest.length > 0) yield rest;
    if (stream.refusal !== null) yield dialect.errorEvent(stream.refusal, passage.exchange.id);
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
      keep: body === null ? null : { status, contentType: streamType, body, stream: true, target },
      cacheable: !stopped && mayCache(stream.facts(), false),
    });
  }
}

/** What is kept for later must not outgrow what the stores take. */
function gather({ status, target }: AttemptReply, passage: Passage): Collector {
  const head = { status, contentType: streamType, target: target.label };
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
function lengthEnd(stream: AnswerStream, last: Buffer, { exchange, request, stages }: Passage): Buffer {
  if (request === null) throw new Error('a reply without a request');
  const { estimator } = stages;
  const facts = stream.facts();
  return dialects[exchange.endpoint.dialect].lengthEnd({
    last,
    openBlock: stream.openBlock,
    choices: request.choices,
    wantsUsage: request.wantsUsage,
    inputTokens: facts.inputTokens || estimator.tokens(request.model, request.textBytes),
    outputTokens: Math.max(facts.outputTokens, estimator.tokens(request.model, stream.textBytes)),
  });
}

/** Follows the first request's stream, with values of one's own restored. */
export async function* followRecording(
  recording: Recording,
  vault: Vault | null,
  passage: Passage,
  left: () => void,
): AsyncGenerator<Buffer> {
  const { exchange } = passage;
  const { dialect: name } = exchange.endpoint;
  const restorer = vault === null ? null : createRestorer(name, vault);
  const { status, target } = recording.head;
  const following = recording.follow(exchange.cancellation);
  let error: ErrorCode | '' = '';
  let savedNanoUsd = 0;
  try {
    let step = await following.next();
    for (; step.done !== true; step = await following.next())
      yield restorer === null ? step.value : restorer.push(step.value);
    const rest = restorer?.finish();
    if (rest !== undefined && rest.length > 0) yield rest;
    const { refusal } = step.value;
    savedNanoUsd = step.value.costNanoUsd;
    if (refusal !== null) {
      error = refusal.code;
      yield dialects[name].errorEvent(refusal, exchange.id);
    }
  } finally {
    left();
    const abandoned = exchange.cancellation.reason === 'client_gone';
    passage.close({ status, target, error, replayed: true, cache: 'bypass', savedNanoUsd, abandoned });
  }
}

/** Only complete, successful, plain answers: never tool calls, refusals or truncated text. */
export function mayCache(facts: ReplyFacts, embeddings: boolean): boolean {
  if (facts.error || facts.tool || facts.refused) return false;
  return facts.finish === 'stop' || (embeddings && facts.finish === 'none');
}
