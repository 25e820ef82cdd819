/** The admin port: health, readiness, metrics, stored keys and the dashboard. Errors are problem+json (RFC 9457). */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIP, type Socket } from 'node:net';
import { createServer, hostName, urlOf } from '../base/node-http.ts';
import type { Config } from '../config/schema.ts';
import { answerCache, type CacheAdmin } from './cache.ts';
import { createDashboard, type Dashboard, type DashboardView } from './dashboard.ts';
import { type AdminAnswer, answerKeys, isToken, type KeysAdmin } from './keys.ts';
import { answerLimits, type LimitsAdmin } from './limits.ts';

/** The open admin port. */
export interface AdminPort {
  readonly url: string;
  /** Closes the port and its connections. */
  close(): void;
}

/** What the admin port gives access to. */
export interface AdminView {
  /** False while draining. */
  ready(): boolean;
  /** The metrics, for Prometheus. */
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
  readonly keys: KeysAdmin;
  readonly limits: LimitsAdmin;
  readonly cache: CacheAdmin;
  readonly dashboard: Omit<DashboardView, 'token' | 'isAdmin'>;
}

/** Opens the admin port. Rejects if the address can't be listened on. */
export async function openAdmin(config: Config['admin'], view: AdminView): Promise<AdminPort> {
  const { token } = view.keys;
  const dashboard = createDashboard({
    ...view.dashboard,
    token,
    isAdmin(req) {
      const known = token();
      return known !== null && isToken(req.headers.authorization, known);
    },
  });
  const isOurs = hostCheck(config);
  const server = createServer({ ...times, connectionsCheckingInterval: 1000 }, (req, res) => {
    // Thousands of requests fit into one packet, and Node would begin all of them at once.
    if (busy.has(req.socket)) {
      res.shouldKeepAlive = false;
      return problem(res, 503, 'One at a time', 'Send the next request when this one is answered.');
    }
    busy.add(req.socket);
    res.on('close', () => busy.delete(req.socket));
    if (!isOurs(req.headers.host))
      return problem(res, 403, 'Host refused', 'Call localhost, or add the name to admin.allowedHosts.');
    answer(req, res, view, dashboard).catch(() =>
      problem(res, 500, 'Internal error', 'The request could not be answered.'),
    );
  });
  const open = new Set<Socket>();
  const busy = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    // Clients that ask nothing don't keep out the next probe: the one that has been here longest leaves.
    if (open.size >= connectionsMax) {
      const silent = [...open].find((one) => !busy.has(one));
      if (silent === undefined) return void socket.destroy();
      open.delete(silent);
      silent.destroy();
    }
    open.add(socket);
    socket.on('close', () => {
      open.delete(socket);
      busy.delete(socket);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(config.port, config.host, resolve);
  });
  return {
    url: urlOf(server, config),
    close() {
      dashboard.close();
      server.close();
      server.closeAllConnections();
    },
  };
}

const connectionsMax = 64;
const times = { requestTimeout: 5_000, headersTimeout: 5_000 };

/**
 * Whether a `Host` is one of this port's. A web page reaches it under a name that its owner lets point here (DNS
 * rebinding), never under an address. Clients older than HTTP/1.1, such as some probes, send none.
 */
function hostCheck({ host, allowedHosts }: Config['admin']): (header: string | undefined) => boolean {
  const names = new Set(['localhost', host.toLowerCase(), ...allowedHosts.map((name) => name.toLowerCase())]);
  return (header) => {
    if (header === undefined) return true;
    const name = hostName(header);
    return name !== null && (names.has(name) || isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0);
  };
}

async function answer(
  req: IncomingMessage,
  res: ServerResponse,
  view: AdminView,
  dashboard: Dashboard,
): Promise<void> {
  const path = (req.url ?? '/').split('?')[0] ?? '/';
  if (isForeign(req)) {
    return problem(res, 403, 'Origin refused', 'Web pages may not read the admin port.');
  }
  if (path === '/cache' || path.startsWith('/api/')) await view.dashboard.refresh();
  const reply = await managed(req, path, view);
  if (reply !== null) {
    if ('problem' in reply) return problem(res, reply.status, reply.problem, reply.detail, reply.headers);
    res.writeHead(reply.status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    res.end(reply.body === null ? undefined : JSON.stringify(reply.body));
    return;
  }
  if (await dashboard.answer(req, res, path)) return;
  if (req.method !== 'GET' && req.method !== 'HEAD')
    return problem(res, 405, 'Method not allowed', 'Use GET.');
  if (path === '/healthz') return plain(res, 200, 'ok\n');
  if (path === '/readyz') return view.ready() ? plain(res, 200, 'ready\n') : plain(res, 503, 'draining\n');
  if (path === '/metrics') {
    const text = await view.metrics.text();
    res.writeHead(200, { 'content-type': view.metrics.contentType });
    res.end(text);
    return;
  }
  problem(
    res,
    404,
    'Not found',
    'The admin port serves /, /healthz, /readyz, /metrics, /keys, /limits and /cache.',
  );
}

/** The answer for administrators; null: the path isn't for them alone. */
async function managed(req: IncomingMessage, path: string, view: AdminView): Promise<AdminAnswer | null> {
  if (path === '/keys' || path.startsWith('/keys/')) return answerKeys(req, path, view.keys);
  if (path === '/limits') return answerLimits(req, view.limits);
  return path === '/cache' ? await answerCache(req, view.cache) : null;
}

/** Whether a request comes from a page of another origin. The dashboard's own page sends its origin with a POST. */
function isForeign({ headers: { origin, host, 'sec-fetch-site': site } }: IncomingMessage): boolean {
  if (origin === undefined) return site === 'cross-site';
  return origin !== `http://${host}`;
}

function plain(res: ServerResponse, status: number, text: string): void {
  res.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' });
  res.end(text);
}

function problem(
  res: ServerResponse,
  status: number,
  title: string,
  detail: string,
  headers: object = {},
): void {
  if (res.headersSent) return void res.destroy();
  // The rest of a refused body may still be on its way; this port's clients can open a new connection.
  if (!res.req.complete) res.setHeader('connection', 'close');
  res.writeHead(status, { 'content-type': 'application/problem+json', ...headers });
  res.end(JSON.stringify({ type: 'about:blank', title, status, detail }));
}
