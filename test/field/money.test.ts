/** What a reply states that decides its price, and what is paid without one: FIELD rows B7, B8, B9, B16, B17, B23; faults row 38. */
import { expect, onTestFinished, test } from 'vitest';
import { send } from '../support/client.ts';
import { geminiWire } from '../support/gemini-wire.ts';
import { anthropicWire, openaiWire, testModel, type Wire } from '../support/replies.ts';
import { startTestSidecar } from '../support/sidecar.ts';
import { hangs, type Script, startUpstream } from '../support/upstream.ts';

const json = { 'content-type': 'application/json' };
/** A model without a price gets 1000 nano-dollars a token of the prompt, 4000 of the reply, 1250 for a cache write. */
const own = {
  inputUsdPerMTok: 1,
  outputUsdPerMTok: 4,
  cachedInputUsdPerMTok: 0.1,
  cacheWriteUsdPerMTok: 1.25,
};

interface Asked {
  readonly script: Script;
  /** Of the provider; the client speaks `client`, or the same. */
  readonly wire: Wire;
  readonly client?: Wire;
  readonly preset?: string;
  readonly model?: string;
  readonly stream?: boolean;
}

/** Asks once; resolves with the nano-dollars of the record. */
async function cost(asked: Asked): Promise<number> {
  const { sidecar, ask } = await start(asked);
  await ask();
  return (await sidecar.recordWhere(() => true)).costNanoUsd;
}

async function start({ script, wire, client = wire, preset, model = 'own', stream = false }: Asked) {
  const upstream = await startUpstream(script);
  const sidecar = await startTestSidecar({
    cache: { enabled: false },
    providers: {
      p: {
        dialect: wire.name,
        baseUrl: upstream.baseUrl,
        ...(preset === undefined ? {} : { preset, apiKey: 'k' }),
      },
    },
    catalog: { models: [{ provider: 'p', model: 'own', ...own }] },
    routes: [{ model: '*', targets: [{ provider: 'p' }] }],
    attempt: { retriesMax: 0 },
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
  });
  // Gemini's paths name the model.
  const path = ((stream ? client.streamPath : undefined) ?? client.path).replace(testModel, model);
  const sent = () => send(sidecar.url, path, { body: client.request('hi', { model, stream }) });
  const ask = async (): Promise<string> => (await sent().reply).all().then((bytes) => bytes.toString());
  return { sidecar, upstream, sent, ask };
}

/** A whole reply with these members besides. */
const states =
  (wire: Wire, more: object): Script =>
  (call) =>
    call.whole(200, json, JSON.stringify({ ...JSON.parse(wire.whole('Good')), ...more }));

const clients = [anthropicWire, openaiWire];

test.each(clients)('B7: cumulative usage never falls ($name)', async (client) => {
  const event = (data: { type: string }): string => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
  const relay: Script = (call) => {
    call.streamHead();
    const usage = { input_tokens: 1000, cache_creation_input_tokens: 0, cache_read_input_tokens: 200 };
    const message = { id: 'm', type: 'message', role: 'assistant', model: 'own', content: [] };
    for (const data of [
      { type: 'message_start', message: { ...message, usage: { ...usage, output_tokens: 1 } } },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Good' } },
      { type: 'content_block_stop', index: 0 },
      {
        type: 'message_delta',
        delta: { stop_reason: 'end_turn' },
        usage: { input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 15 },
      },
      { type: 'message_stop' },
    ])
      call.write(event(data));
    call.end();
  };
  const asked = { script: relay, wire: anthropicWire, client, stream: true };
  expect(await cost(asked)).toBe(1000 * 1000 + 200 * 100 + 15 * 4000);
});

const usage = { prompt_tokens: 1_000_000, completion_tokens: 1000, total_tokens: 1_001_000 };
test.each([
  ['gpt-5', 'default', 1250 * 1_000_000 + 10_000 * 1000],
  ['gpt-5', 'flex', (1250 * 1_000_000 + 10_000 * 1000) / 2],
  ['gpt-5', 'priority', 2 * (1250 * 1_000_000 + 10_000 * 1000)],
  ['gpt-5-mini', 'priority', 450 * 1_000_000 + 3600 * 1000],
  ['gpt-4.1', 'priority', 3500 * 1_000_000 + 14_000 * 1000],
  ['gpt-4o-mini', 'priority', 250 * 1_000_000 + 1000 * 1000],
  ['o4-mini', 'priority', 2000 * 1_000_000 + 8000 * 1000],
])('B8: %s at the service tier %s', async (model, tier, nano) => {
  const script = states(openaiWire, { usage, service_tier: tier });
  for (const client of clients)
    expect(await cost({ script, wire: openaiWire, client, preset: 'openai', model })).toBe(nano);
});

