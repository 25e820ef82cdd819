/**
 * Stage replay: repeating an `Idempotency-Key` returns the same reply without a second upstream call.
 * https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 */

import { hash } from 'node:crypto';
import { Refusal } from '../base/errors.ts';
import { unshared } from '../base/shared.ts';
import type { Claimed, SharedClaims } from '../exchange/claims.ts';
import { credentialDigest } from '../exchange/credential.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Identity } from '../exchange/identity.ts';
import type { StoredReply } from '../exchange/reply.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { noClaims, type OpenClaims, type WorkerClaims } from '../store/claims.ts';
import { alone, type Claim, createFlights, type Join, type Seen, steadfast } from '../store/flights.ts';
import { createReplyStore, everyone, type NotedReply, type StoreBounds } from '../store/replies.ts';
import type { ReplaySettings } from './settings.ts';

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

const boundsOf = ({ entriesMax, bytesMax, ttlSeconds }: ReplaySettings): StoreBounds => ({
  entriesMax,
  bytesMax,
  ttlMs: ttlSeconds * 1000,
});

/**
 * What a request is noted by: all that it asks, and behind it the placeholders in what leaves. Its reply may hold these, and a
 * repeat with others, made with another secret or by another policy, could not restore them.
 */
function noteOf({ endpoint, query }: Exchange, { digest, masked }: ModelRequest): string {
  const placeholders = masked === null ? '' : hash('sha256', [...masked.keys()].sort().join('\0'));
  // Different dialects may have endpoints of the same name.
  return `${endpoint.dialect}\0${endpoint.name}\0${query}\0${digest}\0${placeholders}`;
}

/** A note without the placeholders: whoever asks the same has it. */
const askedIn = (note: string): string => note.slice(0, note.lastIndexOf('\0'));

/** Whether two requests ask the same. */
const isRepeat = (note: string, of: string): boolean => askedIn(note) === askedIn(of);

/** What another pod has for a request; null: a reply whose placeholders can't be restored here. */
function earlierIn(
  told: Extract<Claimed, { fingerprint: string }>,
  note: string,
): (Seen & { readonly kind: 'stored' }) | Refusal | null {
  if (!isRepeat(note, told.fingerprint)) return mismatch();
  if (told.kind === 'running') return stillRunning();
  return told.fingerprint === note ? { kind: 'stored', reply: told.reply } : null;
}

/**
 * @param clock monotonic ms
 * @param claims of all pods; null: no key is shared
 * @param openClaims of all workers
 */
