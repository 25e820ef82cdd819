/** The simulator's answers and pacing: deterministic, within limits, in the documented form of the APIs. */
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Simulator } from '../../src/simulate/server.ts';
import { countTokens } from '../../src/simulate/text.ts';
import { callsTo, events, handClock, hello, open, simulator } from '../support/simulate-client.ts';

let sim: Simulator;

beforeAll(async () => {
  sim = await simulator();
});

afterAll(() => sim.close());

const { chat, message } = callsTo(() => sim);

interface Whole {
  choices: { message: { content: string; tool_calls?: unknown[] }; finish_reason: string }[];
  usage: { prompt_tokens: number; completion_tokens: number };
}

const whole = async (body: object, headers?: Record<string, string>) =>
  JSON.parse((await chat(body, headers)).text) as Whole;

describe('answers', () => {
  test('are the same for the same request and seed, to the byte, and differ otherwise', async () => {
    const first = await chat({});
    expect((await chat({})).text).toBe(first.text);
    expect((await chat({}, { 'x-simulate': 'seed=2' })).text).not.toBe(first.text);
    expect((await chat({ model: 'other' })).text).not.toBe(first.text);
    const other = await chat({});
    expect(other.headers['x-request-id']).not.toBe(first.headers['x-request-id']);
  });

  test('have exactly the documented fields', async () => {
    expect(JSON.parse((await chat({ max_tokens: 2 })).text)).toEqual({
      id: expect.stringMatching(/^chatcmpl-\w{24}$/),
      object: 'chat.completion',
      created: expect.any(Number),
      model: 'm',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'This is', refusal: null, annotations: [] },
          logprobs: null,
          finish_reason: 'length',
        },
      ],
      usage: {
        prompt_tokens: 7,
        completion_tokens: 2,
        total_tokens: 9,
        prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
        completion_tokens_details: {
          reasoning_tokens: 0,
          audio_tokens: 0,
          accepted_prediction_tokens: 0,
          rejected_prediction_tokens: 0,
        },
      },
      service_tier: 'default',
      system_fingerprint: 'fp_sidegate',
    });
    expect(JSON.parse((await message({ max_tokens: 2 })).text)).toEqual({
      model: 'm',
      id: expect.stringMatching(/^msg_01\w{22}$/),
      type: 'message',
      role: 'assistant',
      content: [{ type: 'text', text: 'This is' }],
      stop_reason: 'max_tokens',
      stop_sequence: null,
      usage: {
        input_tokens: 7,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
        output_tokens: 2,
        service_tier: 'standard',
      },
    });
  });

  test('have a different text for every choice, and count all of them', async () => {
    const { choices, usage } = await whole({ n: 3 });
    expect(new Set(choices.map((choice) => choice.message.content)).size).toBe(3);
    expect(usage.completion_tokens).toBe(3 * 64);
    const { text } = await chat({ n: 2, stream: true, max_tokens: 4 });
    const turns = events(text).flatMap(({ data }) => {
      const { choices: deltas } = data as { choices?: { index: number; delta: { content?: string } }[] };
      return deltas?.[0]?.delta.content ? [deltas[0].index] : [];
    });
    expect(turns).toEqual([0, 1, 0, 1, 0, 1, 0, 1]);
  });

  test('obey the token limit, the wanted length and stop sequences', async () => {
    const cut = await whole({ max_completion_tokens: 7 });
    expect(cut.choices[0]?.finish_reason).toBe('length');
    expect(cut.usage.completion_tokens).toBe(7);
    expect(countTokens(cut.choices[0]?.message.content ?? '')).toBe(7);
    const wanted = await whole({ max_tokens: 200 }, { 'x-simulate': 'replyTokens=200' });
    expect(wanted.choices[0]?.finish_reason).toBe('stop');
    expect(wanted.usage.completion_tokens).toBe(200);
    const stopped = await whole({ stop: [' Sidegate'] });
    expect(stopped.choices[0]).toMatchObject({
      finish_reason: 'stop',
      message: { content: 'This is a simulated answer from' },
    });
    const tools = [
      { type: 'function', function: { name: 'f', parameters: { properties: { a: { type: 'string' } } } } },
    ];
    const short = await whole({ tools, tool_choice: 'required', max_tokens: 2 });
    expect(short.choices[0]?.finish_reason).toBe('length');
    expect(short.usage.completion_tokens).toBe(2);
    const range = await Promise.all(
      [1, 2, 3, 4, 5, 6, 7, 8].map((seed) => whole({}, { 'x-simulate': `replyTokens=30-40, seed=${seed}` })),
    );
    const lengths = range.map(({ usage }) => usage.completion_tokens);
    expect(Math.min(...lengths)).toBeGreaterThanOrEqual(30);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(40);
    expect(new Set(lengths).size).toBeGreaterThan(1);
  });

  test('repeat what a gateway must restore, in text and in tool arguments', async () => {
    const named = 'Mail [EMAIL_1] and bob@example.org, card 4111 1111 1111 1111.';
    const content = `${'Some words first. '.repeat(20)} ${named}`;
    const { choices } = await whole({ messages: [{ role: 'user', content }] });
    expect(choices[0]?.message.content).toContain(
      'It also names bob@example.org, [EMAIL_1], 4111 1111 1111 1111.',
    );
    const properties = { email: { type: 'string' } };
    const tools = [
      { type: 'function', function: { name: 'send_mail', parameters: { type: 'object', properties } } },
    ];
    const asked = [{ role: 'user', content: 'Send mail to [EMAIL_1] now' }];
    const tool = await whole({ messages: asked, tools });
    expect(JSON.stringify(tool.choices[0]?.message.tool_calls)).toContain('[EMAIL_1]');
  });

  test('are any JSON object if json_object is requested', async () => {
    const body = {
      response_format: { type: 'json_object' },
      messages: [{ role: 'user', content: 'As JSON, please' }],
    };
    expect(JSON.parse((await whole(body)).choices[0]?.message.content ?? '')).toMatchObject({
      simulated: true,
    });
    expect((await chat({ ...body, messages: hello })).status).toBe(400);
  });
});

