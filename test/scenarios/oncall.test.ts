/**
 * A real Prometheus scrapes a real sidecar in trouble: every query of the Grafana dashboard has data, every rule can be
 * evaluated, and somebody on call finds what is wrong by the runbook's own commands, each in under a minute.
 */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { alerts, panels } from '../../scripts/alerts.ts';
import { ask } from '../support/client.ts';
import { readDocument, root } from '../support/documents.ts';
import { type Prometheus, startPrometheus } from '../support/prometheus.ts';
import { openaiWire } from '../support/replies.ts';
import { type SidecarProcess, spawnSidecar } from '../support/sidecar.ts';
import { answers, refuses, startUpstream, type Upstream } from '../support/upstream.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const adminToken = 'token-of-the-admin-port';
const folder = mkdtempSync(join(tmpdir(), 'sidegate-oncall-'));
const ledger = join(folder, 'ledger.db');
const minuteMs = 60_000;
/** Slower than any other provider here, and not by the machine's doing. */
const slowMs = 700;

let sidecar: SidecarProcess;
let prometheus: Prometheus;
const upstreams: Upstream[] = [];
let ended = false;
let load: Promise<void>;

/** An HTTPS server whose certificate has expired, of an authority that the sidecar trusts. */
async function startExpired(): Promise<{ port: number; authority: string; close(): void }> {
  const file = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): void =>
    void execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=test', '-days', '2');
  const names = 'subjectAltName=DNS:localhost';
  openssl('req', ...key, '-keyout', 'own.key', '-out', 'own.csr', '-subj', '/CN=localhost', '-addext', names);
  const sign = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-copy_extensions', 'copy', '-out', 'own.pem'];
  openssl('x509', '-req', '-in', 'own.csr', ...sign, '-days', '-1');
  const server = createServer({ key: readFileSync(file('own.key')), cert: readFileSync(file('own.pem')) });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { port, authority: file('ca.pem'), close: () => server.close() };
}

beforeAll(async () => {
  const good = answers(openaiWire, 'hello');
  const start = async (script: Parameters<typeof startUpstream>[0]): Promise<string> => {
    const upstream = await startUpstream(script);
    upstreams.push(upstream);
    return upstream.baseUrl;
  };
  const expired = await startExpired();
  const openai = (baseUrl: string, more = {}) => ({ dialect: 'openai', baseUrl, ...more });
  const otlp = await start((call) => call.whole(200, {}, ''));
  const config = {
    listen: { port: 0 },
    admin: { port: 0, token: adminToken },
    observe: {
      recent: 500,
      spendMetrics: true,
      ledger: { path: ledger },
      otlp: { endpoint: otlp.replace(/\/v1$/, ''), metricsEveryMs: 1000 },
    },
    authenticate: {
      keys: ['web', 'research'].map((team) => ({
        id: team,
        sha256: execFileSync('sha256sum', { input: `sk-${team}` })
          .toString()
          .slice(0, 64),
        tenant: 'acme',
        team,
      })),
    },
    scrub: {},
    budgets: [
      { name: 'tonight', usd: 20, window: 'day', per: ['tenant'] },
      { name: 'roomy', usd: 1_000_000, window: 'month', per: ['tenant'] },
    ],
    limits: [{ name: 'few', capacity: 1, refillPerSecond: 0.5, match: { model: 'limited' } }],
    attempt: { retriesMax: 1, backoffBaseMs: 0, breaker: { failures: 5, cooldownMs: 2000 } },
    catalog: {
      models: [
        { model: 'm', inputUsdPerMTok: 20, outputUsdPerMTok: 60, cachedInputUsdPerMTok: 2 },
        { model: 'dear*', inputUsdPerMTok: 40, outputUsdPerMTok: 120 },
      ],
    },
    providers: {
      quick: openai(await start(good)),
      slow: openai(await start((call) => void setTimeout(() => good(call), slowMs))),
      broken: openai(await start(refuses(openaiWire.error(500, 'out of order')))),
      rotated: openai(await start(refuses(openaiWire.error(401, 'no such key'))), {
        apiKeys: ['sk-old', 'sk-older'],
      }),
      expired: openai(`https://localhost:${expired.port}/v1`),
    },
    routes: [
      ...['quick', 'slow', 'broken', 'rotated', 'expired'].map((provider) => ({
        model: provider,
        targets: [{ provider, model: 'm' }],
      })),
      { model: 'limited', targets: [{ provider: 'quick', model: 'm' }] },
      {
        model: 'chosen',
        strategy: 'cost',
        targets: [
          { provider: 'quick', model: 'm', tier: 'simple' },
          { provider: 'quick', model: 'dear', tier: 'moderate' },
          { provider: 'quick', model: 'dearest', tier: 'complex' },
        ],
      },
    ],
  };
  sidecar = await spawnSidecar(stringify(config), { NODE_EXTRA_CA_CERTS: expired.authority });
  prometheus = await startPrometheus([new URL(sidecar.adminUrl).host]);
  let n = 0;
  const send = (
    model: string,
    team: string,
    headers: Record<string, string> = {},
    prompt = `prompt ${n++}`,
  ) =>
    ask(sidecar.url, '/v1/chat/completions', {
      body: openaiWire.request(`${prompt} to ann@example.com`, { model }),
      headers: { authorization: `Bearer sk-${team}`, ...headers },
    });
  await send('quick', 'web', { traceparent: `00-${traceId}-00f067aa0ba902b7-01` });
  load = (async () => {
    while (!ended) {
      await Promise.all([
        ...['quick', 'broken', 'rotated', 'expired', 'limited'].map((model) => send(model, 'web')),
        ...['slow', 'chosen', ...Array(5).fill('quick')].map((model) => send(model, 'research')),
        send('quick', 'research', {}, 'the same'),
      ]);
      await wait(200);
    }
  })();
});