export function createReplay(
  config: ReplaySettings,
  clock: () => number,
  claims: SharedClaims | null = null,
  openClaims: OpenClaims = noClaims,
  shared = unshared,
): Replay {
  let current = config;
  // The note of a stored reply, and of a flight, is that of the request it answers.
  const store = createReplyStore(boundsOf(config), shared, 'replies to repeats');
  /** Keeps a reply; false: it is too large. */
  const pin = (scope: string, reply: StoredReply, note: string): boolean => {
    if (reply.body.length > current.entryMaxBytes) return false;
    store.put(everyone, scope, reply, clock(), note);
    return true;
  };
  /** What proves that this pod has a key among all pods, for flights that are known to all. */
  const tokens = new Map<string, string>();
  const flights = createFlights({
    bounds: () => ({ ...current, bytesMax: current.bytesMax / shared.workers }),
    storedBytes: () => store.bytes,
    makeRoom: store.makeRoom,
    afterFailure: 'next',
    late: stillRunning,
    ended(scope, reply, note) {
      const kept = reply !== null && pin(scope, reply, note);
      workers?.giveBack(scope);
      const token = tokens.get(scope);
      if (token === undefined) return;
      tokens.delete(scope);
      claims?.finish(scope, token, note, kept ? reply : null, current.ttlSeconds * 1000);
    },
  });

  // Such a flight ends whatever its client does.
  const workers = openClaims('replay', () => {});

  /** Claims a key among all workers, for the first request with it in this one; null: it is this worker's. */
  const claimHere = async (
    scope: string,
    note: string,
    among: WorkerClaims,
    waitMs: number,
  ): Promise<Seen | Refusal | null> => {
    const untilMs = clock() + waitMs;
    const stored = (): NotedReply | null => {
      const reply = store.get(everyone, scope, clock());
      return reply !== null && reply.note !== note && isRepeat(note, reply.note) ? null : reply;
    };
    const asked = askedIn(note);
    for (;;) {
      const { kind } = await among.claim(scope, asked, untilMs - clock(), () => stored() !== null);
      if (kind === 'mine') return null;
      if (kind === 'late') return stillRunning();
      const reply = kind === 'stored' ? stored() : null;
      if (kind === 'other' || (reply !== null && reply.note !== note)) return mismatch();
      if (reply !== null) return { kind: 'stored', reply };
      // The one that had it failed, or its reply is too large: the first that claims it now goes itself.
    }
  };

  /** Claims a key among all workers and pods, for the first request with it in this one. */
  const claimAll = async (
    scope: string,
    note: string,
    claim: Claim,
    pods: SharedClaims | null,
    waitMs: number,
  ): Promise<Seen | Refusal> => {
    const seen = workers && (await claimHere(scope, note, workers, waitMs));
    if (seen !== null) {
      flights.settle(scope, seen);
      return seen;
    }
    return pods === null ? { kind: 'new', claim } : claimShared(scope, note, claim, pods, waitMs);
  };

  /** Claims a key among all pods, for the first request with it in this one. */
  const claimShared = async (
    scope: string,
    note: string,
    claim: Claim,
    others: SharedClaims,
    forMs: number,
  ): Promise<Seen | Refusal> => {
    const told = await others.claim(scope, note, forMs);
    if (told.kind === 'mine') tokens.set(scope, told.token);
    if (told.kind === 'mine' || told.kind === 'alone') return { kind: 'new', claim };
    const seen = earlierIn(told, note);
    // Placeholders that can't be restored here cost a second call, as a Redis that is gone does.
    if (seen === null) return { kind: 'new', claim };
    if (!(seen instanceof Refusal)) pin(scope, seen.reply, note);
    flights.settle(scope, seen);
    workers?.giveBack(scope);
    return seen;
  };

  /** A request that waits for the first one takes over if that fails, and may have more time. */
  const joined = (scope: string, note: string, found: Seen | Join | null): Seen | Join | Refusal => {
    if (found?.kind !== 'join') return found ?? stillRunning();
    return {
      kind: 'join',
      async wait(cancellation, waitMs) {
        const untilMs = clock() + waitMs;
        const seen = await found.wait(cancellation, waitMs);
        const token = tokens.get(scope);
        if (!(seen instanceof Refusal) && seen.kind === 'new' && token !== undefined)
          claims?.renew(scope, token, note, untilMs - clock());
        return seen;
      },
    };
  };

  return {
    claim(exchange, identity, request, nowMs) {
      const header = exchange.headers['idempotency-key'];
      if (header === undefined) return alone;
      if (typeof header !== 'string' || !keyPattern.test(header)) return wrongKey();
      // Callers of the anonymous tenant may bring their own provider credentials.
      const caller = identity.keyId ?? credentialDigest(exchange.headers);
      const scope = `${identity.tenant}\0${caller}\0${identity.user ?? ''}\0${header}`;
      const note = noteOf(exchange, request);
      const pinned = store.get(everyone, scope, nowMs);
      const flying = flights.note(scope);
      const first = pinned?.note ?? flying;
      if (first !== undefined && !isRepeat(note, first)) return mismatch();
      if (pinned?.note === note) return { kind: 'stored', reply: pinned };
      if (flying !== undefined)
        return flying === note ? joined(scope, note, flights.join(scope)) : stillRunning();
      const claim = flights.begin(scope, steadfast, note);
      const pods = current.scope === 'shared' ? claims : null;
      if (workers === null && pods === null) return { kind: 'new', claim };
      return { kind: 'join', wait: (_, waitMs) => claimAll(scope, note, claim, pods, waitMs) };
    },
    update(next) {
      current = next;
      store.resize(boundsOf(next));
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
