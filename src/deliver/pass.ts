/** Passes a provider's stream on as it comes, and closes the request at its end. */
import type { AnswerStream, AttemptReply } from '../attempt/answer.ts';
import type { ErrorCode } from '../base/errors.ts';
import { Gather } from '../base/gather.ts';
import type { Dialect } from '../dialects/dialect.ts';
import { dialects } from '../dialects/index.ts';
import type { Chunks, TakeChunk } from '../exchange/chunks.ts';
import type { StoredReply } from '../exchange/reply.ts';
import type { Passage } from '../passage.ts';
import { createReplyScrubber } from '../scrub/restore.ts';
import type { Vault } from '../scrub/scrub.ts';
import type { RecordingMemory } from '../store/recording.ts';
import { noteStored, noteStreamed } from './objects.ts';
import { createOutput, mayCache, streamType } from './stream.ts';

type StreamAnswer = AttemptReply & { readonly kind: 'stream' };

/** What becomes of a stream's chunks. */
interface Steps {
  /** What the client gets for a chunk. */
  pass(chunk: Buffer): Buffer;
  /** The chunks that end it, once `pass` has stopped it; null: it goes on. */
  stopped(chunk: Buffer): Buffer[] | null;
  /** The chunks that end it once its provider's are over. */
  last(): Buffer[];
  /** Closes the request. @param broken by a defect of ours */
  close(broken: boolean): void;
  /** See `Chunks.cut`. */
  isCut(): boolean;
}

/** A stream on its way. */
class Passed implements Chunks {
  readonly #answer: StreamAnswer;
  readonly #stream: AnswerStream;
  readonly #passage: Passage;
  readonly #steps: Steps;
  #take: TakeChunk = () => {};
  /** What ends it; null: it isn't over. */
  #rest: Buffer[] | null = null;
  #broken = false;

  constructor(answer: StreamAnswer, passage: Passage, steps: Steps) {
    this.#answer = answer;
    this.#stream = answer.stream;
    this.#passage = passage;
    this.#steps = steps;
  }

  get cut(): boolean {
    return this.#broken || this.#steps.isCut();
  }

  next(take: TakeChunk): void {
    if (this.#rest === null) {
      this.#take = take;
      return this.#stream.next(this.#onChunk);
    }
    const chunk = this.#rest.shift();
    if (chunk !== undefined) return take(chunk);
    this.#close();
    take(null);
  }

  readonly #onChunk = (chunk: Buffer | null): void => {
    const passed = this.#work(chunk);
    if (passed === null) this.next(this.#take);
    else this.#take(passed);
  };

  /** What the client gets; null: only what ends it. */
  #work(chunk: Buffer | null): Buffer | null {
    const steps = this.#steps;
    try {
      if (chunk === null) this.#rest = steps.last();
      else {
        const passed = steps.pass(chunk);
        this.#rest = steps.stopped(chunk);
        return passed;
      }
    } catch (cause) {
      this.#break(cause);
      this.#rest = [];
      // Whoever waits for the end must learn of it, whatever else is broken.
      try {
        this.#stream.stop();
      } catch (again) {
        this.#break(again);
      }
    }
    return null;
  }

  #close(): void {
    try {
      this.#steps.close(this.#broken);
    } catch (cause) {
      this.#break(cause);
      const { status, target } = this.#answer;
      this.#passage.close({ status, error: 'internal', target: target.label });
    }
  }

  #break(cause: unknown): void {
    this.#passage.reportDefect(cause);
    this.#broken = true;
  }
}

/** How a stream ended, as the request's record has it. @param broken by a defect of ours */
function endOf({ refusal, aborted }: AnswerStream, broken: boolean) {
  const error: ErrorCode | '' = refusal !== null && !aborted ? refusal.code : '';
  return {
    complete: refusal === null && !aborted && !broken,
    error: broken ? ('internal' as const) : error,
    abandoned: aborted,
  };
}

