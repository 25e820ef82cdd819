/** `sidegate cache report | purge`: what the cache of a running sidecar is worth, and whether it may be trusted. */
import { parseArgs } from 'node:util';
import type { PlaceView } from '../cache/places.ts';
import { adminClient } from './admin-client.ts';
import { type Shell, UsageError } from './shell.ts';
import { table } from './table.ts';
import { spanMs } from './time.ts';

const options = {
  admin: { type: 'string' },
  json: { type: 'boolean', default: false },
  tenant: { type: 'string' },
  route: { type: 'string' },
  tag: { type: 'string' },
  'older-than': { type: 'string' },
  help: { type: 'boolean' },
} as const;
/** Options that choose what is purged. */
const choices = ['tenant', 'route', 'tag', 'older-than'] as const;
const adminDefault = 'http://127.0.0.1:4101';

/** What `sidegate cache --help` prints. */
export const usage = `usage: sidegate cache report [--admin URL] [--json]
       sidegate cache purge [--tenant NAME] [--route MODEL] [--tag NAME] [--older-than SPAN] [--admin URL]

  SPAN is like 30m, 24h or 7d. Without any of these, all entries are purged.
`;

interface Report {
  readonly entries: number;
  readonly bytes: number;
  readonly places: readonly PlaceView[];
}

/** Runs `sidegate cache`; returns the exit code. */
export async function cacheCommand(args: string[], shell: Shell): Promise<number> {
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  const [what, ...rest] = positionals;
  if (values.help === true) {
    shell.print(usage);
    return 0;
  }
  if (rest.length > 0 || (what !== 'report' && what !== 'purge')) {
    shell.printError(usage);
    return 2;
  }
  const chosen = what === 'report' ? choices.find((name) => values[name] !== undefined) : undefined;
  if (chosen !== undefined)
    throw new UsageError(`--${chosen} is for \`cache purge\`: a report shows everything.`);
  const ask = adminClient(values.admin ?? adminDefault, shell);
  if (what === 'report') {
    const report = (await ask('GET', '/cache')) as Report;
    shell.print(values.json ? `${JSON.stringify(report, null, 2)}\n` : textOf(report));
    return 0;
  }
  const { tenant, route, tag, 'older-than': span } = values;
  const query = new URLSearchParams();
  if (tenant !== undefined) query.set('tenant', tenant);
  if (route !== undefined) query.set('route', route);
  if (tag !== undefined) query.set('tag', tag);
  if (span !== undefined) query.set('olderThanSeconds', String(secondsOf(span)));
  await ask('DELETE', `/cache${query.size === 0 ? '' : `?${query}`}`);
  shell.print('Purged.\n');
  return 0;
}

function secondsOf(span: string): number {
  const ms = spanMs(span);
  if (ms === null)
    throw new UsageError(`--older-than must be like 30m, 24h or 7d, not ${JSON.stringify(span)}.`);
  return ms / 1000;
}

function textOf({ entries, bytes, places }: Report): string {
  const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;
  const rows = places.map((place) => [
    place.tenant,
    place.route,
    String(place.hits.exact),
    String(place.hits.normalised),
    String(place.hits.semantic),
    `$${place.savedUsd.toFixed(4)}`,
    String(place.judged),
    String(place.wrong),
    percent(place.upper),
    place.live ? 'live' : place.mode === 'off' ? 'off' : 'shadow',
    place.why,
  ]);
  const head = [
    'TENANT',
    'ROUTE',
    'EXACT',
    'NORMALISED',
    'SEMANTIC',
    'SAVED',
    'JUDGED',
    'WRONG',
    'BOUND',
    'STATE',
    'WHY',
  ];
  return `${entries} entries, ${(bytes / 1e6).toFixed(1)} MB\n\n${table([head, ...rows])}`;
}
