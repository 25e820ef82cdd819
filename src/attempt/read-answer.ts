/** Reads a stream to its end, and through a restart at another target if the client asked for that. */
import { type Cancellation, cancelRefusal } from '../base/cancellation.ts';
import { Refusal } from '../base/errors.ts';
import type { Dialect } from '../dialects/dialect.ts';
import type { TakeChunk } from '../exchange/chunks.ts';
import type { CallOutcome } from '../upstream/open-call.ts';
import type { Target } from '../upstream/target.ts';
import type { AnswerStream, AttemptFailure, AttemptReply } from './answer.ts';
import { blameless, type CallFailure, type UpstreamStream } from './result.ts';
import type { Trail } from './trail.ts';

/** What reading a stream needs. */
export interface Following {
  /** The client's dialect. */
  readonly dialect: Dialect;
  readonly cancellation: Cancellation;
  readonly trail: Trail;
  /** Reports how the call ended; called once. */
  end(outcome: CallOutcome, label: string): void;
  /** The app sent an idempotency key, so it is prepared for a repeated tool call. */
  readonly idempotent: boolean;
  /** Told of a defect of ours. */
  onDefect(cause: unknown): void;
  /** Tries the remaining targets, returning null if there are none; null: restarts are off. */
  readonly restart: ((failure: CallFailure) => Promise<AttemptReply | AttemptFailure> | null) | null;
}

/** The stream of an answer as the client gets it. */
export function followStream(target: Target, stream: UpstreamStream, following: Following): AnswerStream {
  const { cancellation, trail } = following;
  const { scanner } = stream;
  let refusal: Refusal | null = null;
  let ended = false;
  let second: AnswerStream | null = null;
  let billed = false;
  let taking: TakeChunk = () => {};

  const bill = (complete: boolean): void => {
    if (billed) return;
    billed = true;
    trail.bill({ target, facts: scanner.facts(), complete, text: () => scanner.takeText() });
  };

  const cut = async (failure: CallFailure): Promise<Buffer | null> => {
    trail.cut(failure);
    refusal = new Refusal('stream_cut', `The stream from ${target.label} broke off (${failure}).`);
    // Once a tool call has begun, the app may have acted on it.
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
    following.end(blameless.has(failure) ? 'abandoned' : 'failure', failure);
    if (failure !== 'cancelled') return cut(failure);
    refusal = cancelRefusal(cancellation);
    return null;
  };

  const broken = (cause: unknown): null => {
    following.onDefect(cause);
    refusal ??= new Refusal('internal', 'Sidegate failed at the end of this stream.');
    return null;
  };
  const lastOf = (): Promise<Buffer | null> | Buffer | null => {
    try {
      return end();
    } catch (cause) {
      return broken(cause);
    }
  };
  const onChunk: TakeChunk = (chunk) => {
    if (chunk !== null) return taking(chunk);
    const last = lastOf();
    if (last instanceof Promise) void last.catch(broken).then(taking);
    else taking(last);
  };

  return {
    next(take) {
      if (second !== null) return second.next(take);
      if (ended) return take(null);
      taking = take;
      stream.next(onChunk);
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
