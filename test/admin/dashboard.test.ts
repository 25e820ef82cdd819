/** The dashboard in a real browser, and what its port gives to whom. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withoutSecrets } from '../../src/admin/redact.ts';
import { startBrowser } from '../support/browser.ts';
import { ask, send } from '../support/client.ts';
import { openaiWire } from '../support/replies.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { eventually } from '../support/until.ts';
import { answers, refuses, startUpstream, type Upstream } from '../support/upstream.ts';

const token = 'admin-token-for-tests';
const secret = 'sk-very-secret';
const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';

/** For a busy machine. */
const patience = { timeout: 60_000 };

let sidecar: TestSidecar;
let upstream: Upstream;
let browser: Browser;

beforeAll(async () => {
  upstream = await startUpstream(answers(openaiWire, 'hello'));
  const broken = await startUpstream(refuses(openaiWire.error(500, 'out of order')));
  sidecar = await startTestSidecar({
    // Nobody listens at the sink: it is seen to lag.
    observe: { recent: 500, otlp: { endpoint: 'http://127.0.0.1:9' } },
    admin: { token },
    authenticate: {
      anonymousTenant: 'guests',
      keys: [
        { id: 'web', sha256: createHash('sha256').update(secret).digest('hex'), tenant: 'acme', team: 'web' },
      ],
    },
    budgets: [{ name: 'daily', usd: 0.02, window: 'day', per: ['tenant'] }],
    providers: {
      good: { dialect: 'openai', baseUrl: upstream.baseUrl, apiKey: secret },
      bad: { dialect: 'openai', baseUrl: broken.baseUrl, apiKey: secret },
    },
    catalog: { models: [{ model: 'small', inputUsdPerMTok: 1, outputUsdPerMTok: 4 }] },
    routes: [
      {
        model: 'chat',
        targets: [
          { provider: 'bad', model: 'small' },
          { provider: 'good', model: 'small' },
        ],
      },
      {
        model: 'reversed',
        targets: [
          { provider: 'good', model: 'small' },
          { provider: 'bad', model: 'small' },
          { route: 'chat' },
        ],
      },
    ],
    attempt: { retriesMax: 0, backoffBaseMs: 0, breaker: { failures: 2, cooldownMs: 600_000 } },
  });
  browser = await startBrowser();
});
afterAll(async () => {
  await browser?.close();
  await sidecar?.stop();
  await upstream?.close();
});

const chat = (prompt: string, headers: Record<string, string> = {}) =>
  ask(sidecar.url, '/v1/chat/completions', {
    body: openaiWire.request(prompt, { model: 'chat' }),
    headers: { authorization: `Bearer ${secret}`, ...headers },
  });

/** A page without errors: none on the console, none of its policy. */
async function openPage(path: string, look: { dark?: boolean; narrow?: boolean } = {}): Promise<Page> {
  const page = await browser.newPage({
    viewport: look.narrow === true ? { width: 390, height: 844 } : { width: 1300, height: 900 },
    colorScheme: look.dark === true ? 'dark' : 'light',
  });
  page.setDefaultTimeout(patience.timeout);
  page.on('pageerror', (error) => expect.fail(String(error)));
  page.on('console', (line) => {
    if (line.type() === 'error' && !/404|ERR_FAILED/.test(line.text())) expect.fail(line.text());
  });
  await page.goto(`${sidecar.adminUrl}/${path}`);
  await page.waitForSelector('#live.on');
  return page;
}

/** axe-core's serious findings. */
async function faultsOf(page: Page): Promise<unknown[]> {
  const source = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
  // The page's policy allows no foreign script, so it is run from outside.
  await page.evaluate(await readFile(source, 'utf8'));
  const { violations } = await page.evaluate<{
    violations: { id: string; impact: string; nodes: { html: string }[] }[];
  }>('axe.run({ resultTypes: ["violations"] })');
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => [id, nodes[0]?.html]);
}

