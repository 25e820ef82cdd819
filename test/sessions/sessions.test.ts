/** Sessions over WebSockets: who may open one, where it goes, and that everything passes as it is. */
import { describe, expect, test } from 'vitest';
import { piiKinds } from '../../src/native/pii.ts';
import { createAuthority } from '../support/certificates.ts';
import { connect, key, keys, startSessions, startSessionUpstream } from '../support/session-upstream.ts';

const path = '/v1/realtime?model=gpt-realtime';

describe('what passes', () => {
  test('messages of both kinds, in pieces or whole, both ways', async () => {
    const upstream = await startSessionUpstream(({ socket }) =>
      socket.on('message', (data, binary) => socket.send(data, { binary })),
    );
    const sidecar = await startSessions(upstream);
    const client = connect(sidecar.url, path);
    await client.open;
    client.socket.send('grüße');
    client.socket.send(Buffer.from([0, 255, 1]));
    client.socket.send('in ', { fin: false });
    client.socket.send('pie', { fin: false });
    client.socket.send('ces', { fin: true });
    client.socket.send('');
    await client.next((text) => text === 'in pieces');
    await client.next((text) => text === '');
    expect(client.messages).toEqual([
      { data: Buffer.from('grüße'), binary: false },
      { data: Buffer.from([0, 255, 1]), binary: true },
    ]);
  });

  test('what the provider sends with its handshake, at once', async () => {
    const upstream = await startSessionUpstream(({ socket }) => {
      socket.send('first');
      socket.send('second');
    });
    const sidecar = await startSessions(upstream);
    const client = connect(sidecar.url, path);
    expect([await client.next(), await client.next()]).toEqual(['first', 'second']);
  });

  test('pings and pongs, which nobody else answers', async () => {
    const upstream = await startSessionUpstream();
    const sidecar = await startSessions(upstream);
    const client = connect(sidecar.url, path, {}, [], { autoPong: false });
    const [side] = await Promise.all([upstream.opened(), client.open]);
    const heard = (on: typeof client.socket, what: 'ping' | 'pong') =>
      new Promise<string>((resolve) => on.once(what, (data) => resolve(data.toString())));
    const ping = heard(side.socket, 'ping');
    client.socket.ping('are you there');
    expect(await ping).toBe('are you there');
    const pong = heard(client.socket, 'pong');
    side.socket.pong('yes');
    expect(await pong).toBe('yes');
    const back = heard(client.socket, 'ping');
    side.socket.ping('and you');
    expect(await back).toBe('and you');
  });

  test.each([
    [1000, 'bye', [1000, 'bye']],
    [4711, 'own', [4711, 'own']],
    [undefined, '', [1005, '']],
  ] as const)('closing with %s', async (code, reason, seen) => {
    const upstream = await startSessionUpstream();
    const sidecar = await startSessions(upstream);
    const [one, other] = [connect(sidecar.url, path), connect(sidecar.url, path)];
    await Promise.all([one.open, other.open]);
    await expect.poll(() => upstream.sides.length).toBe(2);
    one.socket.close(code, reason);
    const left = await Promise.race(upstream.sides.map((side) => side.closed.then((end) => ({ side, end }))));
    expect(left.end).toEqual(seen);
    upstream.sides.find((side) => side !== left.side)?.socket.close(code, reason);
    expect(await other.closed).toEqual(seen);
    const records = await Promise.all([1, 2].map(() => sidecar.recordWhere((each) => each.status === 101)));
    expect(records[0]).toMatchObject({
      endpoint: 'realtime',
      error: '',
      abandoned: false,
      target: 'first/realtime',
    });
  });

  test('a client that is gone is told as one that leaves, and a provider that is gone as an error', async () => {
    const upstream = await startSessionUpstream();
    const sidecar = await startSessions(upstream);
    const gone = connect(sidecar.url, path);
    const [side] = await Promise.all([upstream.opened(), gone.open]);
    gone.socket.terminate();
    expect(await side.closed).toEqual([1001, '']);
    expect(await sidecar.recordWhere(({ abandoned }) => abandoned)).toMatchObject({ status: 101, error: '' });

    const left = connect(sidecar.url, path);
    const [broken] = await Promise.all([upstream.opened(), left.open]);
    broken.socket.terminate();
    expect(JSON.parse(await left.next())).toMatchObject({
      type: 'error',
      error: { code: 'upstream_failed' },
    });
    expect(await left.closed).toEqual([1011, expect.stringContaining('broke off')]);
    expect(await sidecar.recordWhere(({ error }) => error === 'upstream_failed')).toMatchObject({
      status: 101,
      tried: 'first/realtime: reset',
    });
  });
});

