/** The priority class of a request. */

import type { IncomingHttpHeaders } from 'node:http';
import { Refusal } from '../base/errors.ts';

/** For interactive requests somebody waits; batch requests use the capacity that is left, until their deadline. */
export const priorities = ['interactive', 'batch'] as const;

/** A priority class. */
export type Priority = (typeof priorities)[number];

const header = 'x-sidegate-priority';

/** The priority of a request: the header's, as only the app knows whether somebody waits; otherwise the route's. */
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

/** Whether the header asks for batch, for use before the route is known. */
export const saysBatch = (headers: IncomingHttpHeaders): boolean => headers[header] === 'batch';
