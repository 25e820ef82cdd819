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

  test.each([
    ['anthropic', 'claude-haiku-4-5', { type: 'text', text: 'One, two,' }],
    ['bedrock', 'anthropic.claude-haiku-4-5-v1:0', { text: 'One, two,' }],
  ] as const)('ends without white space for %s, which refuses it', (to, model, text) => {
    const open = { role: 'assistant', content: 'One, two, \n\t' };
    expect(turns(to, model, user, open, { role: 'system', content: 'Go on.' }).at(-1)).toEqual({
      role: 'assistant',
      content: [text],
    });
    expect(turns(to, model, user, { role: 'assistant', content: ' \n' })).toHaveLength(1);
    expect(JSON.stringify(turns(to, model, user, open, user)[1])).toContain('two, \\n');
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

describe('pictures that are called what they are not', () => {
  const heads = {
    png: '89504e470d0a1a0a0000000d',
    jpeg: 'ffd8ffe000104a4649460001',
    gif: '474946383961010001008000',
    webp: '52494646240000005745425056503820',
  } as const;
  const sent = (to: 'anthropic' | 'bedrock' | 'gemini', url: string) => {
    const content = [{ type: 'image_url', image_url: { url } }];
    const model = {
      anthropic: 'claude-opus-5',
      bedrock: 'anthropic.claude-opus-5-v1:0',
      gemini: 'gemini-2.5',
    }[to];
    return translated('openai', to, model, { messages: [{ role: 'user', content }] });
  };

  test.each(Object.entries(heads))('Claude is told of a %s', (format, hex) => {
    const data = Buffer.from(hex, 'hex').toString('base64');
    for (const type of ['image/png', 'image/jpeg', 'image/jpg', 'application/octet-stream']) {
      const url = `data:${type};base64,${data}`;
      const source = { type: 'base64', media_type: `image/${format}`, data };
      expect(sent('anthropic', url).body.messages).toEqual([
        { role: 'user', content: [{ type: 'image', source }] },
      ]);
      expect(sent('bedrock', url).body.messages).toEqual([
        { role: 'user', content: [{ image: { format, source: { bytes: data } } }] },
      ]);
    }
  });

  test('what is no such picture keeps its name', () => {
    const svg = `data:image/svg+xml;base64,${Buffer.from('<svg/>').toString('base64')}`;
    expect(sent('anthropic', svg).unsupported).toBe('messages[0].content[0]');
    expect(sent('bedrock', 'data:image/png;base64,AAAA').unsupported).toBeNull();
  });
});