test('a request is found by its trace id, and its story told', async () => {
  const page = await openPage('#requests');
  await chat('write to ann@example.com', { traceparent: `00-${traceId}-00f067aa0ba902b7-01` });
  await chat('something else');
  await page.waitForSelector('tr.row');
  // The filter leaves one row.
  await page.locator('#search').fill(traceId);
  await eventually(async () => expect(await page.locator('tr.row').count()).toBe(1));
  await page.keyboard.press('Enter');
  await page.waitForSelector('text=Where the time went');
  const text = await page.locator('#content').textContent();
  expect(text).toContain(traceId);
  expect(text).toContain('acme / web');
  expect(text).toContain('1 email');
  expect(text).toContain('bad/small');
  expect(text).toContain('good/small');
  expect(text).toContain('counted in daily');
  // Each stage says how long it took.
  const times = await page.locator('table:has(th:text("Verdict")) td.n').allTextContents();
  expect(times.filter((time) => /^[\d.]+ (µs|ms|s)$/.test(time)).length).toBeGreaterThanOrEqual(10);
  expect(text).not.toContain('ann@example.com');
  await page.keyboard.press('Escape');
  await page.waitForSelector('#search');
  await page.keyboard.press('1');
  await page.waitForSelector('[aria-label="Personal data and secrets"] td:text-is("email")');
  await page.close();
});

test('a breaker is seen to open, and a budget to fill', async () => {
  for (let i = 0; i < 3; i++) await chat(`prompt ${i} `.repeat(50));
  const page = await openPage('#targets');
  await page.waitForSelector('.target.open');
  expect(await page.locator('.target.open').first().textContent()).toContain('bad/small');
  // By keyboard alone.
  await page.keyboard.press('4');
  await page.waitForSelector('[role=meter]');
  const used = async (): Promise<number> =>
    Number(await page.locator('[role=meter]').first().getAttribute('aria-valuenow'));
  expect(await page.locator('#content').textContent()).toContain('Each pod counts for itself');
  const before = await used();
  for (let i = 0; i < 40; i++) await chat(`more ${i} `.repeat(100));
  await eventually(async () => expect(await used()).toBeGreaterThan(before));
  await page.close();
});

test('targets of a route stand in the order in which they are asked', async () => {
  const page = await openPage('#targets');
  const boxes = page.locator('.route', { hasText: 'reversed' }).locator('.target');
  await boxes.nth(2).waitFor();
  const names = (await boxes.allTextContents()).map((text) => /^(as route chat|\w+\/small)/.exec(text)?.[0]);
  expect(names).toEqual(['good/small', 'bad/small', 'as route chat']);
  await page.close();
});

/** Shows a page what the port could say, made of what it says. */
async function openWith(path: string, change: (told: Told) => object): Promise<Page> {
  const get = async (from: string) => JSON.parse((await ask(sidecar.adminUrl, from, { method: 'GET' })).text);
  const told = { ...(await get('/api/overview')), requests: await get('/api/requests') };
  const page = await browser.newPage({ viewport: { width: 1300, height: 900 } });
  page.setDefaultTimeout(patience.timeout);
  await page.route('**/api/events', (route) =>
    route.fulfill({
      contentType: 'text/event-stream',
      body: `data: ${JSON.stringify({ ...told, ...change(told) })}\n\n`,
    }),
  );
  await page.goto(`${sidecar.adminUrl}/${path}`);
  return page;
}

interface Told {
  readonly nowMs: number;
  readonly requests: readonly object[];
  readonly spend: readonly object[];
}

test('requests are counted that the page is not told of', async () => {
  await chat('counted');
  const page = await openWith('#overview', ({ nowMs, requests: [story] }) => ({
    requests: [
      { ...story, number: 1, endedMs: nowMs - 20_000 },
      { ...story, number: 2000, endedMs: nowMs - 10_000 },
    ],
  }));
  await page.waitForSelector('.tile:has-text("requests a second") b:text-is("100")');
  await page.close();
});

