/** The view of limits and budgets, and of what is leased of those that pods share. */
import { type LimitView, state } from './data.ts';
import { bar, card, el, table } from './dom.ts';
import { count, percent, span, usd } from './format.ts';

const amount = (unit: string, value: number): string => (unit === 'usd' ? usd(value * 1e9) : count(value));

/** What this pod holds of what all pods have leased. */
const leased = ({ counts, unit, leasedHere, leasedAll }: LimitView): string =>
  counts === 'pod' || leasedHere === null || leasedAll === null
    ? 'not shared'
    : `${amount(unit, leasedHere)} of ${amount(unit, leasedAll)}`;

/** Limits and budgets as bars. @param all with what is leased of each */
export function limitTable(limits: readonly LimitView[], all = false): HTMLElement {
  if (limits.length === 0) return el('p', { class: 'empty' }, 'No limit or budget has been used yet.');
  return table(
    'Limits and budgets',
    ['Limit', 'For', 'Share', '#Used', '#Left', 'Frees', ...(all ? ['#Leased here'] : [])],
    limits.map((limit) => [
      limit.limit,
      limit.scope || 'all',
      bar(
        limit.used / limit.capacity,
        `${limit.limit} ${limit.scope}: ${percent(limit.used / limit.capacity)} used`,
      ),
      `${amount(limit.unit, limit.used)} of ${amount(limit.unit, limit.capacity)} ${limit.unit === 'usd' ? '' : limit.unit}`,
      amount(limit.unit, limit.left),
      limit.freesAt === null
        ? ''
        : `in ${span((Date.parse(limit.freesAt) - (state.overview?.nowMs ?? 0)) / 1000)}`,
      ...(all ? [leased(limit)] : []),
    ]),
  );
}

/** All limits and budgets as bars. */
export const limitsView = (): HTMLElement =>
  el(
    'div',
    { class: 'grid' },
    card('Limits and budgets', 'the fullest first', '', limitTable(state.overview?.limits ?? [], true)),
    card('Leases', 'of limits that pods share', '', el('p', { class: 'soft' }, leaseText())),
  );

function leaseText(): string {
  const leases = state.overview?.leases ?? null;
  if (leases === null) return 'Each pod counts for itself: set sync.redis, and limits can be shared.';
  if (!leases.up) return 'Redis does not answer: this pod uses its share of each shared limit.';
  return `Leased over Redis by ${count(leases.pods)} pods, this one included.`;
}
