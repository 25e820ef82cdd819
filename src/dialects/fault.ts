/**
 * Whom an error response blames, in one table for all dialects: the request, which is passed on; the account, whose
 * money or quota is spent; the credential; or the provider. Only a credential's own fault may end its use everywhere.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { entryOf, isObject, type Json, numberOf, objectOf, parseJson, textOf } from '../base/json.ts';
import { retryAfterMs, waitMs } from './headers.ts';

/** The meaning of a provider's error response; decides on retry, cooldown, fallback and breaker. */
export type FaultKind =
  /** The request itself is at fault (400, 404, 413, 422, …, or a 403 for its model): passed on to the client. */
  | 'rejected'
  /** The prompt is too long for the model: passed on, unless the route has a fallback for that. */
  | 'context_window'
  /** The provider's content policy refuses the request: passed on, unless the route has a fallback for that. */
  | 'content_policy'
  /** The credential is refused (401): it cools down everywhere. */
  | 'credential'
  /** The credential may not do this (403): it cools down at this model, and everywhere once a second is refused. */
  | 'forbidden'
  /** 429: the target cools down, the next one is tried. */
  | 'rate_limited'
  /** A quota or credit balance is used up (402, …): like `rate_limited`, but a retry is useless. */
  | 'quota'
  /** 408, 5xx, 529: retried, then the next target. */
  | 'server'
  /** 1xx or 3xx: redirects are never followed. */
  | 'unexpected';

/** What a provider's error response means. */
export interface ProviderFault {
  readonly kind: FaultKind;
  /** Ms after which the provider allows a retry; null: it doesn't say. */
  readonly retryAfterMs: number | null;
}

/** The words by which the errors of one dialect are told apart. */
export interface FaultWords {
  /** Of a spent quota, at 403 and 429. */
  readonly quota: RegExp;
  /** The whole type or message of a 400 for a spent quota: its other words may be the client's. Undefined: there is none. */
  readonly spent?: RegExp;
  readonly context: RegExp;
  readonly policy: RegExp;
}

/** A 403 for what the prompt says. https://openrouter.ai/docs/api-reference/errors */
const moderationWords = /flagged_input|moderation|flagged|content[ _]polic/i;
/** A 403 for the model that was asked for, which says nothing about others. */
const modelWords = /\bmodels?\b|\bmodel_/i;

/** Meaning of an error by its status and the words of its body. */
export function faultKind(status: number, text: string, words: FaultWords): FaultKind {
  const { quota, spent, context, policy } = words;
  switch (status) {
    case 401:
      return 'credential';
    case 402:
      return 'quota';
    case 403:
      // First, since such an error quotes the prompt, which may name a quota.
      if (moderationWords.test(text) || policy.test(text)) return 'content_policy';
      if (quota.test(text)) return 'quota';
      return modelWords.test(text) ? 'rejected' : 'forbidden';
    case 408:
      return 'server';
    case 429:
      return quota.test(text) ? 'quota' : 'rate_limited';
    case 400:
    case 413:
    case 422:
      if (status === 400 && spent !== undefined && isSpent(text, spent)) return 'quota';
      return context.test(text) ? 'context_window' : policy.test(text) ? 'content_policy' : 'rejected';
    default:
      return status >= 500 ? 'server' : status >= 400 ? 'rejected' : 'unexpected';
  }
}

/** The type and the message of an error; empty if it states none. */
function wordsIn(text: string): { readonly type: string; readonly message: string } {
  const json = parseJson(text);
  const whole = objectOf(Array.isArray(json) ? json[0] : json);
  const error = isObject(whole.error) ? whole.error : whole;
  return { type: textOf(error.type) ?? '', message: textOf(error.message) ?? '' };
}

function isSpent(text: string, spent: RegExp): boolean {
  const { type, message } = wordsIn(text);
  return spent.test(type) || spent.test(message);
}

/** Bytes of an error body whose words are read. */
const wordsMaxBytes = 16 * 1024;

/** Interprets an error response. */
export function readFault(
  status: number,
  headers: IncomingHttpHeaders,
  body: Buffer,
  wallMs: number,
  words: FaultWords,
): ProviderFault {
  const text = body.toString('utf8', 0, wordsMaxBytes);
  const kind = faultKind(status, text, words);
  return { kind, retryAfterMs: waitOf(status, kind, headers, text, wallMs) };
}

/** How long to wait after an error, in ms; null: the provider doesn't say. */
export function waitOf(
  status: number,
  kind: FaultKind,
  headers: IncomingHttpHeaders,
  text: string,
  wallMs: number,
): number | null {
  // The words of a refused request may be the client's.
  if (status === 400 || kind === 'rejected' || kind === 'context_window' || kind === 'content_policy')
    return retryAfterMs(headers, wallMs);
  const said = status === 403 ? wordsIn(text).message : text;
  // The reset of a rate limit says nothing about when a quota is topped up, or a server is well.
  return waitMs(headers, said, wallMs, kind === 'rate_limited');
}

/** Codes and types of errors that blame the request, the account or the key → the status that they stand for. */
const statuses: Readonly<Record<string, number>> = {
  invalid_prompt: 400,
  invalid_request: 400,
  invalid_request_error: 400,
  context_length_exceeded: 400,
  string_above_max_length: 400,
  content_filter: 400,
  content_policy_violation: 400,
  invalid_image: 400,
  INVALID_ARGUMENT: 400,
  FAILED_PRECONDITION: 400,
  authentication_error: 401,
  invalid_api_key: 401,
  UNAUTHENTICATED: 401,
  billing_error: 402,
  insufficient_balance: 402,
  permission_error: 403,
  PERMISSION_DENIED: 403,
  not_found_error: 404,
  model_not_found: 404,
  NOT_FOUND: 404,
  request_too_large: 413,
  insufficient_quota: 429,
  rate_limit_exceeded: 429,
  rate_limit_error: 429,
  usage_limit_reached: 429,
  RESOURCE_EXHAUSTED: 429,
};

/** An error where an answer was expected: the status that it stands for, and the body that would have come with it. */
export interface StatedError {
  readonly status: number;
  readonly body: Buffer;
}

/**
 * Reads an error in the body of a 200, or in an event of a stream. Null: there is none, or it says no more than that the
 * provider failed.
 */
export function statedError(json: unknown): StatedError | null {
  const event = objectOf(Array.isArray(json) ? json[0] : json);
  const inner = isObject(event.response) ? event.response.error : event.error;
  const error = isObject(inner) ? inner : event.type === 'error' ? event : null;
  const status = error === null ? null : statusOf(error);
  if (status === null || status >= 500 || status === 408) return null;
  return { status, body: Buffer.from(JSON.stringify({ type: 'error', error })) };
}

/** The same in the last events of a stream. */
export function statedErrorIn(bytes: Buffer): StatedError | null {
  const lines = bytes.toString('utf8', Math.max(0, bytes.length - wordsMaxBytes)).split(/\r\n|\n|\r/);
  for (let i = lines.length - 1; i >= 0; i--) {
    const line = lines[i]?.replace(/^data: ?/, '') ?? '';
    const found = /^[{[]/.test(line) ? statedError(parseJson(line)) : null;
    if (found !== null) return found;
  }
  return null;
}

function statusOf({ code, type, status, http_code: httpCode }: Json): number | null {
  for (const each of [code, status, httpCode]) {
    const number = numberOf(each) ?? Number(textOf(each) ?? Number.NaN);
    if (number >= 400 && number <= 599) return number;
  }
  for (const each of [code, status, type]) {
    const known = entryOf(statuses, textOf(each) ?? '');
    if (known !== undefined) return known;
  }
  return null;
}
