/** What a reply's stream says beside its texts is searched as whole replies are: repeated texts, calls, citations. */
import { describe, expect, test } from 'vitest';
import { dialects } from '../../src/dialects/index.ts';
import type { DialectName } from '../../src/exchange/dialects.ts';
import { type Findings, piiAction, piiKinds, policyOf } from '../../src/native/pii.ts';
import { createReplyScrubber } from '../../src/scrub/restore.ts';
import { data, type Json, named, openaiDelta } from '../support/channels.ts';
import { eventData } from '../support/replies.ts';

const own = { name: 'project', action: piiAction.Redact, words: ['Delta', 'chat', 'Falcon'] };
const rules = [
  { name: 'email', action: piiAction.Tokenise },
  { name: 'card', action: piiAction.Redact },
  { name: 'domain', action: piiAction.Report },
];
const scope = {
  policy: policyOf([...rules, own], [], Buffer.from('key')),
  names: [...piiKinds.map(({ name }) => name), own.name],
  tenant: Buffer.from('acme'),
};

/** What goes out of a stream of events. */
function scrubbed(dialect: DialectName, events: readonly string[]): { text: string; findings: Findings } {
  const scrubber = createReplyScrubber(dialects[dialect], scope);
  const out = events.map((event) => scrubber.push(Buffer.from(event)).toString()).join('');
  const text = out + scrubber.finish().toString();
  return { text, findings: scrubber.findings() };
}
const eventsOf = (text: string): Json[] =>
  eventData(text)
    .filter((event) => event !== '[DONE]')
    .map((event): Json => JSON.parse(event));

const address = 'ann@example.com';
const said = `Write to ${address}, not to bob@example.com now.`;
const placeholder = /\[EMAIL_[0-9A-Z]{6}\]/g;

describe('Responses', () => {
  const at = { item_id: 'msg_1', output_index: 0, content_index: 0 };
  const part = { type: 'output_text', text: said, annotations: [] };
  const item = { id: 'msg_1', type: 'message', role: 'assistant', content: [part] };
  const call = {
    id: 'fc_1',
    type: 'function_call',
    name: 'send',
    arguments: JSON.stringify({ to: address }),
  };
  const place = { item_id: 'fc_1', output_index: 1 };
  const delta = (text: string): string => named({ type: 'response.output_text.delta', ...at, delta: text });
  const argument = (text: string): string =>
    named({ type: 'response.function_call_arguments.delta', ...place, delta: text });
  const response = { id: 'resp_1', object: 'response', model: 'm', output: [item, call] };
  const stream = [
    named({ type: 'response.created', response: { ...response, output: [] } }),
    ...(said.match(/.{1,7}/g) ?? []).map(delta),
    named({ type: 'response.output_text.done', ...at, text: said }),
    named({ type: 'response.content_part.done', ...at, part }),
    named({ type: 'response.output_item.done', output_index: 0, item }),
    ...(call.arguments.match(/.{1,5}/g) ?? []).map(argument),
    named({ type: 'response.function_call_arguments.done', ...place, arguments: call.arguments }),
    named({ type: 'response.output_item.done', output_index: 1, item: call }),
    named({ type: 'response.completed', response }),
  ];
  type Repeating = {
    type: string;
    delta: string;
    text: string;
    arguments: string;
    part: typeof part;
    item: typeof item & typeof call;
    response: { output: [typeof item, typeof call] };
  };

  test('the last events of a text say what its pieces say, and are counted once', () => {
    const { text, findings } = scrubbed('responses', stream);
    expect(text).not.toContain('@');
    const events = eventsOf(text) as unknown as Repeating[];
    const of = (type: string) => events.filter((event) => event.type === `response.${type}`);
    const streamed = of('output_text.delta')
      .map((event) => event.delta)
      .join('');
    expect(streamed.replace(placeholder, '[]')).toBe('Write to [], not to [] now.');
    expect(new Set(streamed.match(placeholder)).size).toBe(2);
    const called = of('function_call_arguments.delta')
      .map((event) => event.delta)
      .join('');
    expect(called).toBe(JSON.stringify({ to: streamed.match(placeholder)?.[0] }));
    const [itemDone, callDone] = of('output_item.done');
    const [completed] = of('completed');
    const texts = [
      of('output_text.done')[0]?.text,
      of('content_part.done')[0]?.part.text,
      itemDone?.item.content[0]?.text,
      completed?.response.output[0].content[0]?.text,
    ];
    expect(texts).toEqual(texts.map(() => streamed));
    const calls = [
      of('function_call_arguments.done')[0]?.arguments,
      callDone?.item.arguments,
      completed?.response.output[1].arguments,
    ];
    expect(calls).toEqual(calls.map(() => called));
    expect(findings).toEqual([{ kind: 'email', count: 3 }]);
  });

  test('what has no pieces is counted once too, and a stream that breaks off has what it said', () => {
    const search = { id: 'ws_1', type: 'web_search_call', action: { query: said } };
    const done = named({ type: 'response.output_item.done', output_index: 0, item: search });
    const completed = named({ type: 'response.completed', response: { ...response, output: [search] } });
    expect(scrubbed('responses', [done, completed])).toMatchObject({
      text: expect.not.stringContaining('@'),
      findings: [{ kind: 'email', count: 2 }],
    });
    expect(scrubbed('responses', stream.slice(0, -1)).findings).toEqual([{ kind: 'email', count: 3 }]);
  });

  test('what an event is stays, whatever words are looked for', () => {
    const text = 'Falcon is a chat of Delta';
    const out = scrubbed('responses', [
      delta(text),
      named({ type: 'response.output_text.done', ...at, text }),
    ]);
    const events = eventsOf(out.text);
    const types = [...new Set(events.map(({ type }) => type))];
    expect(types).toEqual(['response.output_text.delta', 'response.output_text.done']);
    expect(events.at(-1)?.text).toBe('[PROJECT] is a [PROJECT] of [PROJECT]');
    expect(out.findings).toEqual([{ kind: 'project', count: 3 }]);
  });

  test.each(['mcp_call_arguments', 'code_interpreter_call_code'])('%s in pieces', (name) => {
    const piece = (text: string): string => named({ type: `response.${name}.delta`, ...place, delta: text });
    const pieces = [
      ...(said.match(/.{1,4}/g) ?? []).map(piece),
      named({ type: `response.${name}.done`, ...place }),
    ];
    const { text } = scrubbed('responses', pieces);
    const streamed = eventsOf(text)
      .map((event) => event.delta ?? '')
      .join('');
    expect(streamed.replace(placeholder, '[]')).toBe('Write to [], not to [] now.');
  });
});

