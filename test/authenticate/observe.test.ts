/** `mode: observe`: whom the rules would refuse passes and is reported, with a provider's own key if that is what it has. */
import { createHash } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ask } from '../support/client.ts';
import { openaiWire, testModel } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { answers, startUpstream, type Upstream } from '../support/upstream.ts';

const sha256 = createHash('sha256').update('a key of the configuration').digest('hex');
const fixed = { id: 'fixed', sha256, tenant: 'acme' };

describe('observe mode', () => {
  async function observing(
    more: ConfigInput = {},
  ): Promise<{ sidecar: TestSidecar; up: Upstream; next: Upstream }> {
    const [up, next] = [
      await startUpstream(answers(openaiWire, 'Hi')),
      await startUpstream(answers(openaiWire, 'Ho')),
    ];
    onTestFinished(() => up.close());
    onTestFinished(() => next.close());
    const sidecar = await startTestSidecar({
      mode: 'observe',
      authenticate: { keys: [fixed] },
      cache: { enabled: false },
      providers: {
        first: { dialect: 'openai', baseUrl: up.baseUrl, apiKey: 'key-of-the-gateway' },
        second: { dialect: 'openai', baseUrl: next.baseUrl, apiKey: 'key-of-the-second' },
      },
      routes: [{ model: testModel, targets: [{ provider: 'first' }, { provider: 'second' }] }],
      attempt: { backoffBaseMs: 0 },
      ...more,
    });
    onTestFinished(() => sidecar.stop());
    return { sidecar, up, next };
  }
  const say = (sidecar: TestSidecar, headers: Record<string, string>) =>
    ask(sidecar.url, openaiWire.path, { body: openaiWire.request('Hi'), headers });
  const sent = (up: Upstream): unknown => up.calls.at(-1)?.headers.authorization;

  test("passes an app's own provider key on, and reports it", async () => {
    const { sidecar, up } = await observing();
    const reply = await say(sidecar, { authorization: 'Bearer sk-of-the-app' });
    expect([reply.status, reply.headers['x-sidegate-observed']]).toEqual([200, 'wrong_key']);
    expect(sent(up)).toBe('Bearer sk-of-the-app');
    const record = await sidecar.recordWhere(({ status }) => status === 200);
    expect(record).toMatchObject({ tenant: 'unidentified', observed: 'wrong_key', error: '' });
    expect(await sidecar.metrics()).toContain(
      'sidegate_auth_refusals_total{reason="wrong_key",outcome="passed"} 1',
    );
    expect(sidecar.logText()).not.toContain('sk-of-the-app');
  });

  test('sends it to no provider but the first', async () => {
    const { sidecar, up, next } = await observing();
    up.answer((call) => call.reset());
    expect((await say(sidecar, { authorization: 'Bearer sk-of-the-app' })).status).toBe(200);
    expect(sent(next)).toBe('Bearer key-of-the-second');
  });

  test("uses the gateway's key for callers with a Sidegate key, known or not, and for those without", async () => {
    const { sidecar, up } = await observing();
    const cases = [
      ['a key of the configuration', undefined],
      ['sg-nobody-knows-it', 'wrong_key'],
      ['', 'missing_key'],
    ] as const;
    for (const [key, observed] of cases) {
      const reply = await say(sidecar, key === '' ? {} : { 'x-api-key': key });
      expect([reply.status, reply.headers['x-sidegate-observed']]).toEqual([200, observed]);
      expect(sent(up)).toBe('Bearer key-of-the-gateway');
    }
  });

  test("passes on the provider's refusal of that key, and keeps using the gateway's own", async () => {
    const { sidecar, up } = await observing();
    up.answer((call) =>
      call.whole(401, { 'content-type': 'application/json' }, '{"error":{"message":"who?"}}'),
    );
    expect((await say(sidecar, { authorization: 'Bearer sk-wrong' })).status).toBe(401);
    up.answer(answers(openaiWire, 'Hi'));
    expect((await say(sidecar, { 'x-api-key': 'a key of the configuration' })).status).toBe(200);
    expect(sent(up)).toBe('Bearer key-of-the-gateway');
  });

  test('does not share answers paid for with one key with others', async () => {
    const { sidecar, up } = await observing({ cache: { enabled: true } });
    for (const key of ['sk-one', 'sk-two', 'sk-one']) await say(sidecar, { authorization: `Bearer ${key}` });
    expect(up.calls.map(({ headers }) => headers.authorization)).toEqual(['Bearer sk-one', 'Bearer sk-two']);
  });

  test('lets requests pass every rule of a key', async () => {
    const keys = [
      { ...fixed, models: ['other'], endpoints: ['embeddings' as const], expires: '2099-01-01T00:00:00Z' },
    ];
    const { sidecar } = await observing({ authenticate: { keys } });
    const reply = await say(sidecar, { 'x-api-key': 'a key of the configuration' });
    expect(reply.headers['x-sidegate-observed']).toBe('endpoint_forbidden,model_forbidden');
    expect(reply.status).toBe(200);
    const about = (path: string) =>
      ask(sidecar.url, path, { method: 'GET', headers: { 'x-api-key': 'a key of the configuration' } });
    expect((await about(`/v1/models/${testModel}`)).status).toBe(200);
    await sidecar.recordWhere(
      ({ endpoint, observed }) => endpoint === 'models' && observed === 'model_forbidden',
    );
  });
});
