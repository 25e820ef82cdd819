/**
 * What 200 replies cost, against a calculation by hand: issue 22, Shows 3. Prices are those that the providers publish,
 * written here as they are, in dollars per million tokens; the sums are done in whole picodollars. Nothing of `src` is
 * used for what is expected.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { send } from '../support/client.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { type Call, startUpstream, type Upstream } from '../support/upstream.ts';
import {
  chat,
  chatUsage,
  cohere,
  conversed,
  generated,
  type Items,
  message,
  predicted,
  type Row,
  response,
} from '../support/usage-replies.ts';

/** Nano-dollars of items, rounded up: a millionth of a dollar per million tokens is a picodollar per token. */
function byHand(items: Items): number {
  let pico = 0n;
  for (const [count, price] of items) {
    const [whole = '0', part = ''] = price.split('.');
    pico += BigInt(count) * BigInt(whole + part.padEnd(6, '0'));
  }
  return Number((pico + 999n) / 1000n);
}

/** Tokens that divide by nothing. */
const [prompt, cached, output] = [12_347, 3_331, 6_789];

/** https://platform.openai.com/docs/pricing: input, cached input, output, for each class of service. */
const openai: readonly (readonly [string, string, string, string, string])[] = [
  ['gpt-5', 'default', '1.25', '0.125', '10'],
  ['gpt-5', 'flex', '0.625', '0.0625', '5'],
  ['gpt-5', 'priority', '2.5', '0.25', '20'],
  ['gpt-4.1', 'default', '2', '0.5', '8'],
  ['gpt-4.1', 'priority', '3.5', '0.875', '14'],
  ['gpt-4o-mini', 'default', '0.15', '0.075', '0.6'],
  ['gpt-4o-mini', 'priority', '0.25', '0.125', '1'],
  ['o4-mini', 'default', '1.1', '0.275', '4.4'],
  ['o4-mini', 'priority', '2', '0.5', '8'],
];

/** https://platform.claude.com/docs/en/about-claude/pricing: input, cache read, 5 minutes, 1 hour, output. */
const claude: readonly (readonly [string, string, string, string, string, string, long: boolean])[] = [
  ['claude-sonnet-4-5', '3', '0.3', '3.75', '6', '15', false],
  ['claude-sonnet-4-5', '6', '0.6', '7.5', '12', '22.5', true],
  ['claude-haiku-4-5', '1', '0.1', '1.25', '2', '5', false],
  ['claude-opus-4-5', '5', '0.5', '6.25', '10', '25', false],
];

/** The same page, "Data residency" and "Fast mode": what the reply says besides, input, cache read, output. */
const served: readonly (readonly [string, object, string, string, string])[] = [
  ['as usual', { inference_geo: 'global', speed: 'standard' }, '5', '0.5', '25'],
  ['in the US', { inference_geo: 'us' }, '5.5', '0.55', '27.5'],
  ['fast', { speed: 'fast' }, '30', '3', '150'],
  ['fast in the US', { speed: 'fast', inference_geo: 'us' }, '33', '3.3', '165'],
];

/** https://ai.google.dev/gemini-api/docs/pricing: what the reply says besides, input, output. */
const tiers: readonly (readonly [string, object, string, string])[] = [
  ['standard', { serviceTier: 'standard' }, '0.3', '2.5'],
  ['flex', { serviceTier: 'flex' }, '0.15', '1.25'],
  ['priority', { serviceTier: 'priority' }, '0.54', '4.5'],
  ['flex at Vertex', { trafficType: 'ON_DEMAND_FLEX' }, '0.15', '1.25'],
  ['priority at Vertex', { trafficType: 'ON_DEMAND_PRIORITY' }, '0.54', '4.5'],
];

