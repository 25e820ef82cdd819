/** The contract for reading a provider's reply while it is passed on: whole, or as a stream. */
import type { DialectName } from '../exchange/dialects.ts';
import type { NativeDialect, ReplyFacts } from '../native/reply.ts';
import type { ReplyContext, WireEvent } from './chat-reply.ts';
import type { StatedError } from './fault.ts';

/** Why reading a stream failed. */
export type StreamFault =
  | 'error_event'
  | 'malformed'
  | 'event_too_large'
  /** The provider gave up waiting for its model. */
  | 'unfinished';

/** Complete events, and their original bytes; null: none is complete yet. */
export interface Frames {
  readonly raw: Buffer | null;
  readonly events: readonly WireEvent[];
}

/** Splits one stream into events; how its input is cut into chunks doesn't change them. */
export interface Framer {
  push(chunk: Buffer): Frames;
  /** The provider's bytes have ended. */
  finish(): Frames;
  /** Why it failed; no events follow. Null: it has not. */
  readonly broken: StreamFault | null;
}

/** A whole reply as the client receives it, and its facts. */
export interface WholeReading extends Arrived {
  readonly body: Buffer;
}

/** What a provider bills for a reply, complete or truncated. */
export interface Arrived {
  readonly facts: ReplyFacts;
  /**
   * The beginning of the reply's text, decoded on demand: enough to count its tokens by. The function is kept until the reply is
   * billed, so it must refer to the reply only: keeping the request too would nearly double the time of a minor collection.
   */
  text(): Buffer;
}

/** Tokens of a reply that is ended early, as far as known. */
export interface KnownTokens {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** Bounds of one stream. */
export interface StreamBounds {
  /** Longest event, in bytes. */
  readonly eventMaxBytes: number;
  /** Bytes of text kept for `takeText`; of more, only the length is known. */
  readonly textMaxBytes: number;
  /** Choices that were asked for, all of which end. */
  readonly choices: number;
}

/** Reads one stream: takes the provider's bytes, returns the client's. */
export interface StreamReading {
  /** Returns the bytes to pass on to the client; null: none yet. */
  push(chunk: Buffer): Buffer | null;
  /** The provider's bytes have ended. */
  finish(): Buffer | null;
  /** Content was seen: a retry would now be visible to the client. */
  readonly content: boolean;
  /** The finish reason was seen, of all choices if there are several. */
  readonly finished: boolean;
  /** The last event was seen. */
  readonly ended: boolean;
  readonly broken: StreamFault | null;
  readonly toolBegun: boolean;
  /** A valid event was seen. */
  readonly begun: boolean;
  /** UTF-8 bytes of reply text so far. */
  readonly textBytes: number;
  /** Bytes of the reply that are held until its end, about, besides the text kept for `takeText`. */
  readonly heldBytes: number;
  /** Anthropic: number of the content block that is still open; -1: none, or `lengthEnd` ends it. */
  readonly openBlock: number;
  facts(): ReplyFacts;
  /** Returns the beginning of the reply's text so far, as much as is kept of it, decoded, and releases it. */
  takeText(): Buffer;
  /** Ends the stream as if it had reached its token limit. Undefined: the dialect's `lengthEnd` does. */
  lengthEnd?(known: KnownTokens): Buffer;
}

/** Between which dialects a reply of chat is translated, as another thread can take it. */
export interface AcrossChat {
  readonly provider: DialectName;
  readonly client: DialectName;
  readonly context: ReplyContext;
}

/** What must be known of a request for embeddings to translate its reply. */
export interface AskedVectors {
  /** Texts that have vectors in the reply. */
  readonly count: number;
  /** The client wants them in Base64. */
  readonly base64: boolean;
  /** The model by the client's name. */
  readonly model: string;
}

/** The same of embeddings. */
export interface AcrossEmbeddings extends Omit<AcrossChat, 'context'> {
  readonly vectors: AskedVectors;
}

/** What a reply is read by that passes as it is. */
export interface AsItIs {
  readonly native: NativeDialect;
  /** What it must have, unless it is an error; null: nothing. */
  readonly member: string | null;
}

/** How a reply is read, as another thread can take it: translated between dialects, or only looked through. */
export type Apart = AcrossChat | AcrossEmbeddings | AsItIs;

/** How the reply to one request is read. */
export interface ReplyReading {
  /** Media type of a stream, without parameters. */
  readonly streamType: string;
  /** Whether a reply with this content type is the stream; undefined: if its media type is `streamType`. */
  isStream?(contentType: string): boolean;
  /** A whole reply is valid even if a stream was requested; `ended`: if it says why it ended, as answers do. */
  readonly wholeToo?: true | 'ended';
  /** Set if a large whole reply is to be read in a thread. */
  readonly apart?: Apart;
  /** Reads a whole reply; null: it is invalid; `unfinished`: it wasn't ready in time. */
  whole(body: Buffer): WholeReading | 'unfinished' | null;
  /** Reads a whole reply that may be truncated anywhere; null: nothing in it is billed. */
  arrived(body: Buffer): Arrived | null;
  /** Begins to read a stream. */
  stream(bounds: StreamBounds): StreamReading;
  /** Reads a refusal in the first bytes of a stream; undefined: they are server-sent events. Null: there is none. */
  readonly statedIn?: ((start: Buffer) => StatedError | null) | undefined;
}