afterAll(async () => {
  ended = true;
  await load;
  await prometheus?.stop();
  await sidecar?.stop();
  for (const upstream of upstreams) await upstream.close();
  rmSync(folder, { recursive: true, force: true });
});

const perPanel = panels.flatMap(({ title, queries }) => queries.map(([expr]) => [title, expr] as const));

test.each(perPanel)('the panel %s has data for %s', async (_, expr) => {
  expect((await prometheus.until(expr)).length).toBeGreaterThan(0);
});

test.each(alerts.map(({ name, expr }) => [name, expr] as const))(
  'the rule %s can be evaluated',
  async (_, expr) => {
    await prometheus.query(expr);
  },
);

test('what is in trouble here trips the rules about it, and nothing else does', async () => {
  const tripped = async (): Promise<string[]> => {
    const found = await prometheus.query('ALERTS');
    return [...new Set(found.map(({ labels }) => labels.alertname ?? ''))].sort();
  };
  await prometheus.until('ALERTS{alertname="SidegateBudgetEndsSoon"}');
  await prometheus.until('ALERTS{alertname="SidegateKeyRests"}');
  await prometheus.until('ALERTS{alertname="SidegateCertificate"}');
  const known = alerts.map(({ name }) => name);
  const found = await tripped();
  expect(found.filter((name) => !known.includes(name))).toEqual([]);
  expect(found).not.toContain('SidegateLedgerLags');
  expect(found).not.toContain('SidegateConfigRefused');
});

/** The commands and queries below a question of the runbook. */
function under(question: string): { kind: string; text: string }[] {
  const { text } = readDocument('docs/guides/runbook.md');
  const part = text.split(`### ${question}\n`)[1]?.split('\n##')[0] ?? '';
  return [...part.matchAll(/```(\w+)\n([^`]*)```/g)].map(([, kind = '', command = '']) => ({
    kind,
    text: command.trim(),
  }));
}

const run = promisify(execFile);

/** Runs a command or query of the runbook as somebody on call would, with what they know filled in. */
async function told({ kind, text }: { kind: string; text: string }, id = ''): Promise<string> {
  if (kind === 'promql') return JSON.stringify(await prometheus.until(text));
  const filled = text
    .replace('http://127.0.0.1:4101', sidecar.adminUrl)
    .replace(/\bID\b/, id)
    .replace(/\bFILE\b/, ledger);
  const [program = '', ...args] = filled.split(' ');
  const main = fileURLToPath(new URL('dist/main.js', root));
  const env = { ...process.env, SIDEGATE_ADMIN_TOKEN: adminToken };
  if (program === 'curl') return (await run('curl', ['--silent', ...args], { env })).stdout;
  const more = args[0] === 'limits' ? ['--admin', sidecar.adminUrl] : [];
  return (await run(process.execPath, [main, ...args, ...more], { env })).stdout;
}

/** Every command below a question tells its answer, within a minute. */
async function answersIt(question: string, answer: RegExp, id = ''): Promise<void> {
  const commands = under(question);
  expect(commands.length).toBeGreaterThan(0);
  const began = performance.now();
  for (const command of commands) expect(await told(command, id)).toMatch(answer);
  expect(performance.now() - began).toBeLessThan(minuteMs);
}

test('on call: a request is found by its trace id', () =>
  answersIt('Which request was it?', new RegExp(`(?=.*${traceId})(?=.*quick/m)`), traceId));

test('on call: the slow provider', () => answersIt('Which provider is slow?', /"target":"slow\/m"/));

test('on call: the team that spends', async () => {
  const [costs, metric] = under('Who spends?');
  const lines = (await told(costs as never)).split('\n');
  // The most expensive is the first row.
  expect(lines[1]).toMatch(/^research /);
  expect(await told(metric as never)).toMatch(/^\[\{"labels":\{"team":"research"/);
});

test('on call: the key that rests', () => answersIt('Which key rests?', /"provider":"rotated"/));

test('on call: the certificate that expired', async () => {
  await answersIt('Whose certificate is invalid?', /^\[\{"labels":\{"target":"expired\/m"\}/);
  const requests = await (await fetch(`${sidecar.adminUrl}/api/requests`)).text();
  expect(requests).toContain('CERT_HAS_EXPIRED');
});

test('on call: the budget that ends tonight', async () => {
  const [query, limits] = under('Which budget ends tonight?');
  const found = await told(query as never);
  expect(found).toContain('"budget":"tonight"');
  expect(found).not.toContain('"budget":"roomy"');
  expect(await told(limits as never)).toMatch(/tonight +.*T\d\d:\d\d/);
});