test('arguments of Gemini, numbers among them', () => {
  const call = { name: 'pay', args: { to: address, card: 4111111111111111, note: 'see https://a.example' } };
  const events = [
    data({
      candidates: [{ index: 0, content: { parts: [{ text: 'To ann@exam' }] } }],
      modelVersion: 'Falcon',
    }),
    data({
      candidates: [
        { index: 0, content: { parts: [{ text: 'ple.com' }, { functionCall: call }] }, finishReason: 'STOP' },
      ],
      modelVersion: 'Falcon',
    }),
  ];
  const { text, findings } = scrubbed('gemini', events);
  type Part = { text?: string; functionCall?: typeof call };
  type Event = { candidates: { content: { parts: Part[] } }[] };
  const parts = (eventsOf(text) as unknown as Event[]).flatMap(({ candidates }) =>
    candidates.flatMap(({ content }) => content.parts),
  );
  const streamed = parts.map((part) => part.text ?? '').join('');
  expect(streamed).toMatch(/^To \[EMAIL_[0-9A-Z]{6}\]$/);
  const calls = parts.flatMap((part) => part.functionCall ?? []);
  const args = { to: streamed.slice(3), card: '[CARD]', note: 'see https://a.example' };
  expect(calls).toEqual([{ name: 'pay', args }]);
  // The model's name, which is in each event, is found once.
  expect(findings).toEqual([
    { kind: 'email', count: 2 },
    { kind: 'card', count: 1 },
    { kind: 'domain', count: 1 },
    { kind: 'project', count: 1 },
  ]);
});

test('a text of Gemini that the parts of its last event share', () => {
  const parts = (said.match(/.{1,7}/g) ?? []).map((text) => ({ text }));
  const event = { candidates: [{ index: 0, content: { parts }, finishReason: 'STOP' }] };
  const { text, findings } = scrubbed('gemini', [data(event)]);
  const [{ candidates }] = eventsOf(text) as unknown as [typeof event];
  const all = candidates[0]?.content.parts.map((part) => part.text).join('') ?? '';
  expect(all.replace(placeholder, '[]')).toBe('Write to [], not to [] now.');
  expect(findings).toEqual([{ kind: 'email', count: 2 }]);
});

