/** What agents send unasked, to providers of every other dialect. The names are the numbers of the reports. */
import { describe, expect, test } from 'vitest';
import { type Json, streamed, translated, whole } from './field.ts';

const foreign = ['openai', 'responses', 'gemini', 'bedrock', 'cohere'] as const;
const toChat = ['anthropic', 'gemini', 'bedrock', 'cohere', 'openai'] as const;

describe('Claude Code', () => {
  const tool = { name: 'Bash', input_schema: { type: 'object', properties: {} } };
  const asked = {
    metadata: { user_id: '{"session_id":"s"}' },
    context_management: { edits: [{ type: 'clear_thinking_20251015', keep: 'all' }] },
    tools: [
      tool,
      { ...tool, name: 'Later', defer_loading: true },
      { type: 'tool_search_tool_regex_20251119' },
    ],
  };

  test.each(foreign)('C5, A26, A27: what it sends unasked refuses nothing at %s, and is named', (to) => {
    const { unsupported, dropped, body } = translated('anthropic', to, 'some-model', asked);
    expect(unsupported).toBeNull();
    expect(dropped).toContain('context_management');
    expect(dropped).toContain('tools[1].defer_loading');
    expect(dropped).toContain('tools[2]');
    expect(JSON.stringify(body.tools ?? body.toolConfig)).toContain('Later');
  });

  test('C5: edits that take something away still matter', () => {
    const edits = [{ type: 'clear_tool_uses_20250919' }];
    expect(translated('anthropic', 'openai', 'm', { context_management: { edits } }).unsupported).toBe(
      'context_management',
    );
  });

  test('C5: an effort that a model lacks is told by its own name', () => {
    const output_config = { effort: 'high' };
    expect(translated('anthropic', 'openai', 'gpt-4o', { output_config }).dropped).toEqual([
      'output_config.effort',
    ]);
  });
});

describe('Codex', () => {
  const parameters = { type: 'object', properties: {} };
  const grammar = { type: 'grammar', syntax: 'lark', definition: 'start: "a"' };
  const tools = [
    { type: 'function', name: 'exec_command', parameters },
    { type: 'namespace', name: 'agents', tools: [{ type: 'function', name: 'spawn', parameters }] },
    { type: 'custom', name: 'apply_patch', description: 'Patches.', format: grammar },
    { type: 'web_search', external_web_access: false },
  ];
  const asked = {
    tools,
    tool_choice: 'auto',
    prompt_cache_key: 'k',
    client_metadata: { a: 'b' },
    store: false,
    include: ['reasoning.encrypted_content'],
  };
  const names = ['exec_command', 'agents__spawn', 'apply_patch'];
  const origins = new Map([
    ['agents__spawn', { name: 'spawn', namespace: 'agents', custom: false }],
    ['apply_patch', { name: 'apply_patch', namespace: null, custom: true }],
  ]);

  test.each(toChat)('C6, A28: what it sends unasked refuses nothing at %s, and is named', (to) => {
    const { unsupported, dropped, body } = translated('responses', to, 'some-model', asked);
    expect(unsupported).toBeNull();
    expect(dropped).toEqual(
      expect.arrayContaining(['prompt_cache_key', 'client_metadata', 'tools[2].format', 'tools[3]']),
    );
    const told = JSON.stringify(body.tools ?? body.toolConfig);
    for (const name of names) expect(told).toContain(`"${name}"`);
    expect(told).toContain('start: \\"a\\"');
  });

  test('C6: a hosted tool that is alone or forced still matters', () => {
    const alone = { tools: [tools[3]] };
    const forced = { tools, tool_choice: 'required' };
    expect(translated('responses', 'anthropic', 'm', alone).unsupported).toBe('tools[0]');
    expect(translated('responses', 'anthropic', 'm', forced).unsupported).toBe('tools[3]');
  });

  test('C6, A28: calls in the conversation are told as calls of the functions', () => {
    const input = [
      { role: 'user', content: 'Hi' },
      { type: 'function_call', call_id: 'c1', namespace: 'agents', name: 'spawn', arguments: '{}' },
      { type: 'custom_tool_call', call_id: 'c2', name: 'apply_patch', input: 'a\nb' },
      { type: 'function_call_output', call_id: 'c1', output: 'ok' },
      { type: 'custom_tool_call_output', call_id: 'c2', output: 'done' },
    ];
    const { body, unsupported } = translated('responses', 'anthropic', 'm', { ...asked, input });
    expect(unsupported).toBeNull();
    expect((body.messages as Json[]).slice(1)).toMatchObject([
      {
        content: [
          { id: 'c1', name: 'agents__spawn' },
          { id: 'c2', name: 'apply_patch', input: { input: 'a\nb' } },
        ],
      },
      { content: [{ tool_use_id: 'c1' }, { tool_use_id: 'c2' }] },
    ]);
  });

  const called = (name: string, input: Json) => ({ type: 'tool_use', id: `c_${name}`, name, input });
  const calls = [called('agents__spawn', {}), called('apply_patch', { input: 'a\nb' })];
  const given = [
    { type: 'function_call', namespace: 'agents', name: 'spawn', arguments: '{}' },
    { type: 'custom_tool_call', name: 'apply_patch', input: 'a\nb' },
  ];

  test('C6, A28: calls are given back as the client knows the tools', () => {
    const reply = { content: calls, stop_reason: 'tool_use' };
    expect(whole('anthropic', 'responses', reply, { origins })?.output).toMatchObject(given);
    const { choices } = whole('anthropic', 'openai', reply, { origins }) as { choices: Json[] };
    expect(choices[0]?.message).toMatchObject({
      tool_calls: [{ type: 'function' }, { type: 'custom', custom: { name: 'apply_patch', input: 'a\nb' } }],
    });
  });

  const events = [
    { type: 'message_start', message: { id: 'm', model: 'm' } },
    ...calls.flatMap((call, index) => [
      { type: 'content_block_start', index, content_block: { ...call, input: {} } },
      {
        type: 'content_block_delta',
        index,
        delta: { type: 'input_json_delta', partial_json: JSON.stringify(call.input) },
      },
      { type: 'content_block_stop', index },
    ]),
    { type: 'message_delta', delta: { stop_reason: 'tool_use' } },
    { type: 'message_stop' },
  ];

  test('C6, A28: streamed calls too', () => {
    const { received } = streamed('anthropic', 'responses', events, { origins });
    expect((received.at(-1)?.response as Json | undefined)?.output).toMatchObject(given);
    const input = received.find(({ type }) => type === 'response.custom_tool_call_input.done');
    expect(input).toMatchObject({ input: 'a\nb', output_index: 1 });
    const chat = JSON.stringify(streamed('anthropic', 'openai', events, { origins }).received);
    expect(chat).toContain('"custom":{"input":"a\\nb"}');
  });
});