test.each(clients)(
  'B16: what is kept in the cache for an hour costs twice as much as input ($name)',
  async (client) => {
    const script = states(anthropicWire, {
      usage: {
        input_tokens: 10,
        cache_creation_input_tokens: 1000,
        cache_creation: { ephemeral_5m_input_tokens: 400, ephemeral_1h_input_tokens: 600 },
        output_tokens: 5,
      },
    });
    expect(await cost({ script, wire: anthropicWire, client })).toBe(
      10 * 1000 + 400 * 1250 + 600 * 2000 + 5 * 4000,
    );
  },
);

const part = (type: string, input_tokens: number, output_tokens: number, more: object = {}) => ({
  type,
  input_tokens,
  output_tokens,
  ...more,
});

test('what making a conversation shorter took is paid, whole and streamed', async () => {
  const written = {
    cache_creation_input_tokens: 500,
    cache_read_input_tokens: 2000,
    cache_creation: { ephemeral_5m_input_tokens: 400, ephemeral_1h_input_tokens: 100 },
  };
  const total = {
    input_tokens: 23_000,
    output_tokens: 1000,
    iterations: [part('compaction', 180_000, 3500, written), part('message', 23_000, 1000)],
  };
  const streamed: Script = (call) => {
    call.streamHead();
    const named = ({ type, ...data }: { type: string; [name: string]: unknown }) =>
      call.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`);
    const message = { id: 'm', type: 'message', role: 'assistant', model: 'own', content: [] };
    named({
      type: 'message_start',
      message: { ...message, usage: { input_tokens: 23_000, output_tokens: 1 } },
    });
    named({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: 'Good' } });
    named({ type: 'content_block_stop', index: 0 });
    named({ type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: total });
    named({ type: 'message_stop' });
    call.end();
  };
  const nano = 203_000 * 1000 + 2000 * 100 + 400 * 1250 + 100 * 2000 + 4500 * 4000;
  const script = states(anthropicWire, { usage: total });
  expect(await cost({ script, wire: anthropicWire })).toBe(nano);
  expect(await cost({ script: streamed, wire: anthropicWire, stream: true })).toBe(nano);
});

test.each([
  // Each prompt is below 200,000 tokens, where the price doubles, and all of them together are above.
  [[part('message', 150_000, 500), part('message', 150_000, 500)], 300_000 * 3000 + 1000 * 15_000],
  [[part('message', 250_000, 500), part('message', 50_000, 500)], 300_000 * 6000 + 1000 * 22_500],
])('a longer prompt’s price goes by the longest of several prompts (%#)', async (iterations, nano) => {
  const script = states(anthropicWire, { usage: { input_tokens: 300_000, output_tokens: 1000, iterations } });
  const asked = { script, wire: anthropicWire, preset: 'anthropic', model: 'claude-sonnet-4-5' };
  expect(await cost(asked)).toBe(nano);
});

const drawn = {
  promptTokenCount: 100,
  promptTokensDetails: [
    { modality: 'TEXT', tokenCount: 40 },
    { modality: 'AUDIO', tokenCount: 60 },
  ],
  candidatesTokenCount: 1300,
  candidatesTokensDetails: [
    { modality: 'IMAGE', tokenCount: 1290 },
    { modality: 'TEXT', tokenCount: 10 },
  ],
};
const spoken = {
  prompt_tokens: 100,
  prompt_tokens_details: { audio_tokens: 60, cached_tokens: 0 },
  completion_tokens: 1300,
  completion_tokens_details: { audio_tokens: 1290, reasoning_tokens: 0 },
};
test.each([
  ['a picture of Gemini', 'gemini', 'gemini-2.5-flash-image', drawn, 100 * 300 + 1290 * 30_000 + 10 * 2500],
  ['sound for Gemini', 'gemini', 'gemini-2.5-flash', drawn, 40 * 300 + 60 * 1000 + 1300 * 2500],
  ['sound of OpenAI', 'openai', 'gpt-audio', spoken, 40 * 2500 + 60 * 32_000 + 1290 * 64_000 + 10 * 10_000],
] as const)('%s costs its own price, passed on and translated, whole and streamed', async (...row) => {
  const [, preset, model, usage, nano] = row;
  const wire = preset === 'gemini' ? geminiWire : openaiWire;
  const stated = preset === 'gemini' ? { usageMetadata: usage } : { usage };
  const streamed: Script = (call) => {
    call.streamHead();
    const told =
      preset === 'gemini'
        ? { candidates: [{ content: { parts: [{ text: 'Good' }] }, finishReason: 'STOP' }], ...stated }
        : { choices: [{ index: 0, delta: { content: 'Good' }, finish_reason: 'stop' }], ...stated };
    call.write(`data: ${JSON.stringify(told)}\n\n`);
    if (preset === 'openai') call.write('data: [DONE]\n\n');
    call.end();
  };
  for (const client of [wire, anthropicWire])
    for (const stream of [false, true]) {
      const script = stream ? streamed : states(wire, stated);
      expect([client.name, stream, await cost({ script, wire, client, preset, model, stream })]).toEqual([
        client.name,
        stream,
        nano,
      ]);
    }
});

test.each(clients)('fast mode costs what the reply says it was ($name)', async (client) => {
  const tokens = { input_tokens: 100, output_tokens: 10 };
  const asked = { wire: anthropicWire, client };
  const fast = states(anthropicWire, { usage: { ...tokens, speed: 'fast' } });
  expect(await cost({ ...asked, script: fast })).toBe(2 * (100 * 1000 + 10 * 4000));
  const standard = states(anthropicWire, { usage: { ...tokens, speed: 'standard' } });
  expect(await cost({ ...asked, script: standard })).toBe(100 * 1000 + 10 * 4000);
});

test.each(clients)(
  'B23: dollars that OpenRouter states are what is billed, of others they are not ($name)',
  async (client) => {
    const script = states(openaiWire, { usage: { ...usage, cost: 0.0123 } });
    for (const model of ['openai/gpt-4o', 'openrouter/auto'])
      expect(await cost({ script, wire: openaiWire, client, preset: 'openrouter', model })).toBe(12_300_000);
    expect(await cost({ script, wire: openaiWire, client })).toBe(1000 * 1_000_000 + 4000 * 1000);
  },
);

/** Its head alone, or with a sign of life. */
const begins =
  (type: string, bytes: string): Script =>
  (call) => {
    call.head(200, { 'content-type': type });
    if (bytes !== '') call.write(bytes);
  };

test.each<[string, boolean, Script]>([
  ['nothing came', false, hangs],
  ['nothing came of a stream', true, hangs],
  ['the head of a stream came', true, begins('text/event-stream', '')],
  ['a comment came', true, begins('text/event-stream', ': OPENROUTER PROCESSING\n\n')],
  ['blank lines of a reply came', false, begins('application/json', '\n\n')],
])('B17, row 38: a call that its client leaves costs its prompt (%s)', async (_, stream, script) => {
  const { sidecar, upstream, sent } = await start({ script, wire: openaiWire, stream });
  const leaving = sent();
  leaving.reply.catch(() => {});
  const call = await upstream.call(0);
  leaving.hangUp();
  await call.aborted;
  const record = await sidecar.recordWhere(() => true);
  expect(record).toMatchObject({ abandoned: true, outputTokens: 0, usageKnown: false });
  expect(record.inputTokens).toBeGreaterThan(0);
  expect(record.costNanoUsd).toBe(record.inputTokens * 1000);
});

test('B9: a response in the background holds all that was reserved, and is asked for once', async () => {
  const upstream = await startUpstream((call) => {
    const promised = {
      id: 'resp_1',
      object: 'response',
      status: 'queued',
      model: 'own',
      output: [],
      usage: null,
    };
    call.whole(200, json, JSON.stringify(promised));
  });
  const sidecar = await startTestSidecar({
    cache: { enabled: true },
    providers: { p: { dialect: 'responses', baseUrl: upstream.baseUrl } },
    catalog: { models: [{ provider: 'p', model: 'own', ...own }] },
    routes: [{ model: '*', targets: [{ provider: 'p' }] }],
    budgets: [{ name: 'dollars', window: 'day', usd: 0.01, per: ['tenant'] }],
    attempt: { retriesMax: 1, backoffBaseMs: 0 },
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
  });
  // 2,000 tokens of reply may cost 0.008 dollars: of 0.01, there is room for one.
  const body = { model: 'own', input: 'hi', background: true, max_output_tokens: 2000 };
  const ask = async () => (await send(sidecar.url, '/v1/responses', { body }).reply).status;
  expect([await ask(), await ask()]).toEqual([200, 429]);
  expect(upstream.calls).toHaveLength(1);
});

test.each<[string, object, Record<string, string>, number]>([
  ['once, as it goes on at the provider', { background: true }, {}, 1],
  ['again, if the app made that safe', { background: true }, { 'idempotency-key': 'k' }, 2],
  ['again, if it ends with its call', {}, {}, 2],
])('B9: a response whose call breaks is asked for %s', async (_, more, headers, calls) => {
  const upstream = await startUpstream((call) => call.cut());
  const sidecar = await startTestSidecar({
    cache: { enabled: false },
    providers: { p: { dialect: 'responses', baseUrl: upstream.baseUrl } },
    routes: [{ model: '*', targets: [{ provider: 'p' }] }],
    attempt: { retriesMax: 1, backoffBaseMs: 0 },
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
  });
  const body = { model: 'own', input: 'hi', ...more };
  expect((await send(sidecar.url, '/v1/responses', { body, headers }).reply).status).toBe(503);
  expect(upstream.calls).toHaveLength(calls);
});