/** https://ai.google.dev/gemini-api/docs/pricing: input, cached, output. */
const gemini: readonly (readonly [string, string, string, string, long: boolean])[] = [
  ['gemini-2.5-pro', '1.25', '0.125', '10', false],
  ['gemini-2.5-pro', '2.5', '0.25', '15', true],
  ['gemini-2.5-flash', '0.3', '0.03', '2.5', false],
];

/** The providers' own pages: input, cached input, output. */
const others: readonly (readonly [string, string, string, string])[] = [
  ['mistral-large-latest', '2', '2', '6'],
  ['mistral-small-latest', '0.1', '0.1', '0.3'],
  ['deepseek-chat', '0.27', '0.07', '1.1'],
  ['grok-4', '3', '0.75', '15'],
  ['llama-3.3-70b-versatile', '0.59', '0.59', '0.79'],
];

/** https://replicate.com/pricing; no table that is built in has it. */
const replicated = { model: 'meta/meta-llama-3-70b-instruct', inputUsdPerMTok: 0.65, outputUsdPerMTok: 2.75 };

const rows: readonly Row[] = [
  ...openai.flatMap(([model, tier, input, read, reply]): Row[] =>
    [0, cached].map((hit) => ({
      name: `${model}, ${tier}, ${hit} cached`,
      model,
      said: chat(model, chatUsage(prompt, hit, output), tier),
      items: [
        [prompt - hit, input],
        [hit, read],
        [output, reply],
      ],
    })),
  ),
  ...openai.slice(0, 3).map(
    ([model, tier, input, read, reply]): Row => ({
      name: `${model} by Responses, ${tier}`,
      model: `responses-${model}`,
      said: response(model, prompt, cached, output, tier),
      items: [
        [prompt - cached, input],
        [cached, read],
        [output, reply],
      ],
    }),
  ),
  ...claude.flatMap(([model, input, read, minutes, hour, reply, long]): Row[] => {
    const base = long ? 200_003 : prompt;
    return [
      [0, 0, 0],
      [cached, 0, 0],
      [0, 777, 0],
      [0, 0, 999],
      [cached, 777, 999],
    ].map(([hit = 0, short = 0, kept = 0]) => ({
      name: `${model}${long ? ', long' : ''}, ${hit} read, ${short} and ${kept} written`,
      model,
      said: message(model, base, hit, short, kept, output),
      items: [
        [base, input],
        [hit, read],
        [short, minutes],
        [kept, hour],
        [output, reply],
      ],
    }));
  }),
  ...gemini.flatMap(([model, input, read, reply, long]): Row[] => {
    const base = long ? 200_003 : prompt;
    return [
      [0, 0],
      [cached, 0],
      [cached, 1234],
    ].map(([hit = 0, thoughts = 0]) => ({
      name: `${model}${long ? ', long' : ''}, ${hit} cached, ${thoughts} thought`,
      model,
      said: generated(base, hit, output, thoughts),
      items: [
        [base - hit, input],
        [hit, read],
        [output + thoughts, reply],
      ],
    }));
  }),
  ...others.flatMap(([model, input, read, reply]): Row[] =>
    [0, cached].map((hit) => ({
      name: `${model}, ${hit} cached`,
      model,
      said: chat(model, chatUsage(prompt, hit, output)),
      items: [
        [prompt - hit, input],
        [hit, read],
        [output, reply],
      ],
    })),
  ),
  ...served.map(
    ([how, said, input, read, reply]): Row => ({
      name: `claude-opus-4-6, ${how}`,
      model: 'claude-opus-4-6',
      said: message('claude-opus-4-6', prompt, cached, 0, 0, output, said),
      items: [
        [prompt, input],
        [cached, read],
        [output, reply],
      ],
    }),
  ),
  ...tiers.map(
    ([tier, said, input, reply]): Row => ({
      name: `gemini-2.5-flash, ${tier}`,
      model: 'gemini-2.5-flash',
      said: generated(prompt, 0, output, 0, said),
      items: [
        [prompt, input],
        [output, reply],
      ],
    }),
  ),
  {
    name: 'Llama on Replicate',
    model: replicated.model,
    said: predicted(replicated.model, prompt, output),
    items: [
      [prompt, '0.65'],
      [output, '2.75'],
    ],
  },
  // Bedrock's regional price of Claude is 10% above Anthropic's.
  ...[0, cached].map(
    (hit): Row => ({
      name: `Claude on Bedrock, ${hit} read`,
      model: 'anthropic.claude-sonnet-4-5-20250929-v1:0',
      said: conversed(prompt, hit, hit === 0 ? 0 : 777, output),
      items: [
        [prompt, '3.3'],
        [hit, '0.33'],
        [hit === 0 ? 0 : 777, '4.125'],
        [output, '16.5'],
      ],
    }),
  ),
  {
    name: 'Nova on Bedrock',
    model: 'amazon.nova-pro-v1:0',
    said: conversed(prompt, cached, 0, output),
    items: [
      [prompt, '0.8'],
      [cached, '0.2'],
      [output, '3.2'],
    ],
  },
  {
    name: 'Command A',
    model: 'command-a-03-2025',
    said: cohere(prompt, output),
    items: [
      [prompt, '2.5'],
      [output, '10'],
    ],
  },
  // A dollar per million tokens, times 12,300,000: OpenRouter states dollars, whatever a table says.
  ...['openai/gpt-4o', 'openrouter/auto'].map(
    (model): Row => ({
      name: `OpenRouter, ${model}`,
      model: `openrouter/${model}`,
      said: chat(model, { ...chatUsage(prompt, 0, output), cost: 0.0123 }),
      items: [[12_300, '1']],
    }),
  ),
];

