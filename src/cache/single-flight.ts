/** Single flight: of identical requests that come at once, one goes upstream, whichever worker has it. */
import { type Cancellation, cancelRefusal } from '../base/cancellation.ts';
import { Refusal } from '../base/errors.ts';
import type { Shared } from '../base/shared.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { StoredReply } from '../exchange/reply.ts';
import type { OpenClaims, WorkerClaims } from '../store/claims.ts';
import { alone, type Claim, createFlights, type Join, type Seen } from '../store/flights.ts';
import type { ReplyStore } from '../store/replies.ts';
import type { CacheSettings } from './settings.ts';

/** The requests in flight whose replies others share. */
export interface SingleFlight {
  /**
   * Joins an identical request in flight, or goes upstream for all that come meanwhile.
   * @param key of the request, among those of all workers
   * @param era none joins a request of an earlier one
   * @param stored the reply that is stored by now; null: there is none
   */
  share(key: string, era: number, exchange: Exchange, stored: () => StoredReply | null): Seen | Join;
}

/** What single flight needs. */
export interface SingleFlightDeps {
  settings(): CacheSettings;
  /** Where the replies are kept, and the memory of streams in flight is taken from. */
  readonly store: Pick<ReplyStore, 'bytes' | 'makeRoom'>;
  readonly shared: Shared;
  readonly openClaims: OpenClaims;
}

const tooLate = (): Refusal =>
  new Refusal('upstream_timeout', 'The identical request that this one waited for took too long.');

/** The name of a flight in this worker. */
const nameOf = (key: string, era: number): string => `${era}\0${key}`;
const keyIn = (name: string): string => name.slice(name.indexOf('\0') + 1);

/** No request is in flight. */
export function createSingleFlight({ settings, store, shared, openClaims }: SingleFlightDeps): SingleFlight {
  const flights = createFlights({
    bounds: () => ({
      entryMaxBytes: settings().entryMaxBytes,
      bytesMax: settings().bytesMax / shared.workers,
      // Those that join are requests in flight, which are bounded.
      joinersMax: Number.MAX_SAFE_INTEGER,
    }),
    storedBytes: () => store.bytes,
    makeRoom: store.makeRoom,
    afterFailure: 'all',
    late: tooLate,
    // The reply is stored in this turn of the event loop, after the flight's end.
    ended: (name) => workers !== null && queueMicrotask(() => workers.giveBack(keyIn(name))),
  });
  const workers = openClaims('cache', (key) => flights.wanted(nameOf(key, latest)));
  let latest = 0;

  /** Goes upstream for the requests of all workers, unless one of another worker does. */
  const lead = async (
    name: string,
    claim: Claim,
    among: WorkerClaims,
    stored: () => StoredReply | null,
    { cancellation, waitMs }: { cancellation: Cancellation; waitMs: number },
  ): Promise<Seen | Refusal> => {
    const { kind } = await among.claim(keyIn(name), '', waitMs, () => stored() !== null, cancellation);
    if (kind === 'mine') return { kind: 'new', claim };
    const reply = stored();
    const seen: Seen = reply === null ? alone : { kind: 'stored', reply };
    flights.settle(name, seen);
    if (kind !== 'late' || reply !== null) return seen;
    return cancellation.reason === null ? tooLate() : cancelRefusal(cancellation);
  };

  return {
    share(key, era, exchange, stored) {
      latest = era;
      const name = nameOf(key, era);
      const joined = flights.join(name);
      if (joined !== null) return joined;
      // A flight that can't be joined goes on by itself, and so does this request.
      if (flights.note(name) !== undefined) return alone;
      const goesOn = (): boolean => exchange.cancellation.reason === null;
      const claim = flights.begin(name, { goesOn, joined: () => exchange.detach() });
      if (workers === null) return { kind: 'new', claim };
      return {
        kind: 'join',
        wait: (cancellation, waitMs) => lead(name, claim, workers, stored, { cancellation, waitMs }),
      };
    },
  };
}
