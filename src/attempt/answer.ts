/** What an attempt comes back with: an answer, or why there is none. */

import type { IncomingHttpHeaders } from 'node:http';
import type { Refusal } from '../base/errors.ts';
import type { KnownTokens } from '../dialects/reading.ts';
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
  /** Fields that the target's dialect has no words for, left out of what it was sent. */
  readonly dropped: readonly string[];
}

/** A reply to pass on. `facts` null: the provider's own refusal. */
export type AttemptReply =
  | (Answer & { readonly kind: 'whole'; readonly body: Buffer; readonly facts: ReplyFacts | null })
  | (Answer & { readonly kind: 'stream'; readonly stream: AnswerStream });

/** No target answered. */
export interface AttemptFailure {
  readonly kind: 'failed';
  readonly refusal: Refusal;
  readonly trail: Trail;
}

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
