/** Bodies of requests that are large in one way each: many members, long names, many calls, deep or wide schemas. */
import type { Json } from '../../src/base/json.ts';

/** A body whose length grows with `n`, and nothing else about it. */
export interface Shape {
  readonly name: string;
  readonly dialect: 'openai' | 'anthropic' | 'gemini' | 'responses';
  body(n: number): Json;
}

const many = <T>(n: number, make: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => make(i));
let objects = 0;
/** What the names of one object begin with. */
const newStart = (): string => {
  objects += 1;
  return objects.toString(36).padStart(4, 'k');
};
/** An object with names that no other has: V8 reads names it has met before in a third of the time. */
const members = (n: number, value: unknown = 1): Json => {
  const of = newStart();
  return Object.fromEntries(many(n, (i) => [`${of}${i}`, value] as const));
};

/** Short texts that no other list has: V8 keeps one copy of each text of less than ten characters, as it does of names. */
const words = (n: number): string[] => {
  const of = newStart();
  return many(n, (i) => of + i.toString(36).padStart(5, '0'));
};

/** A body's text with other names in such objects and other texts in such lists, of the same length. */
export function withNewNames(text: string): string {
  const starts = new Map<string, string>();
  return text.replace(/k[0-9a-z]{3}(?=\d)/g, (start) => {
    const known = starts.get(start) ?? newStart();
    starts.set(start, known);
    return known;
  });
}

const openai = (name: string, body: (n: number) => Json): Shape => ({
  name: `openai: ${name}`,
  dialect: 'openai',
  body: (n) => ({ model: 'm', messages: [{ role: 'user', content: 'Hi' }], ...body(n) }),
});
const anthropic = (name: string, body: (n: number) => Json): Shape => ({
  name: `anthropic: ${name}`,
  dialect: 'anthropic',
  body: (n) => ({ model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'Hi' }], ...body(n) }),
});
const gemini = (name: string, body: (n: number) => Json): Shape => ({
  name: `gemini: ${name}`,
  dialect: 'gemini',
  body: (n) => ({ contents: [{ role: 'user', parts: [{ text: 'Hi' }] }], ...body(n) }),
});
const responses = (name: string, body: (n: number) => Json): Shape => ({
  name: `responses: ${name}`,
  dialect: 'responses',
  body: (n) => ({ model: 'm', input: 'Hi', ...body(n) }),
});

const call = (i: number) => ({
  id: `c${i}`,
  type: 'function',
  function: { name: 'f', arguments: '{"a":1}' },
});
const pdf = { media_type: 'application/pdf', type: 'base64', data: 'AAAA' };

const ofOpenai: readonly Shape[] = [
  openai('unknown members', (n) => members(n)),
  openai('an unknown list', (n) => ({ x: words(n) })),
  openai('unknown members that are objects', (n) => members(n, { a: 1 })),
  openai('one long name', (n) => ({ ['x'.repeat(n * 10)]: 1 })),
  openai('one long text', (n) => ({ messages: [{ role: 'user', content: 'word '.repeat(n * 4) }] })),
  openai('escapes beside a long text', (n) => ({
    messages: [
      { role: 'user', content: 'word '.repeat(200) },
      { role: 'user', content: ` ${'\\\\'.repeat(n)}` },
    ],
  })),
  openai('messages', (n) => ({ messages: many(n, () => ({ role: 'user', content: 'Hi' })) })),
  openai('turns', (n) => ({
    messages: many(n, (i) => ({ role: i % 2 === 0 ? 'user' : 'assistant', content: 'Hi' })),
  })),
  openai('named messages', (n) => ({
    messages: many(n, (i) => ({ role: 'user', name: `n${i}`, content: 'x' })),
  })),
  openai('system messages', (n) => ({ messages: many(n, () => ({ role: 'system', content: 'x' })) })),
  openai('parts', (n) => ({
    messages: [{ role: 'user', content: many(n, () => ({ type: 'text', text: 'x' })) }],
  })),
  openai('images', (n) => ({
    messages: [
      {
        role: 'user',
        content: many(n, () => ({
          type: 'image_url',
          image_url: { url: 'data:image/png;base64,AAAA', detail: 'high' },
        })),
      },
    ],
  })),
  openai('files of one name', (n) => ({
    messages: [
      {
        role: 'user',
        content: many(n, () => ({ type: 'file', file: { filename: 'a.pdf', file_data: 'AAAA' } })),
      },
    ],
  })),
  openai('calls of one turn', (n) => ({
    messages: [{ role: 'assistant', content: null, tool_calls: many(n, call) }],
  })),
  openai('results', (n) => ({
    messages: [
      { role: 'assistant', content: null, tool_calls: many(n, call) },
      ...many(n, (i) => ({ role: 'tool', tool_call_id: `c${i}`, content: 'x' })),
    ],
  })),
  openai('calls and results in turn', (n) => ({
    messages: many(n, (i) => [
      { role: 'assistant', content: null, tool_calls: [call(i)] },
      { role: 'tool', tool_call_id: `c${i}`, content: 'x' },
    ]).flat(),
  })),
  openai('long arguments', (n) => ({
    messages: [
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ ...call(0), function: { name: 'f', arguments: JSON.stringify(members(n)) } }],
      },
    ],
  })),
  openai('tools', (n) => ({
    tools: many(n, (i) => ({
      type: 'function',
      function: { name: `f${i}`, parameters: { type: 'object' } },
    })),
  })),
  openai('strict tools with bounds', (n) => ({
    tools: many(n, (i) => ({
      type: 'function',
      function: {
        name: `f${i}`,
        strict: true,
        parameters: { type: 'object', properties: { a: { type: 'integer', minimum: 1, maximum: 2 } } },
      },
    })),
  })),
  openai('a wide schema', (n) => ({
    response_format: {
      type: 'json_schema',
      json_schema: {
        name: 'a',
        schema: { type: 'object', properties: members(n, { type: 'string', pattern: 'x' }) },
      },
    },
  })),
  openai('metadata', (n) => ({ metadata: members(n, 'x') })),
  openai('stop sequences', (n) => ({ stop: words(n) })),
  openai('long stop sequences', (n) => ({ stop: many(4, () => 'x'.repeat(n)) })),
  openai('reasoning details', (n) => ({
    messages: [
      {
        role: 'assistant',
        content: 'x',
        reasoning_details: many(n, () => ({ type: 'reasoning.text', text: 'x', signature: 'anthropic~AA' })),
      },
    ],
  })),
  openai('refusals', (n) => ({
    messages: many(n, () => ({ role: 'assistant', content: [{ type: 'refusal', refusal: 'no' }] })),
  })),
];

