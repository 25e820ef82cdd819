/**
 * Refusals inside an answer of status 200: the status and body with which the provider would have refused the request
 * otherwise. Faults of the provider itself are none: there the answer has failed.
 */
import { entryOf, isObject, type Json, parseObject, textOf } from '../base/json.ts';

/** A refusal as a response. */
export interface InnerRefusal {
  readonly status: number;
  readonly body: Buffer;
}

/** Statuses by a provider's words for a refusal: `code`, `type` and `status` of its object. */
const statuses: Readonly<Record<string, number>> = {
  // OpenAI and those who follow it.
  invalid_prompt: 400,
  invalid_request_error: 400,
  context_length_exceeded: 400,
  content_filter: 400,
  content_policy_violation: 400,
  invalid_api_key: 401,
  model_not_found: 404,
  insufficient_quota: 429,
  usage_limit_reached: 429,
  rate_limit_exceeded: 429,
  // Anthropic.
  authentication_error: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  // Google.
  INVALID_ARGUMENT: 400,
  FAILED_PRECONDITION: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  RESOURCE_EXHAUSTED: 429,
};

/** The status of an error object; null: it is no refusal. The more specific word decides. */
function statusOf(error: Json): number | null {
  for (const word of [error.code, error.status, error.type]) {
    const known = entryOf(statuses, textOf(word) ?? '');
    if (known !== undefined) return known;
    const number = Number(word);
    if (Number.isInteger(number) && number >= 400 && number <= 499) return number;
  }
  return null;
}

/** The error object in an answer or event; null: there is none. */
function errorIn(answer: Json): Json | null {
  // An event of a Response that failed contains the Response.
  const { error } = isObject(answer.response) ? answer.response : answer;
  if (isObject(error)) return error;
  return answer.type === 'error' && typeof answer.message === 'string' ? answer : null;
}

/** The refusal in an answer; null: there is none, or nobody knows its words. */
export function refusalIn(answer: Json): InnerRefusal | null {
  const error = errorIn(answer);
  const status = error === null ? null : statusOf(error);
  if (error === null || status === null) return null;
  const { code, message, param } = error;
  const body = error === answer ? { error: { code, message, param } } : { type: 'error', error };
  return { status, body: Buffer.from(JSON.stringify(body)) };
}

/** The refusal in the first events of a stream; null: as `refusalIn`. */
export function refusalInStream(events: Buffer): InnerRefusal | null {
  for (const line of events.toString('utf8').split(/\r\n|\r|\n/)) {
    const answer = line.startsWith('data:') ? parseObject(line.slice(5)) : null;
    const found = answer === null ? null : refusalIn(answer);
    if (found !== null) return found;
  }
  return null;
}
