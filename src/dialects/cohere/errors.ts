/** Cohere's errors: `{"id", "message"}`. https://docs.cohere.com/v2/reference/errors */
import type { IncomingHttpHeaders } from 'node:http';
import type { Refusal } from '../../base/errors.ts';
import type { Json } from '../../base/json.ts';
import { faultKind, type ProviderFault } from '../dialect.ts';
import { retryAfterMs } from '../headers.ts';

/** A refusal of the gateway's own, with what the dialect's own errors don't have beside it. */
export const errorObject = ({ text, code, param }: Refusal, requestId: string): Json => ({
  id: requestId,
  message: text,
  code,
  ...(param === null ? {} : { param }),
});

/** Said of trial keys, whose calls of a month are spent; minutes pass by themselves. */
const spentWords = /calls? ?(?:\/|per|a) ?month|monthly|billing|payment|credit/i;
const contextWords =
  /too many tokens(?!: max tokens)|exceeds? the (?:maximum )?(?:context|token)|maximum context/i;
const policyWords = /blocked (?:input|output|prompt)|toxic/i;
/** Cohere's own number for a prompt or reply with a token, in the sense of text, from its list of forbidden ones. */
const deniedStatus = 498;

/** Trial keys are limited by the minute (429) and by the month (429 too); 402 asks for money. */
export function fault(
  status: number,
  headers: IncomingHttpHeaders,
  body: Buffer,
  wallMs: number,
): ProviderFault {
  const waitMs = retryAfterMs(headers, wallMs);
  const text = body.toString('utf8', 0, 4096);
  if (status === deniedStatus) return { kind: 'content_policy', retryAfterMs: null };
  if (status === 402) return { kind: 'quota', retryAfterMs: waitMs };
  const kind = faultKind(status);
  if (kind === 'rate_limited') return { kind: spentWords.test(text) ? 'quota' : kind, retryAfterMs: waitMs };
  if (status !== 400 && status !== 422) return { kind, retryAfterMs: waitMs };
  const named = contextWords.test(text) ? 'context_window' : policyWords.test(text) ? 'content_policy' : kind;
  return { kind: named, retryAfterMs: null };
}
