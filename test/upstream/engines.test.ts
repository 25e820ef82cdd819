/** Self-hosted engines: reading their metrics, routing by their load, and what happens when they are down. */
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
import { answers, hangs, type Script, startUpstream, type Upstream } from '../support/upstream.ts';

const probe = { intervalMs: 600_000, timeoutMs: 2_000, failuresMax: 2 };

describe("an engine's metrics", () => {
  const read = (text: string, ...names: string[]): Record<string, number> =>
    Object.fromEntries(readGauges(Buffer.from(text), new Set(names)));

  test('are the named gauges, over all their series', () => {
    const text = [
      '# HELP vllm:num_requests_waiting Number of requests waiting.',
      '# TYPE vllm:num_requests_waiting gauge',
      'vllm:num_requests_waiting{engine="0",model_name="a } b"} 3.0',
      'vllm:num_requests_waiting{engine="1",model_name="x"} 4 1700000000000',
      'vllm:num_requests_waiting_total 99',
      'plain 7\r',
      'tabbed\t8',
      'spaced { a="b" } 1e1',
    ].join('\n');
    expect(read(text, 'vllm:num_requests_waiting', 'plain', 'tabbed', 'spaced')).toEqual({
      'vllm:num_requests_waiting': 7,
      plain: 7,
      tabbed: 8,
      spaced: 10,
    });
  });

  test('for a share the largest series is used', () => {
    const names = new Set(['use']);
    expect(readGauges(Buffer.from('use{e="0"} 0.2\nuse{e="1"} 0.9\nuse{e="2"} 0.5'), names, names)).toEqual(
      new Map([['use', 0.9]]),
    );
  });

  test('values that are not numbers, or negative, are skipped', () => {
    expect(read('a NaN\nb +Inf\nc -1\nd\ne{\nf} 1\ng{x="1"}', ...'abcdefg')).toEqual({});
  });

  test('no text makes the reader fail', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), fc.string(), (bytes, text) => {
        readGauges(
          Buffer.concat([Buffer.from('a{'), bytes, Buffer.from(`${text}\na 1`)]),
          new Set(['a', 'b']),
        );
      }),
    );
  });
});

/** An engine that answers its paths with these pages: a status, or a text with 200. */
async function engineServer(pages: Record<string, number | string>, model?: Script): Promise<Upstream> {
  const upstream = await startUpstream((call) => {
    if (call.method === 'POST') return model?.(call);
    const page = pages[call.path] ?? 404;
    if (typeof page === 'string') call.whole(200, { 'content-type': 'text/plain' }, page);
    else if (page > 0) call.whole(page, {}, '{}');
  });
  onTestFinished(() => upstream.close());
  return upstream;
}

