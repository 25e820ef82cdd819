/**
 * A thousand chats at once against a limit that pays for ten: ten reach the provider. For each unit and algorithm, and
 * with 200 requests for each other endpoint, streamed or not, on real sockets.
 */
import { Pool } from 'undici';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createEstimator } from '../../src/count/estimate.ts';
import { anthropicWire, openaiWire, testModel, type Wire } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar } from '../support/sidecar.ts';
import { type Call, startUpstream } from '../support/upstream.ts';

const paid = 10;
/** Shorter than what the estimator learns from, so that every request costs the same. */
const prompt = 'hi';
const promptTokens = createEstimator().tokens(testModel, prompt.length);
const replyTokens = 20;

interface Endpoint {
  readonly name: string;
  readonly path: string;
  readonly body: (stream: boolean) => object;
  readonly streams: boolean;
  /** How many are sent at once. */
  readonly requests: number;
  /** Tokens of a reply. */
  readonly output: number;
  /** Exactly what was reserved. */
  readonly answer: (call: Call) => void;
}

const json = { 'content-type': 'application/json' };
const messages = [{ role: 'user', content: prompt }];
const usage = { prompt_tokens: promptTokens, completion_tokens: replyTokens };
const anthropicUsage = { input_tokens: promptTokens, output_tokens: replyTokens };

/** A whole reply or a stream whose usage equals the reservation. */
const speaks =
  (wire: Wire, whole: object, stated: string) =>
  (call: Call): void => {
    if (call.json.stream !== true) return call.whole(200, json, JSON.stringify(whole));
    call.streamHead();
    for (const part of [wire.opening, wire.text('x'), wire.finish(), stated, wire.end]) call.write(part);
    call.end();
  };

const endpoints: readonly Endpoint[] = [
  {
    name: 'chat',
    requests: 1000,
    path: openaiWire.path,
    body: (stream) => ({ model: testModel, messages, stream, max_tokens: replyTokens }),
    streams: true,
    output: replyTokens,
    answer: speaks(
      openaiWire,
      {
        choices: [{ index: 0, message: { role: 'assistant', content: 'x' }, finish_reason: 'stop' }],
        usage,
      },
      `data: ${JSON.stringify({ choices: [], usage })}\n\n`,
    ),
  },
  {
    name: 'messages',
    requests: 200,
    path: anthropicWire.path,
    body: (stream) => ({ model: testModel, messages, stream, max_tokens: replyTokens }),
    streams: true,
    output: replyTokens,
    answer: speaks(
      anthropicWire,
      {
        type: 'message',
        role: 'assistant',
        content: [{ type: 'text', text: 'x' }],
        stop_reason: 'end_turn',
        usage: anthropicUsage,
      },
      `event: message_delta\ndata: ${JSON.stringify({ type: 'message_delta', delta: {}, usage: anthropicUsage })}\n\n`,
    ),
  },
  {
    name: 'embeddings',
    requests: 200,
    path: '/v1/embeddings',
    body: () => ({ model: testModel, input: prompt }),
    streams: false,
    output: 0,
    answer: (call) =>
      call.whole(
        200,
        json,
        JSON.stringify({
          data: [{ embedding: [1] }],
          usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
        }),
      ),
  },
  {
    name: 'count_tokens',
    requests: 200,
    path: '/v1/messages/count_tokens',
    body: () => ({ model: testModel, messages }),
    streams: false,
    output: 0,
    answer: (call) => call.whole(200, json, JSON.stringify({ input_tokens: promptTokens })),
  },
];

/** Dollars per million tokens; ten requests cost a whole number of nano-dollars. */
const usdPerMTok = { inputUsdPerMTok: 3, outputUsdPerMTok: 15 };

