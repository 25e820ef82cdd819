/** `/limits` of the admin port: what is used, left and leased of each limit and budget. */
import type { IncomingMessage } from 'node:http';
import type { LimitView } from '../limit/view.ts';
import { type AdminAnswer, refuseStranger } from './keys.ts';

/** What `/limits` works with. */
export interface LimitsAdmin {
  /** Null if `admin.token` isn't set. */
  token(): string | null;
  /** The meters in use, up to a bound. */
  view(): readonly LimitView[];
  /** Whether shared limits are leased over Redis; null: no Redis is configured. */
  leased(): boolean | null;
}

/** Answers a request for `/limits`. */
export function answerLimits(req: IncomingMessage, admin: LimitsAdmin): AdminAnswer {
  const refused = refuseStranger(req, admin.token(), 'Limits are not shown');
  if (refused !== null) return refused;
  if (req.method !== 'GET')
    return { status: 405, problem: 'Method not allowed', detail: 'Use GET.', headers: { allow: 'GET' } };
  return { status: 200, body: { leased: admin.leased(), limits: admin.view() } };
}