describe("C7: custom tools between OpenAI's own dialects", () => {
  const grammar = { syntax: 'lark', definition: 'start: "a"' };
  const said = { name: 'patch', description: 'Patches.' };
  const asked: Readonly<Record<'openai' | 'responses', Json>> = {
    openai: {
      messages: [
        { role: 'user', content: 'Hi' },
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'c1', type: 'custom', custom: { name: 'patch', input: 'a\n"b"' } }],
        },
        { role: 'tool', tool_call_id: 'c1', content: 'done' },
      ],
      tools: [{ type: 'custom', custom: { ...said, format: { type: 'grammar', grammar } } }],
      tool_choice: { type: 'custom', custom: { name: 'patch' } },
    },
    responses: {
      input: [
        { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hi' }] },
        { type: 'custom_tool_call', call_id: 'c1', name: 'patch', input: 'a\n"b"' },
        { type: 'custom_tool_call_output', call_id: 'c1', output: 'done' },
      ],
      tools: [{ type: 'custom', ...said, format: { type: 'grammar', ...grammar } }],
      tool_choice: { type: 'custom', name: 'patch' },
    },
  };
  const ways = [
    ['openai', 'responses'],
    ['responses', 'openai'],
  ] as const;

  test.each(ways)('%s to %s: the grammar, the choice, calls and results are kept', (from, to) => {
    const { body, dropped, unsupported } = translated(from, to, 'gpt-5.1', asked[from]);
    expect({ dropped, unsupported }).toEqual({ dropped: [], unsupported: null });
    expect(body).toMatchObject(asked[to]);
  });

  test.each(ways)('%s to %s: models without custom tools are told of functions', (from, to) => {
    const { body, dropped } = translated(from, to, 'gpt-4.1', asked[from]);
    expect(dropped).toEqual([from === 'openai' ? 'tools[0].custom.format' : 'tools[0].format']);
    expect(JSON.stringify(body)).not.toContain('"custom');
  });

  test('a tool without a grammar takes any text', () => {
    const tools = [{ type: 'custom', ...said, format: { type: 'text' } }];
    const { body } = translated('responses', 'openai', 'gpt-5.1', { tools });
    expect(body.tools).toEqual([{ type: 'custom', custom: said }]);
  });

  const origins = new Map([['patch', { name: 'patch', namespace: null, custom: true }]]);
  const input = 'a\n"b"';
  const called = { id: 'c1', type: 'custom', custom: { name: 'patch', input } };
  const item = { type: 'custom_tool_call', call_id: 'c1', name: 'patch', input };

  test('calls come back as such, whole', () => {
    const chat = {
      choices: [{ message: { content: null, tool_calls: [called] }, finish_reason: 'tool_calls' }],
    };
    expect(whole('openai', 'responses', chat, { origins })?.output).toMatchObject([item]);
    const response = { id: 'r', status: 'completed', output: [item] };
    expect(whole('responses', 'openai', response, { origins })).toMatchObject({
      choices: [{ message: { tool_calls: [called] } }],
    });
  });

  test('calls come back as such, streamed', () => {
    const piece = (delta: Json, finish_reason: string | null = null) => ({
      choices: [{ index: 0, delta, finish_reason }],
    });
    const call = (more: Json) => piece({ tool_calls: [{ index: 0, ...more }] });
    const next = { index: 1, id: 'c2', type: 'custom', custom: { name: 'patch', input: 'c' } };
    const chat = [
      call({ id: 'c1', type: 'custom', custom: { name: 'patch', input: '' } }),
      call({ custom: { input: 'a\n' } }),
      call({ custom: { input: '"b"' } }),
      piece({ tool_calls: [next] }),
      piece({}, 'tool_calls'),
    ];
    const { received } = streamed('openai', 'responses', chat, { origins });
    expect(received.at(-1)?.response).toMatchObject({
      output: [item, { ...item, call_id: 'c2', input: 'c' }],
    });
    const events = [
      { type: 'response.created', response: { id: 'r', model: 'm' } },
      { type: 'response.output_item.added', output_index: 0, item: { ...item, input: '' } },
      { type: 'response.custom_tool_call_input.delta', output_index: 0, delta: 'a\n"b"' },
      { type: 'response.custom_tool_call_input.done', output_index: 0, input },
      { type: 'response.output_item.done', output_index: 0, item },
      { type: 'response.completed', response: { status: 'completed', output: [item] } },
    ];
    const text = JSON.stringify(streamed('responses', 'openai', events, { origins }).received);
    expect(text).toContain(`"custom":{"name":"patch","input":""}`);
    expect(text).toContain(`"custom":${JSON.stringify({ input })}`);
  });
});

