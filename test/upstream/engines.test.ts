/** Self-hosted engines: which of them gets a request, and what happens when one is down. */
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { EngineName } from '../../src/catalog/engines.ts';
import { unknownFacts } from '../../src/catalog/facts.ts';
import { configSchema } from '../../src/config/schema.ts';
import { createAsk } from '../../src/route/ask.ts';
import { leastLoaded } from '../../src/route/least-loaded.ts';
import type { Branch } from '../../src/route/tree.ts';
import { engineLoad, engineQueue } from '../../src/upstream/engine.ts';
import { livingFirst } from '../../src/upstream/living.ts';
import { PeakEwma } from '../../src/upstream/peak-ewma.ts';
import { createProvider } from '../../src/upstream/provider.ts';
import type { Engine, FallbackCause, Step, Target } from '../../src/upstream/target.ts';
import { metricIn } from '../support/chain.ts';
import { ask } from '../support/client.ts';
import { engineServer } from '../support/engine.ts';
import { openaiWire, testModel } from '../support/replies.ts';
import { startTestSidecar } from '../support/sidecar.ts';
import { until } from '../support/until.ts';
import { answers, hangs, type Script } from '../support/upstream.ts';

const { attempt } = configSchema.parse({});
function target(name: string, kind: EngineName | null, state: Partial<Engine> = {}): Target {
  const provider = createProvider(
    name,
    {
      dialect: 'openai',
      baseUrl: 'http://127.0.0.1:9/v1',
      credential: 'gateway',
      headers: {},
      ...(kind !== null && { engine: kind }),
    },
    attempt,
    null,
  );
  Object.assign(provider.engine ?? {}, state);
  const health = { breakerId: 0, inFlight: state.inFlight ?? 0, latency: new PeakEwma() };
  return { provider, model: null, label: name, health, facts: unknownFacts };
}

describe('least_loaded', () => {
  const order = (targets: readonly Target[], overflowDepth: number | null = null, nowMs = 0): string[] => {
    const children = targets.map((each) => ({ kind: 'leaf', target: each }));
    const [places, keys] = [new Uint8Array(targets.length), new Float64Array(targets.length)];
    const branch = { children, order: places, keys, overflowDepth } as unknown as Branch;
    const count = leastLoaded.arrange(branch, { ...createAsk(() => 0), nowMs });
    return [...places.subarray(0, count)].map((place) => targets[place]?.label ?? '');
  };

  test('orders by waiting and running requests, then by cache use, then by configuration', () => {
    const targets = [
      target('busy', 'vllm', { seenMs: 0, running: 9 }),
      target('waits', 'vllm', { seenMs: 0, running: 1, waiting: 9 }),
      target('full', 'vllm', { seenMs: 0, running: 1, cacheUse: 0.9 }),
      target('free', 'vllm', { seenMs: 0, running: 1, cacheUse: 0.1 }),
      target('same', 'vllm', { seenMs: 0, running: 1, cacheUse: 0.1 }),
    ];
    expect(order(targets)).toEqual(['free', 'same', 'full', 'busy', 'waits']);
  });

  test('counts requests sent since the last report, so that not all go to one engine', () => {
    const engine = target('a', 'vllm', { seenMs: 0, running: 2, inFlight: 7, inFlightSeen: 2 }).provider
      .engine;
    expect(engine && [engineLoad(engine, 0), engineQueue(engine, 0)]).toEqual([7, 0]);
    const [a, b] = [
      target('a', 'vllm', { seenMs: 0, running: 2, inFlight: 7, inFlightSeen: 2 }),
      target('b', 'vllm', { seenMs: 0, running: 4, inFlight: 1, inFlightSeen: 1 }),
    ];
    expect(order([a, b])).toEqual(['b', 'a']);
  });

  test('orders by calls in flight where there is no recent report', () => {
    const [old, none] = [
      target('old', 'vllm', { seenMs: 0, running: 0, inFlight: 5 }),
      target('none', 'ollama', { inFlight: 2 }),
    ];
    expect(order([old, none], null, 60_000)).toEqual(['none', 'old']);
    expect(order([none, old], null, 0)).toEqual(['none', 'old']);
  });

  test('hosted targets are the fallback, and come first while the queue of every engine is deep', () => {
    const hosted = [target('openai', null, { inFlight: 5 }), target('azure', null)];
    const deep = target('deep', 'vllm', { seenMs: 0, waiting: 9 });
    const edge = target('edge', 'vllm', { seenMs: 0, waiting: 8 });
    const down = target('down', 'vllm', { seenMs: 0, failures: 2 });
    expect(order([...hosted, deep])).toEqual(['deep', 'openai', 'azure']);
    expect(order([...hosted, deep], 8)).toEqual(['openai', 'azure', 'deep']);
    expect(order([...hosted, deep, edge], 8)).toEqual(['edge', 'deep', 'openai', 'azure']);
    expect(order([...hosted, deep, down], 8)).toEqual(['openai', 'azure', 'deep', 'down']);
    expect(order(hosted, 8)).toEqual(['azure', 'openai']);
  });

  test('returns each target once, whatever their state', () => {
    const state = fc.record({
      seenMs: fc.constantFrom(Number.NEGATIVE_INFINITY, 0),
      waiting: fc.nat(20),
      running: fc.nat(20),
      inFlight: fc.nat(20),
      inFlightSeen: fc.nat(20),
      failures: fc.nat(3),
    });
    const kind = fc.constantFrom<EngineName | null>('vllm', 'ollama', null);
    fc.assert(
      fc.property(fc.array(fc.tuple(kind, state), { maxLength: 6 }), fc.nat(20), (states, depth) => {
        const targets = states.map(([name, values], index) => target(`t${index}`, name, values));
        expect([...order(targets, depth)].sort()).toEqual(targets.map(({ label }) => label).sort());
      }),
      { numRuns: 50 },
    );
  });
});