/** Providers by what their models begin with. */
const providers: readonly (readonly [prefix: string, preset: string, stripped?: true])[] = [
  ['responses-', 'openai-responses', true],
  ['openrouter/', 'openrouter', true],
  ['gpt-', 'openai'],
  ['o4-', 'openai'],
  ['claude-', 'anthropic'],
  ['gemini-', 'gemini'],
  ['mistral-', 'mistral'],
  ['deepseek-', 'deepseek'],
  ['grok-', 'xai'],
  ['llama-', 'groq'],
  ['anthropic.', 'bedrock'],
  ['amazon.', 'bedrock'],
  ['command-', 'cohere'],
  ['meta/', 'replicate'],
];

let upstream: Upstream;
let sidecar: TestSidecar;
beforeAll(async () => {
  upstream = await startUpstream();
  const names = [...new Set(providers.map(([, preset]) => preset))];
  sidecar = await startTestSidecar({
    cache: { enabled: false },
    providers: Object.fromEntries(
      names.map((preset) => [preset, { preset, apiKey: 'k', baseUrl: upstream.baseUrl }]),
    ),
    catalog: { models: [replicated] },
    routes: providers.map(([prefix, provider, stripped]) => ({
      model: `${prefix}*`,
      targets: [{ provider, model: stripped === true ? '*' : `${prefix}*` }],
    })),
    attempt: { retriesMax: 0 },
  });
});
afterAll(async () => {
  await sidecar.stop();
  await upstream.close();
});

const json = { 'content-type': 'application/json' };
const clients = {
  chat: (model: string, stream: boolean) =>
    ['/v1/chat/completions', { model, stream, messages: [{ role: 'user', content: 'hi' }] }] as const,
  messages: (model: string, stream: boolean) =>
    [
      '/v1/messages',
      { model, stream, max_tokens: 100, messages: [{ role: 'user', content: 'hi' }] },
    ] as const,
};

