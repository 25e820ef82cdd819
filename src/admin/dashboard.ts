/**
 * The dashboard on the admin port: its page, and the JSON and events the page lives on. Everything is computed when
 * somebody looks; while nobody does, it costs nothing.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Config } from '../config/schema.ts';
import type { LimitView } from '../limit/view.ts';
import type { LedgerState } from '../observe/ledger/ledger.ts';
import type { Recent, RecentRecord } from '../observe/recent.ts';
import type { SinkState } from '../observe/sink-state.ts';
import type { Spend } from '../observe/spend.ts';
import { storyOf } from '../observe/story.ts';
import { asset } from './assets.ts';
import { play } from './playground.ts';
import { withoutSecrets } from './redact.ts';

/** One target as the dashboard shows it. */
export interface TargetView {
  /** `provider/model`. */
  readonly label: string;
  readonly breaker: 'closed' | 'open' | 'half-open';
  readonly inFlight: number;
  /** Keys of its provider, and those that are cooling down for it. */
  readonly keys: number;
  readonly keysResting: number;
  readonly simulated: boolean;
  /** Of a self-hosted engine: `up` or `down`; null: a hosted API. */
  readonly engine: 'up' | 'down' | null;
}

/** One route as the dashboard shows it. */
export interface RouteView {
  readonly model: string;
  /** In the order of the configuration: the label of a target, or the name of another route. */
  readonly targets: readonly ({ readonly label: string } | { readonly route: string })[];
}

/** How limits are shared by pods. */
export interface LeaseState {
  /** Leased over Redis; false: this pod uses its share of each. */
  readonly up: boolean;
  /** Pods that share, this one included, as Redis last said; 0: it hasn't. */
  readonly pods: number;
}

/** What the dashboard reads. Called only while somebody looks. */
export interface DashboardView {
  config(): Config;
  readonly dataUrl: () => string;
  /** Has the view be that of all workers. */
  refresh(): Promise<void>;
  readonly recent: Recent;
  readonly spend: Pick<Spend, 'rows'>;
  targets(): TargetView[];
  routes(): RouteView[];
  limits(max: number): LimitView[];
  ledger(): LedgerState | null;
  /** By name: what takes records besides the ledger. */
  sinks(): readonly (readonly [string, SinkState])[];
  numbers(): Readonly<
    Record<'inFlight' | 'cacheEntries' | 'cacheBytes' | 'batchWaiting' | 'rssBytes' | 'upSeconds', number>
  >;
  /** Limits that pods share; null: no Redis is configured. */
  leases(): LeaseState | null;
  /** Null: `admin.token` is not set. */
  token(): string | null;
  /** Whether a request has the admin token. */
  isAdmin(req: IncomingMessage): boolean;
}

const limitsMax = 200;
/** Requests sent with each event, and with the first. More are in the ledger. */
const requestsMax = 200;
const firstMax = 1000;
const tickMs = 1000;
/** People who look at the same time. */
const watchersMax = 16;

const headers = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/** The dashboard of an admin port. */
export interface Dashboard {
  /** Answers a request; false: the path isn't the dashboard's. */
  answer(req: IncomingMessage, res: ServerResponse, path: string): Promise<boolean>;
  /** Ends what is open. */
  close(): void;
}

/** The first event of a page, and the number of the newest request in it. */
interface Opening {
  readonly text: string;
  readonly newest: number;
}