describe('an engine that is down', () => {
  const step = (name: string, failures: number, group: number, on: FallbackCause[] | null = null): Step => ({
    target: target(name, 'vllm', { failures }),
    on: on === null ? null : new Set(on),
    group,
    depth: 1,
  });
  const labels = (steps: readonly Step[]): string[] => livingFirst(steps).map((each) => each.target.label);

  test('comes last while another target is up', () => {
    expect(labels([step('down', 2, 0), step('up', 0, 1), step('next', 1, 2)])).toEqual([
      'up',
      'next',
      'down',
    ]);
    const alone = [step('down', 2, 0)];
    expect(livingFirst(alone)).toBe(alone);
    const all = [step('down', 2, 0), step('too', 2, 1)];
    expect(livingFirst(all)).toBe(all);
  });

  test('stays in place if the next target is not entered for an outage', () => {
    expect(labels([step('down', 2, 0), step('larger', 0, 1, ['context_window'])])).toEqual([
      'down',
      'larger',
    ]);
    expect(labels([step('down', 2, 0), step('spare', 0, 1, ['outage'])])).toEqual(['spare', 'down']);
  });
});

describe('through the sidecar', () => {
  const body = openaiWire.request('Hi');
  const hosted = answers(openaiWire, 'from the host');

  async function start(
    pages: Record<string, number | string>,
    model: Script,
    route: object = {},
    apart: Script = hosted,
  ) {
    const own = await engineServer(pages, model);
    const host = await engineServer({}, apart);
    const sidecar = await startTestSidecar({
      cache: { enabled: false },
      providers: {
        own: {
          dialect: 'openai',
          baseUrl: own.baseUrl,
          engine: 'vllm',
          probe: { intervalMs: 100, timeoutMs: 60_000 },
        },
        host: { dialect: 'openai', baseUrl: host.baseUrl },
      },
      routes: [{ model: testModel, targets: [{ provider: 'own' }, { provider: 'host' }], ...route }],
    });
    onTestFinished(() => sidecar.stop());
    const shows = (name: string, value: number): Promise<void> =>
      until(async () => metricIn(await sidecar.metrics(), name, { provider: 'own' }) === value);
    const send = (headers = {}) => ask(sidecar.url, openaiWire.path, { body, headers });
    return { own, host, sidecar, shows, send };
  }
  const metricsText = (waiting: number): string =>
    `vllm:num_requests_waiting ${waiting}\nvllm:num_requests_running 4\nvllm:kv_cache_usage_perc 0.5\n`;
  const local = answers(openaiWire, 'from here');

  test('requests overflow to the hosted target while the queue is deep, and then return', async () => {
    const pages = { '/health': 200, '/metrics': metricsText(20) };
    const route = { strategy: 'least_loaded', overflow: { queueDepth: 8 } };
    const { shows, send } = await start(pages, local, route);
    await shows('sidegate_engine_waiting', 20);
    expect((await send()).text).toContain('from the host');
    pages['/metrics'] = metricsText(2);
    await shows('sidegate_engine_waiting', 2);
    expect((await send()).text).toContain('from here');
  });

  test('an engine whose health probe fails is skipped, but called as a last resort', async () => {
    const pages = { '/health': 500 };
    const resets: Script = (call) => call.reset();
    const { shows, send, host, sidecar } = await start(pages, local);
    await shows('sidegate_engine_up', 0);
    expect((await send()).headers['x-sidegate-target']).toBe(`host/${testModel}`);
    host.answer(resets);
    expect((await send()).headers['x-sidegate-target']).toBe(`own/${testModel}`);
    expect(sidecar.logText()).toContain('the engine fails its probes');
  });

  test('a batch request waits for room in the engine', async () => {
    const pages = { '/health': 200, '/metrics': metricsText(3) };
    const route = { strategy: 'least_loaded', targets: [{ provider: 'own' }] };
    const { shows, send, own, sidecar } = await start(pages, local, route);
    await shows('sidegate_engine_waiting', 3);
    const waiting = send({ 'x-sidegate-priority': 'batch' });
    // An interactive one doesn't.
    expect((await send()).status).toBe(200);
    await until(async () => metricIn(await sidecar.metrics(), 'sidegate_batch_waiting') === 1);
    expect(own.calls.filter(({ method }) => method === 'POST')).toHaveLength(1);
    pages['/metrics'] = metricsText(0);
    expect((await waiting).status).toBe(200);
  });

  test('calls in flight are counted until their end, streamed or not, answered or not', async () => {
    const { send, sidecar, own } = await start({ '/health': 200 }, hangs);
    const replies = [send(), send()];
    const posts = () => own.calls.filter(({ method }) => method === 'POST');
    await until(() => posts().length === 2);
    expect(
      metricIn(await sidecar.metrics(), 'sidegate_upstream_in_flight', { priority: 'interactive' }),
    ).toBe(2);
    for (const call of posts()) local(call);
    await Promise.all(replies);
    expect(
      metricIn(await sidecar.metrics(), 'sidegate_upstream_in_flight', { priority: 'interactive' }),
    ).toBe(0);
  });
});
