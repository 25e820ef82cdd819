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
