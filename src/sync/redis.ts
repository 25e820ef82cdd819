/** Clients of the Redis that pods share: one server, a master behind Sentinels, or a cluster. */
import type { Cluster, Redis, RedisOptions } from 'ioredis';
import type { SyncConfig } from './settings.ts';

export type RedisClient = Redis | Cluster;

/** A server that says nothing is given up after this. */
export const answerTimeoutMs = 1000;
/**
 * A connection on which an answer has been missing for so long is replaced: its other end may have vanished without
 * closing it, which the system would notice after a quarter of an hour, or two hours if nothing is sent.
 */
const hungMs = 5000;
const reconnectMinMs = 100;
const reconnectMaxMs = 10_000;

/** Nothing is queued or sent again by the client: what can't be sent at once is the caller's to decide on. */
const bounded = {
  lazyConnect: true,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  enableReadyCheck: false,
  maxRetriesPerRequest: 0,
  connectTimeout: answerTimeoutMs,
  socketTimeout: hungMs,
} satisfies RedisOptions;

/**
 * Makes a client, which connects when told to, and again whenever the connection is lost.
 * @param random 0 ≤ x < 1, so that pods don't come back all at once
 */
export async function redisClient(
  sync: SyncConfig & { readonly redis: string },
  random: () => number,
): Promise<RedisClient> {
  // Loaded only where it is configured: it takes megabytes.
  const ioredis = await import('ioredis');
  const retryStrategy = (times: number): number =>
    Math.min(reconnectMaxMs, reconnectMinMs * 2 ** Math.min(times, 10)) * (0.5 + random() / 2);
  const nodes = [sync.redis, ...sync.nodes];
  const { db, ...login } = partsOf(sync);
  const options = { ...bounded, ...login, db, retryStrategy };
  const addresses = nodes.map((url) => {
    const { hostname, port } = new URL(url);
    return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 6379) };
  });
  switch (sync.mode) {
    case 'single':
      return new ioredis.Redis({ ...addresses[0], ...options });
    case 'sentinel':
      return new ioredis.Redis({
        ...options,
        sentinels: addresses,
        name: sync.sentinelName,
        sentinelRetryStrategy: retryStrategy,
        // A sentinel that hangs must not hold up the others.
        sentinelCommandTimeout: answerTimeoutMs,
        failoverDetector: true,
      });
    case 'cluster':
      return new ioredis.Cluster(addresses, {
        lazyConnect: true,
        enableOfflineQueue: false,
        enableReadyCheck: false,
        clusterRetryStrategy: retryStrategy,
        slotsRefreshTimeout: answerTimeoutMs,
        slotsRefreshInterval: 5000,
        maxRedirections: 4,
        retryDelayOnFailover: 50,
        retryDelayOnClusterDown: 50,
        retryDelayOnTryAgain: 50,
        redisOptions: { ...bounded, ...login },
      });
  }
}

/** User, password, database and TLS, as the URL and the settings beside it say. */
function partsOf(
  sync: SyncConfig & { readonly redis: string },
): Pick<RedisOptions, 'username' | 'password' | 'tls'> & { db: number } {
  const url = new URL(sync.redis);
  const db = Number(url.pathname.slice(1) || 0);
  const secure = url.protocol === 'rediss:';
  return {
    ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
    db: Number.isInteger(db) ? db : 0,
    ...(secure ? { tls: sync.ca === undefined ? {} : { ca: sync.ca } } : {}),
  };
}

/** Why a call failed, in words from a closed list: a reply may quote what nobody should read in a log. */
export function reasonOf(cause: unknown): string {
  const { message = '', code = '' } = cause as { message?: string; code?: string };
  const word = /^([A-Z]{3,})\b/.exec(message)?.[1] ?? '';
  const known = reasons[word] ?? reasons[code];
  if (known !== undefined) return known;
  if (/timed out|timeout/i.test(message)) return 'it does not answer in time';
  if (/^CERT_|_CERT|CERTIFICATE|ALTNAME/.test(code)) return 'its certificate is not trusted';
  return 'it cannot be reached';
}

const reasons: Readonly<Record<string, string>> = {
  TOOOLD: 'it is older than 7.0',
  WRONGPASS: 'it refuses the user or the password',
  NOAUTH: 'it asks for a password',
  NOPERM: 'its user may not run what leases need',
  OOM: 'it is full',
  READONLY: 'it is a read-only replica',
  MISCONF: 'it refuses writes, since it cannot save them',
  WRONGTYPE: 'its keys hold something else',
  LOADING: 'it is still loading',
  CLUSTERDOWN: 'its cluster is down',
  MASTERDOWN: 'its master is down',
  NOREPLICAS: 'it has too few replicas to take writes',
  TRYAGAIN: 'a slot of its cluster is moving',
  BUSY: 'it is busy with a script',
  ECONNREFUSED: 'it refuses connections',
  ENOTFOUND: 'its name is unknown',
  ECONNRESET: 'it ended the connection',
  ETIMEDOUT: 'it does not answer in time',
};
