/** Follows a stream that has begun to its end, good or bad, and over a restart if the client asked for that. */
import type { Cancellation } from '../cancellation.ts';
import { Refusal } from '../errors.ts';
import type { ReplyFacts } from '../native.ts';
import type { Dialect } from '../providers/provider.ts';
import type { Target } from '../route/plan.ts';
import type { AttemptFailure, AttemptReply } from './attempt.ts';
import type { UpstreamStream } from './call.ts';
import type { Trail } from './trail.ts';

/** A stream as it goes on to the client. */
export interface AnswerStream {
  /** Null at the end. Never rejects. */
  next(): Promise<Buffer | null>;
  /** After the end: why it broke off; null: complete. */
  readonly refusal: Refusal | null;
  /** After the end: the client left first. */
  readonly aborted: boolean;
  /** It holds two answers, one after the other. */
  readonly restarted: boolean;
  /** What was used so far, all answers together. */
  facts(): ReplyFacts;
  /** Who answered last. */
  readonly target: Target;
}

/** What following a stream needs. */
export interface Following {
  /** The client's. */
  readonly dialect: Dialect;
  readonly cancellation: Cancellation;
  readonly trail: Trail;
  /** Tells the breaker and the metrics how it ended; once. */
  report(outcome: 'success' | 'failure' | 'abandoned', word: string): void;
  /** Asks the targets that are left; null: not wanted, or none is. */
  readonly restart: (() => Promise<AttemptReply | AttemptFailure>) | null;
}

export function followStream(target: Target, stream: UpstreamStream, following: Following): AnswerStream {
  const { cancellation, trail } = following;
  let refusal: Refusal | null = null;
  let ended = false;
  let second: AnswerStream | null = null;

  const cut = async (failure: string): Promise<Buffer | null> => {
    trail.cut(failure);
    refusal = new Refusal('stream_cut', `The stream from ${target.label} broke off (${failure}).`);
    // Once a tool call has begun the app may have acted on it.
    if (following.restart === null || stream.toolBegun) return null;
    const again = await following.restart();
    if (again.kind === 'failed') refusal = again.refusal;
    if (again.kind !== 'stream') return null;
    second = again.stream;
    return following.dialect.restartEvent(again.target.label);
  };

  const end = (): Promise<Buffer | null> | Buffer | null => {
    ended = true;
    const { failure } = stream;
    if (failure === null) {
      following.report('success', 'ok');
      const { streamEnd } = following.dialect;
      return stream.lacksEnd && streamEnd.length > 0 ? streamEnd : null;
    }
    following.report(failure === 'cancelled' ? 'abandoned' : 'failure', failure);
    if (failure !== 'cancelled') return cut(failure);
    refusal = cancelRefusal(cancellation);
    return null;
  };

  return {
    async next() {
      if (second !== null) return second.next();
      if (ended) return null;
      return (await stream.next()) ?? end();
    },
    get refusal() {
      return second === null ? refusal : second.refusal;
    },
    get aborted() {
      if (second !== null) return second.aborted;
      return stream.failure === 'cancelled' && cancellation.reason === 'client_gone';
    },
    get restarted() {
      return second !== null;
    },
    facts: () => (second === null ? stream.facts() : sum(stream.facts(), second.facts())),
    get target() {
      return second === null ? target : second.target;
    },
  };
}

/** Why a cancelled request ends: the reason's own refusal, or one nobody will read. */
export function cancelRefusal({ reason }: Cancellation): Refusal {
  return reason instanceof Refusal ? reason : new Refusal('internal', 'The client left.');
}

/** What two tries of one answer used together; the rest is the last one's. */
const sum = (first: ReplyFacts, last: ReplyFacts): ReplyFacts => ({
  ...last,
  usage: first.usage && last.usage,
  inputTokens: first.inputTokens + last.inputTokens,
  outputTokens: first.outputTokens + last.outputTokens,
  cachedInputTokens: first.cachedInputTokens + last.cachedInputTokens,
  textBytes: first.textBytes + last.textBytes,
});