describe('streams', () => {
  test("have OpenAI's events", async () => {
    const { headers, text, end } = await chat({
      stream: true,
      max_tokens: 2,
      stream_options: { include_usage: true },
    });
    expect(headers['content-type']).toBe('text/event-stream; charset=utf-8');
    expect(end).toBe('clean');
    const list = events(text);
    const chunks = list
      .slice(0, -1)
      .map(({ data }) => data as { choices: unknown[]; usage: unknown; id: string });
    expect(chunks.map(({ choices }) => choices)).toEqual([
      [
        {
          index: 0,
          delta: { role: 'assistant', content: '', refusal: null },
          logprobs: null,
          finish_reason: null,
        },
      ],
      [{ index: 0, delta: { content: 'This' }, logprobs: null, finish_reason: null }],
      [{ index: 0, delta: { content: ' is' }, logprobs: null, finish_reason: null }],
      [{ index: 0, delta: {}, logprobs: null, finish_reason: 'length' }],
      [],
    ]);
    expect(chunks.map(({ usage }) => usage)).toEqual([
      null,
      null,
      null,
      null,
      expect.objectContaining({ total_tokens: 9 }),
    ]);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
    expect(list.at(-1)).toEqual({ event: null, data: '[DONE]' });
    const plain = events((await chat({ stream: true })).text);
    expect(plain.some(({ data }) => typeof data === 'object' && data !== null && 'usage' in data)).toBe(
      false,
    );
  });

  test("have Anthropic's events, in the documented order", async () => {
    const tools = [{ name: 'look', input_schema: { type: 'object', properties: { at: { const: 'x' } } } }];
    const thinking = { type: 'enabled', budget_tokens: 1024 };
    const body = {
      stream: true,
      max_tokens: 1025,
      tools,
      thinking,
      messages: [{ role: 'user', content: 'look' }],
    };
    const list = events((await message(body)).text);
    for (const { event, data } of list) expect((data as { type: string }).type).toBe(event);
    const names = list.map(({ event, data }) => (data as { delta?: { type?: string } }).delta?.type ?? event);
    expect(names.filter((name, n) => name !== names[n - 1])).toEqual([
      'message_start',
      'content_block_start',
      'ping',
      'thinking_delta',
      'signature_delta',
      'content_block_stop',
      'content_block_start',
      'text_delta',
      'content_block_stop',
      'content_block_start',
      'input_json_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ]);
    expect(list.at(-2)?.data).toMatchObject({ delta: { stop_reason: 'tool_use', stop_sequence: null } });
    const json = list.flatMap(
      ({ data }) => (data as { delta?: { partial_json?: string } }).delta?.partial_json ?? [],
    );
    expect(json[0]).toBe('');
    expect(JSON.parse(json.join(''))).toEqual({ at: 'x' });
  });
});

describe('pace', () => {
  test('depends on ttftMs and tokensPerSecond', async () => {
    const clock = handClock();
    const slow = await simulator({ ttftMs: 500, tokensPerSecond: 10 }, clock);
    const { response } = await open(`${slow.url}/v1/messages`, {
      model: 'm',
      max_tokens: 3,
      stream: true,
      messages: hello,
    });
    const ended = new Promise((resolve) => response.once('end', resolve));
    const heard = (): Promise<string> =>
      new Promise((resolve) => response.once('data', (data: Buffer) => resolve(String(data))));
    expect(await heard()).toMatch(/message_start.*content_block_start.*ping/s);
    for (const [delayMs, word] of [
      [500, 'This'],
      [100, ' is'],
      [100, ' a'],
    ] as const) {
      expect(await clock.next()).toBeCloseTo(delayMs, 6);
      const piece = heard();
      clock.fire();
      expect(await piece).toContain(`"text":"${word}"`);
    }
    await ended;
    await slow.close();
  });

  test('delays a whole answer as long as its stream would take, or by delayMs', async () => {
    const clock = handClock();
    const slow = await simulator({ ttftMs: 500, tokensPerSecond: 10 }, clock);
    const usual = chat({ max_tokens: 5 }, {}, slow);
    expect(await clock.next()).toBeCloseTo(900, 6);
    clock.fire();
    expect((await usual).status).toBe(200);
    const set = chat({ max_tokens: 5 }, { 'x-simulate': 'delayMs=40, jitter=0.5' }, slow);
    const delayMs = await clock.next();
    expect(delayMs).toBeGreaterThanOrEqual(20);
    expect(delayMs).toBeLessThanOrEqual(60);
    expect(delayMs).not.toBe(40);
    clock.fire();
    expect((await set).status).toBe(200);
    await slow.close();
  });

  test('stops when the client leaves', async () => {
    const clock = handClock();
    const slow = await simulator({ ttftMs: 500 }, clock);
    const body = { model: 'm', stream: true, messages: hello };
    const { response, leave } = await open(`${slow.url}/v1/chat/completions`, body);
    response.on('error', () => {});
    await clock.next();
    leave();
    await clock.cancelled();
    await slow.close();
  });
});

describe('faults by share and by count', () => {
  test('fail a request only `times` times', async () => {
    const once = { 'x-simulate': 'fault=overloaded, times=2' };
    const statuses: number[] = [];
    for (let n = 0; n < 4; n++) statuses.push((await chat({ model: 'again' }, once)).status);
    expect(statuses).toEqual([503, 503, 200, 200]);
    expect((await chat({ model: 'another' }, once)).status).toBe(503);
  });
});

test('survives clients that leave at any moment', async () => {
  const faults = ['none', 'split_everywhere', 'stall', 'gzip_bomb', 'no_first_token'];
  for (const fault of faults) {
    const headers = { 'x-simulate': `fault=${fault}, replyTokens=500` };
    const body = { model: 'm', max_tokens: 1000, stream: fault !== 'gzip_bomb', messages: hello };
    // With silent headers the client leaves before a response, otherwise at its first byte.
    const { response, leave } = await open(`${sim.url}/v1/messages`, body, headers);
    response.on('error', () => {});
    await new Promise((resolve) => response.once('data', resolve));
    leave();
  }
  const half = request(`${sim.url}/v1/messages`, {
    method: 'POST',
    headers: { 'content-length': 1000 },
    agent: false,
  });
  half.on('error', () => {});
  await new Promise<void>((resolve) => half.write('{"model":', () => resolve()));
  half.destroy();
  expect((await chat({})).status).toBe(200);
});
