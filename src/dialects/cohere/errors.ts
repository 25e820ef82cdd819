/** Cohere's errors: `{"id", "message"}`. https://docs.cohere.com/v2/reference/errors */
import type { IncomingHttpHeaders } from 'node:http';
import type { Refusal } from '../../base/errors.ts';
import type { Json } from '../../base/json.ts';
import { type FaultWords, type ProviderFault, readFault } from '../fault.ts';

/** An error of the gateway; Cohere's errors have neither `code` nor `param`. */
export const errorObject = ({ text, code, param }: Refusal, requestId: string): Json => ({
  id: requestId,
  message: text,
  code,
  ...(param === null ? {} : { param }),
});

const words: FaultWords = {
  // A trial key's monthly limit is used up, or payment is due; limits per minute reset by themselves.
  quota: /calls? ?(?:\/|per|a) ?month|monthly|billing|payment|credit/i,
  context: /too many tokens(?!: max tokens)|exceeds? the (?:maximum )?(?:context|token)|maximum context/i,
  policy: /blocked (?:input|output|prompt)|toxic/i,
};
/** Cohere's status for a prompt or reply that contains a word from its list of forbidden tokens. */
const deniedStatus = 498;

/** Interprets an error response. A trial key's limits per minute and per month are both a 429. */
export function fault(
  status: number,
  headers: IncomingHttpHeaders,
  body: Buffer,
  wallMs: number,
): ProviderFault {
  if (status === deniedStatus) return { kind: 'content_policy', retryAfterMs: null };
  return readFault(status, headers, body, wallMs, words);
}
