/** Stage authenticate: a request's headers → who calls. Keys are known by digest only. */
import { hash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Config, KeyConfig } from '../config/schema.ts';
import { Refusal } from '../errors.ts';
import type { Identity } from '../exchange.ts';

const keyMaxLength = 4096;

interface KnownKey {
  readonly digest: Buffer;
  readonly identity: Identity;
}

/** The keys of one configuration. */
export interface Keyring {
  readonly byDigest: ReadonlyMap<string, KnownKey>;
  readonly anonymous: Identity | null;
}

export function createKeyring(config: Config['authenticate']): Keyring {
  const tenant = config.anonymousTenant;
  const anonymous: Identity | null =
    tenant === undefined ? null : { tenant, team: null, user: null, keyId: null, tags: [], models: null };
  return { byDigest: new Map(config.keys.map((key) => [key.sha256, known(key)])), anonymous };
}

const known = (key: KeyConfig): KnownKey => ({
  digest: Buffer.from(key.sha256, 'hex'),
  identity: {
    tenant: key.tenant,
    team: key.team ?? null,
    user: key.user ?? null,
    keyId: key.id,
    tags: key.tags,
    models: key.models ?? null,
  },
});

/** The caller's credential as sent; null: none. */
export function presentedKey(headers: IncomingHttpHeaders): string | null {
  const sent = headers.authorization;
  if (sent !== undefined) {
    const isBearer = sent.slice(0, 7).toLowerCase() === 'bearer ';
    return isBearer ? sent.slice(7).trim() : sent;
  }
  const plain = headers['x-api-key'] ?? headers['x-goog-api-key'];
  return typeof plain === 'string' && plain !== '' ? plain : null;
}

/** SHA-256 of the caller's credential as sent, hex, to tell callers apart by; empty: none. */
export function credentialDigest(headers: IncomingHttpHeaders): string {
  const key = presentedKey(headers);
  return key === null ? '' : hash('sha256', key);
}

const userPattern = /^[\w.:@/+-]{1,128}$/;

/** Adds what the app says of its user and tags, where the key doesn't say it already. */
function withHeaders(identity: Identity, headers: IncomingHttpHeaders): Identity | Refusal {
  const user = headers['x-sidegate-user'];
  const tags = headers['x-sidegate-tags'];
  if (user === undefined && tags === undefined) return identity;
  if (user !== undefined && (typeof user !== 'string' || !userPattern.test(user))) {
    return invalidHeader('x-sidegate-user', '1–128 letters, digits or . _ : @ / + -');
  }
  const added =
    tags === undefined
      ? []
      : String(tags)
          .split(',')
          .map((tag) => tag.trim());
  if (added.length > 16 || !added.every((tag) => userPattern.test(tag))) {
    return invalidHeader('x-sidegate-tags', 'at most 16 names, separated by commas');
  }
  return { ...identity, user: identity.user ?? user ?? null, tags: [...identity.tags, ...added] };
}

const invalidHeader = (name: string, want: string): Refusal =>
  new Refusal('invalid_header', `The header ${name} must be ${want}.`, { param: name });

/** Decides who calls. */
export function authenticate(headers: IncomingHttpHeaders, keyring: Keyring): Identity | Refusal {
  const { authorization, 'x-api-key': apiKey } = headers;
  if (authorization !== undefined && apiKey !== undefined && presentedKey(headers) !== apiKey) {
    return new Refusal('invalid_header', 'Authorization and x-api-key carry different keys.', {
      param: 'x-api-key',
    });
  }
  const presented = presentedKey(headers);
  const identity = presented === null || presented.length > keyMaxLength ? null : find(presented, keyring);
  if (identity !== null) return withHeaders(identity, headers);
  if (keyring.anonymous !== null) return withHeaders(keyring.anonymous, headers);
  return presented === null
    ? new Refusal('missing_key', 'The request carries no key.')
    : new Refusal('wrong_key', 'The key is not known here.');
}

/** Null when the caller may use the model. */
export function denyModel(identity: Identity, model: string): Refusal | null {
  if (identity.models === null || identity.models.some((pattern) => matches(pattern, model))) return null;
  return new Refusal('model_forbidden', `This key may not use the model "${model.slice(0, 128)}".`, {
    param: 'model',
  });
}

/**
 * Looks a key up by its SHA-256. The look-up's time depends on digest bits alone, which say nothing of the key;
 * the comparison that decides is constant-time.
 */
function find(presented: string, keyring: Keyring): Identity | null {
  if (keyring.byDigest.size === 0) return null;
  const digest = hash('sha256', presented, 'buffer');
  const key = keyring.byDigest.get(digest.toString('hex'));
  return key !== undefined && timingSafeEqual(key.digest, digest) ? key.identity : null;
}

/** Whether a model name fits an exact name or a pattern with a trailing *. */
export function matches(pattern: string, model: string): boolean {
  return pattern.endsWith('*') ? model.startsWith(pattern.slice(0, -1)) : pattern === model;
}
