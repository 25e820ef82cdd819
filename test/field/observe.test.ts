/** Observe mode counts as if it were enforced, and no provider sees a key of ours: issue 22, item 4. */
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { Refusal } from '../../src/base/errors.ts';
import type { Target } from '../../src/upstream/target.ts';
import { ask } from '../support/client.ts';
import { granted, header, price, stage, used } from '../support/limit-stage.ts';
import { openaiWire } from '../support/replies.ts';
import { samplePlan } from '../support/samples.ts';
import { type ConfigInput, startTestSidecar } from '../support/sidecar.ts';
import { answers, startUpstream } from '../support/upstream.ts';

const limits = (mode: 'enforce' | 'observe'): ConfigInput => ({
  mode,
  limits: [
    { name: 'requests', capacity: 4, refillPerSecond: 1 },
    { name: 'tokens', unit: 'tokens', algorithm: 'sliding_window', capacity: 100, windowSeconds: 10 },
    { name: 'at-once', unit: 'concurrency', capacity: 2 },
    { name: 'pace', algorithm: 'leaky_bucket', capacity: 3, refillPerSecond: 2 },
  ],
  budgets: [{ name: 'budget', usd: 100_000e-9, window: 'hour' }],
});

/** One step: time passes, a request comes, and perhaps an earlier one ends. */
const step = fc.record({
  afterMs: fc.integer({ min: 0, max: 2000 }),
  maxTokens: fc.integer({ min: 1, max: 60 }),
  priced: fc.boolean(),
  patienceMs: fc.integer({ min: 0, max: 2000 }),
  ends: fc.boolean(),
  usedTokens: fc.integer({ min: 0, max: 60 }),
});

test('item 4: what would have been refused is what is refused when enforced, and the meters stand alike', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
      const [enforced, observed] = [stage(limits('enforce')), stage(limits('observe'))];
      const open: [ReturnType<typeof granted>, ReturnType<typeof granted>][] = [];
      for (const { afterMs, maxTokens, priced, patienceMs, ends, usedTokens } of steps) {
        for (const { time } of [enforced, observed]) time.nowMs += afterMs;
        const asked = {
          request: { maxTokens },
          prices: [priced ? price : null],
          deadlineMs: enforced.time.nowMs + patienceMs,
        };
        const [first, second] = [enforced.admit(asked), granted(observed.admit(asked))];
        const told = header(second.headers, 'x-sidegate-observed-limit');
        expect(told !== undefined).toBe(first instanceof Refusal);
        if (first instanceof Refusal) {
          // Of all that would have refused, one is named by the refusal.
          expect(told?.split(', ')).toContain(/"([^"]+)"/.exec(first.message)?.[1]);
          second.settle(used(0, usedTokens), usedTokens * price.output);
        } else open.push([first, second]);
        const ended = ends ? open.shift() : undefined;
        for (const permit of ended ?? []) permit.settle(used(0, usedTokens), usedTokens * price.output);
        const [a, b] = [enforced.limiter.view(), observed.limiter.view()].map((views) =>
          views.map(({ limit, used: amount }) => [limit, amount]).sort(),
        );
        expect(b).toEqual(a);
      }
    }),
    { numRuns: 60 },
  );
});

test('item 4: the record says that limits would have refused', async () => {
  const upstream = await startUpstream(answers(openaiWire, 'Good'));
  const sidecar = await startTestSidecar({
    mode: 'observe',
    cache: { enabled: false },
    providers: { p: { dialect: 'openai', baseUrl: upstream.baseUrl } },
    routes: [{ model: '*', targets: [{ provider: 'p' }] }],
    limits: [
      { name: 'one', capacity: 1, refillPerSecond: 0.001 },
      { name: 'two', unit: 'tokens', capacity: 1, refillPerSecond: 0.001 },
    ],
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
  });
  const reply = await ask(sidecar.url, openaiWire.path, { body: openaiWire.request('hi') });
  expect([reply.status, reply.headers['x-sidegate-observed-limit']]).toEqual([200, 'two']);
  expect((await sidecar.recordWhere(() => true)).observed).toBe('rate_limited');
});

test('item 4: a key of ours is sent to no provider, even to one that takes the key of the app', async () => {
  const upstream = await startUpstream(answers(openaiWire, 'Good'));
  const sidecar = await startTestSidecar({
    cache: { enabled: false },
    authenticate: { anonymousTenant: 'acme' },
    providers: { p: { dialect: 'openai', baseUrl: upstream.baseUrl, credential: 'client' } },
    routes: [{ model: '*', targets: [{ provider: 'p' }] }],
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
  });
  const post = (headers: Record<string, string>) =>
    ask(sidecar.url, openaiWire.path, { body: openaiWire.request('hi'), headers });
  expect((await post({ authorization: 'Bearer sk-own' })).status).toBe(200);
  for (const name of ['authorization', 'x-api-key', 'x-goog-api-key']) {
    const refused = await post({ [name]: name === 'authorization' ? 'Bearer sg-key' : 'sg-key' });
    expect(refused.status).toBe(401);
    expect(refused.text).toContain("takes the app's own key, and this is one of Sidegate");
  }
  expect(upstream.calls).toHaveLength(1);
});

test('item 4: a fallback that would have been passed over is reported, once', () => {
  const { admit, events } = stage({
    mode: 'observe',
    budgets: [{ name: 'b', usd: 20_000e-9, window: 'day' }],
  });
  const dear = { ...price, output: 5000 };
  const permit = granted(admit({ prices: [price, dear] }));
  expect([events, header(permit.headers, 'x-sidegate-observed-limit')]).toEqual([[], undefined]);
  for (let call = 0; call < 2; call++)
    expect(permit.cover(samplePlan([{ price }, { price: dear }]).steps[1]?.target as Target)).toBeNull();
  expect([events, header(permit.headers, 'x-sidegate-observed-limit')]).toEqual([
    ['observed b tenant "acme"'],
    'b',
  ]);
});

test('item 4: a stream that would have been stopped goes on, and is reported', () => {
  const { admit, events } = stage({
    mode: 'observe',
    limits: [{ name: 'l', unit: 'tokens', capacity: 20, refillPerSecond: 0.001, onHardEnd: 'stop' }],
  });
  const permit = granted(admit());
  expect([permit.stream(10), events]).toEqual(['go', []]);
  expect([permit.stream(11), permit.stream(1000)]).toEqual(['go', 'go']);
  expect(events).toEqual(['observed l tenant "acme"']);
});
