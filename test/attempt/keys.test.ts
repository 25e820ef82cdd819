/** Several credentials of one provider: used in turn, and one that is rate-limited or refused cools down. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { strategyNames } from '../../src/route/settings.ts';
import { ask } from '../support/client.ts';
import { openaiWire, testModel, type Wire, wires } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar } from '../support/sidecar.ts';
import { answers, type Call, refuses, type Script, startUpstream } from '../support/upstream.ts';

const keyOf = (wire: Wire, { headers }: Call): string =>
  String(wire.name === 'openai' ? headers.authorization?.replace('Bearer ', '') : headers['x-api-key']);

describe.each(wires)('$name', (wire) => {
  const good = answers(wire, 'good');
  const limited = refuses(wire.error(429, 'slow down'), { 'retry-after': '5' });
  const refused = refuses(wire.error(401, 'wrong key'));

  /** A provider with three keys, each answered by its own script, and a spare provider. */
  async function start(scripts: Readonly<Record<string, Script>>, more: ConfigInput = {}) {
    const time = { nowMs: 0 };
    const [many, spare] = await Promise.all([
      startUpstream((call) => (scripts[keyOf(wire, call)] ?? good)(call)),
      startUpstream(good),
    ]);
    const sidecar = await startTestSidecar(
      {
        cache: { enabled: false },
        providers: {
          many: { dialect: wire.name, baseUrl: many.baseUrl, apiKey: 'key-a', apiKeys: ['key-b', 'key-c'] },
          spare: { dialect: wire.name, baseUrl: spare.baseUrl, apiKey: 'key-s' },
        },
        routes: [
          { model: '*', targets: [{ provider: 'many' }, { provider: 'spare' }] },
          { model: 'fixed', targets: [{ provider: 'many', model: 'fixed' }, { provider: 'spare' }] },
        ],
        ...more,
        attempt: { retriesMax: 0, breaker: { failures: 1 }, ...more.attempt },
      },
      { clock: () => time.nowMs },
    );
    onTestFinished(async () => {
      await sidecar.stop();
      await Promise.all([many.close(), spare.close()]);
    });
    const post = async (model = 'any') => {
      const before = many.calls.length;
      const { status, headers } = await ask(sidecar.url, wire.path, {
        body: { ...wire.request('hi'), model },
      });
      const keys = many.calls.slice(before).map((call) => keyOf(wire, call));
      return { status, keys, target: headers['x-sidegate-target'] };
    };
    return { time, sidecar, post };
  }

  test('calls use the credentials in turn', async () => {
    const { post } = await start({});
    const keys: string[] = [];
    for (let i = 0; i < 6; i++) keys.push(...(await post()).keys);
    expect(keys).toEqual(['key-a', 'key-b', 'key-c', 'key-a', 'key-b', 'key-c']);
  });

  test('a rate-limited one cools down for that model, and the next one is used at once', async () => {
    const onlyFixed: Script = (call) => (call.json.model === 'fixed' ? limited(call) : good(call));
    const { post, time, sidecar } = await start({ 'key-a': onlyFixed });
    expect(await post('fixed')).toMatchObject({
      status: 200,
      keys: ['key-a', 'key-b'],
      target: 'many/fixed',
    });
    const keys: string[] = [];
    for (let i = 0; i < 4; i++) keys.push(...(await post('fixed')).keys);
    expect(keys).not.toContain('key-a');
    // Another model is another limit.
    for (let i = 0; i < 3; i++) keys.push(...(await post('any')).keys);
    expect(keys).toContain('key-a');
    time.nowMs = 5_000;
    const later: string[] = [];
    for (let i = 0; i < 3; i++) later.push(...(await post('fixed')).keys);
    expect(later).toContain('key-a');
    expect(await sidecar.metrics()).toContain('sidegate_breaker_state{target="many/fixed"} 0');
  });

  test('a refused one cools down for all models and is reported, without the key', async () => {
    const { post, sidecar } = await start({ 'key-b': refused });
    await post('fixed');
    expect(await post('fixed')).toMatchObject({ status: 200, keys: ['key-b', 'key-c'] });
    for (const model of ['any', 'fixed', 'any']) expect((await post(model)).keys).not.toContain('key-b');
    const lines = sidecar
      .logText()
      .split('\n')
      .filter((line) => line.includes('refused this apiKey'));
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ provider: 'many', status: 401, apiKey: 1 });
    expect(sidecar.logText() + (await sidecar.metrics())).not.toContain('key-b');
  });

  test('while all are cooling down the target is skipped, until the first is back', async () => {
    const soon = refuses(wire.error(429, 'x'), { 'retry-after': '2' });
    const { post, time } = await start({ 'key-a': limited, 'key-b': soon, 'key-c': refused });
    expect(await post('fixed')).toMatchObject({ keys: ['key-a', 'key-b', 'key-c'], target: 'spare/fixed' });
    expect(await post('fixed')).toMatchObject({ keys: [], target: 'spare/fixed' });
    time.nowMs = 1_999;
    expect((await post('fixed')).keys).toEqual([]);
    time.nowMs = 2_000;
    expect((await post('fixed')).keys).toEqual(['key-b']);
  });

  test('keys that may be retried at once are tried once each', async () => {
    const now = refuses(wire.error(429, 'x'), { 'retry-after-ms': '0' });
    const { post } = await start({ 'key-a': now, 'key-b': now, 'key-c': now });
    expect(await post()).toMatchObject({ keys: ['key-a', 'key-b', 'key-c'], target: 'spare/any' });
  });

  test('switching keys is no retry: neither counted nor delayed', async () => {
    const attempt = {
      retriesMax: 0,
      retryBudget: { ratio: 0, minPerSecond: 0 },
      backoffBaseMs: 60_000,
      backoffMaxMs: 60_000,
    };
    const { post } = await start({ 'key-a': limited, 'key-b': limited }, { attempt });
    expect(await post()).toMatchObject({
      status: 200,
      keys: ['key-a', 'key-b', 'key-c'],
      target: 'many/any',
    });
  });
});

