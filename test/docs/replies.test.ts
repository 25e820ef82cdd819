/** The reply headers and errors of the reference against real replies: one for each error code, and each way to answer. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { keyTables, openStoredKeys } from '../../src/authenticate/stored-keys.ts';
import { catalogue, type ErrorCode } from '../../src/base/errors.ts';
import { tiers } from '../../src/native/classify.ts';
import { openStore } from '../../src/store/database.ts';
import { type Chain, chainConfig, startChain } from '../support/chain.ts';
import { ask, type Sending } from '../support/client.ts';
import { codesIn, firstCodes, readDocument } from '../support/documents.ts';
import { makeSigningKey, type SigningKey, startIssuer, type TestIssuer } from '../support/issuer.ts';
import { passedPath, passing } from '../support/passing.ts';
import { unheard } from '../support/recogniser.ts';
import { anthropicWire, openaiWire, testModel, type Wire, wires } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar } from '../support/sidecar.ts';
import { standingTime } from '../support/time.ts';
import { answers, hangs, refuses, resets, type Script, startUpstream } from '../support/upstream.ts';

type Answer = Awaited<ReturnType<typeof ask>>;

const headersPage = readDocument('docs/reference/headers.md');

/** Headers that HTTP itself needs; they say nothing of Sidegate's own. */
const plainHttp = 'allow connection content-length content-type date keep-alive transfer-encoding'.split(' ');

const token = 'token-of-the-admin';
const batch = { 'x-sidegate-priority': 'batch' };

/** A SHA-256 that no key of a test has. */
const otherKey = { id: 'other', sha256: 'ab'.repeat(32), tenant: 'other' };

/** A chain of one provider; its only script answers well unless another is given. */
const chainOf = (
  wire: Wire,
  more: ConfigInput = {},
  script: Script = answers(wire, 'Hello'),
): Promise<Chain> => startChain(wire, [[script]], more);

/** Sends what `sending` says to a new sidecar. */
async function send(
  wire: Wire,
  sending: Sending & { path?: string } = {},
  more: ConfigInput = {},
): Promise<Answer> {
  const { url } = await chainOf(wire, more);
  return ask(url, sending.path ?? wire.path, { body: wire.request('Hi'), ...sending });
}

/** The reply to a request that is sent while another, which the provider never answers, is at work. */
async function secondOf(
  wire: Wire,
  headers: Record<string, string>,
  more: ConfigInput = {},
): Promise<Answer> {
  const chain = await chainOf(wire, more, hangs);
  const first = chain.send({}, headers);
  await chain.first.call(0);
  const second = await chain.ask({}, headers);
  first.hangUp();
  return second;
}

/** The reply to a token, of an issuer that answers with this status. */
async function sendToken(
  wire: Wire,
  make: (issuer: TestIssuer, key: SigningKey) => Promise<string>,
  status = 200,
): Promise<Answer> {
  const key = await makeSigningKey('k', 'ES256');
  const issuer = await startIssuer(key);
  onTestFinished(() => issuer.stop());
  issuer.status = status;
  const times = { cooldownMs: 100, waitMs: status === 200 ? 30_000 : 100 };
  const authenticate = { keys: [otherKey], oidc: [issuer.entry(times)] };
  return send(wire, { headers: { 'x-api-key': await make(issuer, key) } }, { authenticate });
}

/** The key "k", by its SHA-256, and a call with it. */
const keyK = { ...otherKey, sha256: '8254c329a92850f6d539dd376f4816ee2764517da5e0235514af433164480d7a' };
const asK = { headers: { 'x-api-key': 'k' } };

/** Sends it where what isn't known is passed on, as one of two tenants. */
const sendPassed = (wire: Wire, sending: Sending & { path: string }): Promise<Answer> =>
  send(wire, { ...asK, ...sending }, passing(wire, [{ ...keyK, tenant: 'k' }, otherKey]));

const reading = { method: 'GET', body: '' };