describe('OpenAI', () => {
  test("a function call's arguments, as they were before tools, in pieces", () => {
    const whole = JSON.stringify({ to: address });
    const events = (whole.match(/.{1,4}/g) ?? []).map((piece, at) =>
      openaiDelta(
        0,
        { function_call: at === 0 ? { name: 'send', arguments: piece } : { arguments: piece } },
        null,
      ),
    );
    const { text, findings } = scrubbed('openai', [
      ...events,
      openaiDelta(0, {}, 'function_call'),
      'data: [DONE]\n\n',
    ]);
    type Event = { choices: { delta: { function_call?: { name?: string; arguments: string } } }[] };
    const calls = (eventsOf(text) as unknown as Event[]).flatMap(({ choices }) =>
      choices.flatMap(({ delta }) => delta.function_call ?? []),
    );
    expect(calls.map((call) => call.name ?? '').join('')).toBe('send');
    expect(calls.map((call) => call.arguments).join('')).toMatch(/^\{"to":"\[EMAIL_[0-9A-Z]{6}\]"\}$/);
    expect(findings).toEqual([{ kind: 'email', count: 1 }]);
  });

  test.each([
    ['a transcript', (text: string) => ({ audio: { id: 'a1', transcript: text } })],
    [
      'reasoning in details',
      (text: string) => ({ reasoning_details: [{ type: 'reasoning.text', index: 0, text }] }),
    ],
    [
      'a summary of reasoning',
      (text: string) => ({ reasoning_details: [{ type: 'reasoning.summary', index: 1, summary: text }] }),
    ],
  ])('%s in pieces', (_, delta) => {
    const pieces = said.match(/.{1,7}/g) ?? [];
    const { text, findings } = scrubbed(
      'openai',
      pieces.map((piece) => data({ choices: [{ index: 0, delta: delta(piece) }] })),
    );
    const all = eventsOf(text)
      .map((event) => JSON.stringify(event))
      .map((part) => /"(?:transcript|text|summary)":"([^"]*)"/.exec(part)?.[1] ?? '')
      .join('');
    expect(all.replaceAll(placeholder, '@')).toBe('Write to @, not to @ now.');
    expect(findings).toEqual([{ kind: 'email', count: 2 }]);
  });

  test('a transcript of sound, whose last event says all again', () => {
    const pieces = (said.match(/.{1,7}/g) ?? []).map((delta) =>
      data({ type: 'transcript.text.delta', delta }),
    );
    const { text, findings } = scrubbed('openai', [
      ...pieces,
      data({ type: 'transcript.text.done', text: said }),
    ]);
    const events = eventsOf(text);
    const streamed = events.map(({ delta }) => delta ?? '').join('');
    expect(streamed.replace(placeholder, '[]')).toBe('Write to [], not to [] now.');
    expect(events.at(-1)).toEqual({ type: 'transcript.text.done', text: streamed });
    expect(findings).toEqual([{ kind: 'email', count: 2 }]);
  });

  test('what an event carries for a text that is held back has nothing else in clear', () => {
    const annotation = { type: 'url_citation', url_citation: { title: said } };
    const held = openaiDelta(0, { content: 'to bo', annotations: [annotation] }, null);
    const { text } = scrubbed('openai', [held, openaiDelta(0, {}, 'stop')]);
    expect(text).toContain('to bo');
    expect(text).not.toContain('@');
  });
});

test.each([
  ['citations_delta', { delta: { type: 'citations_delta', citation: { cited_text: said } } }],
  ['content_block_start', { content_block: { type: 'tool_use', id: 't', name: 'n', input: { to: said } } }],
])("Anthropic's %s", (type, more) => {
  const event = { type: 'delta' in more ? 'content_block_delta' : type, index: 0, ...more };
  const { text, findings } = scrubbed('anthropic', [
    named(event),
    named({ type: 'content_block_stop', index: 0 }),
  ]);
  expect(text.replace(placeholder, '[]')).toBe(
    (named(event) + named({ type: 'content_block_stop', index: 0 })).replace(/\w+@example\.com/g, '[]'),
  );
  expect(findings).toEqual([{ kind: 'email', count: 2 }]);
});

test.each([
  ['responses', '{ "type": "response.output_text.done", "text": "Nothing \\u0061t all. " }'],
  ['responses', '{"type":"response.completed","response":{"id":"resp_1","output":[{"n":1.0}]}}'],
  ['openai', '{"id":"c","choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}]}'],
  ['gemini', '{ "candidates": [{"content":{"parts":[{"functionCall":{"name":"f","args":{"n":1e3}}}]}}]}'],
  ['anthropic', '{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}'],
  ['openai', '{"choices":[],"site":"https://a.example"}'],
] as const)('an event of %s in which nothing is replaced goes out as it came: %s', (dialect, event) => {
  const sent = `event: x\ndata: ${event}\n\n`;
  expect(scrubbed(dialect, [sent]).text).toBe(sent);
});
