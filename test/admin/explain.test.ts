/** What a running sidecar tells about one request, to whoever has the admin token. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { ask } from '../support/client.ts';
import { type Gate, startGate } from '../support/gate.ts';
import { openaiWire } from '../support/replies.ts';
import { runCommand } from '../support/run-command.ts';
import { startTestSidecar } from '../support/sidecar.ts';
import { answers, refuses, startUpstream, type Upstream } from '../support/upstream.ts';

const token = 'token-of-the-admin-port';
const appKey = 'sk-app';
const auth = { authorization: `Bearer ${appKey}` };
const debug = { ...auth, 'x-sidegate-debug': '1', 'x-sidegate-admin': token };

let gate: Gate;
let broken: Upstream;
beforeAll(async () => {
  broken = await startUpstream(refuses(openaiWire.error(500, 'no')));
  const good = await startUpstream(answers(openaiWire, 'Good'));
  const keys = ['web', 'other'].map((team) => ({
    id: team,
    sha256: createHash('sha256')
      .update(team === 'web' ? appKey : 'sk-other')
      .digest('hex'),
    tenant: 'acme',
    team,
  }));
  gate = await startGate([], {
    admin: { token },
    authenticate: { keys },
    cache: { enabled: false },
    providers: {
      bad: { dialect: 'openai', baseUrl: broken.baseUrl },
      good: { dialect: 'openai', baseUrl: good.baseUrl },
    },
    catalog: {
      models: [
        { model: 'm', inputUsdPerMTok: 1, outputUsdPerMTok: 4 },
        { model: 'small', inputUsdPerMTok: 1, outputUsdPerMTok: 4, contextTokens: 10 },
      ],
    },
    routes: [
      {
        model: 'chat',
        targets: [
          { provider: 'bad', model: 'm' },
          { provider: 'good', model: 'm' },
        ],
      },
      {
        model: 'chosen',
        strategy: 'cost',
        targets: [
          { provider: 'good', model: 'm' },
          { provider: 'good', model: 'small' },
        ],
      },
    ],
    limits: [{ name: 'few', per: ['team'], capacity: 100, refillPerSecond: 0.001 }],
    budgets: [{ name: 'daily', per: ['team'], usd: 1, window: 'day' }],
    attempt: { retriesMax: 0, breaker: { failures: 1, cooldownMs: 600_000 } },
  });
  for (const key of ['sk-other', appKey])
    await gate.ask(openaiWire, 'hi', {
      more: { model: 'chat' },
      headers: { authorization: `Bearer ${key}` },
    });
});
afterAll(async () => {
  await gate.stop();
  await broken.close();
});

const more = { model: 'chat' };
const told = (headers: Readonly<Record<string, unknown>>) => JSON.parse(String(headers['x-sidegate-debug']));

test('a reply says which rules applied, and how full they are for its caller', async () => {
  const reply = await gate.ask(openaiWire, 'hi ann@example.com é', { more, headers: debug });
  expect(reply.status).toBe(200);
  const it = told(reply.headers);
  expect(it).toMatchObject({
    requestId: reply.headers['x-request-id'],
    caller: { tenant: 'acme', team: 'web', key: 'web' },
    model: 'chat',
    route: 'chat',
    personalData: { email: 1 },
    targets: [
      { target: 'bad/m', breaker: 'open', keys: 1, keysResting: 0 },
      { target: 'good/m', breaker: 'closed' },
    ],
    refused: null,
  });
  expect(it.applied.toSorted()).toEqual(['daily', 'few']);
  // Its own meters, not those of the other team.
  expect(it.limits.map(({ scope }: { scope: string }) => scope)).toEqual(['team "web"', 'team "web"']);
  const few = it.limits.find(({ limit }: { limit: string }) => limit === 'few');
  expect(few).toMatchObject({ capacity: 100, unit: 'requests' });
  expect(few.used).toBeGreaterThan(1.5);
  expect(it.tried).toContain('good/m: ok');
});

test('streams and refusals say it too', async () => {
  const stream = await gate.stream(openaiWire, 'hi', { more, headers: debug });
  expect(told(stream.headers).route).toBe('chat');
  await stream.all();
  const refused = await gate.ask(openaiWire, 'hi', { more: { model: 'none' }, headers: debug });
  expect(refused.status).toBe(404);
  expect(told(refused.headers)).toMatchObject({ model: 'none', route: null, targets: [] });
});

test('targets that the route leaves out are told, and why', async () => {
  const long = 'a long question '.repeat(20);
  const reply = await gate.ask(openaiWire, long, { more: { model: 'chosen' }, headers: debug });
  expect(reply.status).toBe(200);
  const { targets, leftOut } = told(reply.headers);
  expect(targets.map(({ target }: { target: string }) => target)).toEqual(['good/m']);
  expect(leftOut).toEqual([{ target: 'good/small', why: 'the prompt and reply exceed its context' }]);
});

test('nobody else is told', async () => {
  for (const wrong of [{ 'x-sidegate-admin': 'wrong' }, {}] as Record<string, string>[]) {
    const headers = { ...auth, 'x-sidegate-debug': '1', ...wrong };
    const { headers: given } = await gate.ask(openaiWire, 'hi', { more, headers });
    expect(given['x-sidegate-debug']).toBeUndefined();
  }
  const dry = { ...auth, 'x-sidegate-debug': 'dry', 'x-sidegate-admin': 'wrong' };
  const { text } = await gate.ask(openaiWire, 'hi', { more, headers: dry });
  expect(JSON.parse(text).choices).toHaveLength(1);
});

test('the command asks the running sidecar, which asks no provider', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-explain-'));
  const file = join(folder, 'request.json');
  writeFileSync(file, JSON.stringify(openaiWire.request('hi', more)));
  const run = (env: Record<string, string>, ...args: string[]) =>
    runCommand(['explain', file, '--admin', gate.sidecar.adminUrl, ...args], env);
  const before = broken.calls.length;
  const admin = { SIDEGATE_ADMIN_TOKEN: token };
  const { code, out } = await run(admin, '--key', appKey);
  expect(code).toBe(0);
  const it = JSON.parse(out);
  expect(it).toMatchObject({ caller: { team: 'web' }, route: 'chat', refused: null, tried: '' });
  expect(it.targets[0]).toMatchObject({ target: 'bad/m', breaker: 'open' });
  expect(it.limits.map(({ limit }: { limit: string }) => limit).toSorted()).toEqual(['daily', 'few']);
  expect(broken.calls).toHaveLength(before);
  expect((await run({}, '--key', appKey)).err).toContain('SIDEGATE_ADMIN_TOKEN');
  expect((await run({ SIDEGATE_ADMIN_TOKEN: 'wrong' })).err).toContain('(401): This needs the admin token');
  expect((await run(admin, '--header', 'a:b')).err).toContain('--header has no effect');
  // What the data port refuses is said in words, too.
  expect((await run(admin, '--key', 'sk-wrong')).err).toMatch(/\(401\): [A-Z][^{]*key/);
  rmSync(folder, { recursive: true });
});

test.each(['0.0.0.0', '::'])('so it does where the data port listens on all addresses, %s', async (host) => {
  const sidecar = await startTestSidecar({
    listen: { host },
    admin: { token },
    providers: { bad: { dialect: 'openai', baseUrl: broken.baseUrl } },
    routes: [{ model: 'chat', targets: [{ provider: 'bad' }] }],
  });
  onTestFinished(() => sidecar.stop());
  const order = { path: openaiWire.path, key: '', body: JSON.stringify(openaiWire.request('hi', more)) };
  const found = await ask(sidecar.adminUrl, '/api/explain', {
    body: order,
    headers: { authorization: `Bearer ${token}` },
  });
  expect([found.status, found.text]).toEqual([200, expect.stringContaining('"route":"chat"')]);
});
