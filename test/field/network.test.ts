/** What a failed connection says of the provider: FIELD rows B14 and B22, faults row 34. */
import { execFileSync } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import { mkdtempSync, readFileSync } from 'node:fs';
import { createServer as createPlain } from 'node:http';
import { constants, createSecureServer } from 'node:http2';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { ProviderConfig } from '../../src/upstream/settings.ts';
import { createAuthority } from '../support/certificates.ts';
import { ask } from '../support/client.ts';
import { openaiWire } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar } from '../support/sidecar.ts';
import { answers, resets, type Script, startUpstream } from '../support/upstream.ts';

const good = answers(openaiWire, 'good');

async function start(
  baseUrl: string,
  attempt: ConfigInput['attempt'] = {},
  tls?: ProviderConfig['tls'],
  clock?: () => number,
) {
  const config: ConfigInput = {
    cache: { enabled: false },
    providers: { p: { dialect: 'openai', baseUrl, ...(tls === undefined ? {} : { tls }) } },
    routes: [{ model: '*', targets: [{ provider: 'p' }] }],
    attempt,
  };
  const sidecar = await startTestSidecar(config, clock === undefined ? {} : { clock });
  onTestFinished(() => sidecar.stop());
  const post = (body: object = {}) =>
    ask(sidecar.url, openaiWire.path, { body: { ...openaiWire.request('hi'), ...body } });
  return { sidecar, post };
}

