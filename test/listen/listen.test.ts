/** Bad input, in both dialects: the right status, an error in the client's shape, what to do, and the process lives. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { catalogue, type ErrorCode } from '../../src/base/errors.ts';
import { badInput, bodyMaxBytes } from '../support/bad-input.ts';
import { chainConfig, startChain } from '../support/chain.ts';
import { ask, openSocket, rawExchange, readAll, type Sending } from '../support/client.ts';
import { testModel, wires } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { answers, startUpstream, type Upstream } from '../support/upstream.ts';

const appKey = 'sk-app-key';
const sha256 = (key: string): string => createHash('sha256').update(key).digest('hex');

const listen = {
  bodyMaxBytes,
  allowedHosts: ['gate.internal'],
  allowedOrigins: ['https://app.test'],
};
const authenticate: ConfigInput['authenticate'] = {
  keys: [
    { id: 'app', sha256: sha256(appKey), tenant: 'acme' },
    { id: 'narrow', sha256: sha256('sk-narrow'), tenant: 'acme', models: ['other-*'] },
  ],
};

describe.each(wires)('$name', (wire) => {
  let upstream: Upstream;
  let sidecar: TestSidecar;
  beforeAll(async () => {
    upstream = await startUpstream(answers(wire, 'Still here'));
    sidecar = await startTestSidecar(chainConfig(wire, [upstream.baseUrl], { listen, authenticate }));
  });
  afterAll(async () => {
    await sidecar.stop();
    await upstream.close();
  });

  const version: Record<string, string> =
    wire.name === 'anthropic' ? { 'anthropic-version': '2023-06-01' } : {};
  const good = (more: Sending = {}): ReturnType<typeof ask> =>
    ask(sidecar.url, wire.path, {
      body: wire.request('Hi'),
      ...more,
      headers: { authorization: `Bearer ${appKey}`, ...version, ...more.headers },
    });

  const expectRefusal = (
    code: ErrorCode,
    status: number,
    headers: Sending['headers'] = {},
    text = '',
  ): void => {
    const entry = catalogue[code];
    expect(status).toBe(entry.status);
    expect(headers['content-type']).toBe('application/json');
    const id = String(headers['x-request-id']);
    expect(id).toMatch(/^req_[0-9a-f]{20,}$/);
    const body = JSON.parse(text);
    const requestId = wire.name === 'openai' ? body.error.request_id : body.request_id;
    expect(requestId).toBe(id);
    if (wire.name === 'anthropic') expect(body.type).toBe('error');
    expect(body.error).toMatchObject({ code, type: wire.name === 'openai' ? entry.openai : entry.anthropic });
    expect(body.error.message.endsWith(entry.hint)).toBe(true);
    expect(body.error.message.length).toBeGreaterThan(entry.hint.length + 10);
  };

  test.each(badInput)('$name: $code', async ({ code, path, body, fields, headers = {}, sending, says }) => {
    const before = upstream.calls.length;
    const reply = await ask(sidecar.url, path ?? wire.path, {
      body: body ?? wire.request('Hi', fields),
      ...sending,
      headers: { authorization: `Bearer ${appKey}`, ...version, ...headers },
    });
    expectRefusal(code, reply.status, reply.headers as Sending['headers'], reply.text);
    if (says !== undefined) expect(reply.text).toContain(JSON.stringify(says).slice(1, -1));
    expect(reply.headers['access-control-allow-origin']).toBeUndefined();
    if (code === 'method_not_allowed') expect(reply.headers.allow).toBe('POST');
    expect(upstream.calls).toHaveLength(before);
    expect((await good()).status).toBe(200);
  });

  test('errors of HTTP itself have the same form as others', async () => {
    const start = `POST ${wire.path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${appKey}\r\n`;
    const broken: readonly (readonly [name: string, status: number, ...pieces: (string | Buffer)[]])[] = [
      ['garbage', 400, '\x00\x01\x02garbage\r\n\r\n'],
      ['a TLS greeting', 400, Buffer.from('16030100c8010000c40303', 'hex'), Buffer.alloc(200, 7)],
      ['a header without a name', 400, `${start}: x\r\n\r\n`],
      ['a header with a line break', 400, `${start}x-a: b\n c\r\n\r\n`],
      ['a length in words', 400, `${start}content-length: many\r\n\r\n`],
      ['two lengths', 400, `${start}content-length: 5\r\ncontent-length: 6\r\n\r\nhello`],
      ['length and chunks', 400, `${start}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
      ['a chunk of a length in words', 400, `${start}transfer-encoding: chunked\r\n\r\nxyz\r\n`],
      ['a flood of headers', 431, start, `x-flood: ${'y'.repeat(20_000)}\r\n`.repeat(3), '\r\n'],
      ['many headers', 431, start, 'x-many: y\r\n'.repeat(4000), '\r\n'],
    ];
    for (const [name, status, ...pieces] of broken) {
      const reply = await rawExchange(sidecar.url, ...pieces);
      expect(reply, name).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
      expect(reply, name).toMatch(/\r\nx-request-id: req_[0-9a-f]{20,}\r\n/);
      const [, body = ''] = reply.split('\r\n\r\n');
      expect(wire.errorOf(body)?.message, name).toMatch(/\. [A-Z].*\.$/);
    }
    expect((await good()).status).toBe(200);
  });

  test('two Host headers, or none', async () => {
    const rest = `authorization: Bearer ${appKey}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`;
    const twice = await rawExchange(
      sidecar.url,
      `POST ${wire.path} HTTP/1.1\r\nhost: localhost\r\nhost: evil.test\r\n${rest}`,
    );
    expect(twice).toMatch(/^HTTP\/1.1 400 /);
    const none = await rawExchange(sidecar.url, `POST ${wire.path} HTTP/1.1\r\n${rest}`);
    expect(none).toMatch(/^HTTP\/1.1 4\d\d /);
    const old = await rawExchange(sidecar.url, `POST ${wire.path} HTTP/1.0\r\n${rest}`);
    expect(old).toMatch(/^HTTP\/1.1 400 /);
  });

  test('allowed hosts and origins pass', async () => {
    for (const host of ['localhost', 'LOCALHOST:4100', '127.0.0.1:1', '[::1]:4100', 'gate.internal']) {
      expect((await good({ headers: { host } })).status, host).toBe(200);
    }
    const fromApp = await good({ headers: { origin: 'https://app.test', 'sec-fetch-site': 'cross-site' } });
    expect(fromApp.status).toBe(200);
  });

  test('a request that arrives too slowly gets a 408 in its dialect, whether head or body is missing', async () => {
    const hasty = await startTestSidecar(
      chainConfig(wire, [upstream.baseUrl], { listen: { bodyTimeoutMs: 100 }, authenticate }),
    );
    const head = `POST ${wire.path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${appKey}\r\n`;
    const [noHead, noBody, half] = await Promise.all([
      rawExchange(hasty.url, head),
      rawExchange(hasty.url, `${head}content-length: 50\r\n\r\n`),
      rawExchange(hasty.url, `${head}content-length: 50\r\n\r\n{"model":`),
    ]);
    await hasty.stop();
    for (const reply of [noBody, half]) {
      expect(reply).toMatch(/^HTTP\/1.1 408 /);
      const [headers = '', body = ''] = reply.split('\r\n\r\n');
      const id = /\r\nx-request-id: (\S+)/.exec(headers)?.[1] ?? '';
      expectRefusal('body_timeout', 408, { 'content-type': 'application/json', 'x-request-id': id }, body);
    }
    expect(noHead).toMatch(/^HTTP\/1.1 408 /);
  });

  test('garbage after a good request does not get into its reply', async () => {
    const socket = await openSocket(sidecar.url);
    const all = readAll(socket);
    upstream.answer(() => {});
    const asked = upstream.calls.length;
    const body = JSON.stringify(wire.request('Hi', { stream: true }));
    socket.write(
      `POST ${wire.path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${appKey}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    const call = await upstream.call(asked);
    call.streamHead();
    call.write(wire.opening + wire.text('Hello'));
    await new Promise<void>((resolve) => {
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk;
        if (text.includes('Hello')) resolve();
      });
    });
    socket.write('\x00\x01garbage\r\n\r\n');
    for (const event of wire.stream(' again').slice(1)) call.write(event);
    call.end();
    const text = await all;
    upstream.answer(answers(wire, 'Still here'));
    const [, first = '', second = ''] = text.split('HTTP/1.1 ');
    expect(first).toContain(' again');
    expect(first).toMatch(/\r\n0\r\n\r\n$/);
    expect(second).toMatch(/^400 /);
  });

  test('a client that sends garbage and keeps its side open is disconnected', async () => {
    const own = await startTestSidecar(
      chainConfig(wire, [upstream.baseUrl], { listen: { connectionsMax: 1 } }),
    );
    const { hostname, port } = new URL(own.url);
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    socket.write('\x00garbage\r\n\r\n');
    await once(socket.resume(), 'end');
    // It held the only connection there is; another is let in once it is gone.
    const attempt = (): Promise<number> =>
      ask(own.url, wire.path, { body: wire.request('Hi') }).then(
        ({ status }) => status,
        () => 0,
      );
    while ((await attempt()) !== 200);
    socket.destroy();
    await own.stop();
  });

  test('a model with a non-Latin name is served', async () => {
    const chain = await startChain(wire, [[answers(wire, 'Served')]], {
      routes: [{ model: '模型', targets: [{ provider: 'first' }] }],
    });
    for (const stream of [false, true]) {
      const reply = await chain.ask({ model: '模型', stream });
      expect(reply.status).toBe(200);
      expect(reply.text).toContain('Served');
      expect(decodeURI(String(reply.headers['x-sidegate-target']))).toBe('first/模型');
    }
  });
});

test('requests beyond inFlightMax are refused, each in its dialect', async () => {
  for (const wire of wires) {
    const upstream = await startUpstream();
    const sidecar = await startTestSidecar(
      chainConfig(wire, [upstream.baseUrl], { listen: { inFlightMax: 1 } }),
    );
    const first = ask(sidecar.url, wire.path, { body: wire.request('Hi') });
    const call = await upstream.call(0);
    const second = await ask(sidecar.url, wire.path, { body: wire.request('Hi') });
    expect(second.status).toBe(503);
    expect(wire.errorOf(second.text)).toMatchObject({ code: 'overloaded' });
    expect(second.headers['retry-after']).toBe('1');
    call.whole(200, { 'content-type': 'application/json' }, wire.whole('Done'));
    expect((await first).status).toBe(200);
    await sidecar.stop();
    await upstream.close();
  }
});

test.each(wires)('$name model names are shown in the dialect of who asks', async (wire) => {
  const upstream = await startUpstream();
  const sidecar = await startTestSidecar(chainConfig(wire, [upstream.baseUrl]));
  const list = async (headers: Record<string, string>) =>
    JSON.parse((await ask(sidecar.url, '/v1/models', { method: 'GET', headers })).text);
  const openai = await list({});
  const anthropic = await list({ 'anthropic-version': '2023-06-01' });
  expect(openai).toEqual({
    object: 'list',
    data: [expect.objectContaining({ id: testModel, object: 'model' })],
  });
  expect(anthropic).toMatchObject({ has_more: false });
  expect(anthropic.data).toEqual([expect.objectContaining({ id: testModel, type: 'model' })]);
  expect((await ask(sidecar.url, '/v1/models/nothing', { method: 'GET' })).status).toBe(404);
  expect((await ask(sidecar.url, '/v1/models/%ff', { method: 'GET' })).status).toBe(404);
  expect((await ask(sidecar.url, '/v1/models', { method: 'POST' })).headers.allow).toBe('GET');
  await sidecar.stop();
  await upstream.close();
});
