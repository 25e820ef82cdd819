/**
 * Stage replay: repeating an `Idempotency-Key` returns the same reply without a second upstream call.
 * https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 */

import { Refusal } from '../base/errors.ts';
import { unshared } from '../base/shared.ts';
import type { SharedClaims } from '../exchange/claims.ts';
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
  // The note of a stored reply, and of a flight, is the fingerprint of the request it answers.
  const store = createReplyStore(boundsOf(config), shared, 'replies to repeats');
  /** Keeps a reply; false: it is too large. */
  const pin = (scope: string, reply: StoredReply, fingerprint: string): boolean => {
    if (reply.body.length > current.entryMaxBytes) return false;
    store.put(everyone, scope, reply, clock(), fingerprint);
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
    ended(scope, reply, fingerprint) {
      const kept = reply !== null && pin(scope, reply, fingerprint);
      workers?.giveBack(scope);
      const token = tokens.get(scope);
      if (token === undefined) return;
      tokens.delete(scope);
      claims?.finish(scope, token, fingerprint, kept ? reply : null, current.ttlSeconds * 1000);
    },
  });

  // Such a flight ends whatever its client does.
  const workers = openClaims('replay', () => {});

  /** Claims a key among all workers, for the first request with it in this one; null: it is this worker's. */
  const claimHere = async (
    scope: string,
    fingerprint: string,
    among: WorkerClaims,
    waitMs: number,
  ): Promise<Seen | Refusal | null> => {
    const untilMs = clock() + waitMs;
    const stored = (): NotedReply | null => store.get(everyone, scope, clock());
    for (;;) {
      const { kind } = await among.claim(scope, fingerprint, untilMs - clock(), () => stored() !== null);
      if (kind === 'mine') return null;
      if (kind === 'late') return stillRunning();
      const reply = kind === 'stored' ? stored() : null;
      if (kind === 'other' || (reply !== null && reply.note !== fingerprint)) return mismatch();
      if (reply !== null) return { kind: 'stored', reply };
      // The one that had it failed, or its reply is too large: the first that claims it now goes itself.
    }
  };

  /** Claims a key among all workers and pods, for the first request with it in this one. */
  const claimAll = async (
    scope: string,
    fingerprint: string,
    claim: Claim,
    pods: SharedClaims | null,
    waitMs: number,
  ): Promise<Seen | Refusal> => {
    const seen = workers && (await claimHere(scope, fingerprint, workers, waitMs));
    if (seen !== null) {
      flights.settle(scope, seen);
      return seen;
    }
    return pods === null ? { kind: 'new', claim } : claimShared(scope, fingerprint, claim, pods, waitMs);
  };

  /** Claims a key among all pods, for the first request with it in this one. */
  const claimShared = async (
    scope: string,
    fingerprint: string,
    claim: Claim,
    others: SharedClaims,
    forMs: number,
  ): Promise<Seen | Refusal> => {
    const told = await others.claim(scope, fingerprint, forMs);
    if (told.kind === 'mine') tokens.set(scope, told.token);
    if (told.kind === 'mine' || told.kind === 'alone') return { kind: 'new', claim };
    if (told.kind === 'stored' && told.fingerprint === fingerprint) pin(scope, told.reply, fingerprint);
    const seen: Seen | Refusal =
      told.fingerprint !== fingerprint
        ? mismatch()
        : told.kind === 'running'
          ? stillRunning()
          : { kind: 'stored', reply: told.reply };
    flights.settle(scope, seen);
    workers?.giveBack(scope);
    return seen;
  };

  /** A request that waits for the first one takes over if that fails, and may have more time. */
  const joined = (scope: string, fingerprint: string, found: Seen | Join | null): Seen | Join | Refusal => {
    if (found?.kind !== 'join') return found ?? stillRunning();
    return {
      kind: 'join',
      async wait(cancellation, waitMs) {
        const untilMs = clock() + waitMs;
        const seen = await found.wait(cancellation, waitMs);
        const token = tokens.get(scope);
        if (!(seen instanceof Refusal) && seen.kind === 'new' && token !== undefined)
          claims?.renew(scope, token, fingerprint, untilMs - clock());
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
      // Different dialects may have endpoints of the same name.
      const { dialect, name } = exchange.endpoint;
      const fingerprint = `${dialect}\0${name}\0${exchange.query}\0${request.digest}`;
      const pinned = store.get(everyone, scope, nowMs);
      const flying = flights.note(scope);
      const first = pinned?.note ?? flying;
      if (first !== undefined && first !== fingerprint) return mismatch();
      if (pinned !== null) return { kind: 'stored', reply: pinned };
      if (flying !== undefined) return joined(scope, fingerprint, flights.join(scope));
      const claim = flights.begin(scope, steadfast, fingerprint);
      const pods = current.scope === 'shared' ? claims : null;
      if (workers === null && pods === null) return { kind: 'new', claim };
      return { kind: 'join', wait: (_, waitMs) => claimAll(scope, fingerprint, claim, pods, waitMs) };
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
