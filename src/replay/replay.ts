/**
 * Stage replay: repeating an `Idempotency-Key` returns the same reply without a second upstream call.
 * https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 */

import type { Cancellation } from '../base/cancellation.ts';
import { Refusal } from '../base/errors.ts';
import { credentialDigest } from '../exchange/credential.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Identity } from '../exchange/identity.ts';
import type { StoredReply } from '../exchange/reply.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { createReplyStore, type StoreBounds } from '../store/replies.ts';
import { Recording, type RecordingMemory, type StreamHead } from './recording.ts';
import type { ReplaySettings } from './settings.ts';

/** Held by the first request with a key, the only one that goes upstream. */
export interface Claim {
  /** Its reply begins as a stream: waiting and later requests follow what is pushed into this recording. */
  stream(head: StreamHead): Recording;
  /**
   * Call exactly once, with the reply to store, or null if it failed and must not be stored. Then the request that has
   * waited longest goes upstream itself, and the others wait for that one.
   */
  finish(reply: StoredReply | null): void;
}

/** How a request continues. */
export type Seen =
  /** It goes upstream; with a claim if it has a key. */
  | { readonly kind: 'new'; readonly claim: Claim | null }
  /** The reply to the first request is stored. */
  | { readonly kind: 'stored'; readonly reply: StoredReply }
  /** The reply to the first request is streaming. `left` must be called when this request stops following it. */
  | { readonly kind: 'running'; readonly recording: Recording; left(): void };

/** The first request with this key has no reply yet. */
export interface Join {
  readonly kind: 'join';
  /** Waits for the reply, at most `waitMs`. If this request is cancelled or late, the first one isn't affected. */
  wait(cancellation: Cancellation, waitMs: number): Promise<Seen | Refusal>;
}

/** The idempotency keys seen and their replies. */
export interface Replay {
  /** Looks up a request's key, and claims it for the first request. @param nowMs monotonic ms */
  claim(exchange: Exchange, identity: Identity, request: ModelRequest, nowMs: number): Seen | Join | Refusal;
  /** Adopts new settings. */
  update(config: ReplaySettings): void;
}

const keyPattern = /^[\x21-\x7e]{1,255}$/;
/** Guess of when the first request will have ended. */
const retryAfterMs = 1000;
/** A key whose first request is in flight. */
interface Flight {
  readonly fingerprint: string;
  /** Requests waiting for a reply, in order. */
  readonly waiting: Set<(seen: Seen) => void>;
  recording: Recording | null;
  /** Requests waiting or following a stream. */
  joiners: number;
}

const none: Seen = { kind: 'new', claim: null };

/** @param recordedBytes bytes taken by recordings */
const boundsOf = (config: ReplaySettings, recordedBytes: number): StoreBounds => ({
  entriesMax: config.entriesMax,
  bytesMax: config.bytesMax - recordedBytes,
  ttlMs: config.ttlSeconds * 1000,
});

