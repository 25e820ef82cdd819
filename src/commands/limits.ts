/** `sidegate limits`: shows what is used, left and leased of each limit and budget of a running sidecar. */
import { parseArgs } from 'node:util';
import type { LimitView } from '../limit/view.ts';
import { adminClient } from './admin-client.ts';
import type { Shell } from './shell.ts';
import { table } from './table.ts';

const options = { admin: { type: 'string' }, json: { type: 'boolean', default: false } } as const;
const adminDefault = 'http://127.0.0.1:4101';

/** Runs `sidegate limits`; returns the exit code. */
export async function limits(args: string[], shell: Shell): Promise<number> {
  const { values } = parseArgs({ args, options });
  const ask = adminClient(values.admin ?? adminDefault, shell);
  const body = (await ask('GET', '/limits')) as { leased: boolean | null; limits: LimitView[] };
  shell.print(values.json ? `${JSON.stringify(body, null, 2)}\n` : tableOf(body.leased, body.limits));
  return 0;
}

function tableOf(leased: boolean | null, views: readonly LimitView[]): string {
  const state =
    leased === null
      ? 'No Redis is configured: each pod counts for itself.'
      : leased
        ? 'Shared limits are leased over Redis; their figures are those of all pods.'
        : 'Redis does not answer: this pod uses its share of each shared limit.';
  const amount = ({ unit }: LimitView, value: number | null): string =>
    value === null ? '-' : unit === 'usd' ? `$${value.toFixed(2)}` : String(Math.round(value * 10) / 10);
  const rows = views.map((view) => [
    view.limit,
    view.scope === '' ? '(all)' : view.scope,
    view.counts,
    amount(view, view.capacity),
    amount(view, view.used),
    amount(view, view.left),
    amount(view, view.leasedHere),
    amount(view, view.leasedAll),
    view.freesAt ?? '-',
  ]);
  const all = [
    ['LIMIT', 'SCOPE', 'COUNTS', 'CAPACITY', 'USED', 'LEFT', 'LEASED HERE', 'LEASED IN ALL', 'FREES AT'],
    ...rows,
  ];
  return `${state}\n\n${table(all)}`;
}
