/** What one model of a pattern does to its siblings: FIELD rows B1, B2 and C3, faults row 29. */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { TargetView } from '../../src/admin/dashboard.ts';
import { ask } from '../support/client.ts';
import { type Wire, wires } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar } from '../support/sidecar.ts';
import { answers, type Call, refuses, type Script, startUpstream } from '../support/upstream.ts';

/** A provider behind a pattern, whose models have their own scripts. */
async function start(wire: Wire, scripts: Readonly<Record<string, Script>>, more: ConfigInput = {}) {
  const time = { nowMs: 0 };
  const good = answers(wire, 'good');
  const upstream = await startUpstream((call: Call) => (scripts[String(call.json.model)] ?? good)(call));
  const sidecar = await startTestSidecar(
    {
      cache: { enabled: false },
      providers: { p: { dialect: wire.name, baseUrl: upstream.baseUrl, apiKey: 'k' } },
      routes: [{ model: '*', targets: [{ provider: 'p' }] }],
      attempt: { retriesMax: 0 },
      ...more,
    },
    { clock: () => time.nowMs },
  );
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
  });
  const post = async (model: string) => {
    const { status, headers } = await ask(sidecar.url, wire.path, { body: { ...wire.request('hi'), model } });
    return { status, target: headers['x-sidegate-target'] };
  };
  return { time, sidecar, upstream, post };
}

describe.each(wires)('$name', (wire) => {
  const limited = refuses(wire.error(429, 'slow down'), { 'retry-after': '30' });
  const broken = refuses(wire.error(500, 'broken'));

  test('B1: a 429 of one model silences no other', async () => {
    const { post, time, upstream } = await start(wire, { b: limited });
    expect((await post('b')).status).toBe(429);
    expect((await post('b')).status).toBe(503);
    expect(upstream.calls).toHaveLength(1);
    expect(await post('a')).toEqual({ status: 200, target: 'p/a' });
    time.nowMs = 30_000;
    expect((await post('b')).status).toBe(429);
  });

  test('B2: a model that always fails opens its own breaker only', async () => {
    const { post, upstream, sidecar } = await start(wire, { b: broken });
    for (let i = 0; i < 20; i++) await post('b');
    expect(upstream.calls).toHaveLength(5);
    expect(await post('a')).toEqual({ status: 200, target: 'p/a' });
    const metrics = await sidecar.metrics();
    expect(metrics).toContain('sidegate_breaker_state{target="p/b"} 1');
    expect(metrics).toContain('sidegate_breaker_state{target="p/a"} 0');
  });

  test('C3: a pattern that names its models differs in nothing', async () => {
    const routes: ConfigInput['routes'] = [
      { model: 'x/gpt-*', targets: [{ provider: 'p', model: 'gpt-*' }] },
    ];
    const { post } = await start(wire, { 'gpt-a': limited, 'gpt-c': broken }, { routes });
    await post('x/gpt-a');
    for (let i = 0; i < 6; i++) await post('x/gpt-c');
    expect((await post('x/gpt-a')).status).toBe(503);
    expect(await post('x/gpt-b')).toEqual({ status: 200, target: 'p/gpt-b' });
  });
});

const [openai] = wires as readonly [Wire];

test('B1: the own limits of a target belong to each model', async () => {
  const routes: ConfigInput['routes'] = [
    { model: '*', targets: [{ provider: 'p', limits: { requestsPerMinute: 1 } }] },
  ];
  const { post } = await start(openai, {}, { routes });
  const statuses: number[] = [];
  for (const model of ['a', 'a', 'b']) statuses.push((await post(model)).status);
  expect(statuses).toEqual([200, 503, 200]);
});

test('B2: names that are made up neither push out an open breaker nor fill the metrics', async () => {
  const unknown = refuses(openai.error(404, 'no such model'));
  const made = Object.fromEntries(Array.from({ length: 1200 }, (_, i) => [`made-up-${i}`, unknown]));
  const { post, upstream, sidecar } = await start(openai, { ...made, b: refuses(openai.error(500, 'x')) });
  for (let i = 0; i < 5; i++) await post('b');
  for (const model of Object.keys(made)) await post(model);
  const before = upstream.calls.length;
  expect((await post('b')).status).toBe(503);
  expect(upstream.calls).toHaveLength(before);
  expect(await sidecar.metrics()).not.toContain('made-up');
});

test('B2: looking at the targets makes none of the models that requests made up', async () => {
  const held: Call[] = [];
  const { post, sidecar, upstream } = await start(openai, {
    held: (call) => void held.push(call),
    'made-up': refuses(openai.error(404, 'no such model')),
  });
  const look = async () => {
    const { text } = await ask(sidecar.adminUrl, '/api/overview', { method: 'GET' });
    return JSON.parse(text).targets.map(({ label, inFlight }: TargetView) => [label, inFlight]);
  };
  await post('made-up');
  const asked = post('held');
  await upstream.call(1);
  for (let i = 0; i < 2; i++)
    expect(await look()).toEqual([
      ['p/made-up', 0],
      ['p/held', 1],
    ]);
  expect(await sidecar.metrics()).not.toContain('made-up');
  for (const call of held) answers(openai, 'good')(call);
  await asked;
  expect(await look()).toContainEqual(['p/held', 0]);
});

test('item 1: the models that patterns serve are listed, from the catalog', async () => {
  const sidecar = await startTestSidecar({
    authenticate: { anonymousTenant: 'a' },
    providers: {
      openai: { preset: 'openai', apiKey: 'k' },
      anthropic: { preset: 'anthropic', apiKey: 'k' },
      own: { dialect: 'openai', baseUrl: 'http://127.0.0.1:9/v1' },
    },
    catalog: { models: [{ provider: 'own', model: 'llama', inputUsdPerMTok: 1, outputUsdPerMTok: 1 }] },
    routes: [
      { model: 'mine', targets: [{ provider: 'own' }] },
      { model: 'gpt-*', targets: [{ provider: 'openai' }] },
      { model: 'c/*', targets: [{ provider: 'anthropic', model: 'claude-*' }] },
      { model: 'own/*', targets: [{ provider: 'own', model: '*' }] },
      { model: 'all/*', targets: [{ provider: 'openai', model: 'gpt-4o' }] },
    ],
  });
  onTestFinished(() => sidecar.stop());
  const { text } = await ask(sidecar.url, '/v1/models', { method: 'GET' });
  const names: string[] = JSON.parse(text).data.map(({ id }: { id: string }) => id);
  expect(names).toEqual(expect.arrayContaining(['mine', 'gpt-4o', 'c/sonnet-4-5', 'own/llama']));
  expect(names.filter((name) => !/^(?:mine$|gpt-|c\/|own\/llama$)/.test(name))).toEqual([]);
  expect(new Set(names).size).toBe(names.length);
  expect((await ask(sidecar.url, '/v1/models/gpt-4o', { method: 'GET' })).status).toBe(200);
});
