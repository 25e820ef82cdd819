/** What a receiver of OpenTelemetry gets: spans and metrics by the conventions, in the caller's trace, without content. */
import { hostname } from 'node:os';
import { expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { createAside } from '../../src/base/aside.ts';
import { nothingBilled } from '../../src/count/usage.ts';
import { createNames } from '../../src/observe/otlp/conventions.ts';
import { createMeasures } from '../../src/observe/otlp/measures.ts';
import { openOtlp } from '../../src/observe/otlp/otlp.ts';
import { createRecord, type ExchangeRecord, noCourse } from '../../src/observe/record.ts';
import { observe } from '../../src/observe/settings.ts';
import { ask } from '../support/client.ts';
import { readDocument } from '../support/documents.ts';
import { startGate } from '../support/gate.ts';
import { type Receiver, startReceiver, valuesOf } from '../support/otlp-receiver.ts';
import { openaiWire, statedUsage, testModel } from '../support/replies.ts';
import { sharedThread } from '../support/shared-thread.ts';
import { spawnSidecar } from '../support/sidecar.ts';
import { eventually } from '../support/until.ts';
import { answers, refuses, startUpstream } from '../support/upstream.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const parentId = '00f067aa0ba902b7';
const sampled = { traceparent: `00-${traceId}-${parentId}-01` };

/** What the conventions require of a span of a call. */
const required = ['gen_ai.operation.name', 'gen_ai.provider.name', 'gen_ai.request.model'];

test.each(['http/protobuf', 'http/json'] as const)(
  'each request is a span in its caller’s trace, with one for each call, and the metrics (%s)',
  async (protocol) => {
    const receiver = await startReceiver();
    const otlp = { endpoint: receiver.url, protocol, headers: { 'x-credential': 'c' }, metricsEveryMs: 1000 };
    const gate = await startGate(
      [refuses(openaiWire.error(500, 'zq out of order')), answers(openaiWire, 'zq reply')],
      { observe: { otlp } },
    );
    onTestFinished(() => gate.stop());
    expect((await gate.ask(openaiWire, 'zq prompt', { headers: sampled })).status).toBe(200);
    await eventually(() => expect(receiver.spans).toHaveLength(3));
    await eventually(() => expect(receiver.metrics.length).toBeGreaterThanOrEqual(2));

    const root = receiver.spans.find(({ kind }) => kind === 2);
    expect(root).toMatchObject({ traceId, parentSpanId: parentId, name: 'sidegate chat' });
    const calls = receiver.spans.filter(({ kind }) => kind === 3);
    expect(calls).toHaveLength(2);
    for (const call of calls) {
      expect(call).toMatchObject({ traceId, parentSpanId: root?.spanId, name: `chat ${testModel}` });
      expect(call.spanId).toMatch(/^[0-9a-f]{16}$/);
      expect(BigInt(call.endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(call.startTimeUnixNano));
      const values = valuesOf(call.attributes);
      expect(required.map((name) => values[name])).toEqual(['chat', 'openai', testModel]);
      expect(values['server.address']).toBe('127.0.0.1');
    }
    const [failed, answered] = calls.toSorted((a, b) => (b.status?.code ?? 0) - (a.status?.code ?? 0));
    expect(failed?.status?.code).toBe(2);
    expect(valuesOf(failed?.attributes ?? [])).toMatchObject({ 'error.type': '500' });
    expect(valuesOf(answered?.attributes ?? [])).toMatchObject({
      'gen_ai.usage.input_tokens': statedUsage.inputTokens,
      'gen_ai.usage.output_tokens': statedUsage.outputTokens,
    });

    const named = (name: string) => receiver.metrics.find((metric) => metric.name === name);
    const duration = named('gen_ai.client.operation.duration');
    expect(duration?.unit).toBe('s');
    expect(duration?.histogram.aggregationTemporality).toBe(2);
    expect(duration?.histogram.dataPoints).toHaveLength(2);
    for (const { count, bucketCounts, explicitBounds } of duration?.histogram.dataPoints ?? []) {
      expect(bucketCounts.length).toBe(explicitBounds.length + 1);
      expect(bucketCounts.reduce((sum: number, each) => sum + Number(each), 0)).toBe(Number(count));
    }
    const usage = named('gen_ai.client.token.usage');
    expect(usage?.unit).toBe('{token}');
    const sums = usage?.histogram.dataPoints.map(
      ({ sum, attributes }) => [valuesOf(attributes)['gen_ai.token.type'], sum] as const,
    );
    expect(new Map(sums)).toEqual(
      new Map([
        ['input', statedUsage.inputTokens],
        ['output', statedUsage.outputTokens],
      ]),
    );
    expect(receiver.calls.every(({ headers }) => headers['x-credential'] === 'c')).toBe(true);
    // Neither prompt nor reply, nor what the provider says of them.
    expect(receiver.text()).not.toMatch(/zq (prompt|reply)/);
  },
);

test('metrics that can’t be exported are told once, and that they are again', async () => {
  const receiver = await startReceiver();
  receiver.status = 401;
  const { otlp, problems } = await open(receiver, { signals: ['metrics'], metricsEveryMs: 1000 });
  const step = { target: 'p/m', model: 'm', outcome: 'ok', cause: '', status: 200, error: '' } as const;
  const called = { ...step, called: true, sentMs: 0, durationMs: 1, ttftMs: 1, providerRequestId: '' };
  otlp.add(recordOf('a', { steps: [called] }), 5000, null);
  await eventually(() => expect(problems).toHaveLength(1));
  await eventually(() => expect(receiver.calls.length).toBeGreaterThan(2));
  receiver.status = 200;
  await eventually(() => expect(problems).toEqual([expect.any(String), null]));
  await otlp.close(60_000);
});

test('a stream has the time to its first chunk, and a hit no call', async () => {
  const receiver = await startReceiver();
  const gate = await startGate([answers(openaiWire, 'one', 'two')], {
    observe: { otlp: { endpoint: receiver.url, metricsEveryMs: 1000 } },
  });
  const reply = await gate.stream(openaiWire, 'hi');
  await reply.all();
  await gate.ask(openaiWire, 'again');
  await gate.ask(openaiWire, 'again');
  await gate.stop();
  expect(receiver.spans.filter(({ kind }) => kind === 2)).toHaveLength(3);
  const calls = receiver.spans.filter(({ kind }) => kind === 3).map((span) => valuesOf(span.attributes));
  expect(calls).toHaveLength(2);
  const [stream] = calls.filter((each) => each['gen_ai.request.stream'] === true);
  expect(stream?.['gen_ai.response.time_to_first_chunk']).toBeGreaterThan(0);
  const first = receiver.metrics.find(({ name }) => name.endsWith('time_to_first_chunk'));
  expect(first?.histogram.dataPoints.map(({ count }) => Number(count))).toEqual([1]);
});

test('an unsampled trace is not recorded', async () => {
  const receiver = await startReceiver();
  const gate = await startGate([answers(openaiWire, 'ok')], {
    observe: { otlp: { endpoint: receiver.url } },
    cache: { enabled: false },
  });
  await gate.ask(openaiWire, 'hi', { headers: { traceparent: `00-${traceId}-${parentId}-00` } });
  await gate.ask(openaiWire, 'hi');
  await gate.stop();
  expect(receiver.spans).toHaveLength(2);
  expect(receiver.spans.filter((span) => span.traceId === traceId)).toEqual([]);
});

test('a process that ends exports what waits first, in as many batches as it takes', async () => {
  const receiver = await startReceiver();
  const upstream = await startUpstream(answers(openaiWire, 'ok'));
  onTestFinished(() => upstream.close());
  const config = {
    authenticate: { anonymousTenant: 't' },
    listen: { port: 0 },
    admin: { port: 0 },
    providers: { o: { dialect: 'openai', baseUrl: upstream.baseUrl } },
    routes: [{ model: testModel, targets: [{ provider: 'o' }] }],
    // A batch has a hundred requests.
    observe: { otlp: { endpoint: receiver.url, tracesPerSecond: 100 } },
  };
  const sidecar = await spawnSidecar(JSON.stringify(config));
  const error = { model: 'unknown', messages: [{ role: 'user', content: 'hi' }] };
  const calls = Array.from({ length: 100 }, (_, at) => [
    ask(sidecar.url, openaiWire.path, { body: openaiWire.request(`hi ${at}`, {}) }),
    // Failed ones have a share of their own.
    ask(sidecar.url, openaiWire.path, { body: error }),
  ]);
  await Promise.all(calls.flat());
  expect(await sidecar.stop()).toBe(0);
  expect(receiver.spans.filter(({ name }) => name === 'sidegate chat')).toHaveLength(200);
  expect(sidecar.output()).not.toContain('Warning');
});

test('a process ends in time though its receiver is away', async () => {
  const receiver = await startReceiver();
  receiver.status = 503;
  const config = {
    authenticate: { anonymousTenant: 't' },
    listen: { port: 0 },
    admin: { port: 0 },
    providers: { o: { preset: 'simulator' } },
    routes: [{ model: testModel, targets: [{ provider: 'o' }] }],
    // Both signals are being tried again at any time.
    observe: { otlp: { endpoint: receiver.url, metricsEveryMs: 1000 } },
  };
  const sidecar = await spawnSidecar(JSON.stringify(config));
  await ask(sidecar.url, openaiWire.path, { body: openaiWire.request('hi', {}) });
  const paths = () => new Set(receiver.calls.map(({ path }) => path));
  await eventually(() => expect(paths().size).toBe(2));
  const stopping = sidecar.stop();
  await sidecar.outputMatching(/"msg":"stopped"/);
  const stoppedMs = performance.now();
  expect(await stopping).toBe(0);
  // An export is tried for ten seconds.
  expect(performance.now() - stoppedMs).toBeLessThan(5000);
}, 20_000);

const recordOf = (id: string, more: Partial<ExchangeRecord> = {}): ExchangeRecord => {
  const received = { id, startedMs: 0, endpoint: { name: 'chat' } };
  return { ...createRecord(received, noCourse, { status: 200 }, nothingBilled, 1), ...more };
};

async function open(receiver: Receiver, more: object = {}) {
  const problems: (string | null)[] = [];
  const settings = observe.parse({ otlp: { endpoint: receiver.url, ...more } }).otlp;
  const otlp = await openOtlp(
    { ...settings, endpoint: receiver.url },
    {
      at: () => null,
      aside: createAside({ clock: () => 0, startThread: sharedThread }),
      wallClock: Date.now,
      onProblem: (each) => problems.push(each),
    },
  );
  return { otlp, problems };
}

test('processes of one service are told apart: their sums would take each other’s place', async () => {
  const receiver = await startReceiver();
  for (const id of ['a', 'b']) {
    const { otlp } = await open(receiver);
    const called = { target: 'p/m', model: 'm', outcome: 'ok', cause: '', status: 200, error: '' } as const;
    const step = { ...called, called: true, sentMs: 0, durationMs: 1, ttftMs: 1, providerRequestId: '' };
    otlp.add(recordOf(id, { steps: [step] }), 5000, null);
    await otlp.close(60_000);
  }
  for (const path of ['/v1/traces', '/v1/metrics']) {
    const resources = receiver.resources.filter(([to]) => to === path).map(([, attributes]) => attributes);
    expect(resources).toHaveLength(2);
    for (const each of resources)
      expect(each).toMatchObject({ 'service.name': 'sidegate', 'host.name': hostname() });
    expect(new Set(resources.map((each) => each['service.instance.id'])).size).toBe(2);
  }
});

test('while the receiver refuses, requests wait up to a bound; the rest is dropped and counted', async () => {
  const receiver = await startReceiver();
  receiver.status = 401;
  const { otlp, problems } = await open(receiver, { tracesPerSecond: 10_000, signals: ['traces'] });
  for (let i = 0; i < 9000; i++) otlp.add(recordOf(`r${i}`), i, null);
  await eventually(() => expect(problems).toHaveLength(1));
  const { sent, waiting, dropped } = otlp.state;
  expect(sent).toBe(0);
  expect(waiting).toBeLessThanOrEqual(5700);
  expect(waiting + dropped).toBe(9000);
  receiver.status = 200;
  await otlp.close(60_000);
  expect(problems).toEqual([expect.any(String), null]);
  expect(otlp.state).toMatchObject({ sent: waiting, waiting: 0 });
  expect(receiver.spans).toHaveLength(waiting);
});

test('a request that the receiver can’t take keeps no other back, and is counted', async () => {
  const receiver = await startReceiver();
  receiver.refuses = (body) => (body.includes('too-large') ? 413 : 0);
  const { otlp, problems } = await open(receiver, { signals: ['traces'] });
  for (const id of ['a', 'b', 'too-large', 'c', 'd']) otlp.add(recordOf(id), 5000, null);
  await eventually(() => expect(receiver.spans).toHaveLength(4));
  await otlp.close(60_000);
  const ids = receiver.spans.map((span) => valuesOf(span.attributes)['sidegate.request_id']);
  expect(ids).toEqual(['a', 'b', 'c', 'd']);
  expect(otlp.state).toMatchObject({ sent: 4, dropped: 1, waiting: 0 });
  expect(problems.at(-1)).toBeNull();
});

test('of one second, so many requests are recorded, and as many that failed', async () => {
  const receiver = await startReceiver();
  const { otlp } = await open(receiver, { tracesPerSecond: 3 });
  for (let i = 0; i < 10; i++) otlp.add(recordOf('ok'), 5000 + i, null);
  for (let i = 0; i < 10; i++)
    otlp.add(recordOf('bad', { status: 503, error: 'targets_down' }), 5100 + i, null);
  otlp.add(recordOf('later'), 6001, null);
  await otlp.close(60_000);
  const ids = receiver.spans.map((span) => valuesOf(span.attributes)['sidegate.request_id']);
  expect(ids).toEqual(['ok', 'ok', 'ok', 'bad', 'bad', 'bad', 'later']);
  expect(otlp.state).toMatchObject({ sent: 7, dropped: 14 });
});

test('requests that are not sampled take no part of a second’s traces', async () => {
  const receiver = await startReceiver();
  const { otlp } = await open(receiver, { tracesPerSecond: 3 });
  const of = (id: string, traceSampled: boolean) =>
    recordOf(id, { traceId, parentSpanId: parentId, traceSampled });
  for (let i = 0; i < 10; i++) otlp.add(of('left out', false), 5000 + i, null);
  for (let i = 0; i < 3; i++) otlp.add(of('kept', true), 5100 + i, null);
  await otlp.close(60_000);
  const ids = receiver.spans.map((span) => valuesOf(span.attributes)['sidegate.request_id']);
  expect(ids).toEqual(['kept', 'kept', 'kept']);
  expect(otlp.state).toMatchObject({ sent: 3, dropped: 0 });
});

test('names that requests invent make no more series than the bound', async () => {
  const measures = createMeasures(
    createNames(() => null),
    Date.now,
  );
  const step = { target: 'p/x', outcome: 'ok', cause: '', called: true, sentMs: 0, durationMs: 5 } as const;
  for (let i = 0; i < 3000; i++)
    measures.add(
      recordOf('r', {
        steps: [{ ...step, model: `m${i}`, ttftMs: -1, status: 200, providerRequestId: '', error: '' }],
      }),
    );
  const { resourceMetrics } = await measures.producer({} as never).collect();
  const [points = []] = resourceMetrics.scopeMetrics.flatMap(({ metrics }) =>
    metrics.map(({ dataPoints }) => dataPoints),
  );
  expect(points).toHaveLength(2001);
  expect(points.at(-1)).toMatchObject({
    attributes: { 'otel.metric.overflow': true },
    value: { count: 1000 },
  });
});

test('providers have the names of the conventions', () => {
  const name = (dialect: string, baseUrl: string) =>
    createNames(() => ({ dialect, baseUrl }))('chat', 'p/m').provider;
  expect(name('openai', 'https://api.openai.com/v1')).toBe('openai');
  expect(name('openai', 'https://x.openai.azure.com/openai/v1')).toBe('azure.ai.openai');
  expect(name('openai', 'https://api.groq.com/openai/v1')).toBe('groq');
  expect(name('openai', 'http://10.0.0.7:8000/v1')).toBe('openai');
  expect(name('gemini', 'https://aiplatform.googleapis.com/v1')).toBe('gcp.vertex_ai');
  expect(name('bedrock', 'https://bedrock-runtime.eu-west-1.amazonaws.com')).toBe('aws.bedrock');
});

test.each(['Langfuse', 'Datadog'])(
  'the recipe for %s sends what its documentation requires',
  async (name) => {
    const fence = readDocument('docs/guides/observability.md')
      .text.split(`### ${name}`)[1]
      ?.split('```yaml')[1]
      ?.split('```')[0];
    const { endpoint, signals, headers } = parse(fence ?? '').observe.otlp;
    // The documented host, on this machine.
    const receiver = await startReceiver(new URL(endpoint).pathname.replace(/\/$/, ''));
    const gate = await startGate([answers(openaiWire, 'ok')], {
      observe: { otlp: { endpoint: receiver.url, signals, headers } },
    });
    await gate.ask(openaiWire, 'hi', { headers: sampled });
    await gate.stop();
    expect(receiver.calls.length).toBeGreaterThan(0);
    for (const { path, headers: sent } of receiver.calls) {
      expect(sent['content-type']).toBe('application/x-protobuf');
      if (name === 'Langfuse') {
        expect(path).toBe('/api/public/otel/v1/traces');
        expect(sent.authorization).toMatch(/^Basic /);
      } else {
        expect(path).toBe('/v1/traces');
        expect(sent['dd-otlp-source']).toBe('llmobs');
        expect(sent['dd-api-key']).toBeDefined();
      }
    }
    const [call] = receiver.spans.filter(({ kind }) => kind === 3).map((span) => valuesOf(span.attributes));
    expect(Object.keys(call ?? {})).toEqual(
      expect.arrayContaining([...required, 'gen_ai.usage.input_tokens', 'gen_ai.usage.output_tokens']),
    );
  },
);