/** @param clock monotonic ms */
export function createReplay(config: ReplaySettings, clock: () => number): Replay {
  let current = config;
  let recordedBytes = 0;
  // The note of a stored reply is the fingerprint of the request it answers.
  const store = createReplyStore(boundsOf(config, 0));
  // Bounded by the requests in flight.
  const inFlight = new Map<string, Flight>();

  /** Evicts stored replies to make room for recordings, which take precedence. */
  const makeRoom = (): void => store.resize(boundsOf(current, recordedBytes));
  const memory: RecordingMemory = {
    take(bytes, held) {
      if (held + bytes > current.entryMaxBytes) return false;
      if (recordedBytes + bytes > current.bytesMax) return false;
      recordedBytes += bytes;
      if (recordedBytes + store.bytes > current.bytesMax) makeRoom();
      return true;
    },
    give(bytes) {
      recordedBytes -= bytes;
    },
  };

  const running = (flight: Flight, recording: Recording): Seen => ({
    kind: 'running',
    recording,
    left: () => {
      flight.joiners -= 1;
    },
  });

  const claimOf = (scope: string, flight: Flight): Claim => ({
    stream(head) {
      const recording = new Recording(head, memory);
      flight.recording = recording;
      const waiting = [...flight.waiting];
      flight.waiting.clear();
      for (const resolve of waiting) resolve(running(flight, recording));
      return recording;
    },
    finish(reply) {
      flight.recording?.end(reply);
      flight.recording = null;
      if (reply === null) {
        const [next] = flight.waiting;
        if (next === undefined) return void inFlight.delete(scope);
        flight.waiting.delete(next);
        flight.joiners -= 1;
        return next({ kind: 'new', claim: claimOf(scope, flight) });
      }
      inFlight.delete(scope);
      if (reply.body.length <= current.entryMaxBytes) {
        makeRoom();
        store.put(scope, reply, clock(), flight.fingerprint);
      }
      for (const resolve of flight.waiting) resolve({ kind: 'stored', reply });
    },
  });

  const wait = (flight: Flight, cancellation: Cancellation, waitMs: number): Promise<Seen | Refusal> =>
    new Promise((resolve) => {
      const end = (seen: Seen | Refusal): void => {
        clearTimeout(timer);
        cancellation.off(cancelled);
        resolve(seen);
      };
      const leave = (refusal: Refusal): void => {
        flight.waiting.delete(end);
        flight.joiners -= 1;
        end(refusal);
      };
      const cancelled = (): void =>
        leave(cancellation.reason instanceof Refusal ? cancellation.reason : stillRunning());
      const timer = setTimeout(() => leave(stillRunning()), Math.max(1, waitMs));
      flight.joiners += 1;
      flight.waiting.add(end);
      if (cancellation.reason === null) cancellation.onCancel(cancelled);
      else cancelled();
    });

  const join = (flight: Flight): Seen | Join | Refusal => {
    if (flight.joiners >= current.joinersMax || flight.recording?.overflowed === true) return stillRunning();
    if (flight.recording === null) {
      return { kind: 'join', wait: (cancellation, waitMs) => wait(flight, cancellation, waitMs) };
    }
    flight.joiners += 1;
    return running(flight, flight.recording);
  };

  return {
    claim(exchange, identity, request, nowMs) {
      const header = exchange.headers['idempotency-key'];
      if (header === undefined) return none;
      if (typeof header !== 'string' || !keyPattern.test(header)) return wrongKey();
      // Callers of the anonymous tenant may bring their own provider credentials.
      const caller = identity.keyId ?? credentialDigest(exchange.headers);
      const scope = `${identity.tenant}\0${caller}\0${identity.user ?? ''}\0${header}`;
      // Different dialects may have endpoints of the same name.
      const { dialect, name } = exchange.endpoint;
      const fingerprint = `${dialect}\0${name}\0${request.digest}`;
      const pinned = store.get(scope, nowMs);
      const flight = inFlight.get(scope);
      const first = pinned?.note ?? flight?.fingerprint;
      if (first !== undefined && first !== fingerprint) return mismatch();
      if (pinned !== null) return { kind: 'stored', reply: pinned };
      if (flight !== undefined) return join(flight);
      const begun: Flight = { fingerprint, waiting: new Set(), recording: null, joiners: 0 };
      inFlight.set(scope, begun);
      return { kind: 'new', claim: claimOf(scope, begun) };
    },
    update(next) {
      current = next;
      makeRoom();
    },
  };
}

const wrongKey = (): Refusal =>
  new Refusal(
    'invalid_header',
    'The header Idempotency-Key must be 1–255 printable ASCII characters without spaces.',
    { param: 'idempotency-key' },
  );

const mismatch = (): Refusal =>
  new Refusal('idempotency_mismatch', 'This Idempotency-Key was used with a different request before.', {
    param: 'idempotency-key',
  });

const stillRunning = (): Refusal =>
  new Refusal('idempotency_in_flight', 'The first request with this Idempotency-Key is still running.', {
    retryAfterMs,
  });
