/** Stage authenticate: finds the caller from a request's headers. Keys are known by their digest only. */

import type { IncomingHttpHeaders } from 'node:http';
import { Refusal } from '../base/errors.ts';
import { matchesPattern } from '../base/pattern.ts';
import { isOwnKey, presentedKey } from '../exchange/credential.ts';
import { type Endpoint, isOfProvider } from '../exchange/endpoint.ts';
import type { Identity } from '../exchange/identity.ts';
import { textDigest } from '../native/digest.ts';
import { type Caller, defaultUserHeader } from './caller.ts';
import { anonymousIdentity, type Keyring } from './keyring.ts';
import { tagsMax, userPattern } from './names.ts';

/** Longest credential that is digested, unless it is a token. */
const keyMaxLength = 4096;

/** Tenant of unidentified callers in observe mode. */
const unidentifiedTenant = 'unidentified';

/** Identifies the caller. Returns a promise only for a token seen for the first time; it never rejects. */
export function authenticate(
  headers: IncomingHttpHeaders,
  keyring: Keyring,
): Identity | Refusal | Promise<Identity | Refusal> {
  const found = identify(headers, keyring);
  return found instanceof Promise
    ? found.then((caller) => conclude(caller, headers, keyring))
    : conclude(found, headers, keyring);
}

/** Whether `authenticate` would let a caller pass. Returns a promise only for a token seen for the first time. */
export function mayPass(headers: IncomingHttpHeaders, keyring: Keyring): boolean | Promise<boolean> {
  const found = authenticate(headers, keyring);
  return found instanceof Promise
    ? found.then((identity) => !(identity instanceof Refusal))
    : !(found instanceof Refusal);
}

/**
 * Whether a caller that has passed may go on, as in a session: false once its key is revoked, expired or gone. A token
 * says for how long calls may begin, so it isn't looked at again.
 */
export function mayStay(headers: IncomingHttpHeaders, keyring: Keyring): boolean {
  if (keyring.tokens?.isToken(presentedKey(headers) ?? '') === true) return true;
  const found = authenticate(headers, keyring);
  return !(found instanceof Refusal) || found.code === 'callers_unknown';
}

/** Checks the credential's end, and applies the headers or the observe mode. */
function conclude(
  found: Caller | Refusal,
  headers: IncomingHttpHeaders,
  keyring: Keyring,
): Identity | Refusal {
  if (!(found instanceof Refusal)) {
    if (found.expiresMs === Number.POSITIVE_INFINITY || keyring.wallClock() < found.expiresMs)
      return withHeaders(found.identity, found.userHeader, headers);
    return passOrRefuse(new Refusal('key_expired', 'The key has expired.'), headers, keyring);
  }
  return passOrRefuse(found, headers, keyring);
}

/** The identity of a caller whose credential was refused, if it may pass anyway; otherwise the refusal. */
function passOrRefuse(refusal: Refusal, headers: IncomingHttpHeaders, keyring: Keyring): Identity | Refusal {
  const { anonymous, observe } = keyring;
  const { code } = refusal;
  const open = anonymous !== null && (code === 'missing_key' || code === 'wrong_key');
  if (!open && !observe) return refusal;
  const identity = anonymous ?? anonymousIdentity(unidentifiedTenant);
  if (!observe) return withHeaders(identity, defaultUserHeader, headers);
  // Only a credential that can't be one of our keys may be sent to a provider.
  const presented = presentedKey(headers);
  const ownCredential = code === 'wrong_key' && presented !== null && !isOwnKey(presented);
  return withHeaders(
    { ...identity, observed: open ? null : code, ownCredential },
    defaultUserHeader,
    headers,
  );
}