/** Errors that are told within sessions, or in one dialect only. */
type Elsewhere = 'session_over' | 'thread_not_found';
/** A way to each other error. */
const ways: Readonly<Record<Exclude<ErrorCode, Elsewhere>, (wire: Wire) => Promise<Answer>>> = {
  invalid_json: (wire) => send(wire, { body: '{' }),
  invalid_field: (wire) => send(wire, { body: { ...wire.request('Hi'), model: 5 } }),
  invalid_form: (wire) =>
    send(wire, {
      ...{ path: '/v1/images/edits', body: '--b' },
      headers: { 'content-type': 'multipart/form-data; boundary=a' },
    }),
  provider_unclear: (wire) =>
    send(wire, { ...reading, path: '/v1/files', headers: { 'x-sidegate-provider': 'another' } }),
  passthrough_off: (wire) => send(wire, { ...reading, path: passedPath(wire) }),
  object_not_found: (wire) => sendPassed(wire, { ...reading, path: `${passedPath(wire)}/a` }),
  body_unread: (wire) => sendPassed(wire, { path: passedPath(wire) }),
  duplicate_field: (wire) => send(wire, { body: '{"model":"a","model":"b","messages":[]}' }),
  unsupported_field(wire) {
    const other = wire.name === 'openai' ? 'anthropic' : 'openai';
    const providers = { first: { dialect: other, baseUrl: 'http://127.0.0.1:9/v1' } } as const;
    const fields = { n: 2, container: 'c' };
    return send(wire, { body: wire.request('Hi', fields) }, { providers });
  },
  answer_unknown: (wire) =>
    send(wire, { path: '/v1/cache/feedback', body: { request_id: 'req_1', correct: false } }),
  invalid_header: (wire) => send(wire, { headers: { 'x-sidegate-timeout': 'soon' } }),
  pii_blocked: (wire) =>
    send(wire, { body: wire.request('To a@b.cc') }, { scrub: { request: { email: 'block' } } }),
  recogniser_down: (wire) => send(wire, { body: wire.request('Ann') }, unheard()),
  text_unchecked: (wire) => send(wire, { body: wire.request('a'.repeat(2000)) }, unheard(1024)),
  not_capable: (wire) =>
    send(
      wire,
      { headers: { 'x-sidegate-capabilities': 'vision' } },
      {
        routes: [
          {
            model: testModel,
            strategy: 'capability',
            targets: [{ provider: 'first', capabilities: ['tools'] }],
          },
        ],
      },
    ),
  missing_key: (wire) => send(wire, {}, { authenticate: { keys: [otherKey] } }),
  wrong_key: (wire) => send(wire, { headers: { 'x-api-key': 'k' } }, { authenticate: { keys: [otherKey] } }),
  key_expired: (wire) =>
    send(wire, asK, { authenticate: { keys: [{ ...keyK, expires: '2020-01-01T00:00:00Z' }] } }),
  async key_revoked(wire) {
    const folder = mkdtempSync(join(tmpdir(), 'sidegate-replies-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'store.db');
    const store = await openStore(path, [keyTables]);
    onTestFinished(() => store.close());
    const keys = openStoredKeys(store);
    const key = keys.create({ id: 'gone', tenant: 'acme', tags: [], limits: [] }, 0) ?? '';
    keys.revoke('gone', 1);
    return send(
      wire,
      { headers: { 'x-api-key': key } },
      { authenticate: { keys: [otherKey] }, store: { path } },
    );
  },
  token_malformed: (wire) => sendToken(wire, async () => 'eyJ.eyJ'),
  token_oversized: (wire) => sendToken(wire, (idp, key) => idp.token(key, { more: 'x'.repeat(9000) })),
  token_issuer: (wire) => sendToken(wire, (idp, key) => idp.token(key, { iss: 'https://other.example' })),
  token_algorithm: (wire) => sendToken(wire, async (idp) => idp.token(await makeSigningKey('k', 'RS512'))),
  token_unknown_key: (wire) => sendToken(wire, (idp, key) => idp.token({ ...key, kid: 'another' })),
  token_signature: (wire) => sendToken(wire, async (idp) => idp.token(await makeSigningKey('k', 'ES256'))),
  token_expired: (wire) => sendToken(wire, (idp, key) => idp.token(key, { exp: 1 })),
  token_not_yet_valid: (wire) => sendToken(wire, (idp, key) => idp.token(key, { nbf: 9e9 })),
  token_audience: (wire) => sendToken(wire, (idp, key) => idp.token(key, { aud: 'another' })),
  token_claims: (wire) => sendToken(wire, (idp, key) => idp.token(key, { tenant: undefined })),
  async memory_full(wire) {
    const chain = await chainOf(wire, { memory: { maxMb: 64 } });
    for (;;) {
      const reply = await chain.ask();
      if (reply.status !== 200) return reply;
    }
  },
  callers_unknown: (wire) => sendToken(wire, (idp, key) => idp.token(key), 500),
  endpoint_forbidden: (wire) =>
    send(wire, asK, { authenticate: { keys: [{ ...keyK, endpoints: ['embeddings'] }] } }),
  model_forbidden: (wire) => send(wire, asK, { authenticate: { keys: [{ ...keyK, models: ['another'] }] } }),
  host_refused: (wire) => send(wire, { headers: { host: 'evil.example' } }),
  origin_refused: (wire) => send(wire, { headers: { origin: 'https://evil.example' } }),
  not_found: (wire) => send(wire, { path: '/v1/nothing' }),
  model_not_found: (wire) => send(wire, { body: { ...wire.request('Hi'), model: 'unknown' } }),
  method_not_allowed: (wire) => send(wire, { method: 'PUT' }),
  body_timeout: (wire) =>
    send(wire, { headers: { 'content-length': '10000' }, body: '{' }, { listen: { bodyTimeoutMs: 30 } }),
  idempotency_in_flight: (wire) => secondOf(wire, { 'idempotency-key': 'a' }, { replay: { joinersMax: 0 } }),
  body_too_large: (wire) => send(wire, { body: 'x'.repeat(2000) }, { listen: { bodyMaxBytes: 1024 } }),
  body_too_complex: (wire) =>
    send(wire, { body: JSON.stringify({ ...wire.request('Hi'), x: Array(500_000).fill([]) }) }),
  unsupported_media_type: (wire) => send(wire, { headers: { 'content-type': 'text/plain' } }),
  async idempotency_mismatch(wire) {
    const chain = await chainOf(wire);
    await chain.ask({}, { 'idempotency-key': 'a' });
    return chain.ask({ max_tokens: 7 }, { 'idempotency-key': 'a' });
  },
  async rate_limited(wire) {
    const chain = await chainOf(wire, { limits: [{ name: 'one', capacity: 1, refillPerSecond: 0.001 }] });
    await chain.ask();
    return chain.ask();
  },
  request_too_costly: (wire) =>
    send(wire, {}, { limits: [{ name: 'one', unit: 'characters', capacity: 1, refillPerSecond: 1 }] }),
  model_unpriced: (wire) => send(wire, {}, { budgets: [{ name: 'month', usd: 5, window: 'month' }] }),
  headers_too_large: (wire) => send(wire, { headers: { 'x-long': 'x'.repeat(20_000) } }),
  async internal(wire) {
    const random = (): number => {
      throw new Error('no chance');
    };
    const unreached = chainConfig(wire, ['http://127.0.0.1:9/v1'], {
      attempt: { retriesMax: 1, breaker: { failures: 9 } },
    });
    const sidecar = await startTestSidecar(unreached, { random });
    onTestFinished(() => sidecar.stop());
    return ask(sidecar.url, wire.path, { body: wire.request('Hi') });
  },
  async upstream_failed(wire) {
    return (
      await chainOf(wire, {}, (call) => call.whole(200, { 'content-type': 'application/json' }, '{'))
    ).ask();
  },
  async upstream_credential(wire) {
    return (await chainOf(wire, {}, refuses(wire.error(401, 'Who are you?')))).ask();
  },
  async stream_cut(wire) {
    const chain = await chainOf(wire, {}, (call) => {
      call.streamHead();
      call.write(wire.opening + wire.text('Hel'));
      call.cut();
    });
    return chain.ask({ stream: true });
  },
  targets_down: async (wire) => (await chainOf(wire, {}, resets)).ask(),
  async draining(wire) {
    const upstream = await startUpstream(hangs);
    onTestFinished(() => upstream.close());
    const sidecar = await startTestSidecar(chainConfig(wire, [upstream.baseUrl]));
    const reply = ask(sidecar.url, wire.path, { body: wire.request('Hi') });
    await upstream.call(0);
    await sidecar.stop();
    return reply;
  },
  overloaded: (wire) => secondOf(wire, {}, { listen: { inFlightMax: 1 } }),
  batch_queue_full: (wire) =>
    send(wire, { body: wire.request('x'.repeat(2000)), headers: batch }, { batch: { queueMaxBytes: 1024 } }),
  async batch_deadline(wire) {
    // The first answer tells how long one takes.
    const time = standingTime();
    const slow: Script = (call) => {
      time.pass(50);
      answers(wire, 'Hello')(call);
    };
    const chain = await startChain(wire, [[slow]], {}, time.world);
    await chain.ask({}, batch);
    return chain.ask({}, { ...batch, 'x-sidegate-timeout': '30' });
  },
  async batch_expired(wire) {
    const chain = await chainOf(wire, { batch: { concurrencyMax: 1 } }, hangs);
    const first = chain.send({}, batch);
    await chain.first.call(0);
    const second = await chain.ask({}, { ...batch, 'x-sidegate-timeout': '30' });
    first.hangUp();
    return second;
  },
  upstream_timeout: async (wire) => (await chainOf(wire, { attempt: { replyTimeoutMs: 20 } }, hangs)).ask(),
};

/** Each other way to answer. */
const answered: Readonly<Record<string, (wire: Wire) => Promise<Answer>>> = {
  'let pass and reported, where the gateway observes': (wire) =>
    send(wire, asK, { mode: 'observe', authenticate: { keys: [otherKey] } }),
  'without the personal data of its request': (wire) =>
    send(wire, { body: wire.request('Write to bob@example.com.') }),
  'by its tier': (wire) => {
    const targets = tiers.map((tier) => ({ provider: 'first', model: tier, tier }));
    return send(wire, {}, { routes: [{ model: testModel, strategy: 'cost', targets }] });
  },
  'whole, and counted for a limit': (wire) =>
    send(wire, {}, { cache: {}, limits: [{ name: 'many', capacity: 100, refillPerSecond: 1 }] }),
  'counted for a limit of tokens, and warned of another': (wire) => {
    const limits: ConfigInput['limits'] = [
      { name: 'tokens', unit: 'tokens', capacity: 100_000, refillPerSecond: 1 },
      { name: 'few', capacity: 1, refillPerSecond: 0.001 },
      { name: 'none', unit: 'characters', capacity: 1, refillPerSecond: 1, mode: 'observe' },
    ];
    return send(wire, {}, { limits });
  },
  streamed: async (wire) => (await chainOf(wire)).ask({ stream: true }),
  'after a target that was passed over': async (wire) =>
    second(await startChain(wire, [[resets], [answers(wire, 'Hello')]])),
  'that explains itself': async (wire) => {
    const chain = await chainOf(wire, { admin: { token } });
    return chain.ask({}, { 'x-sidegate-debug': '1', 'x-sidegate-admin': token });
  },
  'from the cache': async (wire) => second(await chainOf(wire, { cache: { enabled: true } })),
  'from the cache, streamed': async (wire) =>
    second(await chainOf(wire, { cache: { enabled: true } }), { stream: true }),
  'for a repeated idempotency key': async (wire) =>
    second(await chainOf(wire), {}, { 'idempotency-key': 'a' }),
  "with the provider's own refusal": async (wire) =>
    (await chainOf(wire, {}, refuses(wire.error(400, 'No.')))).ask(),
  "with the provider's own headers": async (wire) => {
    const own = {
      'openai-processing-ms': '5',
      'request-id': 'a',
      'anthropic-organization-id': 'b',
      'anthropic-workspace-id': 'c',
      'set-cookie': 'c',
    };
    const busy = wire.error(429, 'Later.');
    return (
      await chainOf(wire, {}, refuses({ ...busy, headers: { ...busy.headers, ...own, 'retry-after': '2' } }))
    ).ask();
  },
  async 'with a field left out'(wire) {
    const other = wire.name === 'openai' ? anthropicWire : openaiWire;
    const upstream = await startUpstream(answers(other, 'fine'));
    onTestFinished(() => upstream.close());
    const providers = {
      first: { dialect: other.name, baseUrl: upstream.baseUrl },
      second: { dialect: wire.name, baseUrl: upstream.baseUrl },
    };
    const routes = [{ model: testModel, targets: [{ provider: 'first' }, { provider: 'second' }] }];
    return send(wire, { body: wire.request('Hi', { top_k: 5, seed: 5 }) }, { providers, routes });
  },
  'with models': (wire) => send(wire, { method: 'GET', path: '/v1/models', body: undefined }),
  'with one model': (wire) => send(wire, { method: 'GET', path: `/v1/models/${testModel}`, body: undefined }),
};

async function second(chain: Chain, more = {}, headers = {}): Promise<Answer> {
  expect((await chain.ask(more, headers)).status).toBe(200);
  return chain.ask(more, headers);
}

/** Every reply of this file, by what it is. */
const replies = new Map<string, Answer>();

describe.each(wires)('$name', (wire) => {
  test.each(Object.keys(ways) as (keyof typeof ways)[])('the error %s', async (code) => {
    const reply = await ways[code](wire);
    replies.set(`${wire.name} ${code}`, reply);
    const { status, retryable } = catalogue[code];
    const { headers } = reply;
    const error = wire.errorOf(reply.text.split('data: ').at(-1) ?? '');
    expect(error?.code).toBe(code);
    // A stream has its status before its error.
    expect(reply.status).toBe(code === 'stream_cut' ? 200 : status);
    const waits = retryable && statusesOf('Retry-After').includes(status);
    expect(headers['retry-after'] !== undefined).toBe(waits);
    expect(headers['retry-after-ms'] !== undefined).toBe(waits);
    if (!retryable) expect(headers['x-should-retry']).toBe('false');
  });

  test.each(Object.keys(answered))('an answer %s', async (way) => {
    const reply = await answered[way]?.(wire);
    if (reply !== undefined) replies.set(`${wire.name} ${way}`, reply);
    expect(reply?.headers['x-request-id']).toMatch(/^req_\w+$/);
  });
});

const rows = headersPage.table('reply header');
const listed = firstCodes(rows);

/** The statuses that a header's row names. */
function statusesOf(header: string): number[] {
  const row = rows.find(([names = '']) => codesIn(names).includes(header));
  return (row?.[1] ?? '')
    .split(/\D+/)
    .map(Number)
    .filter((number) => number >= 400);
}

describe('the table of reply headers', () => {
  const all = (Object.keys(ways).length + Object.keys(answered).length) * wires.length;

  test.each(listed)('%s is sent', (entry) => {
    expect(replies.size).toBe(all);
    const [name = '', value] = entry.toLowerCase().split(': ');
    const sent = [...replies.values()].flatMap(({ headers }) =>
      Object.entries(headers).filter(([header]) => fits(header, name)),
    );
    expect(sent).not.toEqual([]);
    // Where the table states a value, no other is ever sent.
    if (value !== undefined) expect(new Set(sent.map(([, found]) => found))).toEqual(new Set([value]));
  });

  test('has every header that is sent', () => {
    expect(replies.size).toBe(all);
    const names = listed.map((entry) => entry.toLowerCase().split(': ')[0] ?? '');
    const sent = new Set([...replies.values()].flatMap(({ headers }) => Object.keys(headers)));
    const unlisted = [...sent].filter((header) => !names.some((name) => fits(header, name)));
    expect(unlisted.filter((header) => !plainHttp.includes(header))).toEqual([]);
  });

  test('has the cache statuses', () => {
    const status = (way: string): unknown => replies.get(`openai ${way}`)?.headers['cache-status'];
    expect(status('from the cache')).toBe('sidegate; hit');
    expect(status('whole, and counted for a limit')).toBe('sidegate; fwd=uri-miss');
    expect(status('streamed')).toBe('sidegate; fwd=bypass');
  });
});

/** A listed name may end in a star. */
const fits = (header: string, name: string): boolean =>
  name.endsWith('*') ? header.startsWith(name.slice(0, -1)) : header === name;
