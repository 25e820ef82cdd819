/** What requests cost, where a user sees it: in headers, log lines and metrics. */
import { describe, expect, test } from 'vitest';
import { labelOf, metricIn, spawnChain, startChain } from '../support/chain.ts';
import { statedUsage, testModel, type Wire, wires } from '../support/replies.ts';
import { silent } from '../support/settle-ways.ts';
import { tokenizer } from '../support/tokenizer.ts';
import { answers } from '../support/upstream.ts';

/** Nano-dollars a token. */
const price = { input: 3000, output: 15_000 };
const catalog = { models: [{ model: testModel, inputUsdPerMTok: 3, outputUsdPerMTok: 15 }] };

const json = { 'content-type': 'application/json' };
const nanoUsd = statedUsage.inputTokens * price.input + statedUsage.outputTokens * price.output;

describe.each(wires)('$name', (wire: Wire) => {
  const labels = { tenant: 'test', target: labelOf(0) };

  test('header, log line and metrics agree; a hit costs nothing and reports what it saved', async () => {
    const chain = await startChain(wire, [[answers(wire, 'ok')]], { cache: { enabled: true }, catalog });
    const first = await chain.ask();
    expect(Number(first.headers['x-sidegate-cost-usd'])).toBe(nanoUsd / 1e9);
    expect(chain.records()[0]).toMatchObject({
      costNanoUsd: nanoUsd,
      costUsd: nanoUsd / 1e9,
      priced: true,
      savedNanoUsd: 0,
    });
    const hit = await chain.ask();
    expect(hit.headers['cache-status']).toBe('sidegate; hit');
    expect(Number(hit.headers['x-sidegate-cost-usd'])).toBe(0);
    expect(chain.records()[1]).toMatchObject({ costNanoUsd: 0, savedNanoUsd: nanoUsd, priced: true });
    const streamed = await chain.ask({ stream: true });
    expect(streamed.headers['x-sidegate-cost-usd']).toBeUndefined();
    expect((await chain.ask({ stream: true })).headers['x-sidegate-cost-usd']).toBeUndefined();
    const text = await chain.metrics();
    expect(metricIn(text, 'sidegate_cost_usd_total', labels)).toBeCloseTo((2 * nanoUsd) / 1e9, 12);
    expect(metricIn(text, 'sidegate_saved_usd_total', labels)).toBeCloseTo((2 * nanoUsd) / 1e9, 12);
    expect(metricIn(text, 'sidegate_unpriced_requests_total', { target: labelOf(0) })).toBeNull();
  });

  test('a model without a price is reported as unpriced', async () => {
    const chain = await startChain(wire, [[answers(wire, 'ok')]]);
    expect((await chain.ask()).headers['x-sidegate-cost-usd']).toBeUndefined();
    expect(chain.records()[0]).toMatchObject({ costNanoUsd: 0, priced: false });
    const text = await chain.metrics();
    expect(metricIn(text, 'sidegate_unpriced_requests_total', { target: labelOf(0) })).toBe(1);
    expect(metricIn(text, 'sidegate_cost_usd_total')).toBeNull();
  });

  test('what the first target used before its fallback answered is billed to the first', async () => {
    const chain = await startChain(
      wire,
      [
        [
          (call) => {
            call.streamHead();
            call.write(wire.opening);
            call.cut();
          },
        ],
        [answers(wire, 'ok')],
      ],
      { catalog },
    );
    await chain.ask({ stream: true });
    const record = await chain.recordWhere(({ target }) => target === labelOf(1));
    const text = await chain.metrics();
    const of = (index: number): number =>
      metricIn(text, 'sidegate_cost_usd_total', { target: labelOf(index) }) ?? 0;
    expect(of(0)).toBeGreaterThan(0);
    expect(of(1)).toBe(nanoUsd / 1e9);
    expect(of(0) + of(1)).toBeCloseTo(record.costNanoUsd / 1e9, 12);
    expect(metricIn(text, 'sidegate_tokens_total', { target: labelOf(0), direction: 'input' })).toBe(
      record.inputTokens - statedUsage.inputTokens,
    );
  });

  test('the header does not wait for the tokenizer: without usage from the provider there is no header', async () => {
    const chain = await startChain(wire, [[(call) => call.whole(200, json, silent(wire.whole('ok')))]], {
      catalog,
    });
    const reply = await chain.ask();
    expect(reply.status).toBe(200);
    expect(reply.headers['x-sidegate-cost-usd']).toBeUndefined();
    const record = await chain.recordWhere(({ usageKnown }) => !usageKnown);
    expect(record.costNanoUsd).toBe(record.inputTokens * price.input + price.output);
    expect(metricIn(await chain.metrics(), 'sidegate_token_counts_total', { result: 'counted' })).toBe(1);
  });
});

test('the sidecar as a separate process counts as well', async () => {
  const [wire] = wires;
  if (wire === undefined) throw new Error('no dialect');
  const text = 'Twelve tokens of text, or so they say. ';
  const chain = await spawnChain(wire, [
    [
      (call) => {
        call.streamHead();
        call.end(wire.opening + wire.text(text) + wire.finish() + wire.end);
      },
    ],
  ]);
  expect((await chain.ask({ stream: true })).text).toContain(text);
  const [line] = await chain.outputMatching(/\{[^\n]*"usageKnown":false[^\n]*\}/);
  expect(JSON.parse(line)).toMatchObject({
    inputTokens: 3 + tokenizer.encode('userSay hello.').length + 3,
    outputTokens: tokenizer.encode(text).length,
  });
});
