/** What providers demand of requests, and clients of other dialects need not keep to. */
import { describe, expect, test } from 'vitest';
import { type Json, translated } from './field.ts';

describe('a conversation of system messages only', () => {
  const [rules, task] = [
    { role: 'system', content: 'Be brief.' },
    { role: 'developer', content: 'Say hi.' },
  ];
  const models = {
    anthropic: 'claude-sonnet-4-5',
    gemini: 'gemini-2.5-flash',
    bedrock: 'amazon.nova-lite-v1:0',
    replicate: 'meta/meta-llama-3-70b-instruct',
  } as const;
  const sent = (to: keyof typeof models, messages: readonly Json[]) =>
    translated('openai', to, models[to], { messages }).body;

  test('is asked with the last of them, where they stand apart from what is said', () => {
    expect(sent('anthropic', [rules, task])).toMatchObject({
      system: [{ text: 'Be brief.' }],
      messages: [{ role: 'user', content: [{ text: 'Say hi.' }] }],
    });
    expect(sent('gemini', [rules, task])).toMatchObject({
      systemInstruction: { parts: [{ text: 'Be brief.' }] },
      contents: [{ role: 'user', parts: [{ text: 'Say hi.' }] }],
    });
    expect(sent('bedrock', [task])).toEqual({ messages: [{ role: 'user', content: [{ text: 'Say hi.' }] }] });
    expect(sent('replicate', [task])).toEqual({ input: { prompt: 'Say hi.' } });
    const instructed = { instructions: 'Say hi.', input: [] };
    expect(translated('responses', 'anthropic', models.anthropic, instructed).body.messages).toHaveLength(1);
  });

  test('passes as it is where they are messages', () => {
    const { body } = translated('responses', 'openai', 'gpt-4o', { instructions: 'Say hi.', input: [] });
    expect(body.messages).toEqual([{ role: 'system', content: 'Say hi.' }]);
  });
});

describe('a turn that the model is to go on with', () => {
  const user = { role: 'user', content: 'Count to nine.' };
  const begun = { role: 'assistant', content: 'One, two,' };
  const turns = (to: 'anthropic' | 'bedrock', model: string, ...messages: Json[]) =>
    translated('openai', to, model, { messages }).body.messages as Json[];

  test.each([
    ['anthropic', 'claude-opus-4-6'],
    ['anthropic', 'claude-sonnet-5'],
    ['bedrock', 'us.anthropic.claude-sonnet-4-6-v1:0'],
  ] as const)('is followed by the wish for that, at %s’s %s', (to, model) => {
    const sent = turns(to, model, user, begun);
    expect(sent.map(({ role }) => role)).toEqual(['user', 'assistant', 'user']);
    expect(JSON.stringify(sent.at(-1))).toContain('Continue');
    expect(turns(to, model, user, begun, user)).toHaveLength(3);
  });

  test('is the last where the model takes it so', () => {
    expect(turns('anthropic', 'claude-haiku-4-5', user, begun)).toHaveLength(2);
  });

  test('a call without a result is the client’s mistake', () => {
    const call = { id: 'c1', type: 'function', function: { name: 'look', arguments: '{}' } };
    const called = { role: 'assistant', content: null, tool_calls: [call] };
    expect(turns('anthropic', 'claude-opus-4-6', user, called)).toHaveLength(2);
  });
});

test('Bedrock’s temperatures end at 1, for every model', () => {
  const { body, dropped } = translated('openai', 'bedrock', 'amazon.nova-lite-v1:0', { temperature: 1.5 });
  expect(body.inferenceConfig).toEqual({ temperature: 1 });
  expect(dropped).toEqual(['temperature']);
});

test('the Responses API gives no fewer than 16 tokens', () => {
  const { body, dropped } = translated('anthropic', 'responses', 'gpt-5', { max_tokens: 1 });
  expect(body.max_output_tokens).toBe(16);
  expect(dropped).toEqual(['max_tokens']);
  expect(translated('anthropic', 'responses', 'gpt-5', { max_tokens: 17 }).body.max_output_tokens).toBe(17);
});

describe.each(['openai', 'responses'] as const)('JSON of any form at %s', (to) => {
  const asked = (text: string, more: Json = {}) => {
    const contents = [{ role: 'user', parts: [{ text }] }];
    const generationConfig = { responseMimeType: 'application/json' };
    const { body, dropped } = translated('gemini', to, 'gpt-4o', { contents, generationConfig, ...more });
    expect(dropped).toEqual([]);
    expect(JSON.stringify(body)).toContain('"type":"json_object"');
    return (body.messages ?? body.input) as Json[];
  };

  test('must be named in a message', () => {
    const [system, ...others] = asked('List two colours.');
    expect(system?.role).toBe('system');
    expect(JSON.stringify(system)).toContain('JSON');
    expect(others).toHaveLength(1);
    const [both, ...more] = asked('List two colours.', { systemInstruction: 'Be brief.' });
    expect(JSON.stringify(both)).toMatch(/Be brief\..*JSON/);
    expect(more).toHaveLength(1);
  });

  test('is not named again', () => {
    expect(asked('List two colours, as json.')).toHaveLength(1);
  });
});
