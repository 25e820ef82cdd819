/** Stage observe: one record for each request whatever its way out, bounded labels, nothing private said. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { ask, rawExchange } from '../support/client.ts';
import { type Gate, ownModel, startGate } from '../support/gate.ts';
import type { LoggedRecord } from '../support/log-line.ts';
import { anthropicWire, openaiWire, statedUsage, testModel, wires } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar } from '../support/sidecar.ts';
import { answers, hangs, refuses, resets, type Script } from '../support/upstream.ts';

/** Stands in every prompt, key and reply below, and must stand in nothing that is observed. */
const secret = 'zq-private-zq';

const appKey = `sk-${secret}`;
const keys = [
  {
    id: 'k1',
    sha256: createHash('sha256').update(appKey).digest('hex'),
    tenant: 'acme',
    team: 'web',
    models: ['test-*', 'gone'],
  },
];

const auth = { authorization: `Bearer ${appKey}` };
describe.each(wires)('$name', (wire) => {
  let gate: Gate;
  afterEach(() => gate.stop());

  const start = async (scripts: readonly Script[], more: ConfigInput = {}): Promise<void> => {
    gate = await startGate(scripts, {
      ...more,
      authenticate: { keys },
      attempt: { retriesMax: 0, ...more.attempt },
    });
  };
  const good = answers(wire, `${secret} answer`);
  const askFor = (
    more: Readonly<Record<string, unknown>> = {},
    headers: Readonly<Record<string, string>> = {},
  ) => gate.ask(wire, `${secret} prompt`, { more, headers: { ...auth, ...headers } });

  /** The records must be one for each of these replies, with its id and status, and say nothing private. */
  async function expectRecords(
    ...replies: readonly { status: number; headers: Readonly<Record<string, unknown>> }[]
  ) {
    const found: LoggedRecord[] = [];
    for (const { status, headers } of replies) {
      const id = headers['x-request-id'];
      const record = await gate.sidecar.recordWhere(({ requestId }) => requestId === id);
      expect(record.status).toBe(status);
      found.push(record);
    }
    expect(gate.sidecar.records()).toHaveLength(replies.length);
    const metrics = await gate.sidecar.metrics();
    const counted = metrics.match(/^sidegate_requests_total\{.*\} (\d+)$/gm) ?? [];
    expect(counted.map((line) => Number(line.split(' ').at(-1))).reduce((a, b) => a + b, 0)).toBe(
      replies.length,
    );
    for (const text of [gate.sidecar.logText(), metrics]) expect(text).not.toContain('zq');
    return found;
  }

  const stream = { stream: true };

  test('answers, whole and streamed', async () => {
    await start([good]);
    const [whole, streamed] = await expectRecords(await askFor(), await askFor(stream));
    expect(whole).toMatchObject({
      endpoint: wire.name === 'openai' ? 'chat' : 'messages',
      tenant: 'acme',
      team: 'web',
      keyId: 'k1',
      model: ownModel(wire),
      target: `${wire.name[0]}/${testModel}`,
      error: '',
      stream: false,
      cache: 'miss',
      attempts: 1,
      inputTokens: statedUsage.inputTokens,
      outputTokens: statedUsage.outputTokens,
      usageKnown: true,
      abandoned: false,
    });
    expect(streamed).toMatchObject({
      stream: true,
      outputTokens: statedUsage.outputTokens,
      usageKnown: true,
    });
  });

  test('hits and replays', async () => {
    await start([good]);
    const headers = { 'idempotency-key': 'k' };
    const [, hit, replay] = await expectRecords(
      await askFor({}, headers),
      await askFor(),
      await askFor({}, headers),
    );
    expect(hit).toMatchObject({ cache: 'hit', attempts: 0, inputTokens: 0, outputTokens: 0 });
    expect(replay).toMatchObject({ replayed: true, attempts: 0, outputTokens: 0 });
  });

  test('requests that the gateway refuses', async () => {
    await start([good], {
      limits: [{ name: 'l', capacity: 2, refillPerSecond: 0.001 }],
      scrub: { request: { card: 'block' } },
    });
    const headers = { 'idempotency-key': 'k' };
    const replies = [
      await gate.ask(wire, secret),
      await gate.ask(wire, secret, { headers: { authorization: `Bearer ${secret}` } }),
      await askFor({ model: `other ${secret}` }),
      await askFor({ model: 'test-none' }),
      await askFor({ stream: `"${secret}"` }),
      await askFor({}, { 'x-sidegate-timeout': secret }),
      await askFor({}, { 'x-sidegate-user': `${secret} !` }),
      await gate.post(wire.path, `{"${secret}`, auth),
      await askFor({}, headers),
      await askFor({ user: secret }, headers),
      await askFor({ more: '4111 1111 1111 1111' }),
      await askFor({ more: 1 }),
    ];
    const statuses = [401, 401, 403, 404, 400, 400, 400, 400, 200, 422, 400, 429];
    expect(replies.map(({ status }) => status)).toEqual(statuses);
    const records = await expectRecords(...replies);
    expect(records.map(({ error }) => error)).toEqual([
      'missing_key',
      'wrong_key',
      'model_forbidden',
      'model_not_found',
      'invalid_field',
      'invalid_header',
      'invalid_header',
      'invalid_json',
      '',
      'idempotency_mismatch',
      'pii_blocked',
      'rate_limited',
    ]);
    expect(records.at(-2)).toMatchObject({ tenant: 'acme', scrubbed: 'card=1' });
  });

  test('outcomes of providers', async () => {
    const rejects = refuses(wire.error(400, `${secret} is wrong`));
    const broken: Script = (call) => call.whole(200, { 'content-type': 'application/json' }, `{"${secret}`);
    const cuts: Script = (call) => {
      call.streamHead();
      call.write(wire.opening + wire.text(secret));
      call.cut();
    };
    // A known connection that breaks is followed by a fresh one, which breaks too.
    const breaks = [resets, resets];
    await start([rejects, refuses(wire.error(500, secret)), ...breaks, broken, hangs, cuts], {
      attempt: { breaker: { failures: 100 } },
    });
    const replies = [];
    for (let i = 0; i < 4; i++) replies.push(await askFor());
    replies.push(await askFor({}, { 'x-sidegate-timeout': '30' }));
    replies.push(await askFor(stream));
    expect(replies.map(({ status }) => status)).toEqual([400, 503, 503, 502, 504, 200]);
    const records = await expectRecords(...replies);
    expect(records.map(({ error }) => error)).toEqual([
      '',
      'targets_down',
      'targets_down',
      'upstream_failed',
      'upstream_timeout',
      'stream_cut',
    ]);
    expect(records.map(({ attempts }) => attempts)).toEqual([1, 1, 1, 1, 1, 1]);
    expect(records.at(-1)).toMatchObject({ usageKnown: false, abandoned: false });
    expect(records.at(-1)?.outputTokens).toBeGreaterThan(0);
  });

  test('clients that disconnect', async () => {
    await start([
      hangs,
      (call) => {
        call.streamHead();
        call.write(wire.opening + wire.text(secret));
      },
    ]);
    const reply = gate.stream(wire, secret, { headers: auth });
    reply.catch(() => {});
    const never = gate.upstream.call(0);
    await never;
    // The first asks for what never comes, the second leaves amid its text.
    const second = await gate.stream(wire, `${secret} again`, { headers: auth });
    await second.sees('zq');
    second.hangUp();
    const id = String(second.headers['x-request-id']);
    const record = await gate.sidecar.recordWhere(({ requestId }) => requestId === id);
    expect(record).toMatchObject({ abandoned: true, status: 200, error: '' });
    expect(gate.sidecar.records()).toHaveLength(1);
    (await never).cut();
    await reply.catch(() => {});
    await gate.sidecar.recordWhere(({ requestId }) => requestId !== id);
    expect(gate.sidecar.records()).toHaveLength(2);
    expect(gate.sidecar.logText()).not.toContain('zq');
  });

  test('requests that reached no endpoint', async () => {
    await start([good], { listen: { bodyMaxBytes: 1024 } });
    const { url } = gate.sidecar;
    const replies = [
      await ask(url, `/${secret}?key=${secret}`, { headers: auth, body: {} }),
      await ask(url, wire.path, {
        headers: { ...auth, 'content-length': '2000' },
        body: secret.padEnd(2000),
      }),
      await ask(url, wire.path, { headers: { ...auth, 'content-type': 'text/plain' }, body: secret }),
      await ask(url, wire.path, { headers: { ...auth, origin: `https://${secret}.example` }, body: {} }),
      await ask(url, wire.path, { headers: { ...auth, host: `${secret}.example` }, body: {} }),
      await ask(url, wire.path, { headers: { ...auth, 'idempotency-key': ['a', 'b'] }, body: {} }),
      await ask(url, wire.path, { method: 'PUT', headers: auth, body: {} }),
      await ask(url, '/v1/models', { method: 'GET', headers: auth }),
      await ask(url, `/v1/models/${testModel}`, { method: 'GET', headers: auth }),
      await ask(url, `/v1/models/${secret}`, { method: 'GET', headers: auth }),
    ];
    const raw = await rawExchange(url, `GET / ${secret}\r\n\r\n`);
    replies.push({
      status: 400,
      headers: { 'x-request-id': raw.match(/x-request-id: (\S+)/)?.[1] },
      text: raw,
    });
    expect(replies.map(({ status }) => status)).toEqual([
      404, 413, 415, 403, 403, 400, 405, 200, 200, 404, 400,
    ]);
    const records = await expectRecords(...replies);
    const endpoint = wire.name === 'openai' ? 'chat' : 'messages';
    expect(records.map((record) => record.endpoint)).toEqual([
      'none',
      ...Array(6).fill(endpoint),
      ...Array(3).fill('models'),
      'none',
    ]);
  });

  test('a request that ends while the process shuts down', async () => {
    await start([]);
    const { baseUrl } = gate.upstream;
    const sidecar = await startTestSidecar({
      listen: { drainMs: 10_000 },
      providers: { p: { dialect: wire.name, baseUrl } },
      routes: [{ model: testModel, targets: [{ provider: 'p' }] }],
    });
    const begun = ask(sidecar.url, wire.path, { body: wire.request('hi') });
    const call = await gate.upstream.call(0);
    const drained = sidecar.stop();
    call.whole(200, { 'content-type': 'application/json' }, wire.whole('late'));
    expect((await begun).status).toBe(200);
    await drained;
    expect(sidecar.records().map(({ status }) => status)).toEqual([200]);
  });
});

