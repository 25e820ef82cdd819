/**
 * What requests cost, each kind of end against a calculation by hand: in the record, in the ledger and in the metrics.
 * Prices are 1000 nano-dollars a token of the prompt and 4000 of the reply, ten times that at the second target; 100 for
 * a token read from the provider's cache, 1250 for one written to it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { realWorld } from '../../src/base/world.ts';
import { openReader } from '../../src/observe/ledger/report.ts';
import { type Asking, startGate } from '../support/gate.ts';
import { anthropicWire, openaiWire, type Wire } from '../support/replies.ts';
import { eventually } from '../support/until.ts';
import { answers, type Script, startUpstream } from '../support/upstream.ts';

const json = { 'content-type': 'application/json' };
const good = answers(openaiWire, 'Good');
/** 25 tokens of prompt and 15 of reply, as `good` states. */
const statedNano = 25 * 1000 + 15 * 4000;
/** "Hello there": two tokens, four for the message and its role, three before the reply. */
const prompt = 'Hello there';
const promptTokens = 2 + 3 + 1 + 3;

/** A whole reply with this usage. */
const states =
  (wire: Wire, usage: object): Script =>
  (call) =>
    call.whole(200, json, JSON.stringify({ ...JSON.parse(wire.whole('Good')), usage }));

/** A stream that ends without its usage: "one two three", three tokens. */
const unstated: Script = (call) => {
  call.streamHead();
  for (const event of [
    openaiWire.opening,
    openaiWire.text('one two three'),
    openaiWire.finish(),
    openaiWire.end,
  ])
    call.write(event);
  call.end();
};
/** The same, cut after two of them. */
const cut: Script = (call) => {
  call.streamHead();
  call.write(openaiWire.opening + openaiWire.text('one two'));
  call.cut();
};
/** A stream that opens, and is cut before any text. */
const opens: Script = (call) => {
  call.streamHead();
  call.write(openaiWire.opening);
  call.cut();
};
/** A stream that opens, and keeps silent. */
const openly: Script = (call) => {
  call.streamHead();
  call.write(openaiWire.opening);
};
const fails: Script = (call) => call.whole(500, json, '{"error":{"message":"no"}}');

interface Case {
  readonly what: string;
  readonly wire?: Wire;
  readonly scripts: readonly Script[];
  /** Of the second target. */
  readonly second?: readonly Script[];
  readonly asking?: Asking;
  readonly stream?: boolean;
  readonly attempt?: object;
  /** Nano-dollars by target. */
  readonly costs: Readonly<Record<string, number>>;
  readonly known?: boolean;
}

