/** What the dashboard sees of the rooms. Read only while somebody looks. */
import type { DashboardView, RouteView, TargetView } from '../admin/dashboard.ts';
import type { Config } from '../config/schema.ts';
import { isDown } from '../upstream/engine.ts';
import type { Rooms } from './compose.ts';
import type { WorkerState } from './crew.ts';
import type { Others } from './others.ts';

/** What changes with a reload or belongs to the ports. */
interface Around {
  config(): Config;
  dataUrl(): string;
  inFlight(): number;
}

const breakers = ['closed', 'open', 'half-open'] as const;

/** The view of a sidecar's rooms. */
export function viewOf(
  rooms: Rooms,
  others: Others,
  around: Around,
): Omit<DashboardView, 'token' | 'isAdmin'> {
  const sum = (of: (state: WorkerState) => number): number =>
    others.states.reduce((total, state) => total + of(state), 0);
  const { observer, limiter, cache, batch, followers } = rooms;
  const { leases } = rooms.pods;
  return {
    config: around.config,
    dataUrl: around.dataUrl,
    refresh: others.refresh,
    recent: observer.recent,
    spend: { rows: () => others.spend(observer.spend.rows()) },
    targets: () =>
      targetsOf(rooms).map((target) => ({
        ...target,
        inFlight: target.inFlight + sum(({ targets }) => targets[target.label] ?? 0),
      })),
    routes: () => routesOf(around.config()),
    limits: (max) => limiter.fullest(max),
    leases: () => (leases.up === null ? null : { up: leases.up, pods: leases.pods }),
    ledger: () => followers.ledger?.state ?? null,
    sinks: () => followers.sinks(),
    numbers: () => ({
      inFlight: around.inFlight() + sum(({ inFlight }) => inFlight),
      cacheEntries: cache.size,
      cacheBytes: cache.bytes,
      batchWaiting: batch.waiting + sum(({ batchWaiting }) => batchWaiting),
      rssBytes: process.memoryUsage.rss(),
      upSeconds: process.uptime(),
    }),
  };
}

/** All routes with their targets. */
const routesOf = ({ routes }: Config): RouteView[] =>
  routes.map(({ model, targets }) => ({
    model,
    targets: targets.map(({ provider, model: own = model, route = '' }) =>
      provider === undefined ? { route } : { label: `${provider}/${own}` },
    ),
  }));

/** All targets. */
function targetsOf({ health, upstreams, world }: Rooms): TargetView[] {
  const nowMs = world.clock();
  const engines = new Map(upstreams.engines());
  return health.states('target').map(([label, state]) => {
    const name = label.slice(0, label.indexOf('/'));
    const provider = upstreams.provider(name);
    const credentials = provider?.credentials ?? [];
    const engine = engines.get(name);
    const resting = credentials.filter(
      ({ refusedUntilMs, limitedUntilMs }) =>
        Math.max(refusedUntilMs, limitedUntilMs.get(label) ?? 0) > nowMs,
    );
    return {
      label,
      breaker: breakers[state] ?? 'closed',
      inFlight: health.inFlight(label),
      keys: credentials.length,
      keysResting: resting.length,
      simulated: provider?.simulated ?? false,
      engine: engine === undefined ? null : isDown(engine) ? 'down' : 'up',
    };
  });
}