describe('C13: JSON of any form', () => {
  const forms = {
    openai: { response_format: { type: 'json_object' } },
    responses: { text: { format: { type: 'json_object' } } },
    gemini: { generationConfig: { responseMimeType: 'application/json' } },
  };
  const names = {
    openai: 'response_format',
    responses: 'text.format',
    gemini: 'generationConfig.responseMimeType',
  };

  for (const from of ['openai', 'responses', 'gemini'] as const)
    test.each(['anthropic', 'bedrock', 'replicate'] as const)(
      `${from} to %s: the model is told in words, and that is named`,
      (to) => {
        const { body, dropped, unsupported } = translated(from, to, 'meta/llama-3-8b', forms[from]);
        expect(unsupported).toBeNull();
        expect(dropped).toEqual([names[from]]);
        expect(JSON.stringify(body)).toContain('one JSON object');
      },
    );
});

test('C13: one forced call needs no flag against parallel ones', () => {
  const tools = [{ name: 'f', input_schema: { type: 'object' } }];
  const tool_choice = { type: 'tool', name: 'f', disable_parallel_tool_use: true };
  for (const to of ['gemini', 'bedrock', 'cohere'] as const)
    expect(translated('anthropic', to, 'm', { tools, tool_choice }).unsupported).toBeNull();
});

describe('names of tools that a provider refuses', () => {
  const long = `mcp__${'server_'.repeat(9)}look`;
  const tools = [{ name: long, input_schema: { type: 'object' } }];
  const messages = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: [{ type: 'tool_use', id: 't1', name: long, input: {} }] },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 't1', content: 'ok' }] },
  ];
  const asked = { tools, messages, tool_choice: { type: 'tool', name: long } };

  test.each(['openai', 'responses', 'bedrock', 'gemini'] as const)(
    'A29: %s is told a shorter one, the same everywhere',
    (to) => {
      const text = JSON.stringify(translated('anthropic', to, 'some-model', asked).body);
      const names = new Set(text.match(/mcp__[a-zA-Z0-9_-]*/g));
      expect(names.size).toBe(1);
      for (const name of names) expect(name.length).toBeLessThanOrEqual(64);
    },
  );

  test('A29: of characters that it refuses, too', () => {
    const declared = [{ functionDeclarations: [{ name: 'a.b:c' }] }];
    const { body } = translated('gemini', 'openai', 'gpt-4o', { tools: declared });
    expect(JSON.stringify(body.tools)).toMatch(/"name":"a_b_c_[0-9a-f]{12}"/);
  });

  test('A29: one that it takes stays', () => {
    const { body } = translated('anthropic', 'openai', 'm', { tools: [{ name: 'look' }] });
    expect(body.tools).toMatchObject([{ function: { name: 'look' } }]);
  });

  const { body, origins } = translated('anthropic', 'openai', 'some-model', asked);
  const { name } = (body.tools as { function: { name: string } }[])[0]?.function ?? { name: '' };
  const call = { id: 'c1', type: 'function', function: { name, arguments: '{}' } };

  test.each(['anthropic', 'gemini', 'responses'] as const)('A29: %s gets its own name back', (to) => {
    const reply = {
      choices: [{ message: { content: null, tool_calls: [call] }, finish_reason: 'tool_calls' }],
    };
    const events = [
      { choices: [{ delta: { tool_calls: [{ index: 0, ...call }] } }] },
      { choices: [{ delta: {}, finish_reason: 'tool_calls' }] },
    ];
    expect(name).not.toBe(long);
    const { text } = streamed('openai', to, events, { origins });
    for (const told of [JSON.stringify(whole('openai', to, reply, { origins })), text]) {
      expect(told).toContain(`"name":"${long}"`);
      expect(told).not.toContain(name);
    }
  });
});