test.each(strategyNames)(
  '%s: a provider whose spent key was replaced is asked again at once',
  async (strategy) => {
    const spent = refuses(openaiWire.error(402, 'no credit'));
    const good = answers(openaiWire, 'good');
    const [first, spare] = await Promise.all([
      startUpstream((call) => (keyOf(openaiWire, call) === 'spent' ? spent : good)(call)),
      startUpstream(good),
    ]);
    const config = (apiKey: string): ConfigInput => ({
      authenticate: { anonymousTenant: 'test' },
      cache: { enabled: false },
      listen: { port: 0 },
      admin: { port: 0 },
      attempt: { retriesMax: 0 },
      providers: {
        first: { dialect: 'openai', baseUrl: first.baseUrl, apiKey, price: 'free' },
        spare: { dialect: 'openai', baseUrl: spare.baseUrl, apiKey: 'key-s' },
      },
      routes: [
        {
          model: testModel,
          strategy,
          targets: [
            { provider: 'first', weight: 1, tier: 'simple' },
            { provider: 'spare', weight: 0, tier: 'complex' },
          ],
        },
        { model: 'nightly', priority: 'batch', targets: [{ provider: 'first', model: testModel }] },
      ],
    });
    const sidecar = await startTestSidecar(config('spent'), { random: () => 0 });
    onTestFinished(async () => {
      await sidecar.stop();
      await Promise.all([first.close(), spare.close()]);
    });
    const post = async (model: string) => {
      const headers = { 'x-sidegate-timeout': '5000', 'x-sidegate-tier': 'simple' };
      const body = { ...openaiWire.request('hi'), model };
      return (await ask(sidecar.url, openaiWire.path, { body, headers })).headers['x-sidegate-target'];
    };
    await post(testModel);
    await sidecar.sidecar.reload(configSchema.parse(config('new')));
    expect(await post(testModel)).toBe(`first/${testModel}`);
    expect(await post('nightly')).toBe(`first/${testModel}`);
  },
);