let asked = 0;
/** Nano-dollars of one call in the record. */
async function costOf(
  client: keyof typeof clients,
  model: string,
  stream: boolean,
  answer: (call: Call) => void,
) {
  const id = `hand-${asked++}`;
  upstream.answer(answer);
  const [path, body] = clients[client](model, stream);
  const sent = send(sidecar.url, path, { body, headers: { 'x-client-request-id': id } });
  const reply = await sent.reply;
  await reply.all().catch(() => '');
  const record = await sidecar.recordWhere(({ clientRequestId }) => clientRequestId === id);
  return { status: reply.status, costNanoUsd: record.costNanoUsd, priced: record.priced };
}

const cases = rows.flatMap((row) =>
  (['chat', 'messages'] as const).flatMap((client) =>
    [false, true].flatMap((stream) => (stream && row.said.stream === null ? [] : [{ row, client, stream }])),
  ),
);

test('there are 200 of them', () => {
  expect(cases.length).toBeGreaterThanOrEqual(200);
});

describe.each(['chat', 'messages'] as const)('a client of %s', (client) => {
  test.each(rows)('$name', async ({ model, said, items }) => {
    const expected = { status: 200, costNanoUsd: byHand(items), priced: true };
    const whole = await costOf(client, model, false, (call) =>
      call.whole(200, json, JSON.stringify(said.whole)),
    );
    expect(whole).toEqual(expected);
    const { stream } = said;
    if (stream === null) return;
    const streamed = await costOf(client, model, true, (call) => {
      call.streamHead({ 'content-type': 'text/event-stream' });
      call.end(stream);
    });
    expect(streamed).toEqual(expected);
  });
});

test('a stream that is cut costs the prompt it stated and the tokens that arrived', async () => {
  const begun =
    message('claude-sonnet-4-5', prompt, cached, 777, 999, output).stream?.split(
      'event: content_block_stop',
    )[0] ?? '';
  const { costNanoUsd } = await costOf('messages', 'claude-sonnet-4-5', true, (call) => {
    call.streamHead();
    // Two tokens by o200k_base: "Hello", " there".
    call.write(begun.replace('"ok"', '"Hello there"'));
    call.cut();
  });
  const items: Items = [
    [prompt, '3'],
    [cached, '0.3'],
    [777, '3.75'],
    [999, '6'],
    [2, '15'],
  ];
  expect(costNanoUsd).toBe(byHand(items));
});

test('a whole reply that its client leaves costs its prompt', async () => {
  const id = `hand-${asked++}`;
  const before = upstream.calls.length;
  upstream.answer(() => {});
  const [path, body] = clients.chat('gpt-5', false);
  const sent = send(sidecar.url, path, { body, headers: { 'x-client-request-id': id } });
  sent.reply.catch(() => {});
  await upstream.call(before);
  sent.hangUp();
  const record = await sidecar.recordWhere(({ clientRequestId }) => clientRequestId === id);
  // 3 for the message, 1 for its role, 1 for "hi", 3 for the reply to come: OpenAI's cookbook on counting.
  expect([record.inputTokens, record.costNanoUsd]).toEqual([8, byHand([[8, '1.25']])]);
});

test('an image costs its tokens, those of text and of images each at their price', async () => {
  const usage = {
    input_tokens: 343,
    output_tokens: 1056,
    total_tokens: 1399,
    input_tokens_details: { text_tokens: 20, image_tokens: 323 },
  };
  const id = `hand-${asked++}`;
  const drawn = { created: 1, data: [{ b64_json: 'AAAA' }], usage };
  upstream.answer((call) => call.whole(200, json, JSON.stringify(drawn)));
  const body = { model: 'gpt-image-1', prompt: 'a cat', n: 1 };
  const headers = { 'x-client-request-id': id };
  expect((await send(sidecar.url, '/v1/images/generations', { body, headers }).reply).status).toBe(200);
  const { costNanoUsd } = await sidecar.recordWhere(({ clientRequestId }) => clientRequestId === id);
  const items: Items = [
    [20, '5'],
    [323, '10'],
    [1056, '40'],
  ];
  expect(costNanoUsd).toBe(byHand(items));
});
