/** The simulator's Responses API: every fault on the wire, and what the API accepts and refuses. */
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { faultNames, faults } from '../../src/simulate/faults.ts';
import type { Simulator } from '../../src/simulate/server.ts';
import { call, type Seen, simulator } from '../support/simulate-client.ts';

let sim: Simulator;
let openai: OpenAI;
beforeAll(async () => {
  sim = await simulator();
  openai = new OpenAI({ baseURL: `${sim.url}/v1`, apiKey: 'sk-test', maxRetries: 0 });
});
afterAll(() => sim.close());

const model = 'gpt-test';
const ask = (simulate: string | null, more: object = {}): Promise<Seen> =>
  call(
    `${sim.url}/v1/responses`,
    { model, input: 'Hello', ...more },
    simulate === null ? {} : { 'x-simulate': simulate },
  );

interface Event {
  readonly type: string;
  readonly sequence_number: number;
}
const eventsOf = (text: string): Event[] =>
  [...text.matchAll(/^data: (.*)$/gm)].map(([, json = '']) => JSON.parse(json));
const deltas = (text: string): number => (text.match(/^event: response\.output_text\.delta$/gm) ?? []).length;

describe('faults', () => {
  const errors = faultNames.filter((name) => faults[name].kind === 'error' && name !== 'redirect');
  test.each(errors)('%s has the shape of the API', async (name) => {
    const { status, text } = await ask(`fault=${name}`, { stream: true });
    const chat = await call(
      `${sim.url}/v1/chat/completions`,
      { model, messages: [{ role: 'user', content: 'Hello' }] },
      { 'x-simulate': `fault=${name}` },
    );
    expect([status, JSON.parse(text)]).toEqual([chat.status, JSON.parse(chat.text)]);
  });

  test.each([
    ['reset_before_headers', 0, 'reset', 0],
    ['reset_after_headers', 200, 'reset', 0],
    ['cut_stream', 200, 'reset', 2],
    ['end_early', 200, 'clean', 2],
    ['error_event', 200, 'clean', 2],
    ['raw_json_in_stream', 200, 'clean', 2],
    ['malformed_sse', 200, 'clean', 2],
  ] as const)('%s: a stream without its end', async (name, status, end, content) => {
    const seen = await ask(`fault=${name}, afterTokens=2`, { stream: true });
    expect([seen.status, seen.end, deltas(seen.text)]).toEqual([status, end, content]);
    expect(seen.text).not.toContain('response.completed');
    if (name === 'reset_after_headers') expect(seen.text).toContain('response.created');
    if (name === 'error_event') expect(eventsOf(seen.text).at(-1)).toMatchObject({ type: 'error' });
  });

  test('a stream in pieces is the same stream, and usage can be missing', async () => {
    const normal = await ask(null, { stream: true });
    for (const name of ['split_everywhere', 'finish_without_done', 'slow_headers'])
      expect((await ask(`fault=${name}, holdMs=10`, { stream: true })).text).toBe(normal.text);
    for (const stream of [true, false])
      expect((await ask('fault=missing_usage', { stream })).text).not.toContain('total_tokens');
    expect((await ask('fault=wrong_dialect', { stream: false })).text).toContain('chat.completion');
  });
});

test('events are numbered from 0, and the last one has the whole answer', async () => {
  const { text } = await ask(null, { stream: true });
  const events = eventsOf(text);
  expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, index) => index));
  const whole = JSON.parse((await ask(null)).text);
  expect(events.at(-1)).toMatchObject({ type: 'response.completed', response: whole });
  expect(deltas(text)).toBe(64);
});

test('reasoning is encrypted, streams its summary, and must be sent back unchanged', async () => {
  const asked = {
    model,
    input: 'Think about it',
    store: false,
    reasoning: { effort: 'medium', summary: 'auto' },
    include: ['reasoning.encrypted_content'],
  } as const;
  const stream = openai.responses.stream({ ...asked, include: [...asked.include] });
  let summary = '';
  stream.on('response.reasoning_summary_text.delta', ({ delta }) => (summary += delta));
  const { output, usage } = await stream.finalResponse();
  const [thought] = output;
  if (thought?.type !== 'reasoning') throw new Error('no reasoning');
  expect(summary).toBe(thought.summary[0]?.text);
  expect(usage?.output_tokens_details.reasoning_tokens).toBeGreaterThan(0);
  const again = (item: object) =>
    openai.responses.create({ model, input: [item, { role: 'user', content: 'Go on' }] as never });
  expect((await again(thought)).output_text).toContain('Go on');
  await expect(again({ ...thought, encrypted_content: 'Zm9yZ2Vk' })).rejects.toThrow('could not be verified');
  await expect(again({ type: 'reasoning', id: thought.id, summary: [] })).rejects.toThrow('not found');
});

test('several tools are called at once, and the answer uses their results', async () => {
  const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
  const tools = ['get_weather', 'get_time'].map((name) => ({
    type: 'function' as const,
    name,
    parameters,
    strict: false,
  }));
  const called = await openai.responses.create({ model, input: 'get_weather and get_time, please', tools });
  const calls = called.output.flatMap((item) => (item.type === 'function_call' ? [item] : []));
  expect(calls.map(({ name }) => name)).toEqual(['get_weather', 'get_time']);
  const results = calls.map(({ call_id }) => ({
    type: 'function_call_output' as const,
    call_id,
    output: '-3 °C',
  }));
  const answer = await openai.responses.create({ model, input: [...calls, ...results] as never, tools });
  expect(answer.output_text).toContain('-3 °C');
});

test.each([
  [{ input: undefined }, 'input', 'missing_required_parameter'],
  [{ input: 7 }, 'input', 'invalid_type'],
  [{ input: [{ role: 'robot', content: 'x' }] }, 'input[0].role', 'invalid_value'],
  [
    { input: [{ role: 'user', content: [{ type: 'text', text: 'x' }] }] },
    'input[0].content[0]',
    'invalid_value',
  ],
  [{ input: [{ type: 'function_call_output', call_id: 'c', output: '' }] }, 'input', null],
  [{ max_output_tokens: 5 }, 'max_output_tokens', 'integer_below_min_value'],
  [{ stop: ['x'] }, 'stop', 'unknown_parameter'],
  [{ tools: [{ type: 'function' }] }, 'tools[0].name', 'missing_required_parameter'],
  [{ tool_choice: 'required' }, 'tool_choice', null],
  [{ text: { format: { type: 'json_object' } } }, 'input', null],
  [
    { text: { format: { type: 'json_schema', name: 'x' } } },
    'text.format.schema',
    'missing_required_parameter',
  ],
  [{ previous_response_id: 'resp_1' }, 'previous_response_id', 'previous_response_not_found'],
])('refuses %j as the API does', async (more, param, code) => {
  const { status, text } = await ask(null, more);
  expect([status, JSON.parse(text).error]).toEqual([400, expect.objectContaining({ param, code })]);
});
