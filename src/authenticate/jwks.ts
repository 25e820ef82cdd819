/**
 * The public keys of one issuer: fetched in the background before they are needed, and kept while the issuer
 * is down.
 */
import type { IncomingMessage } from 'node:http';
import { get as getSecure, Agent as SecureAgent } from 'node:https';
import { type CryptoKey, createLocalJWKSet, errors, type JWK, type JWSHeaderParameters } from 'jose';
import { get as getPlain, Agent as PlainAgent } from '../base/node-http.ts';
import { agentProxy, proxyOf, type Variables } from '../base/proxy.ts';
import type { Telemetry } from '../base/telemetry.ts';
import type { IssuerConfig } from './settings.ts';

/** The keys of one issuer. */
export interface KeySet {
  /**
   * The key a token was signed with; for one that names none, each that it may be. If there is none yet, waits for a
   * fetch, at most `waitMs`. `unknown`: the issuer has no such key; `unavailable`: no fetch has succeeded yet.
   */
  find(header: JWSHeaderParameters): Promise<FoundKeys>;
  /** The same after a fetch: what a token that names no key was signed with may have been replaced. */
  findAnew(header: JWSHeaderParameters): Promise<FoundKeys>;
  /** Stops fetching. */
  close(): void;
}

/** Keys to try, at least one. */
export type FoundKeys = readonly CryptoKey[] | 'unknown' | 'unavailable';

/** Clocks, randomness, the environment, and where fetches are reported. */
export interface KeySetWorld {
  /** Monotonic ms. */
  readonly clock: () => number;
  /** Where the proxy is named. */
  readonly env: Variables;
  /** 0 ≤ x < 1; spreads the fetches of a fleet. */
  readonly random: () => number;
  readonly telemetry: Pick<Telemetry, 'issuerKeys'>;
}

const answerMaxBytes = 512 * 1024;
const fetchTimeoutMs = 5000;
const keysMax = 100;
/** Keys tried for a token that names none. */
const triedMax = 8;
/** Tokens that may wait for a fetch; for more than that the key counts as unknown at once. */
const waitingMax = 1024;
/** After failed fetches: first and longest delay until the next one. */
const retryBaseMs = 1000;
const retryMaxMs = 60_000;

/** Fields of a key that are kept: only public ones. */
const publicFields = ['kty', 'kid', 'use', 'alg', 'key_ops', 'n', 'e', 'crv', 'x', 'y'] as const;
const publicKinds = new Set(['RSA', 'EC', 'OKP']);

/** Fetches at once, and repeatedly until closed. Never keeps the process alive. */
export function createKeySet(config: IssuerConfig, { clock, random, telemetry, env }: KeySetWorld): KeySet {
  type Local = ReturnType<typeof createLocalJWKSet>;
  let local: Local | null = null;
  let underWay: Promise<void> | null = null;
  let next: Promise<void> | null = null;
  let beganMs = Number.NEGATIVE_INFINITY;
  let failures = 0;
  let waiting = 0;
  let timer: NodeJS.Timeout | null = null;
  const closing = new AbortController();

  const begin = async (): Promise<void> => {
    beganMs = clock();
    let problem: string | null = null;
    try {
      local = createLocalJWKSet({ keys: await fetchKeys(config, closing.signal, env) });
      failures = 0;
    } catch (cause) {
      failures++;
      problem = cause instanceof Error ? cause.message : 'unknown';
    }
    underWay = null;
    if (closing.signal.aborted) return;
    telemetry.issuerKeys(config.id, problem);
    schedule();
  };
  const schedule = (): void => {
    if (timer !== null) clearTimeout(timer);
    const usualMs = config.refreshSeconds * 1000;
    const retryMs = Math.min(retryMaxMs, retryBaseMs * 2 ** Math.min(failures, 10));
    const delayMs = failures === 0 ? usualMs : Math.min(usualMs, retryMs);
    timer = setTimeout(refresh, delayMs * (0.9 + 0.2 * random()));
    timer.unref();
  };
  const refresh = (): Promise<void> => {
    underWay ??= begin();
    return underWay;
  };
  /** A fetch that begins after now and after the cooldown. Concurrent callers share it. */
  const refreshAnew = (): Promise<void> => {
    next ??= (async () => {
      await underWay;
      const coolMs = beganMs + config.cooldownMs - clock();
      if (coolMs > 0) await new Promise<void>((resolve) => void setTimeout(resolve, coolMs).unref());
      next = null;
      if (!closing.signal.aborted) await refresh();
    })();
    return next;
  };
  const look = async (header: JWSHeaderParameters): Promise<readonly CryptoKey[] | null> => {
    try {
      return local === null ? null : [await local(header)];
    } catch (cause) {
      // No key matches, or it is unusable.
      return cause instanceof errors.JWKSMultipleMatchingKeys ? await several(cause) : null;
    }
  };
  void refresh();

  /** @param known what a fetch that is under way brings isn't enough: there are keys already */
  const fetched = async (header: JWSHeaderParameters, known: boolean): Promise<FoundKeys> => {
    const missing = (): 'unknown' | 'unavailable' => (local === null ? 'unavailable' : 'unknown');
    if (waiting >= waitingMax || config.waitMs === 0 || closing.signal.aborted) return missing();
    waiting++;
    try {
      // A fetch that began before this token arrived may still bring its key, though it may have read too early.
      const late = Symbol('late');
      const deadline = wait(config.waitMs, late);
      if (!known && underWay !== null && (await Promise.race([underWay, deadline.over])) !== late) {
        const after = await look(header);
        if (after !== null) return deadline.cancel(after);
      }
      await Promise.race([refreshAnew(), deadline.over]);
      return deadline.cancel((await look(header)) ?? missing());
    } finally {
      waiting--;
    }
  };

  return {
    find: async (header) => (await look(header)) ?? (await fetched(header, false)),
    findAnew: (header) => fetched(header, true),
    close() {
      closing.abort();
      if (timer !== null) clearTimeout(timer);
    },
  };
}

