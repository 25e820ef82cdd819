/** How a provider is reached: real proxies, a private CA, client certificates. FIELD row B19, issue 22, item 5 and Shows 4. */
import { spawn } from 'node:child_process';
import { createServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Server as ProxyServer } from 'proxy-chain';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { proxyOf } from '../../src/base/proxy.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { ProviderConfig } from '../../src/upstream/settings.ts';
import { type Authority, createAuthority, type Issued } from '../support/certificates.ts';
import { ask } from '../support/client.ts';
import { openaiWire } from '../support/replies.ts';
import { startTestSidecar } from '../support/sidecar.ts';
import { eventually } from '../support/until.ts';
import { answers, startUpstream } from '../support/upstream.ts';

let authority: Authority;
let issued: Issued;
beforeAll(() => {
  authority = createAuthority();
  issued = authority.issue('localhost');
});

/** A provider behind TLS at `localhost`. */
async function startSecure(options: ServerOptions = {}): Promise<string> {
  const server = createServer({ key: issued.key, cert: issued.cert, ...options }, (req, res) => {
    req.resume().on('end', () => {
      res.setHeader('content-type', 'application/json');
      res.end(openaiWire.whole('Good'));
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  onTestFinished(() => void server.close());
  return `https://localhost:${(server.address() as AddressInfo).port}/v1`;
}

/** A server that refuses clients without a certificate with an alert, which Node's servers don't send. */
async function startDemanding(): Promise<string> {
  const files = ['-cert', issued.certPath, '-key', issued.keyPath, '-CAfile', authority.certPath];
  // By TLS 1.3 the alert may come after the request, and be lost in the reset that follows it.
  const how = ['-accept', '127.0.0.1:0', '-Verify', '1', '-verify_return_error', '-www', '-tls1_2'];
  const server = spawn('openssl', ['s_server', ...files, ...how], { stdio: ['ignore', 'pipe', 'ignore'] });
  onTestFinished(() => void server.kill());
  return new Promise((resolve, reject) => {
    server.stdout.on('data', (chunk) => {
      const port = /ACCEPT 127\.0\.0\.1:(\d+)/.exec(String(chunk))?.[1];
      if (port !== undefined) resolve(`https://localhost:${port}/v1`);
    });
    server.on('exit', () => reject(new Error('openssl s_server ended')));
  });
}

interface Visit {
  readonly hostname: string;
  readonly isHttp: boolean;
}

/** A real HTTP proxy. @param password what it asks for; undefined: nothing */
async function startProxy(password?: string): Promise<{ url: string; visits: Visit[] }> {
  const visits: Visit[] = [];
  const proxy = new ProxyServer({
    port: 0,
    host: '127.0.0.1',
    prepareRequestFunction: (request) => {
      visits.push({ hostname: request.hostname, isHttp: request.isHttp });
      return { requestAuthentication: password !== undefined && request.password !== password };
    },
  });
  await proxy.listen();
  onTestFinished(() => proxy.close(true));
  const user = password === undefined ? '' : `app:${encodeURIComponent(password)}@`;
  return { url: `http://${user}127.0.0.1:${proxy.port}`, visits };
}

async function start(provider: Partial<ProviderConfig>, env: Record<string, string> = {}) {
  const sidecar = await startTestSidecar(
    {
      cache: { enabled: false },
      providers: { p: { dialect: 'openai', ...provider } },
      routes: [{ model: '*', targets: [{ provider: 'p' }] }],
      attempt: { retriesMax: 2, backoffBaseMs: 0 },
    },
    { env },
  );
  onTestFinished(() => sidecar.stop());
  return { sidecar, post: () => ask(sidecar.url, openaiWire.path, { body: openaiWire.request('hi') }) };
}

describe('a private CA', () => {
  test('is trusted where the provider names it', async () => {
    const { post } = await start({ baseUrl: await startSecure(), tls: { ca: authority.cert } });
    expect((await post()).status).toBe(200);
  });

  test('reaches through a proxy, which sees nothing but the name', async () => {
    const { url, visits } = await startProxy();
    const { post } = await start({ baseUrl: await startSecure(), tls: { ca: authority.cert }, proxy: url });
    expect((await post()).status).toBe(200);
    expect(visits).toEqual([{ hostname: 'localhost', isHttp: false }]);
  });
});

describe('a client certificate', () => {
  test('is shown', async () => {
    const { cert, key } = authority.issue('gateway');
    const baseUrl = await startSecure({ requestCert: true, rejectUnauthorized: true, ca: authority.cert });
    expect((await (await start({ baseUrl, tls: { ca: authority.cert, cert, key } })).post()).status).toBe(
      200,
    );
  });
});

/** Everything that is wrong, and how it is named: the outcome and the code. */
const wrong: readonly (readonly [string, string, RegExp, RegExp, () => Promise<Partial<ProviderConfig>>])[] =
  [
    [
      'an unknown CA',
      'certificate',
      /^UNABLE_TO_\w+$/,
      /tls\.ca/,
      async () => ({ baseUrl: await startSecure() }),
    ],
    [
      'an expired certificate',
      'certificate',
      /^CERT_HAS_EXPIRED$/,
      /not trusted/,
      async () => {
        const { key, cert } = authority.issue('expired', -1);
        return { baseUrl: await startSecure({ key, cert }), tls: { ca: authority.cert } };
      },
    ],
    [
      'a certificate for another name',
      'certificate',
      /^ERR_TLS_CERT_ALTNAME_INVALID$/,
      /check baseUrl/,
      async () => ({
        baseUrl: (await startSecure()).replace('localhost', '127.0.0.1'),
        tls: { ca: authority.cert },
      }),
    ],
    [
      'no client certificate where one is wanted',
      'tls',
      /^ERR_SSL_\w*(?:HANDSHAKE_FAILURE|CERTIFICATE_REQUIRED)$/,
      /tls\.cert/,
      async () => ({ baseUrl: await startDemanding(), tls: { ca: authority.cert } }),
    ],
    [
      'a port without TLS',
      'tls',
      /^ERR_SSL_\w+$/,
      /its scheme/,
      async () => {
        const plain = await startUpstream(answers(openaiWire, 'Good'));
        onTestFinished(() => plain.close());
        return { baseUrl: plain.baseUrl.replace('http:', 'https:') };
      },
    ],
    [
      'an unknown host',
      'dns',
      /^(?:ENOTFOUND|EAI_\w+)$/,
      /host name/,
      async () => ({ baseUrl: 'https://no-such-host.invalid/v1' }),
    ],
    [
      'a proxy that is not there',
      'proxy',
      /^PROXY_ECONNREFUSED$/,
      /HTTP proxy/,
      async () => ({ baseUrl: await startSecure(), proxy: 'http://127.0.0.1:9' }),
    ],
    [
      'a proxy that wants a password',
      'proxy',
      /^PROXY_407$/,
      /HTTPS_PROXY and NO_PROXY/,
      async () => ({
        baseUrl: await startSecure(),
        proxy: (await startProxy('s:ecret')).url.replace(/\/\/.*@/, '//'),
      }),
    ],
    [
      'an unknown host behind a proxy',
      'proxy',
      /^PROXY_(?:404|5\d\d|CLOSED)$/,
      /lets through/,
      async () => ({ baseUrl: 'https://no-such-host.invalid/v1', proxy: (await startProxy()).url }),
    ],
    [
      'a proxy that is none',
      'proxy',
      /^PROXY_(?:404|MALFORMED|400|405|501|CLOSED)$/,
      /HTTP proxy/,
      async () => {
        const plain = await startUpstream((call) => call.whole(404, {}, ''));
        onTestFinished(() => plain.close());
        return { baseUrl: 'https://no-such-host.invalid/v1', proxy: new URL(plain.baseUrl).origin };
      },
    ],
  ];

test.each(wrong)(
  '%s is named in the message, the record, the metric and the log, and asked once',
  async (...row) => {
    const [, outcome, code, advice, provider] = row;
    const { sidecar, post } = await start(await provider());
    const reply = await post();
    expect(reply.status).toBe(503);
    const said = new RegExp(`p/test-model: ${outcome} (\\w+)\\.? (.*)`).exec(
      openaiWire.errorOf(reply.text)?.message ?? '',
    );
    expect(said?.[1]).toMatch(code);
    expect(said?.[2]).toMatch(advice);
    const record = await sidecar.recordWhere(() => true);
    expect([record.attempts, record.tried]).toEqual([1, `p/test-model: ${outcome} ${said?.[1]}`]);
    expect(await sidecar.metrics()).toContain(
      `sidegate_upstream_calls_total{target="p/test-model",outcome="${outcome}"} 1`,
    );
    expect(sidecar.logText()).toContain(`"failure":"${outcome}","code":"${said?.[1]}"`);
    expect(sidecar.logText()).not.toContain('ecret');
  },
);

describe('B19: the environment', () => {
  test('names the proxy for all providers, and the exceptions', async () => {
    const { url, visits } = await startProxy('p@ss:word');
    // 127.0.0.1 would never be asked through a proxy, so the name is one that only the proxy is asked for.
    const asked = await start({ baseUrl: 'https://no-such-host.invalid/v1' }, { HTTPS_PROXY: url });
    expect((await asked.post()).text).toContain('proxy PROXY_');
    expect(visits).toEqual([{ hostname: 'no-such-host.invalid', isHttp: false }]);
    const env = { HTTPS_PROXY: url, NO_PROXY: '.invalid' };
    const excepted = await start({ baseUrl: 'https://no-such-host.invalid/v1' }, env);
    expect((await excepted.post()).text).toContain('dns ');
    const own = await start(
      { baseUrl: 'https://no-such-host.invalid/v1', proxy: 'none' },
      { HTTPS_PROXY: url },
    );
    expect((await own.post()).text).toContain('dns ');
    expect(visits).toHaveLength(1);
  });

  test('names it for the keys of issuers, too', async () => {
    const { url, visits } = await startProxy();
    const issuer = 'https://no-such-issuer.invalid';
    const authenticate = { oidc: [{ id: 'i', issuer, audience: ['a'], jwksUrl: `${issuer}/jwks` }] };
    const sidecar = await startTestSidecar(
      {
        authenticate: { anonymousTenant: undefined, ...authenticate },
        providers: { p: { preset: 'simulator' } },
        routes: [{ model: '*', targets: [{ provider: 'p' }] }],
      },
      { env: { HTTPS_PROXY: url } },
    );
    onTestFinished(() => sidecar.stop());
    await eventually(() => expect(visits).toContainEqual({ hostname: new URL(issuer).host, isHttp: false }));
  });

  test('plain HTTP goes through the proxy as well', async () => {
    const { url, visits } = await startProxy();
    const upstream = await startUpstream(answers(openaiWire, 'Good'));
    onTestFinished(() => upstream.close());
    const { post } = await start({ baseUrl: upstream.baseUrl, proxy: url });
    expect((await post()).status).toBe(200);
    expect((await post()).status).toBe(200);
    expect(visits).toHaveLength(1);
  });

  const https = 'https://api.example.com/v1';
  test.each<[string, string, Record<string, string>, string | null]>([
    ['nothing', https, {}, null],
    ['HTTPS_PROXY', https, { HTTPS_PROXY: 'http://p:1' }, 'http://p:1'],
    ['small letters first', https, { HTTPS_PROXY: 'http://p:1', https_proxy: 'http://q:1' }, 'http://q:1'],
    ['an empty one', https, { HTTPS_PROXY: 'http://p:1', https_proxy: '' }, null],
    ['the other scheme', https, { HTTP_PROXY: 'http://p:1' }, null],
    ['HTTP_PROXY', 'http://engine.svc:8000', { HTTP_PROXY: 'http://p:1' }, 'http://p:1'],
    ['this machine', 'https://localhost:1/v1', { HTTPS_PROXY: 'http://p:1' }, null],
    ['this machine by address', 'http://[::1]:1/v1', { HTTP_PROXY: 'http://p:1' }, null],
    ['the name', https, { HTTPS_PROXY: 'http://p:1', NO_PROXY: 'other,api.example.com' }, null],
    ['its domain', https, { HTTPS_PROXY: 'http://p:1', NO_PROXY: 'example.com' }, null],
    ['its domain with a dot', https, { HTTPS_PROXY: 'http://p:1', NO_PROXY: ' .example.com ' }, null],
    ['its domain with a star', https, { HTTPS_PROXY: 'http://p:1', no_proxy: '*.EXAMPLE.com' }, null],
    ['another domain', https, { HTTPS_PROXY: 'http://p:1', NO_PROXY: 'ample.com' }, 'http://p:1'],
    ['its port', https, { HTTPS_PROXY: 'http://p:1', NO_PROXY: 'api.example.com:443' }, null],
    ['another port', https, { HTTPS_PROXY: 'http://p:1', NO_PROXY: 'api.example.com:8443' }, 'http://p:1'],
    ['all', https, { HTTPS_PROXY: 'http://p:1', NO_PROXY: '*' }, null],
    ['a block', 'https://10.1.2.3/v1', { HTTPS_PROXY: 'http://p:1', NO_PROXY: '10.0.0.0/8' }, null],
    [
      'another block',
      'https://11.1.2.3/v1',
      { HTTPS_PROXY: 'http://p:1', NO_PROXY: '10.0.0.0/8' },
      'http://p:1',
    ],
    ['an IPv6 block', 'https://[fd00::1]/v1', { HTTPS_PROXY: 'http://p:1', NO_PROXY: 'fd00::/8' }, null],
    [
      'an address',
      'https://[fd00::1]:444/v1',
      { HTTPS_PROXY: 'http://p:1', NO_PROXY: '[fd00::1]:444' },
      null,
    ],
  ])('%s', (_, url, env, expected) => {
    expect(proxyOf(url, env)).toBe(expected);
  });
});

describe('the configuration', () => {
  const faults = (provider: object): string[] => {
    const text = JSON.stringify({
      authenticate: { anonymousTenant: 'a' },
      providers: { p: { dialect: 'openai', baseUrl: 'https://api.example/v1', ...provider } },
      routes: [{ model: '*', targets: [{ provider: 'p' }] }],
    });
    const result = parseConfig(text, {}, () => authority.cert);
    return result.ok ? [] : result.faults.map(({ path, message }) => `${path}: ${message}`);
  };

  test('names what is wrong with a proxy or a certificate, and quotes neither', () => {
    const { cert, key } = issued;
    const other = authority.issue('other').key;
    expect(faults({ proxy: 'http://u:secret@proxy:3128', tls: { ca: 'file:ca.pem', cert, key } })).toEqual(
      [],
    );
    expect(faults({ proxy: 'none' })).toEqual([]);
    const cases: [object, RegExp][] = [
      [
        { proxy: 'socks5://u:secret@proxy' },
        /^providers\.p\.proxy: must be `none`, or the URL of an HTTP proxy/,
      ],
      [{ proxy: 'proxy:3128' }, /^providers\.p\.proxy/],
      [{ tls: { cert } }, /^providers\.p\.tls: needs `key`/],
      [{ tls: { key } }, /^providers\.p\.tls: needs `cert`/],
      [{ tls: { ca: 'secret' } }, /^providers\.p\.tls\.ca: is no certificate in PEM/],
      [{ tls: { cert: 'secret', key } }, /^providers\.p\.tls\.cert: is no certificate/],
      [{ tls: { cert, key: 'secret' } }, /^providers\.p\.tls\.key: is no private key/],
      [{ tls: { cert, key: other } }, /^providers\.p\.tls\.key: is not the key of `cert`/],
      [
        { baseUrl: 'http://api.example/v1', tls: { ca: authority.cert } },
        /^providers\.p\.tls: has no effect/,
      ],
    ];
    for (const [provider, expected] of cases) {
      const [first = '', ...more] = faults(provider);
      expect(first).toMatch(expected);
      expect(more).toEqual([]);
      expect(first).not.toContain('secret');
    }
  });
});
