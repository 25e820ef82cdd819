/** What a call to a provider may come to. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Arrived, StreamReading, WholeReading } from '../dialects/reading.ts';

/** Why a call gave no answer. */
export type CallFailure =
  | 'connect'
  | 'reset'
  | 'first_token_timeout'
  | 'reply_timeout'
  | 'idle_timeout'
  | 'deadline'
  | 'malformed'
  | 'too_large'
  | 'error_in_body'
  | 'ended_early'
  /** The provider itself waited no longer for its model. */
  | 'unfinished'
  | 'cancelled';

export type CallResult =
  | {
      readonly kind: 'failed';
      readonly failure: CallFailure;
      /** What had come by then and will be billed; null: nothing. */
      readonly arrived: Arrived | null;
    }
  /** Anything but a success, body as it came. */
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
    };

/** A stream that has begun. */
export interface UpstreamStream {
  /** Whole events, until null: the end, good or bad. Never rejects. */
  next(): Promise<Buffer | null>;
  /** After the end: why it broke off; null: it was complete. */
  readonly failure: CallFailure | null;
  /** After the end: finish reason seen, last event missing. */
  readonly lacksEnd: boolean;
  /** What is known of it so far. */
  readonly scanner: StreamReading;
  /** Ends it here: the provider is told that nobody listens, and no failure is seen in it. */
  stop(): void;
}

/** Bounds of one call; all in ms or bytes. */
export interface CallBounds {
  readonly firstTokenTimeoutMs: number;
  readonly replyTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly replyMaxBytes: number;
  readonly eventMaxBytes: number;
}