test('long names hide no numbers, and what a table has no room for is summed up', async () => {
  await chat('spent');
  const page = await openWith('#costs', ({ spend: [row] }) => ({
    spend: Array.from({ length: 60 }, (_, i) => ({
      ...row,
      target: `accounts/a-provider/models/${'a-long-name-'.repeat(12)}${i}`,
      requests: 1,
    })),
  }));
  const table = page.locator('section[aria-label="By model"]');
  expect(await table.locator('tbody tr').last().textContent()).toContain('10 more');
  expect(await table.locator('tbody tr').last().locator('td').nth(6).textContent()).toBe('10');
  const widths = await table.locator('.scroll').evaluate((each) => [each.scrollWidth, each.clientWidth]);
  expect(widths[0]).toBeLessThanOrEqual(widths[1] ?? 0);
  await page.close();
});

test('another process at the same address begins anew', async () => {
  let instance = 'one';
  const page = await openWith('#requests', ({ requests: [story] }) => ({
    instance,
    newest: 5,
    requests: [{ ...story, number: 5, model: `of ${instance}` }],
  }));
  await page.waitForSelector('td:text-is("of one")');
  // The page connects anew by itself.
  instance = 'two';
  await page.waitForSelector('td:text-is("of two")');
  expect(await page.locator('tr.row').count()).toBe(1);
  await page.close();
});

test('arrow keys lead from the search into the rows, and a view says that nothing answers', async () => {
  await chat('first');
  const page = await openPage('#requests');
  await page.waitForSelector('tr.row');
  await page.locator('#search').focus();
  await page.keyboard.press('ArrowDown');
  expect(await page.evaluate('document.activeElement.closest("tr.row") !== null')).toBe(true);
  // A story begins at its top, however far down the list it was opened.
  await page.setViewportSize({ width: 1300, height: 200 });
  await page.locator('tr.row button').last().click();
  await page.waitForSelector('text=Where the time went');
  await eventually(async () => expect(await page.evaluate('scrollY')).toBe(0));
  await page.route('**/api/config', (route) => route.abort());
  await page.goto(`${sidecar.adminUrl}/#configuration`);
  await page.waitForSelector('text=The sidecar does not answer.');
  await page.unroute('**/api/config');
  await page.waitForSelector('text=Configuration in force');
  await page.close();
});

test('how far behind a sink is stands beside the ledger', async () => {
  const page = await openPage('#costs');
  await page.waitForSelector('text=/otlp: .* sent, .* waiting/');
  await page.close();
});

test('the playground streams a reply, with the token only', async () => {
  const page = await openPage(`#token=${token}`);
  // The token doesn't stay in the address.
  expect(page.url()).not.toContain(token);
  await page.goto(`${sidecar.adminUrl}/#playground`);
  await page.locator('#model').fill('chat');
  await page.locator('button.main').click();
  await page.locator('pre', { hasText: 'hello' }).waitFor();
  await page.close();
  const order = { path: '/v1/chat/completions', key: '', body: '{}' };
  const refused = await ask(sidecar.adminUrl, '/api/play', { body: order });
  expect(refused.status).toBe(401);
  const elsewhere = await ask(sidecar.adminUrl, '/api/play', {
    body: { ...order, path: '/admin' },
    headers: { authorization: `Bearer ${token}` },
  });
  expect(elsewhere.status).toBe(400);
});

describe.each([
  { dark: false, narrow: false },
  { dark: true, narrow: true },
])('%j', (look) => {
  test('no view has a serious fault of accessibility or leaves the screen', async () => {
    const page = await openPage('', look);
    for (const view of [
      'overview',
      'requests',
      'targets',
      'limits',
      'costs',
      'playground',
      'configuration',
    ]) {
      await page.goto(`${sidecar.adminUrl}/#${view}`);
      await page.waitForSelector('#content .card, #content .empty');
      expect([view, await faultsOf(page)]).toEqual([view, []]);
      const [width, inner] = await page.evaluate<number[]>('[document.body.scrollWidth, innerWidth]');
      expect(width).toBeLessThanOrEqual(inner ?? 0);
    }
    await page.close();
  });
});

