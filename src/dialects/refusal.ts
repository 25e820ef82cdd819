/** Writes a refusal as a reply in the client's dialect. */
import type { Refusal } from '../base/errors.ts';
import type { DialectName } from '../exchange/dialects.ts';
import type { WholeReply } from '../exchange/reply.ts';
import { dialects } from './index.ts';

/** Adds the request id as `x-request-id` and under the name that the dialect's SDKs read. */
export function addRequestId(dialect: DialectName, requestId: string, headers: string[]): void {
  const { requestIdHeader } = dialects[dialect];
  headers.push('x-request-id', requestId);
  if (requestIdHeader !== 'x-request-id') headers.push(requestIdHeader, requestId);
}

/** The reply to a refused request, in the client's dialect. */
export function refusalReply(refusal: Refusal, dialect: DialectName, requestId: string): WholeReply {
  const headers = ['content-type', 'application/json'];
  addRequestId(dialect, requestId, headers);
  headers.push(...refusal.headers);
  if (refusal.retryAfterMs !== null) {
    const waitMs = Math.max(1, Math.ceil(refusal.retryAfterMs));
    headers.push('retry-after', String(Math.ceil(waitMs / 1000)), 'retry-after-ms', String(waitMs));
  } else if (!refusal.entry.retryable && !refusal.headers.includes('x-should-retry')) {
    headers.push('x-should-retry', 'false');
  }
  return {
    kind: 'whole',
    status: refusal.entry.status,
    headers,
    body: dialects[dialect].errorBody(refusal, requestId),
  };
}
