/** Follows a stream that has begun to its end, good or bad, and over a restart if the client asked for that. */
import type { Cancellation } from '../base/cancellation.ts';
import { Refusal } from '../base/errors.ts';
import type { Dialect } from '../dialects/dialect.ts';
import type { KnownTokens } from '../dialects/read-reply.ts';
import type { ReplyFacts } from '../native.ts';
import type { CallOutcome } from '../upstream/admission.ts';
import type { Target } from '../upstream/target.ts';
import type { AttemptFailure, AttemptReply } from './deps.ts';
import type { CallFailure, UpstreamStream } from './result.ts';
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
  /** The last answer's facts so far. */
  facts(): ReplyFacts;
  /** UTF-8 bytes of text that came so far, all answers together. */
  readonly textBytes: number;
  /** Anthropic: number of the content block that has begun and not ended; -1: none. */
  readonly openBlock: number;
  /** Once it was stopped: its end as of a reply that reached its limit of tokens; null: its dialect knows that. */
  lengthEnd(known: KnownTokens): Buffer | null;
  /** Ends it here, as a success: what may be used has ended. */
  stop(): void;
  /** Nobody reads on: what came is billed, unless it was already. */
  close(): void;
  /** Who answered last. */
  readonly target: Target;
}

/** What following a stream needs. */
export interface Following {
  /** The client's. */
  readonly dialect: Dialect;
  readonly cancellation: Cancellation;
  readonly trail: Trail;
  /** Tells everyone how it ended; once. */
  end(outcome: CallOutcome, word: string): void;
  /** The app sent an idempotency key: it is prepared for a tool call that comes twice. */
  readonly idempotent: boolean;
  /** Asks the targets that are left, if there are any; null: not wanted. */
  readonly restart: ((failure: CallFailure) => Promise<AttemptReply | AttemptFailure> | null) | null;
}

export function followStream(target: Target, stream: UpstreamStream, following: Following): AnswerStream {
  const { cancellation, trail } = following;
  const { scanner } = stream;
  let refusal: Refusal | null = null;
  let ended = false;
  let second: AnswerStream | null = null;
  let billed = false;

  const bill = (complete: boolean): void => {
    if (billed) return;
    billed = true;
    trail.bill({ target, facts: scanner.facts(), complete, text: () => scanner.takeText() });
  };

  const cut = async (failure: CallFailure): Promise<Buffer | null> => {
    trail.cut(failure);
    refusal = new Refusal('stream_cut', `The stream from ${target.label} broke off (${failure}).`);
    // Once a tool call has begun the app may have acted on it.
    if (following.restart === null || (scanner.toolBegun && !following.idempotent)) return null;
    const again = await following.restart(failure);
    if (again === null) return null;
    if (again.kind === 'failed') refusal = again.refusal;
    if (again.kind !== 'stream') return null;
    second = again.stream;
    return following.dialect.restartEvent(again.target.label);
  };

  const end = (): Promise<Buffer | null> | Buffer | null => {
    ended = true;
    const { failure } = stream;
    bill(failure === null);
    if (failure === null) {
      following.end('success', 'ok');
      const { streamEnd } = following.dialect;
      return stream.lacksEnd && streamEnd.length > 0 ? streamEnd : null;
    }
    following.end(failure === 'cancelled' ? 'abandoned' : 'failure', failure);
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
    facts: () => (second === null ? scanner.facts() : second.facts()),
    get textBytes() {
      return scanner.textBytes + (second === null ? 0 : second.textBytes);
    },
    get openBlock() {
      return second === null ? scanner.openBlock : second.openBlock;
    },
    lengthEnd(known) {
      return second === null ? (scanner.lengthEnd?.(known) ?? null) : second.lengthEnd(known);
    },
    stop() {
      if (second !== null) return second.stop();
      if (ended) return;
      ended = true;
      stream.stop();
      bill(false);
      following.end('success', 'stopped');
    },
    close() {
      if (second === null) bill(false);
      else second.close();
    },
    get target() {
      return second === null ? target : second.target;
    },
  };
}

/** Why a cancelled request ends: the reason's own refusal, or one nobody will read. */
export function cancelRefusal({ reason }: Cancellation): Refusal {
  return reason instanceof Refusal ? reason : new Refusal('internal', 'The client left.');
}
