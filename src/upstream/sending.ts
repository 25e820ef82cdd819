/** A request to a provider, as whoever sent it knows it: what can be done with it, what comes of it, and how it fails. */
import type { IncomingHttpHeaders } from 'node:http';

/** What can be done with a request under way. */
export interface Sending {
  /** Stops reading its reply, which must have begun, but for what was read already. */
  pause(): void;
  resume(): void;
  /** Gives it up, and its connection with it. */
  abort(reason: Error): void;
}

/** Takes what comes of a request, in this order; as undici's handlers do. */
export interface ReplyHandler {
  /** It asked for a stream, of which large reads wait for their turn; undefined: it didn't. */
  readonly streams?: boolean;
  /** Its connection is open: it is sent when this returns, unless it is given up. Called again if it is sent again. */
  onRequestStart(sending: Sending): void;
  onResponseStart(sending: Sending, status: number, headers: IncomingHttpHeaders): void;
  onResponseData(sending: Sending, chunk: Buffer): void;
  onResponseEnd(): void;
  /** Instead of the rest. A request that was given up may end without it. */
  onResponseError(sending: Sending | null, error: Error): void;
}

/** Code of a connection that the provider closed before the reply's end. */
export const closedCode = 'CONNECTION_CLOSED';
/** Code of a reply that isn't HTTP/1.1. */
export const malformedCode = 'MALFORMED_REPLY';

/** An error with its code. */
export const faultOf = (code: string, message: string): Error => Object.assign(new Error(message), { code });

/** Errors of connections that had carried a request before, and broke before a byte of this one's answer. */
const reused = new WeakSet<Error>();

/**
 * Whether a connection broke that had carried a request before, and gave no byte for this one: it may have died while it
 * was idle, which says nothing of the provider.
 */
export const isReused = (error: Error): boolean => reused.has(error);
/**
 * How long after a request was sent its connection may break, and have died before it, in ms: what was forgotten is reset
 * by the first packet. One that is cut later may have carried the request to whoever works on it.
 */
export const diedWithinMs = 5000;
/** Says so of an error. */
export const markReused = (error: Error): void => void reused.add(error);