test('secrets are in nothing that the port gives', async () => {
  for (const path of ['/api/config', '/api/overview', '/api/requests', '/', '/main.js']) {
    const { status, text } = await ask(sidecar.adminUrl, path, { method: 'GET' });
    expect(status).toBe(200);
    expect(text).not.toContain(secret);
    expect(text).not.toContain(token);
  }
  const shown = withoutSecrets({
    apiKey: 'x1',
    apiKeys: ['x2'],
    token: 'x3',
    redis: 'rediss://user:x4@host:1/0?password=x5',
    headers: { 'x-custom': 'x6' },
    keys: [{ id: 'web', sha256: 'x7', tenant: 'acme' }],
    digestKey: 'x8',
    credentials: { clientSecret: 'x9', nested: ['x9'] },
    sinks: { webhook: { url: 'https://hooks.example/services/x9' } },
  });
  expect(JSON.stringify(shown)).not.toMatch(/x\d/);
  expect(shown).toMatchObject({ redis: 'rediss://host:1/0', keys: [{ id: 'web', tenant: 'acme' }] });
});

test('an id that is empty or badly encoded finds no request, and events are no HEAD', async () => {
  await chat('anything');
  for (const id of ['', '%', '%C0'])
    expect([id, (await ask(sidecar.adminUrl, `/api/requests/${id}`, { method: 'GET' })).status]).toEqual([
      id,
      404,
    ]);
  expect((await ask(sidecar.adminUrl, '/api/events', { method: 'HEAD' })).status).toBe(405);
  const page = await openPage('#request/%');
  await page.waitForSelector('text=Not found');
  await page.close();
});

test('pages that open and close again and again share what they get first', async () => {
  const firsts = new Set<string>();
  const open = async (): Promise<void> => {
    const events = await send(sidecar.adminUrl, '/api/events', { method: 'GET' }).reply;
    await events.sees('\n\n');
    // It has the time at which it was made.
    firsts.add(/"nowMs":\d+/.exec(events.text)?.[0] ?? '');
    events.hangUp();
  };
  const began = performance.now();
  for (let i = 0; i < 40; i++) await open();
  const seconds = (performance.now() - began) / 1000;
  expect(firsts.size).toBeLessThanOrEqual(Math.ceil(seconds) + 1);
});

test('a process that keeps no requests says how to have it keep them', async () => {
  const bare = await startTestSidecar({});
  const page = await browser.newPage();
  page.setDefaultTimeout(patience.timeout);
  await page.goto(`${bare.adminUrl}/`);
  await page.waitForSelector('text=set observe.recent');
  await page.close();
  await bare.stop();
});

test('pages of other origins and names read nothing', async () => {
  const get = (headers: Record<string, string>) =>
    ask(sidecar.adminUrl, '/api/requests', { method: 'GET', headers });
  expect((await get({ origin: 'https://evil.example' })).status).toBe(403);
  expect((await get({ 'sec-fetch-site': 'cross-site' })).status).toBe(403);
  expect((await get({ host: 'rebound.example' })).status).toBe(403);
  expect((await get({ host: 'localhost:4101' })).status).toBe(200);
});

test('a browser at the data port is led to the dashboard, a program is not', async () => {
  const page = await ask(sidecar.url, '/', { method: 'GET', headers: { accept: 'text/html,*/*' } });
  expect(page.status).toBe(200);
  expect(page.text).toContain(`href="${sidecar.adminUrl}/"`);
  expect((await ask(sidecar.url, '/', { method: 'GET' })).status).toBe(404);
});