describe('metrics', () => {
  /** Names and labels of all series. */
  const series = (text: string): string[] =>
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => line.slice(0, line.lastIndexOf(' ')))
      .sort();

  test.each(wires)(
    'a flood of invented names adds series for a hundred targets at most ($name)',
    async (wire) => {
      const gate = await startGate([answers(wire, 'ok')], { cache: { enabled: false } });
      onTestFinished(() => gate.stop());
      const { baseUrl } = gate.upstream;
      await gate.sidecar.sidecar.reload(
        configSchema.parse({
          authenticate: { anonymousTenant: 'test' },
          cache: { enabled: false },
          providers: { p: { dialect: wire.name, baseUrl } },
          routes: [{ model: 'any-*', targets: [{ provider: 'p' }] }],
        }),
      );
      const flood = async (i: number): Promise<void> => {
        const headers = { 'x-sidegate-user': `u${i}`, 'x-sidegate-tags': `t${i}`, 'anthropic-beta': `b${i}` };
        await gate.ask(wire, `prompt ${i}`, { more: { model: `any-${i}` }, headers });
        await gate.ask(wire, 'hi', { more: { model: `none-${i}` }, headers });
        await ask(gate.sidecar.url, `/v1/path-${i}`, { body: {} });
        await ask(gate.sidecar.url, wire.path, { method: `M${i}`, body: {} });
      };
      for (let i = -100; i <= 0; i++) await flood(i);
      const before = series(await gate.sidecar.metrics());
      for (let i = 1; i <= 100; i++) await flood(i);
      expect(series(await gate.sidecar.metrics())).toEqual(before);
      expect(before.length).toBeGreaterThan(10);
    },
  );

  test('count tokens by direction, personal data by kind, calls by outcome', async () => {
    const gate = await startGate([refuses(openaiWire.error(500, 'no')), answers(openaiWire, 'ok')]);
    onTestFinished(() => gate.stop());
    await gate.ask(openaiWire, 'ann@example.com, bob@example.com, 4111 1111 1111 1111');
    const text = await gate.sidecar.metrics();
    const target = `target="o/${testModel}"`;
    expect(text).toContain(
      `sidegate_tokens_total{tenant="test",${target},direction="input"} ${statedUsage.inputTokens}`,
    );
    expect(text).toContain(
      `sidegate_tokens_total{tenant="test",${target},direction="output"} ${statedUsage.outputTokens}`,
    );
    expect(text).toContain('sidegate_pii_findings_total{kind="email",direction="request"} 2');
    expect(text).toContain('sidegate_pii_findings_total{kind="card",direction="request"} 1');
    expect(text).toContain(`sidegate_upstream_calls_total{${target},outcome="500"} 1`);
    expect(text).toContain(`sidegate_upstream_calls_total{${target},outcome="ok"} 1`);
    expect(text).toContain('sidegate_requests_in_flight 0');
  });

  test("a model name that isn't plain is not logged", async () => {
    const gate = await startGate([answers(anthropicWire, 'ok')]);
    onTestFinished(() => gate.stop());
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), async (model) => {
        const { headers } = await gate.ask(anthropicWire, 'hi', { more: { model } });
        const record = await gate.sidecar.recordWhere(
          ({ requestId }) => requestId === headers['x-request-id'],
        );
        expect(record.model).toBe(/^[\w.:@/-]{1,128}$/.test(model) ? model : '');
      }),
      { numRuns: 50 },
    );
  });
});
