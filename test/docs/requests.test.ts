/** The request headers of the reference: each has the effect it says, and the sidecar reads no others. */
import { type IncomingHttpHeaders, IncomingMessage, Server } from 'node:http';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { HeadReader, type PlainHead } from '../../src/listen/head.ts';
import { tiers } from '../../src/native/classify.ts';
import { type Chain, startChain } from '../support/chain.ts';
import { ask } from '../support/client.ts';
import { firstCodes, readDocument } from '../support/documents.ts';
import { geminiWire } from '../support/gemini-wire.ts';
import { anthropicWire, openaiWire, testModel, type Wire, wires } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar } from '../support/sidecar.ts';
import { answers, hangs } from '../support/upstream.ts';

/** What HTTP and the guard against web pages need, besides what the table says. */
const plainHttp = [
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'origin',
  'sec-fetch-site',
  'transfer-encoding',
  'upgrade',
];

const listed = [
  ...new Set(
    firstCodes(readDocument('docs/reference/headers.md').table('request header')).map((code) => nameOf(code)),
  ),
];

function nameOf(code: string): string {
  return (code.split(':')[0] ?? '').toLowerCase();
}

/** Names of the headers that were read of requests to a sidecar of this file, whether they were there or not. */
const read = new Set<string>();
const ports = new Set<number>();
const watch = ({ url }: { url: string }): void => void ports.add(Number(new URL(url).port));

/** Headers that tell what is read of them. */
const watched = (headers: IncomingHttpHeaders): IncomingHttpHeaders =>
  new Proxy(headers, {
    get(target, name) {
      if (typeof name === 'string') read.add(name);
      return Reflect.get(target, name);
    },
  });

const { emit } = Server.prototype;
const { read: readHead } = HeadReader.prototype;

beforeAll(() => {
  HeadReader.prototype.read = function (this: HeadReader, bytes: Buffer): PlainHead | null {
    const head = readHead.call(this, bytes);
    return head === null ? null : { ...head, headers: watched(head.headers) };
  };
  Server.prototype.emit = function (this: Server, event: string, ...args: unknown[]): boolean {
    const [request] = args;
    const address = this.address();
    const port = address === null || typeof address === 'string' ? 0 : address.port;
    if (request instanceof IncomingMessage && ports.has(port))
      Object.defineProperty(request, 'headers', { value: watched(request.headers) });
    return Reflect.apply(emit, this, [event, ...args]);
  };
});
afterAll(() => {
  HeadReader.prototype.read = readHead;
  Server.prototype.emit = emit;
});

/** A sidecar before one provider that answers well. */
async function chainOf(wire: Wire, more: ConfigInput = {}): Promise<Chain> {
  const chain = await startChain(wire, [[answers(wire, 'Hello')]], more);
  watch(chain);
  return chain;
}

/** Calls that reached the provider of two requests with these headers. */
async function callsOfTwo(wire: Wire, headers: Record<string, string>): Promise<number> {
  const chain = await chainOf(wire, { cache: { enabled: true } });
  for (const _ of [1, 2]) expect((await chain.ask({}, headers)).status).toBe(200);
  return chain.first.calls.length;
}

/** The header's value is in the log line of its request. */
async function loggedAs(header: string): Promise<void> {
  const chain = await chainOf(openaiWire);
  await chain.ask({}, { [header]: 'from-the-app' });
  await chain.recordWhere(({ clientRequestId }) => clientRequestId === 'from-the-app');
}

/** With the admin token a reply is explained, and a dry request is answered with nothing else. */
async function explained(): Promise<void> {
  const chain = await chainOf(openaiWire, { admin: { token: 'token-of-the-admin' } });
  const asked = async (debug: string, token: string) =>
    chain.ask({}, { 'x-sidegate-debug': debug, 'x-sidegate-admin': token });
  expect((await asked('1', 'token-of-the-admin')).headers['x-sidegate-debug']).toContain('"targets"');
  expect((await asked('1', 'wrong')).headers['x-sidegate-debug']).toBeUndefined();
  expect(JSON.parse((await asked('dry', 'token-of-the-admin')).text)).toHaveProperty('targets');
  expect(chain.first.calls).toHaveLength(2);
}

/** SHA-256 of "k". */
const sha256 = '8254c329a92850f6d539dd376f4816ee2764517da5e0235514af433164480d7a';
const keys: ConfigInput = { authenticate: { keys: [{ id: 'key-1', sha256, tenant: 'acme' }] } };

async function keyIdWith(wire: Wire, headers: Record<string, string>): Promise<string> {
  const chain = await chainOf(wire, keys);
  await chain.ask({}, headers);
  return (await chain.recordWhere(() => true)).keyId;
}

/** The header reaches the provider as it was. */
const passedTo = (wire: Wire, name: string) => async (): Promise<void> => {
  const chain = await chainOf(wire);
  await chain.ask({}, { [name]: 'some-value-1' });
  expect(chain.first.calls[0]?.headers[name]).toBe('some-value-1');
};