describe('probes', () => {
  function watch(kind: EngineName, baseUrl: string, timeoutMs = 2_000) {
    const engine = createEngine(kind, { ...probe, timeoutMs });
    const changes: boolean[] = [];
    const running = startProbe(engine, baseUrl, ['authorization', 'Bearer k'], {
      clock: () => 1234,
      random: () => 0.5,
      onChange: (down) => void changes.push(down),
    });
    onTestFinished(() => running.stop());
    return { engine, changes, look: running.now };
  }

  test.each(engineNames)('%s: its health, and its numbers where it has some', async (kind) => {
    const { healthPath, metrics } = engineKinds[kind];
    const text = Object.values(metrics?.names ?? {})
      .flatMap((names, index) =>
        names.slice(0, 1).map((name: string) => `${name}{m="a"} ${(index + 1) / 4}\n`),
      )
      .join('');
    const server = await engineServer({ [healthPath]: 200, ...(metrics && { [metrics.path]: text }) });
    const { engine, look } = watch(kind, server.baseUrl);
    await look();
    expect(isDown(engine)).toBe(false);
    expect(engine.seenMs).toBe(metrics === null ? Number.NEGATIVE_INFINITY : 1234);
    const cacheUse = metrics === null || metrics.names.cacheUse.length === 0 ? 0 : 0.75;
    expect(engine).toMatchObject(
      metrics === null ? { waiting: 0 } : { waiting: 0.25, running: 0.5, cacheUse },
    );
    expect(new Set(server.calls.map(({ path }) => path))).toEqual(
      new Set(metrics === null ? [healthPath] : [healthPath, metrics.path]),
    );
    expect(server.calls[0]?.headers.authorization).toBe('Bearer k');
  });

  test('paths start at the root of the server, not at /v1', async () => {
    const server = await engineServer({ '/llama/health': 200 });
    const { look } = watch('vllm', server.baseUrl.replace('/v1', '/llama/v1/'));
    await look();
    expect(server.calls[0]?.path).toBe('/llama/health');
  });

  test('the older name of vLLM’s cache metric is read too', async () => {
    const text = 'vllm:num_requests_waiting 1\nvllm:num_requests_running 2\nvllm:gpu_cache_usage_perc 0.5\n';
    const server = await engineServer({ '/health': 200, '/metrics': text });
    const { engine, look } = watch('vllm', server.baseUrl);
    await look();
    expect(engine).toMatchObject({ waiting: 1, running: 2, cacheUse: 0.5 });
  });

  test('a page without the gauges changes nothing', async () => {
    const server = await engineServer({ '/health': 200, '/metrics': 'vllm:num_requests_waiting 1\n<html>' });
    const { engine, look } = watch('vllm', server.baseUrl);
    await look();
    expect(engine.seenMs).toBe(Number.NEGATIVE_INFINITY);
    expect(isDown(engine)).toBe(false);
  });

  test('two failures take it down, one answer brings it back; each change is reported once', async () => {
    const pages: Record<string, number | string> = { '/health': 503 };
    const server = await engineServer(pages);
    const { engine, changes, look } = watch('vllm', server.baseUrl);
    for (let i = 0; i < 4; i++) await look();
    expect(isDown(engine)).toBe(true);
    pages['/health'] = 404;
    await look();
    await look();
    expect(isDown(engine)).toBe(false);
    expect(changes).toEqual([true, false]);
  });

  test('silence, a reset, no server and an endless page do no harm beyond a failure', async () => {
    const silent = await engineServer({ '/health': 0 });
    const none = await engineServer({});
    await none.close();
    const reset = await startUpstream((call) => call.reset());
    const endless = await startUpstream(async (call) => {
      call.head(200);
      await call.flood(Buffer.alloc(64 * 1024, 'a'), 200);
    });
    onTestFinished(async () => {
      await reset.close();
      await endless.close();
    });
    for (const { baseUrl } of [silent, none, reset, endless]) {
      const { engine, look } = watch('vllm', baseUrl, 100);
      await look();
      await look();
      expect(isDown(engine)).toBe(true);
      expect(engine.seenMs).toBe(Number.NEGATIVE_INFINITY);
    }
  });
});

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
  const health = { breakerId: 0, restsUntilMs: 0, inFlight: state.inFlight ?? 0, latency: new PeakEwma() };
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
          probe: { intervalMs: 100, timeoutMs: 1000 },
        },
        host: { dialect: 'openai', baseUrl: host.baseUrl },
      },
      routes: [{ model: testModel, targets: [{ provider: 'own' }, { provider: 'host' }], ...route }],
    });
    onTestFinished(() => sidecar.stop());
    const until = async (name: string, value: number): Promise<void> => {
      while (metricIn(await sidecar.metrics(), name, { provider: 'own' }) !== value)
        await new Promise((resolve) => setTimeout(resolve, 20));
    };
    const send = (headers = {}) => ask(sidecar.url, openaiWire.path, { body, headers });
    return { own, host, sidecar, until, send };
  }
  const metricsText = (waiting: number): string =>
    `vllm:num_requests_waiting ${waiting}\nvllm:num_requests_running 4\nvllm:kv_cache_usage_perc 0.5\n`;
  const local = answers(openaiWire, 'from here');

  test('requests overflow to the hosted target while the queue is deep, and then return', async () => {
    const pages = { '/health': 200, '/metrics': metricsText(20) };
    const route = { strategy: 'least_loaded', overflow: { queueDepth: 8 } };
    const { until, send } = await start(pages, local, route);
    await until('sidegate_engine_waiting', 20);
    expect((await send()).text).toContain('from the host');
    pages['/metrics'] = metricsText(2);
    await until('sidegate_engine_waiting', 2);
    expect((await send()).text).toContain('from here');
  });

  test('an engine whose health probe fails is skipped, but called as a last resort', async () => {
    const pages = { '/health': 500 };
    const resets: Script = (call) => call.reset();
    const { until, send, host, sidecar } = await start(pages, local);
    await until('sidegate_engine_up', 0);
    expect((await send()).headers['x-sidegate-target']).toBe(`host/${testModel}`);
    host.answer(resets);
    expect((await send()).headers['x-sidegate-target']).toBe(`own/${testModel}`);
    expect(sidecar.logText()).toContain('the engine fails its probes');
  });

  test('a batch request waits for room in the engine', async () => {
    const pages = { '/health': 200, '/metrics': metricsText(3) };
    const route = { strategy: 'least_loaded', targets: [{ provider: 'own' }] };
    const { until, send, own, sidecar } = await start(pages, local, route);
    await until('sidegate_engine_waiting', 3);
    const waiting = send({ 'x-sidegate-priority': 'batch' });
    // An interactive one doesn't.
    expect((await send()).status).toBe(200);
    expect(metricIn(await sidecar.metrics(), 'sidegate_batch_waiting')).toBe(1);
    expect(own.calls.filter(({ method }) => method === 'POST')).toHaveLength(1);
    pages['/metrics'] = metricsText(0);
    expect((await waiting).status).toBe(200);
  });

  test('calls in flight are counted until their end, streamed or not, answered or not', async () => {
    const { send, sidecar, own } = await start({ '/health': 200 }, hangs);
    const replies = [send(), send()];
    const posts = () => own.calls.filter(({ method }) => method === 'POST');
    while (posts().length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
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

describe('the simulator', () => {
  async function simulated(engine: object, ttftMs = 0): Promise<string> {
    const running = await startSimulator(simulateSchema.parse({ engine, ttftMs }), '127.0.0.1', 0);
    onTestFinished(() => running.close());
    return running.url;
  }
  const page = async (url: string): Promise<string> => (await fetch(url)).text();

  test.each(engineNames)('%s: has the paths and names of its kind', async (kind) => {
    const url = await simulated({ kind, running: 3, waiting: 2, cacheUse: 0.5 });
    const engine = createEngine(kind, probe);
    const watched = startProbe(engine, `${url}/v1`, [], {
      clock: () => 1,
      random: () => 0,
      onChange: () => {},
    });
    onTestFinished(() => watched.stop());
    await watched.now();
    expect(engine.failures).toBe(0);
    const { metrics } = engineKinds[kind];
    const cacheUse = metrics === null || metrics.names.cacheUse.length === 0 ? 0 : 0.5;
    if (metrics !== null) expect(engine).toMatchObject({ running: 3, waiting: 2, cacheUse });
  });

  test('its metrics follow its load', async () => {
    const url = await simulated({ slots: 2 }, 60_000);
    const calls = new AbortController();
    for (let i = 0; i < 3; i++)
      fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        body: JSON.stringify(openaiWire.request('Hi')),
        signal: calls.signal,
      }).catch(() => {});
    const numbers = async () =>
      Object.fromEntries(
        (await page(`${url}/metrics`))
          .split('\n')
          .filter((line) => line !== '' && !line.startsWith('#'))
          .map((line) => [line.slice(0, line.indexOf('{')), Number(line.split(' ')[1])]),
      );
    while ((await numbers())['vllm:num_requests_waiting'] !== 1) await new Promise(setImmediate);
    expect(await numbers()).toEqual({
      'vllm:num_requests_waiting': 1,
      'vllm:num_requests_running': 2,
      'vllm:kv_cache_usage_perc': 1,
    });
    calls.abort();
    while ((await numbers())['vllm:num_requests_running'] !== 0) await new Promise(setImmediate);
  });

  test('can be set to unhealthy', async () => {
    const url = await simulated({ healthy: false });
    expect((await fetch(`${url}/health`)).status).toBe(503);
  });
});
