/**
 * Requests in flight whose replies others share: the first one with a key goes upstream, and those that come while it is
 * in flight wait for its reply, or follow its stream.
 */

import { type Cancellation, cancelRefusal } from '../base/cancellation.ts';
import type { Refusal } from '../base/errors.ts';
import type { StoredReply } from '../exchange/reply.ts';
import { Recording, type RecordingMemory, type StreamHead } from './recording.ts';

/** Held by the first request with a key. */
export interface Claim {
  /** Its reply begins as a stream: waiting and later requests follow what is pushed into this recording. */
  stream(head: StreamHead): Recording;
  /**
   * Call exactly once, with the reply, or null if there is none for those that come later.
   * @param costNanoUsd of a complete reply, even if it is too large to be kept; null: it broke off
   */
  finish(reply: StoredReply | null, costNanoUsd?: number | null): void;
}

/** How a request continues. */
export type Seen =
  /** It goes upstream; with a claim if others may share its reply. */
  | { readonly kind: 'new'; readonly claim: Claim | null }
  /** The reply to the first request is here. */
  | { readonly kind: 'stored'; readonly reply: StoredReply }
  /** The reply to the first request is streaming. `left` must be called when this request stops following it. */
  | { readonly kind: 'running'; readonly recording: Recording; left(): void };

/** The first request with this key has no reply yet, or other pods are asked about it. */
export interface Join {
  readonly kind: 'join';
  /** Waits for the reply, at most `waitMs`. If this request is cancelled or late, the first one isn't affected. */
  wait(cancellation: Cancellation, waitMs: number): Promise<Seen | Refusal>;
}

/** The first request with a key. */
export interface Leader {
  /** Whether it goes on, so that others may join. */
  goesOn(): boolean;
  /** Somebody joined: from now on it must end, even if its client disconnects. */
  joined(): void;
}

/** What flights may take. */
export interface FlightBounds {
  /** Most requests that wait for one flight, or follow it. */
  readonly joinersMax: number;
  /** Largest stream that is recorded from its first byte. */
  readonly entryMaxBytes: number;
  /** Memory of all recordings, together with the store that they end in. */
  readonly bytesMax: number;
}

/** What flights of one kind depend on. */
export interface FlightDeps {
  bounds(): FlightBounds;
  /** Bytes that the store holds. */
  storedBytes(): number;
  /** Has the store evict, so that it fits beside recordings, which take precedence. */
  makeRoom(recordedBytes: number): void;
  /** Who goes upstream when a first request fails: the one that has waited longest, or all at once. */
  readonly afterFailure: 'next' | 'all';
  /** The refusal of a request that waited in vain. */
  late(): Refusal;
  /** A flight has ended. @param reply null: it failed, and nobody takes over */
  ended?(key: string, reply: StoredReply | null, note: string): void;
}

/** The flights, by key. Bounded by the requests in flight. */
export interface Flights {
  /** What the first request with a key noted; undefined: there is none. */
  note(key: string): string | undefined;
  /** Begins a flight: there must be none with this key. */
  begin(key: string, leader: Leader, note?: string): Claim;
  /** Ends a flight that needed no call: those that wait get this. */
  settle(key: string, seen: Seen | Refusal): void;
  /** Joins the flight with this key; null: it can't be joined, or there is none. */
  join(key: string): Seen | Join | null;
  /** Another worker wants the reply of the flight with this key: it must end, even if its client disconnects. */
  wanted(key: string): void;
}

interface Flight {
  readonly note: string;
  leader: Leader;
  /** Requests waiting for a reply, in order. */
  readonly waiting: Set<(seen: Seen | Refusal) => void>;
  recording: Recording | null;
  /** Requests waiting or following a stream. */
  joiners: number;
}

/** A request that shares nothing. */
export const alone: Seen = { kind: 'new', claim: null };
/** A first request that goes on even without its client, since others want its reply. */
export const steadfast: Leader = { goesOn: () => true, joined: () => {} };

/** Creates a table of flights. */
export function createFlights(deps: FlightDeps): Flights {
  let recordedBytes = 0;
  let roomFor = 0;
  const makeRoom = (): void => {
    if (roomFor === recordedBytes) return;
    roomFor = recordedBytes;
    deps.makeRoom(recordedBytes);
  };
  const inFlight = new Map<string, Flight>();
  const memory: RecordingMemory = {
    take(bytes, held) {
      const { entryMaxBytes, bytesMax } = deps.bounds();
      if (held + bytes > entryMaxBytes) return false;
      if (recordedBytes + bytes > bytesMax) return false;
      recordedBytes += bytes;
      if (recordedBytes + deps.storedBytes() > bytesMax) makeRoom();
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

  const failed = (key: string, flight: Flight): void => {
    const [next] = flight.waiting;
    if (deps.afterFailure === 'all' || next === undefined) {
      inFlight.delete(key);
      deps.ended?.(key, null, flight.note);
      for (const resolve of flight.waiting) resolve(alone);
      return;
    }
    flight.waiting.delete(next);
    flight.joiners -= 1;
    flight.leader = steadfast;
    next({ kind: 'new', claim: claimOf(key, flight) });
  };

  const claimOf = (key: string, flight: Flight): Claim => ({
    stream(head) {
      const recording = new Recording(head, memory);
      flight.recording = recording;
      if (flight.waiting.size > 0) {
        const waiting = [...flight.waiting];
        flight.waiting.clear();
        for (const resolve of waiting) resolve(running(flight, recording));
      }
      return recording;
    },
    finish(reply, costNanoUsd = reply?.costNanoUsd ?? null) {
      flight.recording?.end(costNanoUsd);
      flight.recording = null;
      makeRoom();
      if (reply === null) return failed(key, flight);
      inFlight.delete(key);
      deps.ended?.(key, reply, flight.note);
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
      const cancelled = (): void => leave(cancelRefusal(cancellation));
      const timer = setTimeout(() => leave(deps.late()), Math.max(1, waitMs));
      flight.joiners += 1;
      flight.waiting.add(end);
      if (cancellation.reason === null) cancellation.onCancel(cancelled);
      else cancelled();
    });

  return {
    note: (key) => inFlight.get(key)?.note,
    begin(key, leader, note = '') {
      const begun: Flight = { note, leader, waiting: new Set(), recording: null, joiners: 0 };
      inFlight.set(key, begun);
      return claimOf(key, begun);
    },
    settle(key, seen) {
      const flight = inFlight.get(key);
      inFlight.delete(key);
      for (const resolve of flight?.waiting ?? []) resolve(seen);
    },
    join(key) {
      const flight = inFlight.get(key);
      if (flight === undefined || !flight.leader.goesOn()) return null;
      if (flight.joiners >= deps.bounds().joinersMax || flight.recording?.overflowed === true) return null;
      flight.leader.joined();
      if (flight.recording === null)
        return { kind: 'join', wait: (cancellation, waitMs) => wait(flight, cancellation, waitMs) };
      flight.joiners += 1;
      return running(flight, flight.recording);
    },
    wanted: (key) => inFlight.get(key)?.leader.joined(),
  };
}
