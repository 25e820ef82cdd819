/** What is reserved before a call: issue 22, item 3. For the first target, more when falling back; the app can say less. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { bodyFlags } from '../../src/native/inspect.ts';
import { ask } from '../support/client.ts';
import { geminiWire } from '../support/gemini-wire.ts';
import { granted, price, stage } from '../support/limit-stage.ts';
import { anthropicWire, openaiWire, testModel, type Wire } from '../support/replies.ts';
import { responsesWire } from '../support/responses-wire.ts';
import { type ConfigInput, startTestSidecar } from '../support/sidecar.ts';
import { answers, resets, type Script, startUpstream } from '../support/upstream.ts';

const fails: Script = (call) => call.whole(500, {}, '{}');
const names = ['cheap', 'dear', 'spare'] as const;
/** Dollars per million tokens: a reply of 1000 tokens costs 1, 100 and 2 thousandths. */
const prices = { cheap: 1, dear: 100, spare: 2 };

/** A route of as many targets as there are scripts, under a budget. */
async function start(
  usd: number,
  scripts: readonly Script[],
  more: ConfigInput = {},
  wire: Wire = openaiWire,
) {
  const upstreams = await Promise.all(scripts.map((script) => startUpstream(script)));
  const used = names.slice(0, scripts.length);
  const sidecar = await startTestSidecar({
    cache: { enabled: false },
    providers: Object.fromEntries(
      used.map((name, i) => [name, { dialect: wire.name, baseUrl: upstreams[i]?.baseUrl ?? '' }]),
    ),
    catalog: {
      models: used.map((provider) => ({
        provider,
        model: testModel,
        inputUsdPerMTok: 0,
        outputUsdPerMTok: prices[provider],
      })),
    },
    routes: [{ model: testModel, targets: used.map((provider) => ({ provider })) }],
    budgets: [{ name: 'b', usd, window: 'day' }],
    ...more,
    attempt: { retriesMax: 0 },
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await Promise.all(upstreams.map((upstream) => upstream.close()));
  });
  const post = (fields: object = { max_tokens: 1000 }) =>
    ask(sidecar.url, wire.path, {
      body: { ...(wire.request('hi', { model: testModel }) as object), ...fields },
    });
  return { upstreams, sidecar, post };
}

const good = answers(openaiWire, 'Good');

test('a dear fallback that is not needed is not reserved for', async () => {
  const { post } = await start(0.002, [good, good]);
  expect((await post()).status).toBe(200);
});

test('what the fallback costs is reserved when it comes to that', async () => {
  const { upstreams, post, sidecar } = await start(0.2, [fails, () => {}]);
  const waiting = post();
  const call = await upstreams[1]?.call(0);
  // The first target's reserve is raised to that of the second.
  expect((await sidecar.metrics()).match(/sidegate_budget_spent_usd\{.*\} (.*)/)?.[1]).toBe('0.1');
  if (call !== undefined) good(call);
  expect((await waiting).status).toBe(200);
  // 15 tokens at the second target's price.
  expect((await sidecar.recordWhere(() => true)).costNanoUsd).toBe(1_500_000);
});

test('a fallback that the budget does not allow is passed over; if none is left, the error names it', async () => {
  const three = await start(0.01, [fails, good, good]);
  expect((await three.post()).headers['x-sidegate-target']).toBe('spare/test-model');
  expect((await three.sidecar.recordWhere(() => true)).tried).toBe(
    'cheap/test-model: status 500, dear/test-model: over_limit, spare/test-model: ok',
  );
  const two = await start(0.01, [fails, good]);
  const refused = await two.post();
  expect([refused.status, two.upstreams[1]?.calls.length]).toEqual([503, 0]);
  expect(refused.text).toContain('dear/test-model: over_limit');
});

test('a fallback without a price is passed over; a first target without one is refused with what to do', async () => {
  const priced = {
    catalog: { models: [] },
    routes: [{ model: testModel, targets: [{ provider: 'cheap' }] }],
  };
  const none = await start(1, [good], priced);
  const refused = await none.post();
  expect(refused.status).toBe(403);
  for (const words of [
    'cheap/test-model has no known price',
    '`catalog.models`',
    '`price: free`',
    '`unpriced: allow`',
  ])
    expect(refused.text).toContain(words);
  const known = { provider: 'cheap', model: testModel, inputUsdPerMTok: 0, outputUsdPerMTok: 1 };
  const two = await start(1, [fails, good], { catalog: { models: [known] } });
  expect((await two.post()).text).toContain('dear/test-model: over_limit');
});