/** A limit of each kind that allows `paid` requests of the given tokens. */
function limitsFor(output: number): Readonly<Record<string, ConfigInput>> {
  const tokens = promptTokens + output;
  const usd = (promptTokens * 3 + output * 15) / 1e6;
  const slow = { refillPerSecond: 1e-9, per: [] };
  return {
    requests: { limits: [{ name: 'l', capacity: paid, ...slow }] },
    tokens: { limits: [{ name: 'l', unit: 'tokens', capacity: paid * tokens, ...slow }] },
    'tokens in a sliding window': {
      limits: [
        {
          name: 'l',
          unit: 'tokens',
          algorithm: 'sliding_window',
          capacity: paid * tokens,
          windowSeconds: 86_400,
          per: [],
        },
      ],
    },
    dollars: { limits: [{ name: 'l', unit: 'usd', capacity: paid * usd, ...slow, refillPerSecond: 1e-15 }] },
    'a budget': { budgets: [{ name: 'l', usd: paid * usd, window: 'month', per: [] }] },
    concurrency: { limits: [{ name: 'l', unit: 'concurrency', capacity: paid, per: [] }] },
  };
}

async function start(limits: ConfigInput, { path, requests }: Endpoint, answer: (call: Call) => void) {
  const own = path.startsWith('/v1/messages') ? 'a' : 'o';
  const upstream = await startUpstream(answer);
  const { baseUrl } = upstream;
  const sidecar = await startTestSidecar({
    cache: { enabled: false },
    providers: { o: { dialect: 'openai', baseUrl }, a: { dialect: 'anthropic', baseUrl } },
    routes: [{ model: testModel, targets: [{ provider: own }] }],
    catalog: { models: [{ model: testModel, ...usdPerMTok }] },
    ...limits,
    listen: { inFlightMax: 2 * requests },
    attempt: { connectionsMax: 2 * paid },
  });
  const pool = new Pool(sidecar.url, { connections: 100 });
  onTestFinished(async () => {
    await pool.close();
    await sidecar.stop();
    await upstream.close();
  });
  return { upstream, pool };
}

/** Sends a request, reads its reply to the end, and returns the status. */
async function ask(pool: Pool, path: string, body: string): Promise<number> {
  const reply = await pool.request({ path, method: 'POST', headers: json, body });
  await reply.body.dump({ limit: Number.POSITIVE_INFINITY });
  return reply.statusCode;
}

const cases = endpoints.flatMap((endpoint) =>
  Object.keys(limitsFor(0)).flatMap((unit) =>
    (endpoint.streams ? [false, true] : [false]).map(
      (stream) => [endpoint.name, unit, stream ? 'streamed' : 'whole', endpoint, stream] as const,
    ),
  ),
);

describe('ten of many at once', () => {
  test.each(cases)('%s, %s, %s', async (_, unit, _kind, endpoint, stream) => {
    // Nothing is answered before every other request was refused, so that all of them met at once.
    const { requests } = endpoint;
    const held: Call[] = [];
    let refused = 0;
    const answerAll = (): void => {
      if (refused < requests - paid) return;
      for (const call of held.splice(0)) endpoint.answer(call);
    };
    const { upstream, pool } = await start(limitsFor(endpoint.output)[unit] ?? {}, endpoint, (call) => {
      held.push(call);
      answerAll();
    });
    const body = JSON.stringify(endpoint.body(stream));
    const statuses = await Promise.all(
      Array.from({ length: requests }, async () => {
        const status = await ask(pool, endpoint.path, body);
        if (status === 429) refused += 1;
        answerAll();
        return status;
      }),
    );
    const count = (wanted: number): number => statuses.filter((status) => status === wanted).length;
    expect([count(200), count(429)]).toEqual([paid, requests - paid]);
    expect(upstream.calls).toHaveLength(paid);
    // What was charged is what was reserved, so nothing came back, but for what was held only meanwhile. (Counting
    // tokens uses none.)
    if (endpoint.name === 'count_tokens' && unit !== 'requests') return;
    expect(await ask(pool, endpoint.path, body)).toBe(unit === 'concurrency' ? 200 : 429);
  });
});
