/**
 * Access tokens (JWT, RFC 7519 and 8725): signature and claims are verified once, then the token is known by
 * its digest.
 */
import {
  type CryptoKey,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  jwtVerify,
  type ProtectedHeaderParameters,
} from 'jose';
import { type ErrorCode, Refusal } from '../base/errors.ts';
import { type Caller, callerOf } from './caller.ts';
import type { KeySet } from './jwks.ts';
import { claimName, tagsMax } from './names.ts';
import type { AuthenticateSettings, IssuerConfig } from './settings.ts';

/** Most verified tokens remembered; the oldest is dropped first. */
const knownMax = 10_000;
/** Longest time until a token is verified again, since its key may have been withdrawn. */
const knownMaxMs = 900_000;

/** The tokens of one configuration. */
export interface Tokens {
  /** Whether a credential has the form of a token. */
  isToken(presented: string): boolean;
  /** The caller of a token that was verified and is still valid; null: call `verify`. @param digest SHA-256, hex */
  known(digest: string): Caller | null;
  /** Verifies a token. The promise never rejects. */
  verify(presented: string, digest: string): Refusal | Promise<Caller | Refusal>;
}

/** An issuer and its keys. */
export interface Issuer {
  readonly config: IssuerConfig;
  readonly keys: KeySet;
}

/** Accepts the tokens of these issuers. @param wallClock ms since 1970 */
export function createTokens(
  { tokenMaxBytes }: AuthenticateSettings,
  issuers: readonly Issuer[],
  wallClock: () => number,
): Tokens {
  const byIssuer = new Map(issuers.map((issuer) => [issuer.config.issuer, issuer]));
  const known = new Map<string, { readonly caller: Caller; readonly untilMs: number }>();
  // Concurrent requests with the same new token share one check. Bounded by the number of requests in flight.
  const underWay = new Map<string, Promise<Caller | Refusal>>();

  /** A token that names no key, after the issuer's keys were fetched: the one it is signed with may be new. */
  const again = async (token: string, { keys, config }: Issuer, header: ProtectedHeaderParameters) => {
    const found = await keys.findAnew(header);
    return typeof found === 'string' ? badSignature() : verifiedByAny(token, found, config, wallClock());
  };

  const check = async (token: string, digest: string, issuer: Issuer, header: ProtectedHeaderParameters) => {
    const keys = await issuer.keys.find(header);
    if (keys === 'unavailable') {
      const message = `The keys of the issuer "${issuer.config.id}" could not be fetched yet.`;
      return new Refusal('callers_unknown', message, { retryAfterMs: 1000 });
    }
    if (keys === 'unknown')
      return refuse('token_unknown_key', 'The token is signed with a key that its issuer does not list.');
    const nowMs = wallClock();
    const first = await verifiedByAny(token, keys, issuer.config, nowMs);
    const payload =
      isUnsigned(first) && header.kid === undefined ? await again(token, issuer, header) : first;
    if (payload instanceof Refusal) return payload;
    const caller = callerIn(payload, issuer.config);
    if (caller instanceof Refusal) return caller;
    if (known.size >= knownMax) known.delete(known.keys().next().value ?? '');
    const endMs = ((payload.exp ?? 0) + issuer.config.clockSkewSeconds) * 1000;
    known.set(digest, { caller, untilMs: Math.min(endMs, nowMs + knownMaxMs) });
    return caller;
  };

  return {
    // The base64url of a JSON object begins like this, with or without white space. Other credentials may
    // contain dots too.
    isToken: (presented) => presented.startsWith('eyJ') || /^e[wy][\w-]*\.[\w-]+\.[\w-]*$/.test(presented),

    known(digest) {
      const entry = known.get(digest);
      if (entry === undefined) return null;
      if (wallClock() < entry.untilMs) return entry.caller;
      known.delete(digest);
      return null;
    },

    verify(token, digest) {
      if (token.length > tokenMaxBytes)
        return refuse('token_oversized', `The token is larger than ${tokenMaxBytes} bytes.`);
      const parts = read(token);
      if (parts === null) return refuse('token_malformed', 'The token is not a signed JWT.');
      const { header, payload } = parts;
      const issuer = byIssuer.get(typeof payload.iss === 'string' ? payload.iss : '');
      if (issuer === undefined)
        return refuse('token_issuer', 'The token comes from an issuer that is not configured.');
      if (!(issuer.config.algorithms as readonly unknown[]).includes(header.alg))
        return refuse(
          'token_algorithm',
          'The token is signed with an algorithm (`alg`) that is not allowed.',
        );
      let checking = underWay.get(digest);
      if (checking === undefined) {
        checking = check(token, digest, issuer, header).finally(() => underWay.delete(digest));
        underWay.set(digest, checking);
      }
      return checking;
    },
  };
}

