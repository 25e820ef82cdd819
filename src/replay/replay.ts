/**
 * Stage replay: the same `Idempotency-Key` gives the same reply without a second upstream call.
 * https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 */
import { credentialDigest } from '../authenticate/authenticate.ts';
import { createReplyStore, type StoreBounds } from '../cache/store.ts';
import type { Config } from '../config/schema.ts';
import { Refusal } from '../errors.ts';
import type { Exchange, Identity, ModelRequest, StoredReply } from '../exchange.ts';

/** The first request with a key: it alone goes upstream. */
export interface Claim {
  /** Exactly once: with the reply to keep, or null for one that failed and isn't pinned. */
  finish(reply: StoredReply | null): void;
}

export type Seen =
  /** To be asked for; with a claim if there is a key. */
  | { readonly kind: 'new'; readonly claim: Claim | null }
  | { readonly kind: 'stored'; readonly reply: StoredReply };

export interface Replay {
  claim(exchange: Exchange, identity: Identity, request: ModelRequest, nowMs: number): Seen | Refusal;
  update(config: Config['replay']): void;
}

const keyPattern = /^[\x21-\x7e]{1,255}$/;
/** A guess at when the first request will be done. */
const retryAfterMs = 1000;
/** A kept reply, and which request it answers. */
interface PinnedReply extends StoredReply {
  readonly fingerprint: string;
}

const none: Seen = { kind: 'new', claim: null };

const boundsOf = (config: Config['replay']): StoreBounds => ({
  entriesMax: config.entriesMax,
  bytesMax: config.bytesMax,
  ttlMs: config.ttlSeconds * 1000,
});

export function createReplay(config: Config['replay'], clock: () => number): Replay {
  const store = createReplyStore<PinnedReply>(boundsOf(config));
  // Bounded by the requests in flight.
  const inFlight = new Map<string, string>();

  return {
    claim(exchange, identity, request, nowMs) {
      const header = exchange.headers['idempotency-key'];
      if (header === undefined) return none;
      if (typeof header !== 'string' || !keyPattern.test(header)) {
        return new Refusal(
          'invalid_header',
          'The header Idempotency-Key must be 1–255 printable ASCII characters without spaces.',
          {
            param: 'idempotency-key',
          },
        );
      }
      // Callers of the anonymous tenant may have credentials of their own at a provider.
      const caller = identity.keyId ?? credentialDigest(exchange.headers);
      const scope = `${identity.tenant}\0${caller}\0${identity.user ?? ''}\0${header}`;
      const fingerprint = `${exchange.endpoint.name}\0${request.digest}`;
      const pinned = store.get(scope, nowMs);
      const first = pinned?.fingerprint ?? inFlight.get(scope);
      if (first !== undefined && first !== fingerprint) return mismatch();
      if (pinned !== null) return { kind: 'stored', reply: pinned };
      if (first !== undefined) return stillRunning();
      inFlight.set(scope, fingerprint);
      return {
        kind: 'new',
        claim: {
          finish(reply) {
            inFlight.delete(scope);
            if (reply !== null) store.put(scope, { ...reply, fingerprint }, clock());
          },
        },
      };
    },
    update: (next) => store.resize(boundsOf(next)),
  };
}

const mismatch = (): Refusal =>
  new Refusal('idempotency_mismatch', 'This Idempotency-Key came with another request before.', {
    param: 'idempotency-key',
  });

const stillRunning = (): Refusal =>
  new Refusal('idempotency_in_flight', 'The first request with this Idempotency-Key is still running.', {
    retryAfterMs,
  });
