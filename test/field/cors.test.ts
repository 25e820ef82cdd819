/** What a page in a browser needs to call the data port: FIELD row B6, issue 22, item 9. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { startBrowser } from '../support/browser.ts';
import { rawExchange } from '../support/client.ts';
import { openaiWire } from '../support/replies.ts';
import { startTestSidecar } from '../support/sidecar.ts';
import { answers, startUpstream } from '../support/upstream.ts';

async function start(allowedOrigins: readonly string[]) {
  const upstream = await startUpstream(answers(openaiWire, 'Good'));
  const sidecar = await startTestSidecar({
    cache: { enabled: false },
    listen: { allowedOrigins: [...allowedOrigins] },
    providers: { p: { dialect: 'openai', baseUrl: upstream.baseUrl } },
    routes: [{ model: '*', targets: [{ provider: 'p' }] }],
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
  });
  return sidecar;
}

/** A page's origin: an empty page. */
async function startPage(): Promise<string> {
  const server = createServer((_, res) => res.setHeader('content-type', 'text/html').end('<p>page</p>'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const wanted = 'authorization,content-type,x-stainless-lang,x-stainless-retry-count';
const preflight = (origin: string, path = openaiWire.path): string =>
  [
    `OPTIONS ${path} HTTP/1.1`,
    'host: localhost',
    `origin: ${origin}`,
    'access-control-request-method: POST',
    `access-control-request-headers: ${wanted}`,
    'access-control-request-private-network: true',
    'connection: close',
    '',
    '',
  ].join('\r\n');

test.each(['https://app.example', 'app://obsidian.md', 'chrome-extension://abcdefghijklmnop'])(
  'B6: a preflight from %s is answered, once it is listed',
  async (origin) => {
    const sidecar = await start([origin]);
    const allowed = await rawExchange(sidecar.url, preflight(origin));
    expect(allowed).toMatch(/^HTTP\/1\.1 204 /);
    expect(allowed).not.toMatch(/content-length/i);
    for (const line of [
      `access-control-allow-origin: ${origin}`,
      'access-control-allow-methods: POST',
      `access-control-allow-headers: ${wanted}`,
      'access-control-allow-private-network: true',
      'vary: Origin',
    ])
      expect(allowed).toContain(`${line}\r\n`);
    const foreign = await rawExchange(sidecar.url, preflight('https://other.example'));
    expect(foreign).toMatch(/^HTTP\/1\.1 403 /);
    expect(foreign).not.toMatch(/access-control/i);
    expect(sidecar.logText().match(/origin_refused/g)).toHaveLength(1);
    // Two endpoints share this path: the one that is asked for counts.
    const deleting = preflight(origin, '/v1/files/file-1').replace('method: POST', 'method: DELETE');
    expect(await rawExchange(sidecar.url, deleting)).toContain('access-control-allow-methods: DELETE\r\n');
    // Without a page, OPTIONS is what it was.
    const plain = 'OPTIONS /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n';
    expect(await rawExchange(sidecar.url, plain)).toMatch(/^HTTP\/1\.1 405 /);
  },
);

test('B6: a page of a listed origin reads replies, streams, headers and errors in a real browser; others none', async () => {
  const [listed, other] = await Promise.all([startPage(), startPage()]);
  const sidecar = await start([listed]);
  const browser = await startBrowser();
  onTestFinished(() => browser.close());
  const call = async (origin: string, model: string, stream: boolean): Promise<unknown> => {
    const page = await browser.newPage();
    await page.goto(origin);
    return page.evaluate(
      async ([url, body]) => {
        const headers = {
          'content-type': 'application/json',
          'x-stainless-lang': 'js',
          authorization: 'Bearer k',
        };
        try {
          const reply = await fetch(url as string, { method: 'POST', headers, body: body as string });
          const text = await reply.text();
          return [
            reply.status,
            reply.headers.get('x-request-id')?.slice(0, 4) ?? null,
            text.includes('Good'),
          ];
        } catch (error) {
          return String(error);
        }
      },
      [sidecar.url + openaiWire.path, JSON.stringify(openaiWire.request('hi', { model, stream }))],
    );
  };
  expect(await call(listed, 'm', false)).toEqual([200, 'req_', true]);
  expect(await call(listed, 'm', true)).toEqual([200, 'req_', true]);
  expect(await call(listed, '', false)).toEqual([400, 'req_', false]);
  expect(await call(other, 'm', false)).toMatch(/Failed to fetch/);
});

test.each([
  ['null', false],
  ['*', false],
  ['file:///', false],
  ['https://app.example/', false],
  ['https://*.example', false],
  ['app://obsidian.md/x', false],
  ['app://obsidian.md', true],
  ['capacitor://localhost', true],
  ['moz-extension://0f6b1a1e-0000', true],
  ['http://localhost:3000', true],
])('the origin %s can be listed: %s', (origin, good) => {
  const text = JSON.stringify({
    listen: { allowedOrigins: [origin] },
    authenticate: { anonymousTenant: 'a' },
    providers: { sim: { preset: 'simulator' } },
    routes: [{ model: '*', targets: [{ provider: 'sim' }] }],
  });
  expect(parseConfig(text, {}, () => '').ok).toBe(good);
});