/** The keys that a token without a key's name may be signed with, the first few. */
async function several(found: errors.JWKSMultipleMatchingKeys): Promise<readonly CryptoKey[] | null> {
  const keys: CryptoKey[] = [];
  try {
    for await (const key of found) if (keys.push(key) === triedMax) break;
  } catch {
    // One of them is unusable.
  }
  return keys.length === 0 ? null : keys;
}

/** A promise that resolves after `ms`, or never if it is cancelled first. */
function wait<T>(ms: number, value: T): { over: Promise<T>; cancel<R>(result: R): R } {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<T>((resolve) => {
    timer = setTimeout(resolve, ms, value);
  });
  return {
    over,
    cancel(result) {
      clearTimeout(timer);
      return result;
    },
  };
}

/** Fetches the public keys, from the URL in the issuer's metadata if none is configured. @throws with a reason */
async function fetchKeys(config: IssuerConfig, closing: AbortSignal, env: Variables): Promise<JWK[]> {
  let url = config.jwksUrl;
  if (url === undefined) {
    // OpenID Connect Discovery 1.0, section 4: the metadata must name the issuer it was requested from.
    const where = `${config.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const { issuer, jwks_uri } = (await fetchJson(where, closing, env)) as Record<string, unknown>;
    if (issuer !== config.issuer) throw new Error('its metadata names another issuer');
    if (typeof jwks_uri !== 'string' || !/^https?:\/\//.test(jwks_uri) || !URL.canParse(jwks_uri))
      throw new Error('its metadata names no jwks_uri');
    url = jwks_uri;
  }
  const { keys } = (await fetchJson(url, closing, env)) as Record<string, unknown>;
  if (!Array.isArray(keys)) throw new Error('its response contains no list of keys');
  const usable = keys.slice(0, keysMax).flatMap((key): JWK[] => {
    if (typeof key !== 'object' || key === null || !publicKinds.has(key.kty)) return [];
    const given = key as Record<string, unknown>;
    return [Object.fromEntries(publicFields.flatMap((f) => (f in given ? [[f, given[f]]] : []))) as JWK];
  });
  if (usable.length === 0) throw new Error('its response contains no public key');
  return usable;
}

/**
 * Fetches one JSON object of limited size; follows no redirects.
 * @throws with a reason that quotes nothing of the response
 */
function fetchJson(url: string, closing: AbortSignal, env: Variables): Promise<object> {
  return new Promise((resolve, reject) => {
    const secure = url.startsWith('https:');
    const proxy = proxyOf(url, env);
    const agent = proxy === null ? false : new (secure ? SecureAgent : PlainAgent)(agentProxy(proxy));
    const get = secure ? getSecure : getPlain;
    const signal = AbortSignal.any([closing, AbortSignal.timeout(fetchTimeoutMs)]);
    const options = { headers: { accept: 'application/json' }, signal, agent } as const;
    const request = get(url, options, (answer: IncomingMessage) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      if (answer.statusCode !== 200) {
        reject(new Error(`it answered with status ${answer.statusCode}`));
        request.destroy();
        return;
      }
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        chunks.push(chunk);
        if (bytes > answerMaxBytes)
          request.destroy(new Error(`its response is larger than ${answerMaxBytes} bytes`));
      });
      answer.on('error', reject);
      answer.on('end', () => {
        try {
          const value: unknown = JSON.parse(Buffer.concat(chunks).toString());
          if (typeof value === 'object' && value !== null) return resolve(value);
        } catch {
          // Reported below.
        }
        reject(new Error('its response is not a JSON object'));
      });
    });
    request.on('error', (cause: Error & { code?: string }) =>
      reject(signal.aborted ? new Error('it did not answer in time') : cause),
    );
  });
}