/** The claims of a token by the first of these keys that it is signed with. */
async function verifiedByAny(
  token: string,
  keys: readonly CryptoKey[],
  config: IssuerConfig,
  nowMs: number,
): Promise<JWTPayload | Refusal> {
  for (const key of keys) {
    const payload = await verified(token, key, config, nowMs);
    if (!isUnsigned(payload)) return payload;
  }
  return badSignature();
}

const badSignature = (): Refusal => refuse('token_signature', "The token's signature is invalid.");

const isUnsigned = (result: JWTPayload | Refusal): boolean =>
  result instanceof Refusal && result.code === 'token_signature';

const refuse = (code: ErrorCode, message: string): Refusal => new Refusal(code, message);

/** Header and claims of a token, not yet verified; null: it isn't a signed JWT. */
function read(token: string): { header: ProtectedHeaderParameters; payload: JWTPayload } | null {
  // An empty signature is allowed here, so that `alg: none` is refused by name.
  if (!/^[\w-]+\.[\w-]+\.[\w-]*$/.test(token)) return null;
  try {
    return { header: decodeProtectedHeader(token), payload: decodeJwt(token) };
  } catch {
    return null;
  }
}

/** The claims, if signature, issuer, audience, type and times are valid. */
async function verified(
  token: string,
  key: CryptoKey,
  config: IssuerConfig,
  nowMs: number,
): Promise<JWTPayload | Refusal> {
  try {
    const { payload } = await jwtVerify(token, key, {
      issuer: config.issuer,
      audience: config.audience,
      algorithms: config.algorithms,
      clockTolerance: config.clockSkewSeconds,
      currentDate: new Date(nowMs),
      requiredClaims: ['exp'],
      ...(config.type === undefined ? {} : { typ: config.type }),
    });
    return payload;
  } catch (cause) {
    if (cause instanceof errors.JWTExpired) return refuse('token_expired', 'The token has expired (`exp`).');
    if (cause instanceof errors.JWTClaimValidationFailed) return claimRefusal(cause.claim);
    if (cause instanceof errors.JWSSignatureVerificationFailed) return badSignature();
    return refuse('token_malformed', 'The token is not a valid JWT.');
  }
}

function claimRefusal(claim: string): Refusal {
  switch (claim) {
    case 'aud':
      return refuse('token_audience', 'The token is meant for another audience (`aud`).');
    case 'iss':
      return refuse('token_issuer', 'The token comes from another issuer (`iss`).');
    case 'nbf':
      return refuse('token_not_yet_valid', 'The token is not valid yet (`nbf`).');
    default:
      return refuse('token_claims', `The token's claim \`${claim}\` is missing or invalid.`);
  }
}

/** The caller that the claims name. */
function callerIn(payload: JWTPayload, config: IssuerConfig): Caller | Refusal {
  const { id, claims, models, endpoints } = config;
  const tenant = config.tenant ?? nameAt(payload, claims.tenant ?? []);
  const team = claims.team === undefined ? null : nameAt(payload, claims.team);
  const user = nameAt(payload, claims.user);
  const tags = claims.tags === undefined ? [] : tagsAt(payload, claims.tags);
  if (tenant === null || tenant === undefined) return noName('tenant');
  if (team === undefined) return noName('team');
  if (user === undefined) return noName('user');
  if (tags === null) return noName('tags');
  // A token belongs to one caller, so no header may name the user.
  const userHeader = 'none';
  return callerOf({
    id,
    tenant,
    team: team ?? undefined,
    user: user ?? undefined,
    userHeader,
    limits: [],
    tags,
    models,
    endpoints,
  });
}

const noName = (what: string): Refusal =>
  refuse('token_claims', `The claim configured for \`${what}\` is missing or not a valid name.`);

function valueAt(payload: JWTPayload, path: string | readonly string[]): unknown {
  let value: unknown = payload;
  for (const step of typeof path === 'string' ? [path] : path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return null;
    value = (value as Record<string, unknown>)[step];
  }
  return value;
}

/** The name in a claim; null: missing; undefined: not a name. */
function nameAt(payload: JWTPayload, path: string | readonly string[]): string | null | undefined {
  const value = path.length === 0 ? null : valueAt(payload, path);
  if (value === null) return null;
  return typeof value === 'string' ? (claimName(value) ?? undefined) : undefined;
}

/** The tags in a claim; null: not a list of tags, or too many. */
function tagsAt(payload: JWTPayload, path: string | readonly string[]): string[] | null {
  const value = valueAt(payload, path) ?? [];
  const tags: unknown = typeof value === 'string' ? value.split(' ').filter((tag) => tag !== '') : value;
  if (!Array.isArray(tags) || tags.length > tagsMax) return null;
  const names = tags.map((tag) => (typeof tag === 'string' ? claimName(tag) : null));
  return names.every((name) => name !== null) ? names : null;
}
