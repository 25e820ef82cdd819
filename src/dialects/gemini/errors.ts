/** Gemini's errors: `google.rpc.Status` as JSON. https://cloud.google.com/apis/design/errors */
import type { IncomingHttpHeaders } from 'node:http';
import type { Refusal } from '../../base/errors.ts';
import { type Json, listOf, objectOf, parseObject } from '../../base/json.ts';
import type { ProviderError } from '../chat-reply.ts';
import { readError as readAnyError } from '../error-text.ts';
import { type FaultWords, type ProviderFault, readFault } from '../fault.ts';

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

const words: FaultWords = {
  quota: /PerDay|spend(?:ing)? cap|prepayment credits|BILLING_DISABLED/,
  context: /input token count.{0,40} exceeds the maximum number of tokens/i,
  // Most blocked prompts are reported with status 200; these with an error.
  policy: /Responsible AI practices|prohibited use policy/i,
};

/** Interprets an error response. An invalid key is a 400. */
export function fault(
  status: number,
  headers: IncomingHttpHeaders,
  body: Buffer,
  wallMs: number,
): ProviderFault {
  const found = readFault(status, headers, body, wallMs, words);
  if (status !== 400) return found;
  const error = objectOf(parseObject(unlisted(body).toString('utf8', 0, 64 * 1024))?.error);
  const wrongKey = listOf(error.details).some(({ reason }) => reason === 'API_KEY_INVALID');
  return wrongKey ? { kind: 'credential', retryAfterMs: null } : found;
}
