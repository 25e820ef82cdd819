/** The two sides of a dialect's chat API: as clients use it, and as providers offer it. */
import type { ErrorCode } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { NativeDialect } from '../native/reply.ts';
import type { ChatField, ChatRequest, Notes } from './chat.ts';
import type {
  ChatReply,
  ChatStreamReader,
  ChatStreamWriter,
  ProviderError,
  ReplyContext,
} from './chat-reply.ts';
import type { StatedError } from './fault.ts';
import type { Framer } from './reading.ts';
import type { TurnRules } from './turns.ts';
import type { ChatCall, Destination } from './wire.ts';

/** The client side: reads requests, writes replies. */
export interface ChatClient {
  /** Reads a request; adds invalid and unsupported fields to the notes. */
  readRequest(body: Json, notes: Notes): ChatRequest;
  /** What its replies say again of a request; undefined: nothing. @param bytes length of the body */
  echoOf?(body: Json, bytes: number): Json;
  /** Writes a whole reply; null: the dialect can't express it. */
  writeReply(reply: ChatReply, context: ReplyContext): Json | null;
  /** Creates the writer of one stream. */
  createWriter(context: ReplyContext): ChatStreamWriter;
  /** The last events of a stream repeat all of it. */
  readonly repeatsStream?: true;
  /** Writes a provider's error in this dialect. */
  writeError(error: ProviderError, requestId: string): Json;
  /** Its field for the longest reply, as a path. */
  readonly limitField: string;
  /** Headers, lower case, that only this dialect has; reported as dropped when they are left out. */
  readonly ownHeaders?: readonly string[];
  /** Errors by which its clients know what to do where a field has no equivalent; else `unsupported_field`. */
  readonly unsupportedCodes?: Readonly<Record<string, ErrorCode>>;
}

/** The provider side: writes requests, reads replies. */
export interface ChatProvider {
  /** The native core's name for the dialect. */
  readonly native: NativeDialect;
  /** Media type of its streams, without parameters. */
  readonly streamType: string;
  /** Writes a request; adds unsupported fields to the notes. */
  writeRequest(request: ChatRequest, to: Destination, notes: Notes): ChatCall;
  /** Its names of the neutral fields, where a provider may refuse some of them; undefined: they are all the client's. */
  readonly names?: Readonly<Record<ChatField, string>>;
  /** It is one of OpenAI's own two dialects, so that its writer takes or notes what only they have. */
  readonly openai?: true;
  /** Its writer looks into the results of tools. */
  readonly parsesResults?: true;
  /** It takes pictures and the like in turns of the model. */
  readonly takesOwnMedia?: true;
  /** It refuses white space at the end of a turn that its model is to go on with. */
  readonly trimsEnd?: true;
  /** It can't be asked for JSON of any form, so the model is told in words. */
  readonly jsonInWords?: true;
  /** It is asked for JSON of any form only where a message says so. */
  readonly jsonNamed?: true;
  /** System messages stand apart from its conversation, which can't be empty. */
  readonly systemApart?: true;
  /** Whether a destination knows custom tools; undefined: none does, so they are told as functions. */
  readonly takesCustom?: (to: Destination) => boolean;
  /** The names of tools that its providers take; undefined: any. */
  readonly toolNames?: RegExp;
  /** What its providers demand of turns; a provider's own rules are added. Undefined: nothing. */
  readonly turns?: TurnRules;
  /** Whether a destination refuses ids of calls that other providers make; undefined: it takes any. */
  readonly plainIds?: (to: Destination) => boolean;
  /** Whether a destination requires a signature of calls, or to be told that there is none; undefined: it doesn't. */
  readonly signsCalls?: (to: Destination) => boolean;
  /** Reads a whole reply; null: it is invalid; `unfinished`: it wasn't ready in time. */
  readReply(body: Json): ChatReply | 'unfinished' | null;
  /** Creates the reader of one stream. */
  createReader(): ChatStreamReader;
  /** Creates the framer of one stream; null: it consists of server-sent events. */
  readonly createFramer: ((eventMaxBytes: number) => Framer) | null;
  /** Reads a refusal in the first bytes of a stream; undefined: it consists of server-sent events. */
  readonly statedIn?: (start: Buffer) => StatedError | null;
  /** Reads an error response; `body` may be of any form. */
  readError(status: number, body: Buffer): ProviderError;
}
