/** The results that a call to a provider may have. */
import type { IncomingHttpHeaders } from 'node:http';
import type { WebSocket } from 'ws';
import type { Aside } from '../base/aside.ts';
import type { Cancellation } from '../base/cancellation.ts';
import type { Arrived, StreamFault, StreamReading, WholeReading } from '../dialects/reading.ts';
import type { TakeChunk } from '../exchange/chunks.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { NetworkFailure } from './network.ts';

/** Why a call gave no answer. */
export type CallFailure =
  | NetworkFailure
  | 'first_token_timeout'
  | 'reply_timeout'
  | 'idle_timeout'
  | 'deadline'
  /** The deadline that the client set itself, shorter than the gateway's. */
  | 'client_deadline'
  /** The request's time was over, and its client had held the stream up by reading slowly. */
  | 'client_slow'
  | 'malformed'
  | 'too_large'
  /** The whole replies of other requests take up the memory meant for them. */
  | 'no_room'
  | 'error_in_body'
  | 'ended_early'
  /** The provider gave up waiting for its model. */
  | 'unfinished'
  /** A defect of ours: the reply may have been good. */
  | 'defect'
  | 'cancelled';

/** Failures that say nothing of the provider. */
export const blameless: ReadonlySet<CallFailure> = new Set([
  'cancelled',
  'client_deadline',
  'client_slow',
  'no_room',
  'defect',
]);

/** Failures that leave no time for another call. */
export const atDeadline: ReadonlySet<CallFailure> = new Set(['deadline', 'client_deadline', 'client_slow']);

/** Fault found in a stream → failure of the call. */
export const streamFailures: Readonly<Record<StreamFault, CallFailure>> = {
  error_event: 'error_in_body',
  malformed: 'malformed',
  event_too_large: 'too_large',
  unfinished: 'unfinished',
};

/** The result of one call. */
export type CallResult =
  | {
      readonly kind: 'failed';
      readonly failure: CallFailure;
      /** What had arrived by then and will be billed; null: nothing. */
      readonly arrived: Arrived | null;
      /** The system's code of what broke the connection, such as `ECONNREFUSED`; empty: nothing did. */
      readonly code: string;
    }
  /** Any status but success, with its body unchanged. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers: IncomingHttpHeaders;
      readonly body: Buffer;
    }
  | (WholeReading & {
      readonly kind: 'whole';
      readonly status: number;
      readonly headers: IncomingHttpHeaders;
    })
  | {
      readonly kind: 'stream';
      readonly status: number;
      readonly headers: IncomingHttpHeaders;
      readonly stream: UpstreamStream;
    }
  /** A WebSocket is open; nothing is read of it yet. */
  | {
      readonly kind: 'session';
      readonly status: number;
      readonly headers: IncomingHttpHeaders;
      readonly socket: WebSocket;
    };

/** A stream that has begun. */
export interface UpstreamStream {
  /** Hands over whole events, now or once they are here; null at the end, complete or not. One call at a time. */
  next(take: TakeChunk): void;
  /** After the end: why it was cut off; null: it is complete. */
  readonly failure: CallFailure | null;
  /** After the end: the finish reason came, but the last event is missing. */
  readonly lacksEnd: boolean;
  /** Facts of the stream so far. */
  readonly scanner: StreamReading;
  /** Ends it here by aborting the call, without counting a failure. */
  stop(): void;
}

/** Bounds of one call, in ms or bytes. */
export interface CallBounds {
  readonly firstTokenTimeoutMs: number;
  readonly replyTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly replyMaxBytes: number;
  readonly eventMaxBytes: number;
}

/** Counts what is held of replies. */
export type ReplyRoom = Pick<Exchange, 'holdReply'>;

/** What one call goes by. */
export interface Terms {
  readonly wantsStream: boolean;
  /** Choices that were asked for. */
  readonly choices: number;
  readonly bounds: CallBounds;
  /** The client set the request's deadline. */
  readonly hurried: boolean;
  /** Until the request's deadline. */
  readonly remainingMs: number;
  readonly cancellation: Cancellation;
  /** Monotonic ms. */
  readonly clock: () => number;
  /** Where the bytes are counted that are held of the reply. */
  readonly room: ReplyRoom;
  /** Where large whole replies are translated. */
  readonly aside: Aside;
  /** Reports a defect of ours. */
  readonly onDefect: (cause: unknown) => void;
  /** The connection had died before the request, which goes out once more on a fresh one. */
  readonly onDied: () => void;
  /** Called with the result as soon as it is known. */
  readonly onResult: (result: CallResult) => void;
}

/** The failure of a call when the request's time is over. */
export const lateFailure = ({ hurried }: Pick<Terms, 'hurried'>): CallFailure =>
  hurried ? 'client_deadline' : 'deadline';

/** How long a call waits for its reply, or for the first content of a stream, in ms, and the failure if that doesn't come. */
export function firstWait(terms: Terms): { readonly waitMs: number; readonly late: CallFailure } {
  const { wantsStream, bounds, remainingMs } = terms;
  const waitMs = wantsStream ? bounds.firstTokenTimeoutMs : bounds.replyTimeoutMs;
  if (waitMs > remainingMs) return { waitMs: remainingMs, late: lateFailure(terms) };
  return { waitMs, late: wantsStream ? 'first_token_timeout' : 'reply_timeout' };
}