const cases: readonly Case[] = [
  { what: 'a whole reply that states its usage', scripts: [good], costs: { 'first/m': statedNano } },
  {
    what: 'a reply that states more tokens than a prompt can have',
    scripts: [states(openaiWire, { prompt_tokens: 1e308, completion_tokens: 15 })],
    costs: { 'first/m': promptTokens * 1000 + 4000 },
    known: false,
  },
  {
    what: 'a reply that states more tokens than a model writes',
    scripts: [states(openaiWire, { prompt_tokens: 25, completion_tokens: 4_000_000_000 })],
    costs: { 'first/m': promptTokens * 1000 + 4000 },
    known: false,
  },
  { what: 'a stream that states its usage', scripts: [good], stream: true, costs: { 'first/m': statedNano } },
  {
    what: 'a stream without a usage event: its text is counted',
    scripts: [unstated],
    stream: true,
    costs: { 'first/m': promptTokens * 1000 + 3 * 4000 },
    known: false,
  },
  {
    what: 'a stream that is cut: what arrived is counted',
    scripts: [cut],
    stream: true,
    costs: { 'first/m': promptTokens * 1000 + 2 * 4000 },
    known: false,
  },
  {
    what: 'a fallback from an error: the error is free',
    scripts: [fails],
    second: [good],
    costs: { 'second/m': 10 * statedNano },
  },
  {
    what: 'a fallback from a stream that had begun: both are billed',
    scripts: [opens],
    second: [good],
    stream: true,
    costs: { 'first/m': promptTokens * 1000, 'second/m': 10 * statedNano },
    known: false,
  },
  {
    what: 'a hedge: the loser is billed for its prompt',
    scripts: [openly, good],
    stream: true,
    attempt: { hedge: { enabled: true, delayMs: 20 } },
    costs: { 'first/m': promptTokens * 1000 + statedNano },
    known: false,
  },
  {
    what: 'tokens from the provider’s cache (OpenAI)',
    scripts: [
      states(openaiWire, {
        prompt_tokens: 100,
        completion_tokens: 10,
        total_tokens: 110,
        prompt_tokens_details: { cached_tokens: 60 },
      }),
    ],
    costs: { 'first/m': 40 * 1000 + 60 * 100 + 10 * 4000 },
  },
  {
    what: 'tokens from and to the provider’s cache (Anthropic)',
    wire: anthropicWire,
    scripts: [
      states(anthropicWire, {
        input_tokens: 10,
        cache_creation_input_tokens: 20,
        cache_read_input_tokens: 30,
        output_tokens: 5,
      }),
    ],
    costs: { 'first/m': 10 * 1000 + 20 * 1250 + 30 * 100 + 5 * 4000 },
  },
  {
    what: 'a batch request: a call like any other, at the same price',
    scripts: [good],
    asking: { headers: { 'x-sidegate-priority': 'batch' } },
    costs: { 'first/m': statedNano },
  },
];

/** A gate with two targets and the prices above, and its ledger. */
async function start({
  wire = openaiWire,
  scripts,
  second = [],
  attempt = {},
  strategy,
  dearestFirst = false,
}: Omit<Case, 'what' | 'costs'> & { readonly strategy?: 'cost'; readonly dearestFirst?: boolean }) {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-costs-'));
  const path = join(folder, 'ledger.db');
  const other = await startUpstream(...second);
  const prices = (provider: string, times: number) => ({
    provider,
    model: 'm',
    inputUsdPerMTok: times,
    outputUsdPerMTok: 4 * times,
    cachedInputUsdPerMTok: 0.1 * times,
    cacheWriteUsdPerMTok: 1.25 * times,
  });
  const own = await startUpstream(...scripts);
  const targets = [
    { provider: 'first', model: 'm', ...(strategy === undefined ? {} : { tier: 'simple' as const }) },
    { provider: 'second', model: 'm', ...(strategy === undefined ? {} : { tier: 'complex' as const }) },
  ];
  const gate = await startGate(
    [],
    {
      observe: { ledger: { path } },
      providers: {
        first: { dialect: wire.name, baseUrl: own.baseUrl },
        second: { dialect: wire.name, baseUrl: other.baseUrl },
      },
      catalog: { models: [prices('first', 1), prices('second', 10)] },
      routes: [
        {
          model: 'chat',
          ...(strategy === undefined ? {} : { strategy }),
          targets: dearestFirst ? targets.toReversed() : targets,
        },
      ],
      attempt: { retriesMax: 0, ...attempt },
    },
    { startThread: realWorld.startThread },
  );
  onTestFinished(async () => {
    await gate.stop();
    await own.close();
    await other.close();
    rmSync(folder, { recursive: true, force: true });
  });
  /** Cost and savings by target, as the ledger adds them up once it has so many requests. */
  const ledger = async (
    requests: number,
    saved: 'savedNanoUsd' | 'routingSavedNanoUsd' = 'savedNanoUsd',
  ): Promise<Record<string, number[]>> => {
    const everything = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER };
    return eventually(async () => {
      const reader = await openReader(path);
      try {
        expect([...reader.rows(everything)]).toHaveLength(requests);
        return Object.fromEntries(
          reader
            .costs(['target'], everything)
            .map((row) => [row.values.join(), [Number(row.costNanoUsd), Number(row[saved])]]),
        );
      } finally {
        reader.close();
      }
    });
  };
  return { gate, ledger };
}