const ofAnthropic: readonly Shape[] = [
  anthropic('unknown members', (n) => members(n)),
  anthropic('blocks', (n) => ({
    messages: [{ role: 'user', content: many(n, () => ({ type: 'text', text: 'x' })) }],
  })),
  anthropic('system blocks', (n) => ({ system: many(n, () => ({ type: 'text', text: 'x' })) })),
  anthropic('documents of one name', (n) => ({
    messages: [
      { role: 'user', content: many(n, () => ({ type: 'document', title: 'a', context: 'c', source: pdf })) },
    ],
  })),
  anthropic('results in messages of their own', (n) => ({
    messages: [
      {
        role: 'assistant',
        content: many(n, (i) => ({ type: 'tool_use', id: `c${i}`, name: 'f', input: {} })),
      },
      ...many(n, (i) => ({
        role: 'user',
        content: [{ type: 'tool_result', tool_use_id: `c${i}`, content: 'x' }],
      })),
    ],
  })),
  anthropic('thinking', (n) => ({
    messages: [
      {
        role: 'assistant',
        content: many(n, () => ({ type: 'thinking', thinking: 'x', signature: 'gemini~AA' })),
      },
    ],
  })),
  anthropic('tools with unknown members', (n) => ({
    tools: many(n, (i) => ({ name: `f${i}`, input_schema: { type: 'object' }, extra: 1 })),
  })),
];

const ofGemini: readonly Shape[] = [
  gemini('unknown members', (n) => members(n)),
  gemini('unknown settings', (n) => ({ generationConfig: members(n) })),
  gemini('calls, then results of one name', (n) => ({
    contents: [
      { role: 'model', parts: many(n, () => ({ functionCall: { name: 'f', args: {} } })) },
      { role: 'user', parts: many(n, () => ({ functionResponse: { name: 'f', response: {} } })) },
    ],
  })),
  gemini('calls, then results of no call', (n) => ({
    contents: [
      { role: 'model', parts: many(n, (i) => ({ functionCall: { id: `c${i}`, name: 'f', args: {} } })) },
      {
        role: 'user',
        parts: many(n, (i) => ({ functionResponse: { id: `d${i}`, name: 'g', response: {} } })),
      },
    ],
  })),
  gemini('calls, then results backwards', (n) => ({
    contents: [
      { role: 'model', parts: many(n, (i) => ({ functionCall: { id: `c${i}`, name: 'f', args: {} } })) },
      {
        role: 'user',
        parts: many(n, (i) => ({ functionResponse: { id: `c${n - 1 - i}`, name: 'f', response: {} } })),
      },
    ],
  })),
  gemini('declarations', (n) => ({
    tools: [
      { functionDeclarations: many(n, (i) => ({ name: `f${i}`, extra: 1, parameters: { type: 'OBJECT' } })) },
    ],
  })),
  gemini('signed parts', (n) => ({
    contents: [
      { role: 'model', parts: many(n, () => ({ text: 'x', thoughtSignature: 'c2lkZWdhdGU6YWJj' })) },
    ],
  })),
];

const ofResponses: readonly Shape[] = [
  responses('unknown members', (n) => members(n)),
  responses('items of the assistant', (n) => ({
    input: many(n, (i) => ({ type: 'function_call', call_id: `c${i}`, name: 'f', arguments: '{}' })),
  })),
  responses('results', (n) => ({
    input: [
      ...many(n, (i) => ({ type: 'function_call', call_id: `c${i}`, name: 'f', arguments: '{}' })),
      ...many(n, (i) => ({ type: 'function_call_output', call_id: `c${i}`, output: 'x' })),
    ],
  })),
  responses('messages', (n) => ({ input: many(n, () => ({ role: 'user', content: 'x' })) })),
  responses('reasoning items', (n) => ({
    input: many(n, (i) => ({
      type: 'reasoning',
      id: `r${i}`,
      summary: [{ type: 'summary_text', text: 'x' }],
      encrypted_content: 'AA',
    })),
  })),
  responses('empty messages', (n) => ({ input: many(n, () => ({ role: 'user', content: [] })) })),
];

/** All shapes. */
export const shapes: readonly Shape[] = [...ofOpenai, ...ofAnthropic, ...ofGemini, ...ofResponses];
