/** The simulator's checks: it refuses what the APIs refuse, in their words. */
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bodyMaxBytes, type Simulator } from '../../src/simulate/server.ts';
import { call, callsTo, hello, simulator } from '../support/simulate-client.ts';

let sim: Simulator;

beforeAll(async () => {
  sim = await simulator();
});

afterAll(() => sim.close());

const { chat, message } = callsTo(() => sim);

describe('checks', () => {
  const openai: [string, unknown, RegExp][] = [
    ['malformed JSON', '{"model":', /could not parse the JSON/],
    ['an array', [], /not a JSON object/],
    ['no UTF-8', Buffer.from('{"model":"\xff"}', 'latin1'), /not valid UTF-8/],
    ['no model', { messages: hello }, /must provide a model/],
    ['no messages', { model: 'm' }, /Missing required parameter: 'messages'/],
    ['empty messages', { model: 'm', messages: [] }, /empty array/],
    ['messages as text', { model: 'm', messages: 'Hi' }, /Invalid type for 'messages'.*a string/],
    ['a wrong role', { model: 'm', messages: [{ role: 'king', content: 'x' }] }, /Invalid value: 'king'/],
    [
      'content as number',
      { model: 'm', messages: [{ role: 'user', content: 5 }] },
      /'messages\[0\].content'/,
    ],
    [
      'an unknown part',
      { model: 'm', messages: [{ role: 'user', content: [{ type: 'smell' }] }] },
      /'smell'/,
    ],
    [
      'a lone tool result',
      { model: 'm', messages: [{ role: 'tool', tool_call_id: 'x', content: 'y' }] },
      /'tool_calls'/,
    ],
    ['temperature', { model: 'm', messages: hello, temperature: 3 }, /'temperature'.*<= 2/],
    ['max_tokens 0', { model: 'm', messages: hello, max_tokens: 0 }, /'max_tokens'.*>= 1/],
    ['stream as text', { model: 'm', messages: hello, stream: 'yes' }, /'stream'.*a boolean/],
    [
      'stream_options alone',
      { model: 'm', messages: hello, stream_options: {} },
      /only allowed when 'stream'/,
    ],
    [
      'tool_choice alone',
      { model: 'm', messages: hello, tool_choice: 'required' },
      /only allowed when 'tools'/,
    ],
    [
      'five stops',
      { model: 'm', messages: hello, stop: ['1', '2', '3', '4', '5'] },
      /'stop': array too long/,
    ],
    [
      'a bad override',
      { model: 'm', messages: [{ role: 'user', content: 'Hi\nsimulate: falt=x' }] },
      /unknown key "falt"/,
    ],
  ];
  test.each(openai)('openai: 400 for %s', async (_, body, sentence) => {
    const { status, text } = await call(`${sim.url}/v1/chat/completions`, body);
    expect(status).toBe(400);
    const { error } = JSON.parse(text) as { error: Record<string, unknown> };
    expect(error.message).toMatch(sentence);
    expect(error).toMatchObject({ type: 'invalid_request_error' });
    expect(Object.keys(error)).toEqual(['message', 'type', 'param', 'code']);
  });

  const full = { model: 'm', max_tokens: 10, messages: hello };
  const use = { role: 'assistant', content: [{ type: 'tool_use', id: 't1', name: 'f', input: {} }] };
  const anthropic: [string, unknown, RegExp][] = [
    ['malformed JSON', '{', /not valid JSON/],
    ['no model', { ...full, model: undefined }, /^model: Field required/],
    ['no max_tokens', { ...full, max_tokens: undefined }, /^max_tokens: Field required/],
    ['no messages', { ...full, messages: undefined }, /^messages: Field required/],
    ['empty messages', { ...full, messages: [] }, /at least one message/],
    ['an assistant first', { ...full, messages: [{ role: 'assistant', content: 'x' }] }, /first message/],
    ['an unanswered tool', { ...full, messages: [...hello, use, ...hello] }, /without `tool_result`.*t1/],
    [
      'a result of nothing',
      { ...full, messages: [{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 'z' }] }] },
      /unexpected `tool_use_id`.*z/,
    ],
    ['max_tokens as text', { ...full, max_tokens: '10' }, /max_tokens: Input should be an integer/],
    [
      'a small budget',
      { ...full, thinking: { type: 'enabled', budget_tokens: 5 } },
      /greater than or equal to 1024/,
    ],
    [
      'a budget over max_tokens',
      { ...full, thinking: { type: 'enabled', budget_tokens: 2000 } },
      /must be greater/,
    ],
    [
      'a bad override',
      { ...full, messages: [{ role: 'user', content: 'simulate: ttftMs=soon' }] },
      /ttftMs must be a whole/,
    ],
  ];
  test.each(anthropic)('anthropic: 400 for %s', async (_, body, sentence) => {
    const { status, text } = await call(`${sim.url}/v1/messages`, body);
    expect(status).toBe(400);
    const { type, error, request_id } = JSON.parse(text) as Record<string, Record<string, string>>;
    expect(error?.message).toMatch(sentence);
    expect(error?.type).toBe('invalid_request_error');
    expect([type, String(request_id)]).toEqual(['error', expect.stringMatching(/^req_sim_/)]);
  });

  test('refuses other paths, methods, models, and bodies over the limit, in the right dialect', async () => {
    expect((await call(`${sim.url}/v1/nothing`, {})).status).toBe(404);
    const foreign = await call(`${sim.url}/v1/nothing`, {}, { 'anthropic-version': '2023-06-01' });
    expect(JSON.parse(foreign.text)).toMatchObject({ type: 'error', error: { type: 'not_found_error' } });
    const get = await call(`${sim.url}/v1/messages`, undefined);
    expect([get.status, get.headers.allow]).toEqual([405, 'POST']);
    expect((await call(`${sim.url}/v1/models/%zz`, undefined)).status).toBe(200);
    const few = await simulator({ models: ['one'] });
    expect((await chat({}, {}, few)).text).toContain('"code":"model_not_found"');
    expect((await message({}, {}, few)).status).toBe(404);
    expect((await chat({ model: 'one' }, {}, few)).status).toBe(200);
    await few.close();
    const status = await new Promise((resolve, reject) => {
      const headers = { 'content-length': bodyMaxBytes + 1 };
      const sent = request(`${sim.url}/v1/messages`, { method: 'POST', headers, agent: false });
      sent.on('response', (response) => {
        resolve(response.statusCode);
        sent.destroy();
      });
      sent.on('error', reject);
      sent.flushHeaders();
    });
    expect(status).toBe(413);
  });

  test('refuses a prompt longer than the context window', async () => {
    const small = await simulator({ contextTokens: 6 });
    const long = [{ role: 'user', content: 'one two three four five six' }];
    expect((await chat({ messages: long }, {}, small)).text).toContain('context_length_exceeded');
    expect((await message({ messages: long }, {}, small)).text).toContain(
      'prompt is too long: 12 tokens > 6 maximum',
    );
    await small.close();
  });
});