test('an own engine is free in one word', async () => {
  const upstream = await startUpstream(good);
  onTestFinished(() => upstream.close());
  const free = { dialect: 'openai', baseUrl: upstream.baseUrl, price: 'free' } as const;
  const { post, sidecar } = await start(1, [good], { catalog: { models: [] }, providers: { cheap: free } });
  expect((await post()).status).toBe(200);
  const { priced, costNanoUsd } = await sidecar.recordWhere(() => true);
  expect([priced, costNanoUsd]).toEqual([true, 0]);
});

/** Each dialect's field for the longest reply, as a provider of that dialect gets it. */
const clients: readonly (readonly [Wire, string, object])[] = [
  [openaiWire, 'max_completion_tokens', { max_tokens: 7 }],
  [anthropicWire, 'max_tokens', { max_tokens: 7 }],
  [responsesWire, 'max_output_tokens', { max_output_tokens: 7 }],
  [geminiWire, 'generationConfig.maxOutputTokens', { generationConfig: { topK: 2, maxOutputTokens: 7 } }],
];

describe.each(clients)('$name', (wire, field, inBody) => {
  test(`a refusal names ${field}`, async () => {
    const { post } = await start(0.000_001, [answers(wire, 'Good')], {}, wire);
    const refused = await post({});
    expect(refused.status).toBe(429);
    expect(wire.errorOf(refused.text)?.message).toContain(`a lower \`${field}\` reserves less`);
  });

  test('a request without a longest reply gets that of its route, and only that one', async () => {
    const routes = [{ model: testModel, targets: [{ provider: 'cheap' }], defaultMaxTokens: 7 }];
    const { post, upstreams } = await start(1, [answers(wire, 'Good')], { routes }, wire);
    const open = wire.name === 'gemini' ? { generationConfig: { topK: 2 } } : { max_tokens: undefined };
    await post(open);
    expect(upstreams[0]?.calls[0]?.json).toMatchObject(inBody);
    const own = JSON.parse(JSON.stringify(inBody).replace('7', '5')) as object;
    await post(own);
    expect(upstreams[0]?.calls[1]?.json).toMatchObject(own);
  });
});

test("a null limit is none: the route's counts; in another dialect too", async () => {
  const routes = [{ model: testModel, targets: [{ provider: 'cheap' }], defaultMaxTokens: 7 }];
  const { post, upstreams } = await start(1, [good], { routes });
  await post({ max_tokens: null });
  expect(upstreams[0]?.calls[0]?.json).toMatchObject({ max_tokens: 7 });
  const other = await start(1, [answers(anthropicWire, 'Good')], { routes }, anthropicWire);
  await ask(other.sidecar.url, openaiWire.path, { body: openaiWire.request('hi', { model: testModel }) });
  expect(other.upstreams[0]?.calls[0]?.json).toMatchObject({ max_tokens: 7 });
});

test.each([
  ['priority', bodyFlags.priority, 2 * 11_200],
  ['fast', bodyFlags.fast, 2 * 11_200],
  ['a cache for five minutes', bodyFlags.cacheWrite, 11_500],
  ['a cache for an hour', bodyFlags.cacheWrite | bodyFlags.cacheHour, 12_400],
  ['the US', bodyFlags.resident, 12_320],
  ['the fast mode in the US', bodyFlags.resident | bodyFlags.fast, 2 * 12_320],
  ['nothing special', 0, 11_200],
])('a request that asks for %s reserves what that costs', (_, flags, nanoUsd) => {
  const claude = { input: 100, cachedInput: 10, cacheWrite: 125, output: 1000 };
  const asked = { request: { flags, textBytes: 40, maxTokens: 10 }, prices: [claude] };
  const { admit, limiter } = stage({ budgets: [{ name: 'b', usd: 1, window: 'day' }] });
  granted(admit(asked));
  expect(limiter.view().map(({ used }) => Math.round(used * 1e9))).toEqual([nanoUsd]);
});

test('images are reserved for, and so is all that an answer in the background may cost', async () => {
  const { admit, limiter } = stage({ budgets: [{ name: 'b', usd: 1, window: 'day' }] });
  granted(admit({ request: { images: 10, maxTokens: 1 }, prices: [price] }));
  expect(limiter.view().map(({ used }) => Math.round(used * 1e9))).toEqual([10 * 4096 * 100 + 1000]);
  const { post, sidecar } = await start(1, [resets], {}, responsesWire);
  await post({ background: true, max_output_tokens: 1000 });
  await sidecar.recordWhere(() => true);
  expect((await sidecar.metrics()).match(/sidegate_budget_spent_usd\{.*\} (.*)/)?.[1]).toBe('0.001');
});
