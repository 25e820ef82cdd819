/** The contract of sessions over WebSockets: what must be known of the messages that pass. */
import type { Refusal } from '../base/errors.ts';
import type { ReplyFacts } from '../native/reply.ts';

/** What one reply of a session used. */
export interface Spent {
  /** Null: the provider doesn't say what. */
  readonly facts: ReplyFacts | null;
  /** The model that was used beside the session's own, such as one that transcribes; null: the session's. */
  readonly model: string | null;
}

/** Reads the messages of one session, as far as somebody must know what they say. */
export interface SessionReading {
  /** Reads a message of the provider; null: it reports nothing that was used. */
  received(message: Buffer): Spent | null;
  /** Reads a message of the client. */
  sent(message: Buffer): void;
  /** Whether a reply has begun and not ended. */
  readonly replying: boolean;
  /** The model that a message named, where the handshake can't; empty: none. */
  readonly model: string;
  /** Id of what the last message of the provider says was made and is kept there; null: nothing. */
  readonly made: string | null;
}

/** What differs between APIs that have sessions. */
export interface SessionApi {
  /** The client's headers that the API reads. */
  readonly headers: readonly string[];
  createReading(): SessionReading;
  /** An error as a message; null: the API has none, and says why it closes by the closing's reason. */
  error(refusal: Refusal, requestId: string): string | null;
}

/** Larger messages aren't read. Those that report usage have some KiB. */
export const readMaxBytes = 1024 * 1024;