test.each(cases)('$what', async (one) => {
  const { wire = openaiWire, asking = {}, stream = false, costs, known = true } = one;
  const { gate, ledger } = await start(one);
  const more = { model: 'chat', ...asking.more };
  if (stream) await (await gate.stream(wire, prompt, { ...asking, more })).all().catch(() => {});
  else expect((await gate.ask(wire, prompt, { ...asking, more })).status).toBe(200);
  const record = await gate.sidecar.recordWhere(() => true);
  const total = Object.values(costs).reduce((sum, each) => sum + each, 0);
  expect([record.costNanoUsd, record.priced, record.usageKnown]).toEqual([total, true, known]);
  expect(await ledger(1)).toEqual(
    Object.fromEntries(Object.entries(costs).map(([target, cost]) => [target, [cost, 0]])),
  );
  const metrics = await gate.sidecar.metrics();
  for (const [target, cost] of Object.entries(costs))
    expect(metrics).toContain(`sidegate_cost_usd_total{tenant="test",target="${target}"} ${cost / 1e9}`);
});

test('a route that chooses by price says what that saved; one that doesn’t saves nothing', async () => {
  const { gate, ledger } = await start({ scripts: [good], second: [good], strategy: 'cost' });
  const ask = (tier: string) =>
    gate.ask(openaiWire, prompt, { more: { model: 'chat' }, headers: { 'x-sidegate-tier': tier } });
  await ask('simple');
  await ask('complex');
  // At the dearest target, the same tokens cost ten times as much.
  await eventually(() => expect(gate.sidecar.records()).toHaveLength(2));
  expect(gate.sidecar.records().map((each) => each.routingSavedNanoUsd)).toEqual([9 * statedNano, 0]);
  expect(await ledger(2, 'routingSavedNanoUsd')).toEqual({
    'first/m': [statedNano, 9 * statedNano],
    'second/m': [10 * statedNano, 0],
  });
  expect(await gate.sidecar.metrics()).toContain(
    `sidegate_routing_saved_usd_total{tenant="test",target="first/m"} ${(9 * statedNano) / 1e9}`,
  );
  const chain = await start({ scripts: [good], second: [good] });
  await chain.gate.ask(openaiWire, prompt, { more: { model: 'chat' } });
  expect(await chain.ledger(1, 'routingSavedNanoUsd')).toEqual({ 'first/m': [statedNano, 0] });
  // A batch request takes the cheapest of a chain.
  const batch = await start({ scripts: [good], second: [good], dearestFirst: true });
  const headers = { 'x-sidegate-priority': 'batch' };
  await batch.gate.ask(openaiWire, prompt, { more: { model: 'chat' }, headers });
  expect(await batch.ledger(1, 'routingSavedNanoUsd')).toEqual({ 'first/m': [statedNano, 9 * statedNano] });
});

test('a hit of the cache and a repeated key cost nothing, and say what they saved', async () => {
  const { gate, ledger } = await start({ scripts: [good] });
  const asking = { more: { model: 'chat' }, headers: { 'idempotency-key': 'k' } };
  await gate.ask(openaiWire, prompt, asking);
  await gate.ask(openaiWire, prompt, asking);
  await gate.ask(openaiWire, prompt, { more: { model: 'chat' } });
  expect(await ledger(3)).toEqual({ 'first/m': [statedNano, 2 * statedNano] });
  const records = gate.sidecar.records();
  expect(records.map(({ costNanoUsd, savedNanoUsd }) => [costNanoUsd, savedNanoUsd])).toEqual([
    [statedNano, 0],
    [0, statedNano],
    [0, statedNano],
  ]);
  expect(await gate.sidecar.metrics()).toContain(
    `sidegate_saved_usd_total{tenant="test",target="first/m"} ${(2 * statedNano) / 1e9}`,
  );
});
