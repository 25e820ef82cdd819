/** The two sides of a dialect that translations are made of: as clients speak it, and as providers do. */
import type { Json } from '../base/json.ts';
import type { NativeDialect } from '../native/reply.ts';
import type {
  ChatReply,
  ChatRequest,
  ChatStreamReader,
  ChatStreamWriter,
  Notes,
  ProviderError,
  ReplyContext,
} from './chat.ts';
import type { Framer } from './reading.ts';
import type { ChatCall, Destination } from './wire.ts';

/** A dialect that clients may speak: requests are read, replies written. */
export interface ChatClient {
  /** Reads a request; what is wrong or has no place goes into the notes. */
  readRequest(body: Json, notes: Notes): ChatRequest;
  /** Null: this dialect has no form for such a reply. */
  writeReply(reply: ChatReply, context: ReplyContext): Json | null;
  createWriter(context: ReplyContext): ChatStreamWriter;
  /** A provider's refusal in this dialect's words. */
  writeError(error: ProviderError, requestId: string): Json;
  /** Headers, lower case, that change what a request means; named where no other dialect has them. None where left out. */
  readonly ownHeaders?: readonly string[];
}

/** A dialect that providers may speak: requests are written, replies read. */
export interface ChatProvider {
  /** What the native core knows it as. */
  readonly native: NativeDialect;
  /** Media type of its streams, without parameters. */
  readonly streamType: string;
  /** Writes a request; what can't be said goes into the notes. */
  writeRequest(request: ChatRequest, to: Destination, notes: Notes): ChatCall;
  /** Reads a whole reply; null: it isn't one; `unfinished`: it wasn't ready in time. */
  readReply(body: Json): ChatReply | 'unfinished' | null;
  createReader(): ChatStreamReader;
  /** Cuts a stream into its events; server-sent events where it is null. */
  readonly createFramer: ((eventMaxBytes: number) => Framer) | null;
  /** Reads a refusal; `body` may be anything at all. */
  readError(status: number, body: Buffer): ProviderError;
}
