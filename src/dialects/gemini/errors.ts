/** Gemini's errors: `google.rpc.Status` as JSON. https://cloud.google.com/apis/design/errors */
import type { IncomingHttpHeaders } from 'node:http';
import type { Refusal } from '../../base/errors.ts';
import { type Json, listOf, objectOf, parseObject, textOf } from '../../base/json.ts';
import type { ProviderError } from '../chat-reply.ts';
import { faultKind, type ProviderFault } from '../dialect.ts';
import { readError as readAnyError } from '../error-text.ts';
import { retryAfterMs } from '../headers.ts';

const statuses: Readonly<Record<number, string>> = {
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  408: 'DEADLINE_EXCEEDED',
  409: 'ABORTED',
  429: 'RESOURCE_EXHAUSTED',
  499: 'CANCELLED',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
  529: 'UNAVAILABLE',
};

const statusOf = (status: number): string =>
  statuses[status] ?? (status >= 500 ? 'INTERNAL' : 'INVALID_ARGUMENT');

const domain = 'sidegate';

/** An error of the gateway. */
export function errorObject(refusal: Refusal, requestId: string): Json {
  const metadata = { requestId, ...(refusal.param === null ? {} : { field: refusal.param }) };
  return {
    error: {
      code: refusal.entry.status,
      message: refusal.text,
      status: statusOf(refusal.entry.status),
      details: [
        { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: refusal.code, domain, metadata },
      ],
    },
  };
}

/** Writes a provider's error in this dialect. */
export function writeError({ status, message, code }: ProviderError, requestId: string): Json {
  const reason = code ?? statusOf(status);
  const metadata = { requestId };
  return {
    error: {
      code: status,
      message,
      status: statusOf(status),
      details: [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason, domain, metadata }],
    },
  };
}

/** The error itself; in reply to a request for a stream it may be inside a list. */
const unlisted = (body: Buffer): Buffer => {
  const text = body.toString('utf8', 0, 64 * 1024).trim();
  return text.startsWith('[') && text.endsWith(']') ? Buffer.from(text.slice(1, -1)) : body;
};

/** Reads an error body. */
export const readError = (status: number, body: Buffer): ProviderError =>
  readAnyError(status, unlisted(body));

/** The delay in `RetryInfo`, such as "34.07s", in ms; null: none. */
function retryDelayMs(details: readonly Json[]): number | null {
  for (const { retryDelay } of details) {
    const seconds = /^(\d+(?:\.\d+)?)s$/.exec(textOf(retryDelay) ?? '')?.[1];
    if (seconds !== undefined) return Math.ceil(Number(seconds) * 1000);
  }
  return null;
}

const spentWords = /PerDay|spend(?:ing)? cap|prepayment credits|BILLING_DISABLED/;
const contextWords = /input token count.{0,40} exceeds the maximum number of tokens/i;
/** Most blocked prompts are reported with status 200; these with an error. */
const policyWords = /Responsible AI practices|prohibited use policy/i;

/**
 * Interprets an error response. A daily limit or a spent credit balance is a quota; an invalid key, a prompt that is
 * too long, and content policy are all a 400.
 */
export function fault(
  status: number,
  headers: IncomingHttpHeaders,
  body: Buffer,
  wallMs: number,
): ProviderFault {
  let kind = faultKind(status);
  const text = unlisted(body).toString('utf8', 0, 16 * 1024);
  const details = listOf(objectOf(parseObject(text)?.error).details);
  if (status === 400 && details.some(({ reason }) => reason === 'API_KEY_INVALID')) kind = 'credential';
  else if (status === 400 && contextWords.test(text)) kind = 'context_window';
  else if (status === 400 && policyWords.test(text)) kind = 'content_policy';
  if (kind === 'rate_limited' && spentWords.test(text)) kind = 'quota';
  return { kind, retryAfterMs: retryAfterMs(headers, wallMs) ?? retryDelayMs(details) };
}