describe('the handshake', () => {
  test("has the provider's credential, and nothing of the client's that isn't the API's", async () => {
    const upstream = await startSessionUpstream();
    const sidecar = await startSessions(upstream, { authenticate: { keys } });
    const client = connect(sidecar.url, '/v1/realtime?model=gpt-realtime&api_key=k&voice=a%20b&model=gpt-5', {
      authorization: 'Bearer k-a',
      'openai-beta': 'realtime=v1',
      cookie: 'secret=1',
      'x-other': 'x',
    });
    const headers = await client.accepted;
    expect(headers).toMatchObject({
      'openai-processing-ms': '7',
      'x-request-id': expect.any(String),
      'x-sidegate-target': 'first/realtime',
    });
    expect(headers['set-cookie']).toBeUndefined();
    const [seen] = upstream.handshakes;
    expect(seen?.url).toBe('/v1/realtime?model=gpt-realtime&voice=a%20b');
    expect(seen?.headers).toMatchObject({
      authorization: 'Bearer provider-key',
      'openai-beta': 'realtime=v1',
      host: new URL(upstream.url).host,
    });
    for (const name of ['cookie', 'x-other', 'content-type', 'sec-websocket-extensions', 'origin'])
      expect(seen?.headers[name]).toBeUndefined();
  });

  test.each([
    ['Authorization', { authorization: 'Bearer k-a' }, []],
    ['api-key, as for Azure', { 'api-key': 'k-a' }, []],
    [
      'a protocol, as from browsers',
      {},
      ['realtime', 'openai-insecure-api-key.k-a', 'openai-beta.realtime-v1'],
    ],
  ] as const)('takes the key in %s', async (_, headers, protocols) => {
    const upstream = await startSessionUpstream();
    const sidecar = await startSessions(upstream, { authenticate: { keys } });
    const client = connect(sidecar.url, path, headers, [...protocols]);
    await client.open;
    expect(client.socket.protocol).toBe(protocols[0] ?? '');
    const sent = upstream.handshakes[0]?.headers['sec-websocket-protocol'];
    expect(sent).toBe(protocols.length === 0 ? undefined : 'realtime,openai-beta.realtime-v1');
    client.socket.close();
    expect(await sidecar.recordWhere(({ status }) => status === 101)).toMatchObject({
      tenant: 'a',
      keyId: 'k-a',
    });
    expect(sidecar.logText()).not.toContain('insecure');
  });

  test.each([
    ['no key', {}, [], 401, 'missing_key'],
    ['a wrong one', { authorization: 'Bearer k-x' }, [], 401, 'wrong_key'],
    ['a wrong protocol', {}, ['realtime', 'openai-insecure-api-key.k-x'], 401, 'wrong_key'],
    ['two', { authorization: 'Bearer k-a' }, ['openai-insecure-api-key.k-b'], 400, 'invalid_header'],
    [
      'a foreign page',
      { authorization: 'Bearer k-a', origin: 'https://evil.example' },
      [],
      403,
      'origin_refused',
    ],
    ['a rebound name', { authorization: 'Bearer k-a', host: 'evil.example' }, [], 403, 'host_refused'],
    [
      'the batch queue',
      { authorization: 'Bearer k-a', 'x-sidegate-priority': 'batch' },
      [],
      400,
      'invalid_header',
    ],
  ] as const)('is refused before any provider is asked: %s', async (_, headers, protocols, status, code) => {
    const upstream = await startSessionUpstream();
    const sidecar = await startSessions(upstream, { authenticate: { keys } });
    const refused = await connect(sidecar.url, path, headers, [...protocols]).refused;
    expect([refused.status, JSON.parse(refused.body).error.code]).toEqual([status, code]);
    expect(upstream.handshakes).toEqual([]);
    expect(await sidecar.recordWhere(({ error }) => error === code)).toMatchObject({
      status,
      endpoint: 'realtime',
    });
  });

  test('a page of an allowed origin may', async () => {
    const upstream = await startSessionUpstream();
    const sidecar = await startSessions(upstream, { listen: { allowedOrigins: ['https://app.example'] } });
    await connect(sidecar.url, path, { origin: 'https://app.example' }).open;
  });

  test.each([
    [400, [], 400, 'invalid_request_error'],
    [429, ['retry-after: 7', 'openai-model: x'], 429, 'invalid_request_error'],
    [401, [], 502, undefined],
    [503, [], 503, undefined],
  ] as const)("a provider's refusal with %s is told as HTTP", async (status, headers, told, type) => {
    const upstream = await startSessionUpstream(undefined, () => ({ status, headers: [...headers] }));
    const sidecar = await startSessions(upstream);
    const refused = await connect(sidecar.url, path).refused;
    expect(refused.status).toBe(told);
    if (type !== undefined) expect(JSON.parse(refused.body).error).toMatchObject({ message: 'no', type });
    if (status === 429) expect(refused.headers).toMatchObject({ 'retry-after': '7', 'openai-model': 'x' });
    expect(await sidecar.recordWhere((each) => each.status === told)).toMatchObject({ attempts: 1 });
  });

  test.each([
    ['no WebSocket at all', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}'],
    [
      'a wrong proof',
      'HTTP/1.1 101 S\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: x\r\n\r\n',
    ],
    ['nothing', null],
  ])('a provider that answers %s failed', async (_, answer) => {
    const upstream = await startSessionUpstream(undefined, () => null);
    const { createServer } = await import('node:net');
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => (answer === null ? socket.destroy() : socket.write(answer)));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const sidecar = await startSessions({ url: `http://127.0.0.1:${port}/v1` });
    const refused = await connect(sidecar.url, path).refused;
    expect(refused.status).toBe(answer === null ? 503 : 502);
    server.close();
    expect(upstream.handshakes).toEqual([]);
  });
});

