/**
 * Hints between peers: which breakers opened or closed, which credentials are rate limited at which target, and who made
 * which object. After a hint a breaker needs less evidence to open, and probes are spread; a hint alone opens no breaker.
 */
import { createHash, randomUUID } from 'node:crypto';
import type { Telemetry } from '../base/telemetry.ts';
import { breaker } from '../native/breaker.ts';
import { hintLimited } from '../upstream/credential.ts';
import type { HealthBook } from '../upstream/health.ts';
import type { PeerHints } from '../upstream/hints.ts';
import type { Provider } from '../upstream/target.ts';
import type { Message } from './message.ts';
import { connectPeers, type Peers } from './peers.ts';
import type { SyncConfig } from './settings.ts';

/** Redis channel. Its number is the version of the messages, so that peers with another version aren't misread. */
const channelOf = (prefix: string): string => `${prefix}:hints:1`;
/** Shorter cooldowns would be over before a peer could use the hint. */
const cooldownMinMs = 1000;
/** Most cooldowns remembered as sent, so that not every 429 becomes a message. */
const sentMax = 10_000;

/** A hint among the workers of one sidecar. */
export type HintNews = Omit<Message, 'from'>;

/** Sends hints to peers and to other workers, and applies theirs. */
export interface Hints extends PeerHints {
  /** A tenant made an object at a provider. */
  made(provider: string, id: string, tenant: string): void;
  /** Another worker's hint, or one that it has received; whoever is connected sends it on to peers. */
  hear(news: HintNews): void;
  /** Adopts settings: connects elsewhere, or not at all. */
  update(sync: SyncConfig): void;
  close(): void;
}

/** What hints depend on. */
export interface HintsDeps {
  readonly health: HealthBook;
  /** Tells all other workers; null: there are none. */
  readonly tellWorkers: ((news: HintNews) => void) | null;
  /** Takes the word of a peer that a tenant made an object at a provider. */
  readonly hearMade: (provider: string, id: string, tenant: string) => void;
  /** The provider of this name; undefined: there is none. */
  provider(name: string): Provider | undefined;
  /** Monotonic ms. */
  readonly clock: () => number;
  /** 0 ≤ x < 1; spreads probes. */
  readonly random: () => number;
  readonly telemetry: Pick<Telemetry, 'peers' | 'hint'>;
}

/** Creates the hints, not connected yet. */
export function createHints(deps: HintsDeps): Hints {
  const from = randomUUID();
  // When the last cooldown sent ends, by credential and target; monotonic ms.
  const sent = new Map<string, number>();
  let settings = '';
  let peers: Peers | null = null;

  const publish = (news: HintNews): void => {
    if (peers === null) return;
    deps.telemetry.hint('sent');
    peers.publish(JSON.stringify({ from, ...news }));
  };

  const someoneHears = (): boolean => peers !== null || deps.tellWorkers !== null;

  const send = (
    message: Omit<HintNews, 'provider' | 'place'>,
    { name, baseUrl }: Pick<Provider, 'name' | 'baseUrl'>,
  ): void => {
    if (!someoneHears()) return;
    const news = { provider: name, place: addressDigest(baseUrl), ...message };
    publish(news);
    deps.tellWorkers?.(news);
  };

  /** False: it is of no use here. */
  const adopt = (got: HintNews): boolean => {
    const provider = deps.provider(got.provider);
    if (provider === undefined || addressDigest(provider.baseUrl) !== got.place) return false;
    if (got.kind === 'made') {
      deps.hearMade(got.provider, got.name, got.tenant ?? '');
      return true;
    }
    const breakerId = deps.health.breakerId(got.subject, got.name);
    if (breakerId === null) return false;
    const nowMs = deps.clock();
    if (got.kind !== 'limited') breaker.hint(breakerId, got.kind === 'down', deps.random(), nowMs);
    else hintLimited(provider, got.credential ?? '', got.name, nowMs + (got.restMs ?? 0));
    return true;
  };

  const receive = ({ from: sender, ...got }: Message): void => {
    if (sender === from || !adopt(got)) return;
    deps.telemetry.hint('received');
    if (!ofBreaker(got)) deps.tellWorkers?.(got);
  };

  const close = (): void => {
    peers?.close();
    peers = null;
  };

  return {
    update(next) {
      const { redis, prefix } = next;
      const text = redis === undefined ? '' : JSON.stringify(next);
      if (text === settings) return;
      settings = text;
      close();
      if (redis === undefined) return;
      peers = connectPeers({ ...next, redis }, channelOf(prefix), deps.random, {
        onMessage: receive,
        onState: deps.telemetry.peers,
        onDropped: () => deps.telemetry.hint('dropped'),
      });
    },
    breaker(subject, target, open) {
      const name = subject === 'target' ? target.label : target.provider.name;
      send({ kind: open ? 'down' : 'up', subject, name }, target.provider);
    },
    rest(target, { digest }, restMs) {
      if (!someoneHears() || restMs < cooldownMinMs) return;
      const key = `${digest} ${target.label}`;
      const nowMs = deps.clock();
      // Peers already know of a cooldown that ends about as late.
      if ((sent.get(key) ?? 0) >= nowMs + restMs - cooldownMinMs) return;
      if (sent.size >= sentMax) sent.clear();
      sent.set(key, nowMs + restMs);
      const hint = { kind: 'limited', subject: 'target', name: target.label } as const;
      send({ ...hint, credential: digest, restMs }, target.provider);
    },
    made(name, id, tenant) {
      const provider = someoneHears() ? deps.provider(name) : undefined;
      if (provider !== undefined) send({ kind: 'made', subject: 'provider', name: id, tenant }, provider);
    },
    hear(news) {
      publish(news);
      // Breakers are the same for all workers.
      if (!ofBreaker(news)) adopt(news);
    },
    close,
  };
}

const ofBreaker = ({ kind }: HintNews): boolean => kind === 'down' || kind === 'up';

/** Identifies a provider's address without revealing it. */
const addressDigest = (baseUrl: string): string =>
  createHash('sha256').update(baseUrl).digest('hex').slice(0, 16);