/** Passes a provider's events on. @param upstreamMs until its reply began */
export function passStream(
  answer: StreamAnswer,
  dropped: Pick<StoredReply, 'dropped'>,
  vault: Vault | null,
  passage: Passage,
  upstreamMs: number,
): Chunks {
  const { stream, status } = answer;
  const { exchange } = passage;
  const dialect = dialects[exchange.endpoint.dialect];
  const kept = collect(answer, dropped, passage);
  const heard = passage.stages.observer.content?.begin() ?? null;
  const out = createOutput(exchange, dialect, vault);
  const scope = passage.policy?.reply ?? null;
  const scrubber = scope === null ? null : createReplyScrubber(dialect, scope);
  // What is kept is scrubbed already.
  const give = (scrubbed: Buffer): Buffer => {
    kept.push(scrubbed);
    heard?.push(scrubbed);
    return out.push(scrubbed);
  };
  const take = (events: Buffer): Buffer => give(scrubber === null ? events : scrubber.push(events));
  const rest = (): Buffer[] => (scrubber === null ? [] : [give(scrubber.finish())]);
  let stopped = false;
  let begun = false;
  return new Passed(answer, passage, {
    pass(chunk) {
      if (!begun) noteStored(chunk, answer, passage);
      begun = true;
      return take(chunk);
    },
    stopped(chunk) {
      if (!mustStop(stream, passage)) return null;
      stopped = true;
      stream.stop();
      const last = rest();
      leaveFollowers(passage);
      // The end may say again what the stream said.
      const end = take(lengthEnd(stream, chunk, dialect, passage));
      return [...last, end, out.finish(null)].filter((events) => events.length > 0);
    },
    last() {
      const last = rest();
      const end = out.finish(
        stream.refusal === null ? null : dialect.errorEvent(stream.refusal, exchange.id),
      );
      return end.length > 0 ? [...last, end] : last;
    },
    close(broken) {
      stream.close();
      if (heard !== null) passage.reply = heard.finish();
      if (scrubber !== null) passage.replyFindings = scrubber.findings();
      const end = endOf(stream, broken);
      const body = end.complete && !stream.restarted ? kept.body() : null;
      kept.free?.();
      const target = stream.target.label;
      passage.close({
        ...end,
        status,
        target,
        upstreamMs,
        stopped,
        keep:
          body === null ? null : { status, contentType: streamType, body, stream: true, target, ...dropped },
        cacheable: !stopped && mayCache(stream.facts(), true),
      });
    },
    isCut: () => false,
  });
}

/**
 * Passes a stream of bytes on, which aren't events. No error event can be added, so the client only learns from the closed
 * connection that the stream broke off.
 */
export function passBytes(
  answer: StreamAnswer,
  contentType: string,
  passage: Passage,
  upstreamMs: number,
): Chunks {
  const { stream, status } = answer;
  const target = stream.target.label;
  const kept = passage.claim?.stream({ status, contentType, target }) ?? collectsNothing;
  const noteIds = noteStreamed(answer, passage);
  return new Passed(answer, passage, {
    pass(chunk) {
      noteIds?.(chunk);
      kept.push(chunk);
      return chunk;
    },
    stopped: () => null,
    last: () => [],
    close(broken) {
      stream.close();
      const end = endOf(stream, broken);
      const body = end.complete ? kept.body() : null;
      passage.close({
        ...end,
        status,
        target,
        upstreamMs,
        keep: body === null ? null : { status, contentType, body, stream: true, target },
      });
    },
    isCut: () => stream.refusal !== null,
  });
}

/** Collects a stream to be stored. */
interface Collector {
  push(chunk: Buffer): void;
  /** The whole stream; null: it was too large, or there was no room for it. */
  body(): Buffer | null;
  /** It is stored, or never will be; undefined: somebody else says so. */
  free?(): void;
}

/** A short answer takes no more. */
const collectedFirstBytes = 2048;

const collectsNothing: Collector = { push: () => {}, body: () => null };

/** Collects a stream for those that share it, or for the cache, as far as these have room. */
function collect(
  { status, target }: AttemptReply,
  dropped: Pick<StoredReply, 'dropped'>,
  passage: Passage,
): Collector {
  const head = { status, contentType: streamType, target: target.label, ...dropped };
  if (passage.claim !== null) return passage.claim.stream(head);
  const { cache, config } = passage.stages;
  return passage.cacheKey === null ? collectsNothing : collector(cache.arriving, config.cache.entryMaxBytes);
}

/** Copies: hundreds of small buffers that live as long as the stream cost V8's collector more. */
function collector(memory: RecordingMemory, entryMaxBytes: number): Collector {
  const gathered = new Gather(entryMaxBytes, collectedFirstBytes);
  /** Taken of the memory. */
  let bytes = 0;
  let full = false;
  const free = (): void => {
    memory.give(bytes);
    bytes = 0;
    gathered.free();
    full = true;
  };
  return {
    push(chunk) {
      if (full) return;
      // A reload may have raised the bound: beyond the one it began with, each chunk would copy all.
      if (gathered.length + chunk.length > entryMaxBytes) return free();
      const more = gathered.capacityWith(chunk.length) - bytes;
      if (more > 0 && !memory.take(more, bytes)) return free();
      bytes += more;
      gathered.push(chunk);
    },
    body: () => (full ? null : gathered.take()),
    free,
  };
}

/**
 * Tells those that follow the stream since they came at once that it broke off: it is this request's budget that is used up,
 * and they must not take what there is for a whole reply. Repeats of an idempotency key get what the first one gets.
 */
function leaveFollowers(passage: Passage): void {
  if (passage.claim === null || passage.exchange.headers['idempotency-key'] !== undefined) return;
  passage.claim.finish(null);
  passage.claim = null;
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
