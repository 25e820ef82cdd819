/** The result of an attempt: an answer, or why there is none. */

import type { IncomingHttpHeaders } from 'node:http';
import type { WebSocket } from 'ws';
import type { Refusal } from '../base/errors.ts';
import type { KnownTokens } from '../dialects/reading.ts';
import type { TakeChunk } from '../exchange/chunks.ts';
import type { ReplyFacts } from '../native/reply.ts';
import type { Target } from '../upstream/target.ts';
import type { Trail } from './trail.ts';

interface Answer {
  readonly target: Target;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly trail: Trail;
  /** When the first call was sent, monotonic ms. */
  readonly begunMs: number;
  /** Fields dropped from the request because the target's dialect has no equivalent. */
  readonly dropped: readonly string[];
}

/** A reply to pass on. `facts` null: it is a refusal by the provider. */
export type AttemptReply =
  | (Answer & { readonly kind: 'whole'; readonly body: Buffer; readonly facts: ReplyFacts | null })
  | (Answer & { readonly kind: 'stream'; readonly stream: AnswerStream })
  | SessionAnswer;

/** A session's WebSocket at its provider. Nothing is read of it until it is resumed. */
export interface SessionAnswer extends Answer {
  readonly kind: 'session';
  readonly socket: WebSocket;
  /**
   * Reports how the session ended; must be called once.
   * @param cut how the provider broke it off; null: it didn't
   * @param facts all that was used, added up
   */
  end(cut: 'reset' | null, facts: ReplyFacts): void;
}

/** No target answered. */
export interface AttemptFailure {
  readonly kind: 'failed';
  readonly refusal: Refusal;
  readonly trail: Trail;
}

/** A stream as it is passed on to the client. */
export interface AnswerStream {
  /** Hands over the next bytes, now or once they are here; null at the end. One call at a time, and none after the end. */
  next(take: TakeChunk): void;
  /** After the end: why it was cut off; null: it is complete. */
  readonly refusal: Refusal | null;
  /** After the end: the client left first. */
  readonly aborted: boolean;
  /** It contains two answers, one after the other. */
  readonly restarted: boolean;
  /** Facts of the last answer so far. */
  facts(): ReplyFacts;
  /** UTF-8 bytes of text received so far, over all answers. */
  readonly textBytes: number;
  /** Anthropic: index of the content block that has begun and not ended; -1: none. */
  readonly openBlock: number;
  /** After `stop`: the end of a reply that reached its token limit; null: the client's dialect writes it itself. */
  lengthEnd(known: KnownTokens): Buffer | null;
  /** Ends it here, as a success: the client's limit or budget is used up. */
  stop(): void;
  /** Nobody reads any further: bills what has arrived, unless that is done already. */
  close(): void;
  /** The target that answered last. */
  readonly target: Target;
}