describe('where it goes', () => {
  const provider = (url: string, more: object = {}) => ({
    dialect: 'openai' as const,
    baseUrl: url,
    apiKey: 'k',
    passthrough: 'unscrubbed' as const,
    ...more,
  });

  test("to the model's route, by the name that the target has, and on to the next target", async () => {
    const down = await startSessionUpstream(undefined, () => ({ status: 500 }));
    const up = await startSessionUpstream();
    const other = await startSessionUpstream();
    const sidecar = await startSessions(up, {
      providers: {
        other: provider(other.url),
        off: provider(other.url, { passthrough: false }),
        down: provider(down.url),
        up: provider(up.url),
      },
      routes: [
        {
          model: 'voice',
          targets: [
            { provider: 'off', model: 'x' },
            { provider: 'down', model: 'a b' },
            { provider: 'up', model: 'gpt-realtime-2' },
          ],
        },
      ],
    });
    const client = connect(sidecar.url, '/v1/realtime?model=voice');
    await client.open;
    expect(down.handshakes.map(({ url }) => url)).toEqual(['/v1/realtime?model=a%20b']);
    expect(up.handshakes.map(({ url }) => url)).toEqual(['/v1/realtime?model=gpt-realtime-2']);
    expect(other.handshakes).toEqual([]);
    client.socket.close();
    expect(await sidecar.recordWhere(({ status }) => status === 101)).toMatchObject({
      route: 'voice',
      model: 'voice',
      target: 'up/gpt-realtime-2',
      tried: 'down/a b: status 500, up/gpt-realtime-2: ok',
    });
    await connect(sidecar.url, '/v1/realtime?model=voice', { 'x-sidegate-provider': 'other' }).open;
    expect(other.handshakes.map(({ url }) => url)).toEqual(['/v1/realtime?model=voice']);
    const unclear = await connect(sidecar.url, '/v1/realtime?model=unknown').refused;
    expect(JSON.parse(unclear.body).error.code).toBe('provider_unclear');
  });

  test('only where it is switched on, and where the policy can do without reading', async () => {
    const upstream = await startSessionUpstream();
    const routes = [{ model: 'gpt-realtime', targets: [{ provider: 'first' }] }];
    const refusedWith = async (more: object, scrub: object) => {
      const sidecar = await startSessions(upstream, { scrub, routes } as never, more);
      return connect(sidecar.url, path).outcome;
    };
    const reports = Object.fromEntries(piiKinds.map(({ name }) => [name, 'report']));
    const masks = { request: { email: 'block' } };
    expect(await refusedWith({ passthrough: false }, {})).toBe('passthrough_off');
    expect(await refusedWith({ passthrough: true }, masks)).toBe('body_unread');
    const ofRoute = { request: reports, routes: { 'gpt-realtime': masks } };
    expect(await refusedWith({ passthrough: true }, ofRoute)).toBe('body_unread');
    expect(await refusedWith({ passthrough: 'unscrubbed' }, masks)).toBe('open');
    expect(await refusedWith({ passthrough: true }, { request: reports })).toBe('open');
  });

  test('not for a key without the endpoint or the model', async () => {
    const upstream = await startSessionUpstream();
    const sidecar = await startSessions(upstream, {
      authenticate: {
        keys: [
          key('k-chat', 'a', { endpoints: ['chat'] }),
          key('k-models', 'a', { models: ['gpt-realtime'] }),
          key('k-both', 'a', { models: ['gpt-realtime'], endpoints: ['realtime'] }),
        ],
      },
    });
    const told = async (id: string, at: string) => {
      return connect(sidecar.url, at, { authorization: `Bearer ${id}` }).outcome;
    };
    expect(await told('k-chat', path)).toBe('endpoint_forbidden');
    expect(await told('k-models', path)).toBe('endpoint_forbidden');
    expect(await told('k-both', path)).toBe('open');
    expect(await told('k-both', '/v1/realtime?model=gpt-5')).toBe('model_forbidden');
    expect(await told('k-both', '/v1/realtime?intent=transcription')).toBe('model_forbidden');
  });

  test.each([
    ['azure', '/openai/v1', '', '/openai/v1/realtime?model=gpt-realtime', '/openai/v1/realtime?model=dep'],
    [
      'azure-deployments',
      '/openai',
      '2025-04-01-preview',
      '/openai/realtime?api-version=2024-10-01-preview&deployment=gpt-realtime',
      '/openai/realtime?deployment=dep&api-version=2025-04-01-preview',
    ],
  ])('to Azure, with %s', async (preset, base, apiVersion, asked, seen) => {
    const upstream = await startSessionUpstream();
    const sidecar = await startSessions(upstream, {
      routes: [{ model: 'gpt-realtime', targets: [{ provider: 'azure', model: 'dep' }] }],
      providers: {
        azure: {
          preset,
          baseUrl: upstream.url.replace('/v1', base),
          apiKey: 'azure-key',
          passthrough: 'unscrubbed',
          ...(apiVersion === '' ? {} : { apiVersion }),
        } as never,
      },
    });
    await connect(sidecar.url, asked, { 'api-key': 'any' }).open;
    expect(upstream.handshakes[0]?.url).toBe(seen);
    expect(upstream.handshakes[0]?.headers).toMatchObject({ 'api-key': 'azure-key' });
  });

  test("to Gemini's Live API, by its own path", async () => {
    const upstream = await startSessionUpstream();
    const service = 'google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent';
    const sidecar = await startSessions(
      upstream,
      { authenticate: { keys } },
      { dialect: 'gemini', baseUrl: upstream.url.replace('/v1', '/v1beta') },
    );
    await connect(sidecar.url, `/ws/${service}?key=k-a`).open;
    expect(upstream.handshakes[0]?.url).toBe(`/ws/${service}`);
    expect(upstream.handshakes[0]?.headers['x-goog-api-key']).toBe('provider-key');
  });

  test('over TLS, as other calls go', async () => {
    const authority = createAuthority();
    const upstream = await startSessionUpstream(({ socket }) => socket.send('hi'), undefined, {
      ...authority.issue('localhost'),
    });
    const known = await startSessions(upstream, {}, { tls: { ca: authority.cert } });
    expect(await connect(known.url, path).next()).toBe('hi');
    expect(upstream.handshakes[0]?.headers.host).toBe(new URL(upstream.url).host);
    const unknown = await startSessions(upstream);
    expect(await connect(unknown.url, path).outcome).toBe('targets_down');
    expect(await unknown.recordWhere(({ status }) => status === 503)).toMatchObject({
      tried: expect.stringContaining('first/realtime: certificate'),
    });
  });

  test('a call that somebody else may have made is joined by nobody', async () => {
    const upstream = await startSessionUpstream();
    const sidecar = await startSessions(upstream, { authenticate: { keys } });
    const client = connect(sidecar.url, '/v1/realtime?call_id=rtc_1', { authorization: 'Bearer k-a' });
    expect((await client.refused).status).toBe(404);
    const alone = await startSessions(upstream, { authenticate: { keys } }, { files: ['a'] });
    await connect(alone.url, '/v1/realtime?call_id=rtc_1', { authorization: 'Bearer k-a' }).open;
    expect(upstream.handshakes.map(({ url }) => url)).toEqual(['/v1/realtime?call_id=rtc_1']);
  });
});