/** The header reaches the provider with the client's own key, not with one of the gateway's. */
const passedToOwnKey = (wire: Wire, name: string) => async (): Promise<void> => {
  const chain = await chainOf(wire);
  await chain.ask({}, { [name]: 'some-value-1' });
  expect(chain.first.calls[0]?.headers[name]).toBeUndefined();
  const { baseUrl } = chain.first;
  const first = { dialect: wire.name, baseUrl, credential: 'client' as const };
  const own = await chainOf(wire, { providers: { first } });
  await own.ask({}, { authorization: 'Bearer k', [name]: 'some-value-1' });
  expect(chain.first.calls[1]?.headers[name]).toBe('some-value-1');
};

const passedToBoth = (name: string) => async (): Promise<void> => {
  for (const wire of wires) await passedTo(wire, name)();
};

/** What shows that a header does what the table says. */
const effects: Readonly<Record<string, () => Promise<void>>> = {
  async authorization() {
    expect(await keyIdWith(openaiWire, { authorization: 'Bearer k' })).toBe('key-1');
  },
  async 'x-api-key'() {
    expect(await keyIdWith(anthropicWire, { 'x-api-key': 'k' })).toBe('key-1');
  },
  async 'api-key'() {
    expect(await keyIdWith(openaiWire, { 'api-key': 'k' })).toBe('key-1');
  },
  async 'x-goog-api-key'() {
    expect(await keyIdWith(geminiWire, { 'x-goog-api-key': 'k' })).toBe('key-1');
  },
  async 'idempotency-key'() {
    const chain = await chainOf(openaiWire);
    for (const _ of [1, 2]) await chain.ask({}, { 'idempotency-key': 'a' });
    expect(chain.first.calls.length).toBe(1);
  },
  async 'cache-control'() {
    expect(await callsOfTwo(openaiWire, {})).toBe(1);
    expect(await callsOfTwo(openaiWire, { 'cache-control': 'no-cache' })).toBe(2);
    expect(await callsOfTwo(openaiWire, { 'cache-control': 'no-store' })).toBe(2);
    const chain = await chainOf(openaiWire, { cache: { enabled: true } });
    await chain.ask({}, { 'cache-control': 'no-cache' });
    await chain.ask();
    expect(chain.first.calls.length).toBe(1);
    await chain.ask({ seed: 1 }, { 'cache-control': 'no-store' });
    await chain.ask({ seed: 1 });
    expect(chain.first.calls.length).toBe(3);
  },
  async 'x-sidegate-user'() {
    const chain = await chainOf(openaiWire);
    await chain.ask({}, { 'x-sidegate-user': 'ann' });
    expect((await chain.recordWhere(() => true)).user).toBe('ann');
  },
  async 'x-sidegate-tags'() {
    const chain = await chainOf(openaiWire);
    await chain.ask({}, { 'x-sidegate-tags': 'batch, night' });
    expect((await chain.recordWhere(() => true)).tags).toBe('batch,night');
  },
  async 'x-sidegate-tier'() {
    const targets = tiers.map((tier) => ({ provider: 'first', model: tier, tier }));
    const chain = await chainOf(openaiWire, { routes: [{ model: testModel, strategy: 'cost', targets }] });
    await chain.ask({}, { 'x-sidegate-tier': 'complex' });
    expect(chain.first.calls[0]?.json.model).toBe('complex');
  },
  async 'x-sidegate-capabilities'() {
    const able = { provider: 'first', model: 'able', capabilities: ['vision' as const] };
    const targets = [{ provider: 'first', model: 'unable', capabilities: [] }, able];
    const chain = await chainOf(openaiWire, {
      routes: [{ model: testModel, strategy: 'capability', targets }],
    });
    await chain.ask({}, { 'x-sidegate-capabilities': 'vision' });
    expect(chain.first.calls[0]?.json.model).toBe('able');
  },
  async 'x-sidegate-timeout'() {
    const chain = await startChain(openaiWire, [[hangs]]);
    watch(chain);
    expect((await chain.ask({}, { 'x-sidegate-timeout': '20' })).status).toBe(504);
  },
  async 'x-sidegate-priority'() {
    const chain = await chainOf(openaiWire);
    for (const priority of ['batch', 'interactive']) {
      await chain.ask({}, { 'x-sidegate-priority': priority });
      expect(chain.records().at(-1)).toMatchObject({ priority, status: 200 });
    }
    expect((await chain.ask({}, { 'x-sidegate-priority': 'soon' })).status).toBe(400);
    const limit = { name: 'batch', capacity: 1, refillPerSecond: 0.001, traffic: 'batch' as const };
    const other = await chainOf(openaiWire, { limits: [limit] });
    const statuses: number[] = [];
    for (const headers of [{}, { 'x-sidegate-priority': 'batch' }, {}, { 'x-sidegate-priority': 'batch' }])
      statuses.push((await other.ask({}, headers)).status);
    expect(statuses).toEqual([200, 200, 200, 429]);
  },
  'x-sidegate-debug': explained,
  'x-sidegate-admin': explained,
  async 'x-sidegate-provider'() {
    const chain = await startChain(openaiWire, [
      [(call) => call.whole(200, { 'content-type': 'application/json' }, '{}')],
    ]);
    watch(chain);
    const asks = async (name: string): Promise<number> =>
      (
        await ask(chain.url, '/v1/files', {
          method: 'GET',
          headers: { 'x-sidegate-provider': name },
          body: '',
        })
      ).status;
    expect(await asks('first')).toBe(200);
    expect(await asks('another')).toBe(400);
  },
  async accept() {
    const chain = await startChain(openaiWire, [[(call) => call.whole(200, {}, '{}')]]);
    watch(chain);
    await ask(chain.url, '/v1/files', { method: 'GET', headers: { accept: 'a/b' }, body: '' });
    expect((await chain.first.call(0)).headers.accept).toBe('a/b');
  },
  async 'x-sidegate-restart'() {
    const wire = openaiWire;
    for (const [headers, text] of [
      [{ 'x-sidegate-restart': 'on-cut' }, 'HelHello'],
      [{}, 'Hel'],
    ] as const) {
      const cuts = (call: Parameters<typeof hangs>[0]): void => {
        call.streamHead();
        call.write(wire.opening + wire.text('Hel'));
        call.cut();
      };
      const chain = await startChain(wire, [[cuts], [answers(wire, 'Hello')]]);
      watch(chain);
      expect(wire.textOf((await chain.ask({ stream: true }, headers)).text)).toBe(text);
    }
  },
  async 'x-simulate'() {
    const faulty = { 'x-simulate': 'fault=bad_request' };
    const sidecar = await startTestSidecar({
      providers: { sim: { preset: 'simulator' } },
      routes: [{ model: 'sim', targets: [{ provider: 'sim' }] }],
    });
    onTestFinished(() => sidecar.stop());
    watch(sidecar);
    const body = { ...openaiWire.request('Hi'), model: 'sim' };
    expect((await ask(sidecar.url, openaiWire.path, { body })).status).toBe(200);
    expect((await ask(sidecar.url, openaiWire.path, { body, headers: faulty })).status).toBe(400);
    const chain = await chainOf(openaiWire);
    await chain.ask({}, faulty);
    expect(chain.first.calls[0]?.headers).not.toHaveProperty('x-simulate');
  },
  'x-client-request-id': () => loggedAs('x-client-request-id'),
  'x-request-id': () => loggedAs('x-request-id'),
  traceparent: passedToBoth('traceparent'),
  tracestate: passedToBoth('tracestate'),
  'openai-organization': passedToOwnKey(openaiWire, 'openai-organization'),
  'openai-project': passedToOwnKey(openaiWire, 'openai-project'),
  'openai-beta': passedTo(openaiWire, 'openai-beta'),
  'x-goog-api-client': passedTo(geminiWire, 'x-goog-api-client'),
  'x-goog-user-project': passedToOwnKey(geminiWire, 'x-goog-user-project'),
  'anthropic-workspace-id': passedToOwnKey(anthropicWire, 'anthropic-workspace-id'),
  'anthropic-user-profile-id': passedToOwnKey(anthropicWire, 'anthropic-user-profile-id'),
  'anthropic-version': passedTo(anthropicWire, 'anthropic-version'),
  'anthropic-beta': passedTo(anthropicWire, 'anthropic-beta'),
  'anthropic-dangerous-direct-browser-access': passedTo(
    anthropicWire,
    'anthropic-dangerous-direct-browser-access',
  ),
};

