/** The priority class of a request. */

import type { IncomingHttpHeaders } from 'node:http';
import { Refusal } from '../base/errors.ts';

/** Interactive requests have somebody waiting; batch requests take what is left, until their deadline. */
export const priorities = ['interactive', 'batch'] as const;

export type Priority = (typeof priorities)[number];

const header = 'x-sidegate-priority';

/** The header goes before the route: only the app knows whether somebody waits. */
export function priorityOf(
  headers: IncomingHttpHeaders,
  plan: { readonly priority: Priority },
): Priority | Refusal {
  const asked = headers[header];
  if (asked === undefined) return plan.priority;
  if (asked === 'batch' || asked === 'interactive') return asked;
  return new Refusal('invalid_header', `The header ${header} must be batch or interactive.`, {
    param: header,
  });
}

/** Whether the header alone says so, before anything else of the request is known. */
export const saysBatch = (headers: IncomingHttpHeaders): boolean => headers[header] === 'batch';