/** Finds the caller that the credential belongs to. */
function identify(
  headers: IncomingHttpHeaders,
  keyring: Keyring,
): Caller | Refusal | Promise<Caller | Refusal> {
  const { authorization, 'x-api-key': apiKey, 'api-key': azureKey } = headers;
  const presented = presentedKey(headers);
  if (authorization !== undefined && apiKey !== undefined && presented !== apiKey)
    return otherKey('x-api-key');
  if (azureKey !== undefined && azureKey !== '' && presented !== azureKey) return otherKey('api-key');
  if (presented === null) return new Refusal('missing_key', 'The request carries no key.');
  const { byDigest, stored, tokens } = keyring;
  if (presented.length > keyMaxLength) {
    if (tokens?.isToken(presented) !== true) return unknownKey();
  } else if (byDigest.size === 0 && stored === null && tokens === null) return unknownKey();
  // The lookup's timing depends on bits of the digest only, which reveal nothing of the key.
  const hex = textDigest(presented);
  const key = byDigest.get(hex);
  if (key !== undefined) return key;
  if (tokens?.isToken(presented) === true) return tokens.known(hex) ?? tokens.verify(presented, hex);
  return stored === null ? unknownKey() : findStored(Buffer.from(hex, 'hex'), keyring);
}

const otherKey = (param: string): Refusal =>
  new Refusal('invalid_header', `${param} carries another key than a header beside it.`, { param });

const unknownKey = (): Refusal => new Refusal('wrong_key', 'The key is unknown.');

function findStored(digest: Buffer, { stored, ids }: Keyring): Caller | Refusal {
  try {
    const found = stored?.find(digest) ?? null;
    if (found === null) return unknownKey();
    if (found === 'revoked') return new Refusal('key_revoked', 'The key has been revoked.');
    // Made in another pod: both would share limits and be told apart nowhere.
    if (ids.has(found.identity.keyId ?? ''))
      return new Refusal('wrong_key', "The key's id is taken by this gateway's configuration.");
    return found;
  } catch {
    return new Refusal('callers_unknown', 'The key store cannot be read.', { retryAfterMs: 1000 });
  }
}

/** Adds the user and tags from the request's headers. A user set by the key wins. */
function withHeaders(
  identity: Identity,
  userHeader: string | null,
  headers: IncomingHttpHeaders,
): Identity | Refusal {
  const user = userHeader === null ? undefined : headers[userHeader];
  const tags = headers['x-sidegate-tags'];
  if (user === undefined && tags === undefined) return identity;
  if (user !== undefined && (typeof user !== 'string' || !userPattern.test(user))) {
    return invalidHeader(userHeader ?? '', nameText);
  }
  const added =
    tags === undefined
      ? []
      : String(tags)
          .split(',')
          .map((tag) => tag.trim());
  if (added.length > tagsMax || !added.every((tag) => userPattern.test(tag))) {
    return invalidHeader('x-sidegate-tags', `at most ${tagsMax} names of ${nameText}, separated by commas`);
  }
  return { ...identity, user: identity.user ?? user ?? null, tags: [...identity.tags, ...added] };
}

/** What `userPattern` asks for. */
const nameText = '1–128 letters, digits or . _ : @ / + -';

const invalidHeader = (name: string, want: string): Refusal =>
  new Refusal('invalid_header', `The header ${name} must be ${want}.`, { param: name });

/** The refusal of a model the caller may not use; null: it may. */
export function denyModel(identity: Identity, model: string): Refusal | null {
  if (identity.models === null || identity.models.some((pattern) => matchesPattern(pattern, model)))
    return null;
  return new Refusal('model_forbidden', `This key may not use the model "${model.slice(0, 128)}".`, {
    param: 'model',
  });
}

/** The refusal of an endpoint the caller may not use; null: it may. */
export function denyEndpoint(identity: Identity, endpoint: Pick<Endpoint, 'name' | 'kind'>): Refusal | null {
  const { name } = endpoint;
  // A list of models doesn't cover what names none: files, which may contain anything, or whatever is passed on.
  if (isOfProvider(endpoint) && identity.endpoints === null && identity.models !== null)
    return new Refusal(
      'endpoint_forbidden',
      `This key is restricted to models and does not list the endpoint "${name}".`,
    );
  if (identity.endpoints === null || name === 'models' || identity.endpoints.includes(name)) return null;
  return new Refusal('endpoint_forbidden', `This key may not use the endpoint "${name}".`);
}
