/**
 * Hints between peers: whose breaker opened or closed, and which credential is limited where. A hint shortens the wait
 * for evidence and moves probes apart; it opens no breaker and refuses no request by itself.
 */
import { createHash, randomUUID } from 'node:crypto';
import type { Telemetry } from '../base/telemetry.ts';
import { breaker } from '../native/breaker.ts';
import { hintLimited } from '../upstream/credential.ts';
import type { HealthBook } from '../upstream/health.ts';
import type { PeerHints } from '../upstream/hints.ts';
import type { Provider, Target } from '../upstream/target.ts';
import type { Message } from './message.ts';
import { connectPeers, type Peers } from './peers.ts';

/** Version of the messages, so that peers of another one are not misread. */
const channel = 'sidegate:hints:1';
/** Shorter rests are over before a peer could make use of them. */
const restMinMs = 1000;
/** Rests told of, so that not every 429 is a message. */
const toldMax = 10_000;

export interface Hints extends PeerHints {
  /** Connects to another Redis, or to none. */
  update(url: string | undefined): void;
  close(): void;
}

/** What hints need. */
export interface HintsDeps {
  readonly health: HealthBook;
  provider(name: string): Provider | undefined;
  /** Monotonic ms. */
  readonly clock: () => number;
  /** 0 ≤ x < 1, by which probes are moved apart. */
  readonly random: () => number;
  readonly telemetry: Pick<Telemetry, 'peers' | 'hint'>;
}

export function createHints(deps: HintsDeps): Hints {
  const from = randomUUID();
  const told = new Map<string, number>();
  let url: string | undefined;
  let peers: Peers | null = null;

  const send = (rest: Omit<Message, 'from' | 'provider' | 'place'>, { provider }: Target): void => {
    if (peers === null) return;
    deps.telemetry.hint('sent');
    const { name, baseUrl } = provider;
    peers.publish(JSON.stringify({ from, provider: name, place: placeOf(baseUrl), ...rest }));
  };

  const receive = (got: Message): void => {
    if (got.from === from) return;
    const provider = deps.provider(got.provider);
    if (provider === undefined || placeOf(provider.baseUrl) !== got.place) return;
    const breakerId = deps.health.breakerId(got.subject, got.name);
    if (breakerId === null) return;
    deps.telemetry.hint('received');
    const nowMs = deps.clock();
    if (got.kind !== 'limited') breaker.hint(breakerId, got.kind === 'down', deps.random(), nowMs);
    else hintLimited(provider, got.credential ?? '', got.name, nowMs + (got.restMs ?? 0));
  };

  const close = (): void => {
    peers?.close();
    peers = null;
  };

  return {
    update(next) {
      if (next === url) return;
      url = next;
      close();
      if (next === undefined) return;
      peers = connectPeers(next, channel, deps.random, {
        onMessage: receive,
        onState: deps.telemetry.peers,
        onDropped: () => deps.telemetry.hint('dropped'),
      });
    },
    breaker(subject, target, open) {
      const name = subject === 'target' ? target.label : target.provider.name;
      send({ kind: open ? 'down' : 'up', subject, name }, target);
    },
    rest(target, { digest }, restMs) {
      if (peers === null || restMs < restMinMs) return;
      const key = `${digest} ${target.label}`;
      const nowMs = deps.clock();
      // What is known to the peers for as long as this need not be told again.
      if ((told.get(key) ?? 0) >= nowMs + restMs - restMinMs) return;
      if (told.size >= toldMax) told.clear();
      told.set(key, nowMs + restMs);
      send({ kind: 'limited', subject: 'target', name: target.label, credential: digest, restMs }, target);
    },
    close,
  };
}

const placeOf = (baseUrl: string): string => createHash('sha256').update(baseUrl).digest('hex').slice(0, 16);
