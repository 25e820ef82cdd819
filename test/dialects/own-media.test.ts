/** Pictures in turns of the model, plain texts as documents, and searches that ran at a provider, sent on to another. */
import { describe, expect, test } from 'vitest';
import { type Json, translated, whole } from './field.ts';

const png = 'iVBORw0KGgo=';

describe('a picture that the model made', () => {
  const drawn = {
    responseId: 'r',
    candidates: [
      {
        content: { role: 'model', parts: [{ inlineData: { mimeType: 'image/png', data: png } }] },
        finishReason: 'STOP',
      },
    ],
  };
  const again = { role: 'user', content: 'Make it blue.' };
  const reply = whole('gemini', 'responses', drawn);
  const input = [again, ...((reply?.output ?? []) as Json[]), again];

  test.each([
    ['gemini-2.5-flash-image', {}],
    // "Image part is missing a thought_signature"
    ['gemini-3-pro-image', { thoughtSignature: 'skip_thought_signature_validator' }],
  ])('goes back to %s as it came, from a client of the Responses API', (model, more) => {
    const { body, unsupported, invalid } = translated('responses', 'gemini', model, { input });
    expect({ unsupported, invalid }).toEqual({ unsupported: null, invalid: null });
    expect((body.contents as Json[])[1]).toEqual({
      role: 'model',
      parts: [{ inlineData: { mimeType: 'image/png', data: png }, ...more }],
    });
  });

  test.each([
    ['openai', 'gpt-5.6'],
    ['anthropic', 'claude-opus-5'],
    ['bedrock', 'anthropic.claude-opus-5-v1:0'],
    ['cohere', 'command-a'],
  ] as const)('is not sent to %s, where turns of the model have none', (to, model) => {
    expect(translated('responses', to, model, { input }).unsupported).toBe('input[1]');
    const parts = [{ inlineData: { mimeType: 'image/png', data: png } }];
    const contents = [
      { role: 'user', parts: [{ text: 'Hi' }] },
      { role: 'model', parts },
    ];
    expect(translated('gemini', to, model, { contents }).unsupported).toBe('contents[1].parts[0]');
  });

  test('nor to the Responses API from Gemini’s clients', () => {
    const parts = [{ text: 'Here.' }, { inlineData: { mimeType: 'image/png', data: png } }];
    const contents = [
      { role: 'user', parts: [{ text: 'Hi' }] },
      { role: 'model', parts },
    ];
    const { body, unsupported } = translated('gemini', 'responses', 'gpt-5.6', { contents });
    expect(unsupported).toBe('contents[1].parts[1]');
    expect(JSON.stringify(body)).not.toContain('input_image');
  });

  test('known by its id only, it is not sent on at all', () => {
    const named = [{ type: 'image_generation_call', id: 'ig_1' }];
    expect(translated('responses', 'gemini', 'gemini-3-pro-image', { input: named }).unsupported).toBe(
      'input[0]',
    );
  });
});

describe('a document of plain text is text in chat completions', () => {
  const sent = (source: Json, more: Json = {}) =>
    translated('anthropic', 'openai', 'llama-4', {
      messages: [{ role: 'user', content: [{ type: 'document', source, ...more }] }],
    }).body.messages;

  test('with its name, whatever kind of text it is', () => {
    const plain = { type: 'text', media_type: 'text/plain', data: 'Grüße' };
    expect(sent(plain, { title: 'a.txt' })).toEqual([{ role: 'user', content: 'a.txt\nGrüße' }]);
    const data = Buffer.from('a,b').toString('base64');
    expect(sent({ type: 'base64', media_type: 'text/csv', data })).toEqual([
      { role: 'user', content: 'a,b' },
    ]);
  });

  test('a PDF is a file', () => {
    expect(JSON.stringify(sent({ type: 'base64', media_type: 'application/pdf', data: 'AAAA' }))).toContain(
      '"type":"file"',
    );
  });
});

describe('a search that ran at Anthropic', () => {
  const found = (...content: Json[]) =>
    translated('anthropic', 'openai', 'gpt-5.6', {
      messages: [
        { role: 'user', content: 'What is new?' },
        { role: 'assistant', content: [...content, { type: 'text', text: 'Much.' }] },
        { role: 'user', content: 'Go on.' },
      ],
    });
  const asked = (name: string) => ({ type: 'server_tool_use', id: 'srvtoolu_1', name, input: {} });
  const result = (type: string) => ({ type, tool_use_id: 'srvtoolu_1', content: [] });

  test.each([
    ['web_search', 'web_search_tool_result'],
    ['web_fetch', 'web_fetch_tool_result'],
    ['tool_search_tool_regex', 'tool_search_tool_result'],
  ])('is left out, and named: %s', (name, type) => {
    const { body, dropped, unsupported } = found(asked(name), result(type));
    expect((body.messages as Json[])[1]).toEqual({ role: 'assistant', content: 'Much.' });
    expect(dropped).toEqual(['messages[1].content[0]', 'messages[1].content[1]']);
    expect(unsupported).toBeNull();
  });

  test('what code did there can’t be left out', () => {
    expect(found(asked('bash_code_execution')).unsupported).toBe('messages[1].content[0]');
    expect(found(result('bash_code_execution_tool_result')).unsupported).toBe('messages[1].content[0]');
  });

  test('nor what an app found itself: its tools are told by their names', () => {
    const content = ['a', 'b'].map((name) => ({ type: 'tool_reference', tool_name: name }));
    const { body, unsupported } = translated('anthropic', 'openai', 'llama-4', {
      messages: [
        { role: 'user', content: 'What is new?' },
        { role: 'assistant', content: [{ type: 'tool_use', id: 't', name: 'search', input: {} }] },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 't', content }] },
      ],
    });
    expect(unsupported).toBeNull();
    expect((body.messages as Json[])[2]).toMatchObject({ role: 'tool', content: 'a\n\nb' });
  });
});