/** Creates the dashboard. */
export function createDashboard(view: DashboardView): Dashboard {
  const watchers = new Set<(text: string) => void>();
  let sent = 0;
  let opening: Opening | null = null;
  let timer: NodeJS.Timeout | null = null;

  const eventOf = (requests: readonly RecentRecord[]): string =>
    `data: ${JSON.stringify({ requests: requests.map(storyOf), ...overview(view) })}\n\n`;

  /** What a page gets first: some MB, so pages that open within a second share it. */
  const first = (): Opening => {
    if (opening !== null) return opening;
    opening = { text: eventOf(view.recent.since(0, firstMax)), newest: view.recent.newest };
    setTimeout(() => {
      opening = null;
    }, tickMs).unref();
    return opening;
  };

  const tick = (): void => {
    const text = eventOf(view.recent.since(sent, requestsMax));
    sent = view.recent.newest;
    opening = null;
    for (const send of watchers) send(text);
  };

  const watch = (res: ServerResponse): void => {
    if (watchers.size >= watchersMax)
      return json(res, 503, { detail: `${watchersMax} pages are open already.` });
    res.writeHead(200, { ...headers, 'content-type': 'text/event-stream' });
    const send = (text: string): void => {
      // A page that doesn't read misses seconds instead of filling memory.
      if (!res.writableNeedDrain) res.write(text);
    };
    const { text, newest } = first();
    if (watchers.size === 0) sent = newest;
    watchers.add(send);
    // One that fails is left out: the next comes in a second.
    timer ??= setInterval(
      () =>
        void view
          .refresh()
          .then(tick)
          .catch(() => {}),
      tickMs,
    );
    send(text);
    res.once('close', () => {
      watchers.delete(send);
      if (watchers.size > 0 || timer === null) return;
      clearInterval(timer);
      timer = null;
    });
  };

  const find = (res: ServerResponse, id: string): void => {
    const found = view.recent.find(id);
    if (found !== null) return json(res, 200, storyOf(found));
    json(res, 404, {
      detail: 'It is not among the last requests. The log and the ledger go further back.',
    });
  };

  const read = (method: string, res: ServerResponse, path: string): boolean => {
    // A HEAD would be watched for without end.
    if (path === '/api/events') method === 'GET' ? watch(res) : json(res, 405, { detail: 'Use GET.' });
    else if (path === '/api/overview') json(res, 200, overview(view));
    else if (path === '/api/requests') json(res, 200, view.recent.since(0, requestsMax).map(storyOf));
    else if (path.startsWith('/api/requests/')) find(res, decoded(path.slice('/api/requests/'.length)));
    else if (path === '/api/config') json(res, 200, withoutSecrets(view.config()));
    else return false;
    return true;
  };

  return {
    async answer(req, res, path) {
      if (path === '/api/play' || path === '/api/explain') {
        if (req.method !== 'POST') json(res, 405, { detail: 'Use POST.' });
        else if (!view.isAdmin(req)) json(res, 401, { detail: 'This needs the admin token (admin.token).' });
        else await play(req, res, view.dataUrl(), headers, path === '/api/play' ? {} : dryOf(view.token()));
        return true;
      }
      if (req.method !== 'GET' && req.method !== 'HEAD') return false;
      if (path === '/api/token') {
        json(res, view.isAdmin(req) ? 200 : 401, { set: view.token() !== null });
        return true;
      }
      if (path.startsWith('/api/')) return read(req.method, res, path);
      const file = asset(path);
      if (file === null) return false;
      res.writeHead(200, { ...headers, 'content-type': file.type });
      res.end(file.body);
      return true;
    },
    close() {
      if (timer !== null) clearInterval(timer);
      watchers.clear();
    },
  };
}

/** Headers by which the data port explains a request instead of answering it. */
const dryOf = (token: string | null): Record<string, string> => ({
  'x-sidegate-debug': 'dry',
  'x-sidegate-admin': token ?? '',
});

/** Names this process: a page may find another one at the same address, whose requests have the same numbers. */
const instance = randomUUID();

/** The state that is shown besides requests. */
const overview = (view: DashboardView) => ({
  nowMs: Date.now(),
  instance,
  mode: view.config().mode,
  dataUrl: view.dataUrl(),
  numbers: view.numbers(),
  newest: view.recent.newest,
  recentMax: view.recent.size,
  targets: view.targets(),
  routes: view.routes(),
  limits: view.limits(limitsMax),
  leases: view.leases(),
  spend: [...view.spend.rows()],
  ledger: view.ledger(),
  sinks: view.sinks(),
});

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

function json(res: ServerResponse, status: number, body: unknown): void {
  res.writeHead(status, { ...headers, 'content-type': 'application/json' });
  res.end(JSON.stringify(body));
}
