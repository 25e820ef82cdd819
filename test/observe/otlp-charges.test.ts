/** What receivers of OpenTelemetry add up is what was billed, whatever became of the calls. */
import { expect, test } from 'vitest';
import { callsOf } from '../../src/observe/otlp/conventions.ts';
import { metricIn } from '../support/chain.ts';
import { startGate } from '../support/gate.ts';
import { startReceiver, valuesOf } from '../support/otlp-receiver.ts';
import { openaiWire, statedUsage } from '../support/replies.ts';
import { recordOf } from '../support/segments.ts';
import { eventually } from '../support/until.ts';
import { answers } from '../support/upstream.ts';

test('what calls used adds up to what is billed, also where one broke and was made again', async () => {
  const receiver = await startReceiver();
  const whole = openaiWire.whole('a reply of some words');
  const gate = await startGate(
    [
      (call) => {
        call.head(200, { 'content-type': 'application/json', 'content-length': String(whole.length) });
        call.write(whole.slice(0, whole.length - 2));
        setTimeout(() => call.reset(), 50);
      },
      answers(openaiWire, 'another reply'),
    ],
    { observe: { otlp: { endpoint: receiver.url, metricsEveryMs: 1000 } } },
  );
  expect((await gate.ask(openaiWire, 'a prompt')).status).toBe(200);
  const billed = await eventually(async () => {
    const text = await gate.sidecar.metrics();
    const sums = ['input', 'output'].map((direction) =>
      metricIn(text, 'sidegate_tokens_total', { direction }),
    );
    expect(sums).not.toContain(null);
    return sums;
  });
  await gate.stop();
  const calls = receiver.spans.filter(({ kind }) => kind === 3).map((span) => valuesOf(span.attributes));
  expect(calls).toHaveLength(2);
  const used = ['input', 'output'].map((kind) =>
    calls.reduce((sum, call) => sum + Number(call[`gen_ai.usage.${kind}_tokens`] ?? 0), 0),
  );
  expect(used).toEqual(billed);
  const answered = calls.find((call) => call['error.type'] === undefined);
  expect(answered).toMatchObject({ 'gen_ai.usage.output_tokens': statedUsage.outputTokens });
  const points = receiver.metrics.findLast(({ name }) => name === 'gen_ai.client.token.usage')?.histogram
    .dataPoints;
  expect(points?.reduce((sum, point) => sum + point.sum, 0)).toBe((billed[0] ?? 0) + (billed[1] ?? 0));
});

test('what a session used belongs to the call that opened it, not to the one that failed before', () => {
  const step = { model: 'm', cause: '', error: '', called: true, billed: false, sentMs: 0 } as const;
  const timed = { durationMs: 1, ttftMs: 1, providerRequestId: '' };
  const failed = { ...step, ...timed, target: 'p/m', outcome: 'status 503', status: 503 };
  const opened = { ...step, ...timed, target: 'q/m', outcome: 'ok', status: 101 };
  const usage = {
    inputTokens: 10,
    outputTokens: 5,
    cachedInputTokens: 0,
    cacheWriteTokens: 0,
    known: true,
  };
  const charge = { target: 'q/m', usage, costNanoUsd: 1 };
  expect(callsOf(recordOf('s', { steps: [failed, opened], charges: [charge] }))).toEqual([
    [failed, null],
    [opened, charge],
  ]);
});
