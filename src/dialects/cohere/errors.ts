/** Cohere's errors: `{"id", "message"}`. https://docs.cohere.com/v2/reference/errors */
import type { IncomingHttpHeaders } from 'node:http';
import type { Refusal } from '../../base/errors.ts';
import type { Json } from '../../base/json.ts';
import { faultKind, type ProviderFault } from '../dialect.ts';
import { retryAfterMs } from '../headers.ts';

/** An error of the gateway; Cohere's errors have neither `code` nor `param`. */
export const errorObject = ({ text, code, param }: Refusal, requestId: string): Json => ({
  id: requestId,
  message: text,
  code,
  ...(param === null ? {} : { param }),
});

/** A trial key's monthly limit is used up, or payment is due; limits per minute reset by themselves. */
const spentWords = /calls? ?(?:\/|per|a) ?month|monthly|billing|payment|credit/i;
const contextWords =
  /too many tokens(?!: max tokens)|exceeds? the (?:maximum )?(?:context|token)|maximum context/i;
const policyWords = /blocked (?:input|output|prompt)|toxic/i;
/** Cohere's status for a prompt or reply that contains a word from its list of forbidden tokens. */
const deniedStatus = 498;

/** Interprets an error response. A trial key's limits per minute and per month are both a 429; 402: payment is due. */
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
