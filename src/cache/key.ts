/** What separates cached replies: everything that may change an answer, matched exactly. */
import { hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Exchange } from '../exchange/exchange.ts';
import type { Identity } from '../exchange/identity.ts';
import type { ModelRequest } from '../exchange/request.ts';
import type { Question } from '../native/question.ts';

/** Names a request and its scope. Only this file makes one, so nothing can read the cache without a scope. */
export type CacheKey = string & { readonly scoped: unique symbol };

/** Names all of a request but its question, and its scope. Only this file makes one. */
export type QuestionScope = string & { readonly scoped: unique symbol };

/** What separates cached replies besides caller and request. */
export interface CacheScope {
  /** Name of the scrub policy. */
  readonly policy: string;
  /** Changes with the route's targets, so that replies of an older configuration aren't served. */
  readonly routeVersion: string;
  /** SHA-256 of the client's own credential if that is sent upstream, otherwise empty. */
  readonly credential: string;
  /** The app's own headers that a target's provider is passed, with their values; empty: there are none. */
  readonly passed?: string;
}

/** Client headers that change a provider's answer. Each is named, since V8 is slow at computed property names. */
function meaningOf(headers: IncomingHttpHeaders): string {
  const anthropicBeta = headers['anthropic-beta'];
  const anthropicVersion = headers['anthropic-version'];
  const openaiBeta = headers['openai-beta'];
  const organization = headers['openai-organization'];
  const project = headers['openai-project'];
  const simulate = headers['x-simulate'];
  return (
    `${anthropicBeta ?? ''}\0${anthropicVersion ?? ''}\0${openaiBeta ?? ''}\0` +
    `${organization ?? ''}\0${project ?? ''}\0${simulate ?? ''}\0`
  );
}

/** What the client's `Cache-Control` header allows (RFC 9111). */
export interface CacheControl {
  readonly read: boolean;
  readonly write: boolean;
  /** No older reply answers the request, nor is its own kept for longer; Infinity: it doesn't say. */
  readonly maxAgeMs: number;
}

const allowsAll: CacheControl = { read: true, write: true, maxAgeMs: Number.POSITIVE_INFINITY };

/** Reads it. An age that is no number is none at all. */
export function cacheControl({ headers }: Pick<Exchange, 'headers'>): CacheControl {
  const value = headers['cache-control'];
  if (value === undefined) return allowsAll;
  const noStore = /\bno-store\b/i.test(value);
  const [stated, age = 0] = /\bmax-age\b(?:\s*=\s*"?(\d{1,10}))?/i.exec(value) ?? [];
  const maxAgeMs = stated === undefined ? Number.POSITIVE_INFINITY : Number(age) * 1000;
  const read = !noStore && !/\bno-cache\b/i.test(value) && maxAgeMs > 0;
  return { read, write: !noStore, maxAgeMs };
}

/**
 * The placeholders in what leaves, where a recogniser looked at it: it may find something else in the same text the next
 * time, and nobody could restore the placeholders in a reply to another question.
 */
function placeholdersOf({ checked, masked }: ModelRequest): string {
  if (checked === undefined || masked === null) return '';
  return hash('sha256', [...masked.keys()].sort().join('\0'));
}

/** The body's digest covers all of its fields; the rest of the key is what matters outside the body. */
export function scopedKey(
  exchange: Exchange,
  identity: Identity,
  request: ModelRequest,
  scope: CacheScope,
  shareUsers: boolean,
): CacheKey {
  const { headers, endpoint, query } = exchange;
  const meaning = meaningOf(headers);
  const who = `${identity.tenant}\0${shareUsers ? '' : (identity.user ?? '')}\0${scope.credential}`;
  // Two dialects have an endpoint of one name: rerank.
  const what = `${endpoint.dialect}\0${endpoint.name}\0${query}\0${scope.routeVersion}\0${scope.policy}\0${placeholdersOf(request)}\0${scope.passed ?? ''}\0${meaning}${request.digest}`;
  return `${who}\0${what}` as CacheKey;
}

/**
 * The same with all of the body but its question in place of the whole body.
 * @param embedder names what makes the vectors that questions are found by
 */
export function questionScope(
  key: CacheKey,
  request: ModelRequest,
  { rest }: Question,
  embedder: string,
): QuestionScope {
  const outside = key.slice(0, key.length - request.digest.length);
  // A model in the path isn't part of the body.
  return `${outside}${embedder}\0${request.model}\0${rest}` as QuestionScope;
}

/** A key that this cache or another one made before. */
export const keyAgain = (told: string): CacheKey => told as CacheKey;

/** A question's scope that this cache or another one made before. */
export const scopeAgain = (told: string): QuestionScope => told as QuestionScope;