describe('request headers', () => {
  test.each(listed)('%s does what is said', async (name) => {
    await expect(effects[name]?.() ?? Promise.reject(new Error('no test for it'))).resolves.toBeUndefined();
  });

  test('no others are read', async () => {
    // Both dialects, streamed or not, with the client's own credential and with a key of the gateway's.
    for (const wire of [...wires, geminiWire]) {
      for (const more of [keys, {}]) {
        const limits = [{ name: 'l', capacity: 100, refillPerSecond: 100 }];
        const chain = await chainOf(wire, { cache: { enabled: true }, limits, ...more });
        for (const stream of [false, true]) await chain.ask({ stream }, { 'x-api-key': 'k' });
        await ask(chain.url, '/v1/models', { method: 'GET', headers: { 'x-api-key': 'k' } });
      }
    }
    expect([...read].sort()).toEqual([...listed, ...plainHttp].sort());
  });

  test.each(wires)('$name: a provider sees nothing else of the app', async (wire) => {
    const chain = await chainOf(wire);
    const more = {
      cookie: 'a=b',
      'user-agent': 'app',
      'x-forwarded-for': '10.0.0.1',
      referer: 'r',
      'x-other': 'o',
    };
    await chain.ask({}, { ...more, authorization: 'Bearer app-key' });
    const { headers } = await chain.first.call(0);
    const credential = wire.name === 'openai' ? ['authorization'] : ['anthropic-version', 'x-api-key'];
    expect(Object.keys(headers).sort()).toEqual(
      ['accept-encoding', 'connection', 'content-length', 'content-type', 'host', ...credential].sort(),
    );
    expect(Object.values(headers).join()).not.toContain('app-key');
  });
});
