/** What clients learn of limits: the headers of a reply, and the refusal. */
import { Refusal } from '../base/errors.ts';
import { wholeText } from '../base/numbers.ts';
import { secondsFor } from '../exchange/algorithm.ts';
import { amountText, type Rule } from './rule.ts';
import type { Scope } from './scopes.ts';

/** Cached policies, since a rule's policy never changes. */
const policies = new WeakMap<Rule, string>();

function policyOf(rule: Rule): string {
  const known = policies.get(rule);
  if (known !== undefined) return known;
  const seconds = secondsFor(rule.algorithm, rule.capacity, rule.rate);
  const window = seconds === null ? '' : `;w=${Math.max(1, Math.ceil(seconds))}`;
  const unit = rule.unit === 'concurrency' ? ';qu="concurrent-requests"' : '';
  const policy = `"${rule.name}";q=${whole(rule, rule.capacity)}${window}${unit}`;
  policies.set(rule, policy);
  return policy;
}

/** An amount as a whole number, in dollars for rules that count dollars. */
const whole = ({ unit }: Rule, amount: number): number =>
  Math.max(0, Math.floor(unit === 'usd' ? amount / 1e9 : amount));

/**
 * The headers RateLimit-Policy and RateLimit, draft-ietf-httpapi-ratelimit-headers.
 * @param left capacity available now
 * @param waitMs ms until there is room; 0: omitted
 */
export function rateLimitHeaders(rule: Rule, left: number, waitMs: number): string[] {
  const wait = waitMs > 0 ? `;t=${Math.ceil(waitMs / 1000)}` : '';
  return [
    'ratelimit-policy',
    policyOf(rule),
    'ratelimit',
    `"${rule.name}";r=${wholeText(whole(rule, left))}${wait}`,
  ];
}

/** Whether a rule counts tokens. */
export const countsTokens = ({ unit }: Rule): boolean =>
  unit === 'tokens' || unit === 'inputTokens' || unit === 'outputTokens';

/** Adds the headers that OpenAI's clients know: the limit, what remains, and when it will be full again. */
export function addTokenHeaders(rule: Rule, left: number, headers: string[]): void {
  const { capacity, unitSize, algorithm, rate } = rule;
  const seconds = Math.ceil(secondsFor(algorithm, Math.max(0, capacity - left), rate) ?? 0);
  headers.push(
    'x-ratelimit-limit-tokens',
    wholeText(Math.floor(capacity * unitSize)),
    'x-ratelimit-remaining-tokens',
    wholeText(Math.max(0, Math.floor(left)) * unitSize),
    'x-ratelimit-reset-tokens',
    `${seconds}s`,
  );
}

/** What people call a rule. */
export const kindOf = ({ calendar }: Rule): 'budget' | 'limit' => (calendar === null ? 'limit' : 'budget');

/** A client that would have to wait longer than this should not retry by itself. */
const patienceMs = 60_000;

/** The longest reply that a request may get, for which a limit reserves. */
export interface ReservedReply {
  readonly tokens: number;
  /** Field in which the client states it. */
  readonly field: string;
}

/** Says what a reserve is for, and how the app reserves less. */
const lessText = (reply: ReservedReply | null): string =>
  reply === null || reply.tokens === 0
    ? ''
    : ` That is for a reply of ${reply.tokens} tokens: a lower \`${reply.field}\` reserves less.`;

/**
 * The refusal of a request by a limit or dollar budget.
 * @param cost in the meter's unit
 * @param waitMs ms until there is room for the cost; below 0: never
 * @param left capacity available now
 * @param nowMs monotonic ms
 * @param reply null: the limit doesn't depend on the reply
 */
export function refuseBy(
  { rule, place }: Scope,
  cost: number,
  waitMs: number,
  left: number,
  nowMs: number,
  reply: ReservedReply | null,
): Refusal {
  const scope = `${kindOf(rule)} "${rule.name}"${place.label === '' ? '' : ` of ${place.label}`} (${rule.terms})`;
  const asked = amountText(rule.unit, cost);
  const headers = rateLimitHeaders(rule, left, Math.max(0, waitMs));
  if (countsTokens(rule)) addTokenHeaders(rule, left, headers);
  if (waitMs < 0 || waitMs > patienceMs) headers.push('x-should-retry', 'false');
  if (waitMs < 0) {
    const message = `The request may cost ${asked}, which is more than the ${scope} ever allows.${lessText(reply)}`;
    return new Refusal('request_too_costly', message, { headers });
  }
  const message = `The ${scope} has no room for a cost of ${asked}; there will be room ${freesText(rule, waitMs, nowMs)}.${lessText(reply)}`;
  return new Refusal('rate_limited', message, { retryAfterMs: waitMs, headers });
}

function freesText({ unit, calendar }: Rule, waitMs: number, nowMs: number): string {
  if (unit === 'concurrency') return 'when another request ends';
  const inText = `in ${(Math.ceil(waitMs / 100) / 10).toFixed(1)} s`;
  if (calendar === null) return inText;
  // A shorter wait is for what requests in flight have reserved.
  if (waitMs < calendar.leftMs(nowMs)) return 'when requests in flight end';
  return `${inText}, at ${new Date(calendar.endsAt).toISOString()}`;
}

/** The refusal of a request whose cost in dollars can't be bounded. @param label of the target without a price */
export function refuseUnpriced({ rule, place }: Scope, label: string): Refusal {
  const message =
    `The ${kindOf(rule)} "${rule.name}"${place.label === '' ? '' : ` of ${place.label}`} ` +
    `counts dollars, but ${label} has no known price. Whoever runs the gateway can state one in \`catalog.models\`, ` +
    "set `price: free` at the provider if it is an own engine, or allow what isn't priced: `unpriced: allow` at the " +
    `${kindOf(rule)}.`;
  return new Refusal('model_unpriced', message, { param: 'model', headers: ['x-should-retry', 'false'] });
}
