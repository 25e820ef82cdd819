/** How replies are read on their way: whole ones, and streams event by event. */
import type { ReplyFacts } from '../native/reply.ts';
import type { WireEvent } from './chat.ts';

/** Why a stream can't be read on. */
export type StreamFault =
  | 'error_event'
  | 'malformed'
  | 'event_too_large'
  /** The provider ended it before the model did: it was at work for too long. */
  | 'unfinished';

/** Whole events, and their bytes as they came; null: none is whole yet. */
export interface Frames {
  readonly raw: Buffer | null;
  readonly events: readonly WireEvent[];
}

/** One stream's framer. Splitting its input differently changes nothing in what it gives altogether. */
export interface Framer {
  push(chunk: Buffer): Frames;
  /** The provider's bytes have ended. */
  finish(): Frames;
  /** Set once; nothing is given after it. */
  readonly broken: StreamFault | null;
}

/** A whole reply as the client gets it, and what it says. */
export interface WholeReading extends Arrived {
  readonly body: Buffer;
}

/** What a provider bills of a reply, whether it came to its end or not. */
export interface Arrived {
  readonly facts: ReplyFacts;
  /**
   * The reply's text, decoded when it is asked for, at most 1 MiB of it. It is kept until the reply is settled, so it holds
   * the reply and nothing of the request: that would nearly double the time of a minor collection.
   */
  text(): Buffer;
}

/** Tokens of a reply that is ended early, as far as they are known. */
export interface KnownTokens {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** One stream on its way: the provider's bytes in, the client's out. */
export interface StreamReading {
  /** Gives what may go on to the client; null: nothing yet. */
  push(chunk: Buffer): Buffer | null;
  /** The provider's bytes have ended. */
  finish(): Buffer | null;
  /** First content seen: a retry is no longer invisible. */
  readonly content: boolean;
  readonly finished: boolean;
  readonly ended: boolean;
  readonly broken: StreamFault | null;
  readonly toolBegun: boolean;
  /** An event that is none of the faulty ones has come. */
  readonly begun: boolean;
  /** UTF-8 bytes of reply text so far. */
  readonly textBytes: number;
  /** Anthropic: number of the content block that has begun and not ended; -1: none, or `lengthEnd` ends it. */
  readonly openBlock: number;
  facts(): ReplyFacts;
  /** The reply's text so far, decoded, at most 1 MiB of it. It is not kept any longer. */
  takeText(): Buffer;
  /** Ends the stream as a reply does that reached its limit of tokens. Left out: the dialect's `lengthEnd` does. */
  lengthEnd?(known: KnownTokens): Buffer;
}

/** How the answer to one request is read. */
export interface ReplyReading {
  /** Media type of a stream, without parameters. */
  readonly streamType: string;
  /** Whether a reply of this media type is the stream; left out: where it is the stream's. */
  isStream?(contentType: string): boolean;
  /** Where a stream was asked for a whole reply is an answer too. */
  readonly wholeToo?: true;
  /** Reads a whole reply; null: it isn't one; `unfinished`: it wasn't ready in time. */
  whole(body: Buffer): WholeReading | 'unfinished' | null;
  /** What came of a whole reply that may be cut anywhere; null: nothing that is billed. */
  arrived(body: Buffer): Arrived | null;
  stream(eventMaxBytes: number): StreamReading;
}