test('B14: connections that died while idle cost nothing: all calls are answered, outside breaker and retry budget', async () => {
  const upstream = await startUpstream();
  onTestFinished(() => upstream.close());
  const { post, sidecar } = await start(upstream.baseUrl, {
    retriesMax: 0,
    retryBudget: { ratio: 0, minPerSecond: 0 },
    breaker: { failures: 1 },
  });
  const first = Array.from({ length: 20 }, () => post());
  await upstream.call(19);
  for (const call of upstream.calls) good(call);
  await Promise.all(first);
  // From now on every connection that is known breaks with the next request, as behind a NAT that forgot it.
  const known = upstream.connections;
  const dead: Script = (call) => (call.connection < known ? call.reset() : good(call));
  upstream.answer(dead);
  const replies = await Promise.all(Array.from({ length: 20 }, () => post()));
  expect(replies.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
  expect(upstream.calls.length).toBeGreaterThan(20 + 20);
  expect(sidecar.records().every(({ attempts }) => attempts === 1)).toBe(true);
  // The record and the metric tell it from a reset.
  const died = sidecar.records().filter(({ tried }) => tried.includes('dead_connection'));
  expect(died).toHaveLength(upstream.calls.length - 40);
  expect(new Set(died.map(({ tried }) => tried))).toEqual(
    new Set(['p/test-model: dead_connection, p/test-model: ok']),
  );
  expect(await sidecar.metrics()).toContain(
    `sidegate_upstream_calls_total{target="p/test-model",outcome="dead_connection"} ${died.length}`,
  );
});

test('B14: over TLS too', async () => {
  const authority = createAuthority();
  const { key, cert } = authority.issue('localhost');
  const open = new Map<number, Socket>();
  let dead = new Set<number>();
  const server = createServer({ key, cert }, (req, res) => {
    const port = req.socket.remotePort ?? 0;
    req.resume().on('end', () => {
      if (dead.has(port)) return open.get(port)?.resetAndDestroy();
      res.setHeader('content-type', 'application/json');
      res.end(openaiWire.whole('good'));
    });
  });
  server.on('connection', (stream) => {
    const socket = (stream as Socket).on('error', () => {});
    open.set(socket.remotePort ?? 0, socket);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  onTestFinished(() => void server.close());
  const baseUrl = `https://localhost:${(server.address() as AddressInfo).port}/v1`;
  const { post, sidecar } = await start(
    baseUrl,
    { retriesMax: 0, retryBudget: { ratio: 0, minPerSecond: 0 }, breaker: { failures: 1 } },
    { ca: authority.cert },
  );
  const twenty = () => Promise.all(Array.from({ length: 20 }, async () => (await post()).status));
  const good = Array.from({ length: 20 }, () => 200);
  expect(await twenty()).toEqual(good);
  dead = new Set(open.keys());
  expect(await twenty()).toEqual(good);
  expect(open.size).toBeGreaterThan(dead.size);
  expect(sidecar.records().every(({ attempts }) => attempts === 1)).toBe(true);
});

test('B14: over HTTP/2 too, whose requests share a connection', async () => {
  const authority = createAuthority();
  const open = new Map<number, Socket>();
  let dead = new Set<number>();
  let refused = 0;
  let refuses = false;
  const server = createSecureServer(authority.issue('localhost'), (req, res) => {
    const port = req.stream.session?.socket.remotePort ?? 0;
    req.resume().on('end', () => {
      if (refuses) {
        refused += 1;
        return req.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      }
      if (dead.has(port)) return open.get(port)?.resetAndDestroy();
      res.setHeader('content-type', 'application/json');
      res.end(openaiWire.whole('good'));
    });
  });
  server.on('connection', (socket: Socket) => {
    open.set(
      socket.remotePort ?? 0,
      socket.on('error', () => {}),
    );
  });
  server.on('sessionError', () => {});
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  onTestFinished(() => void server.close());
  const { post, sidecar } = await start(
    `https://localhost:${(server.address() as AddressInfo).port}/v1`,
    { retriesMax: 0, retryBudget: { ratio: 0, minPerSecond: 0 }, breaker: { failures: 1 } },
    { ca: authority.cert },
  );
  const twenty = () => Promise.all(Array.from({ length: 20 }, async () => (await post()).status));
  const good = Array.from({ length: 20 }, () => 200);
  // The first tells that it is HTTP/2; those that follow share its connection.
  expect((await post()).status).toBe(200);
  expect(await twenty()).toEqual(good);
  dead = new Set(open.keys());
  expect(await twenty()).toEqual(good);
  expect(open.size).toBeGreaterThan(dead.size);
  expect(sidecar.records().every(({ attempts }) => attempts === 1)).toBe(true);
  // A provider that gives up one request fails, and is not asked again.
  refuses = true;
  expect([(await post()).status, refused]).toEqual([503, 1]);
});

test('B14: a connection that is closed in the same way counts alike; a fresh one that breaks is a failure', async () => {
  const upstream = await startUpstream(good);
  onTestFinished(() => upstream.close());
  const { post } = await start(upstream.baseUrl, { retriesMax: 0 });
  expect((await post()).status).toBe(200);
  upstream.answer((call) => call.cut(), good);
  expect((await post()).status).toBe(200);
  upstream.answer(resets);
  const reply = await post();
  expect([reply.status, reply.text.includes('reset')]).toEqual([503, true]);
  expect(reply.text).not.toContain('dead_connection');
  expect(upstream.calls).toHaveLength(4);
  upstream.answer(good);
  expect((await post()).status).toBe(200);
  upstream.answer(resets);
  expect((await post()).text).toContain('p/test-model: dead_connection, p/test-model: reset');
});

test('B14: a connection that is cut long after the request was sent did not die while it was idle', async () => {
  const upstream = await startUpstream(good);
  onTestFinished(() => upstream.close());
  const time = { nowMs: 0 };
  const { post, sidecar } = await start(upstream.baseUrl, { retriesMax: 0 }, undefined, () => time.nowMs);
  expect((await post()).status).toBe(200);
  // As a load balancer does that waits for no reply.
  upstream.answer((call) => {
    time.nowMs += 60_000;
    call.reset();
  });
  expect((await post()).status).toBe(503);
  expect(sidecar.records().at(-1)?.tried).toBe('p/test-model: reset');
  expect(upstream.calls).toHaveLength(2);
});

test('B22: a certificate that is not trusted is named in the message, the record, the metric and the log; no retry', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-tls-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const made = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', '/CN=localhost'];
  execFileSync('openssl', ['req', ...made, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  onTestFinished(() => void server.close());
  const { post, sidecar } = await start(`https://localhost:${(server.address() as AddressInfo).port}/v1`);
  const reply = await post();
  expect(reply.status).toBe(503);
  expect(reply.text).toContain('p/test-model: certificate DEPTH_ZERO_SELF_SIGNED_CERT. The certificate');
  expect(reply.text).toContain('NODE_EXTRA_CA_CERTS');
  expect(sidecar.records().at(-1)).toMatchObject({ attempts: 1 });
  expect(sidecar.logText()).toContain('"failure":"certificate","code":"DEPTH_ZERO_SELF_SIGNED_CERT"');
  expect(await sidecar.metrics()).toContain('outcome="certificate"} 1');
});

test('B22: a host name that does not exist, and a port where nobody listens', async () => {
  const unknown = await start('http://no-such-host.invalid/v1');
  const reply = await unknown.post();
  expect(reply.status).toBe(503);
  expect(reply.text).toMatch(/dns E\w+.*could not be resolved/);
  const nobody = await start('http://127.0.0.1:9/v1', { backoffBaseMs: 0 });
  expect((await nobody.post()).text).toContain('connect ECONNREFUSED, ');
});

test('item 5: a provider at IPv6 only is reached, by its address and by a name that has both kinds', async (context) => {
  const server = createPlain((req, res) => {
    req.resume().on('end', () => {
      res.setHeader('content-type', 'application/json');
      res.end(openaiWire.whole('good'));
    });
  });
  const listening = await new Promise<boolean>((done) => {
    server.once('error', () => done(false));
    server.listen(0, '::1', () => done(true));
  });
  if (!listening) return context.skip('this machine has no IPv6');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const names = await lookup('localhost', { all: true });
  const both = new Set(names.map(({ family }) => family)).size === 2;
  for (const host of ['[::1]', ...(both ? ['localhost'] : [])]) {
    const { post } = await start(`http://${host}:${port}/v1`);
    expect((await post()).status).toBe(200);
  }
});
