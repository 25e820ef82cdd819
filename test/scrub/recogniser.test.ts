/** Names, places and organisations that an external recogniser finds: through the whole sidecar, on real sockets. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { anthropicChannel, type Json, openaiTool } from '../support/channels.ts';
import { type Gate, ownModel, startGate } from '../support/gate.ts';
import { recognises, textsOf } from '../support/recogniser.ts';
import { eventData, openaiWire, wires } from '../support/replies.ts';
import type { ConfigInput } from '../support/sidecar.ts';
import { answers, placeholders, type Script, startUpstream, type Upstream } from '../support/upstream.ts';

let gate: Gate;
let recogniser: Upstream;
beforeEach(async () => {
  recogniser = await startUpstream(recognises());
});
afterEach(async () => {
  await gate.stop();
  await recogniser.close();
});

type Scrub = NonNullable<ConfigInput['scrub']>;
type Settings = Omit<NonNullable<Scrub['recogniser']>, 'url'>;

/** A sidecar with the recogniser. A busy machine may take longer than usual. */
const start = async (script: Script, scrub: Scrub = {}, more: ConfigInput = {}, settings: Settings = {}) => {
  const { baseUrl: url } = recogniser;
  const patient = { url, timeoutMs: 30_000, ...settings };
  gate = await startGate([script], { ...more, scrub: { ...scrub, recogniser: patient } });
};

const contentOf = (json: Json): string => String((json.messages as { content: string }[])[0]?.content);
/** What the provider was asked. */
const sent = (at = 0): string => contentOf(gate.upstream.calls[at]?.json ?? {});
const tokensIn = (text: string): string[] => text.match(placeholders) ?? [];
const fresh = { 'cache-control': 'no-store' };

describe.each(wires)('$name', (wire) => {
  /** Says back what it was asked, in pieces of one character where a stream was asked for. */
  const echo: Script = (call) => answers(wire, ...contentOf(call.json))(call);
  const prompt = '😀 Ann Smith, ann@example.com, of Acme Corp in Paris, met Zoë 😀 Müller. Ann Smith!';

  test('the provider sees placeholders, the client its names, log and metrics neither', async () => {
    await start(echo);
    const whole = await gate.ask(wire, prompt);
    const stream = await gate.ask(wire, prompt, { more: { stream: true } });
    const [ann = '', mail, acme, paris, zoe, again] = tokensIn(sent());
    expect(sent()).toBe(`😀 ${ann}, ${mail}, of ${acme} in ${paris}, met ${zoe}. ${again}!`);
    expect([ann, acme, paris, zoe].map((token) => token?.slice(0, -8))).toEqual([
      '[PERSON',
      '[ORGANISATION',
      '[LOCATION',
      '[PERSON',
    ]);
    expect(again).toBe(ann);
    expect(whole.headers['x-sidegate-scrubbed']).toBe('email=1,person=3,location=1,organisation=1');
    expect(whole.text).toContain(prompt);
    expect(wire.textOf(stream.text)).toBe(prompt);
    const written = gate.sidecar.logText() + (await gate.sidecar.metrics());
    for (const name of ['Ann', 'Müller', 'Acme', 'Paris']) expect(written).not.toContain(name);
    expect(written).toContain('sidegate_recogniser_checks_total{check="checked"} 1');
  });

  test('tool arguments are restored, streamed in pieces', async () => {
    await start((call) => {
      call.streamHead();
      call.write(wire.opening + wire.toolBegins);
      const [who, where] = tokensIn(contentOf(call.json));
      for (const piece of `{"who":"${who}","where":"${where}"}`) call.write(wire.toolArguments(piece));
      call.end(wire.finish('tool') + wire.usage + wire.end);
    });
    const { text } = await gate.ask(wire, 'Ann Smith, Elm Street 5', { more: { stream: true } });
    const channel =
      wire === openaiWire ? openaiTool(0) : anthropicChannel('tool', 1, 'input_json_delta', 'partial_json');
    const events = eventData(text)
      .filter((event) => event !== '[DONE]')
      .map((event): Json => JSON.parse(event));
    expect(JSON.parse(events.map(channel.read).join(''))).toEqual({
      who: 'Ann Smith',
      where: 'Elm Street 5',
    });
  });

  test('a text is asked about once, so a conversation costs its new turn only', async () => {
    await start(echo);
    await gate.ask(wire, 'Ann Smith', { headers: fresh });
    const turns = ['Ann Smith', 'Who is it?', 'Bob Li'].map((content, at) => ({
      role: at === 1 ? 'assistant' : 'user',
      content,
    }));
    await gate.ask(wire, '', { more: { messages: turns }, headers: fresh });
    await gate.ask(wire, 'Ann Smith', { headers: fresh });
    expect(textsOf(recogniser.calls)).toEqual(['Ann Smith', 'Who is it?\n\nBob Li']);
    const [first, second, third] = gate.upstream.calls.map(
      ({ json }) => json.messages as { content: string }[],
    );
    expect(second?.[0]?.content).toBe(first?.[0]?.content);
    expect(third).toEqual(first);
    expect(second?.[2]?.content).toMatch(/^\[PERSON_\w{6}]$/);
    expect(await gate.sidecar.metrics()).toContain('sidegate_recogniser_checks_total{check="known"} 1');
  });

  test('the cache answers with names restored, and keeps placeholders', async () => {
    await start(echo, {}, { cache: { enabled: true } });
    const first = await gate.ask(wire, prompt);
    const again = await gate.ask(wire, prompt);
    expect([again.headers['cache-status'], again.text.includes(prompt)]).toEqual(['sidegate; hit', true]);
    expect(again.text).toBe(first.text);
    expect(gate.upstream.calls).toHaveLength(1);
  });

  test.each([
    ['redact', '[PERSON] in [LOCATION_'],
    ['mask', '**** in [LOCATION_'],
    ['hash', '[PERSON#'],
    ['report', 'Bob Li in [LOCATION_'],
    ['off', 'Bob Li in [LOCATION_'],
  ] as const)('a policy says what becomes of them: %s', async (action, begins) => {
    await start(echo, { request: { person: action } });
    const { headers } = await gate.ask(wire, 'Bob Li in Paris');
    expect(sent().startsWith(begins)).toBe(true);
    expect(headers['x-sidegate-scrubbed']).toBe(action === 'off' ? 'location=1' : 'person=1,location=1');
  });

  test('blocked, the request is refused without a word of it', async () => {
    await start(echo, { request: { person: 'block' } });
    const { status, text } = await gate.ask(wire, 'Bob Li in Paris');
    expect([status, wire.errorOf(text)]).toMatchObject([400, { code: 'pii_blocked' }]);
    expect(text).toContain('person');
    expect(text).not.toContain('Bob');
    expect(gate.upstream.calls).toHaveLength(0);
  });

  test('a tenant and a route have their own actions; where none acts, nothing is asked', async () => {
    const off = { person: 'off', location: 'off', organisation: 'off' } as const;
    await start(echo, {
      tenants: { test: { request: off } },
      routes: { [ownModel(wire)]: { request: { person: 'redact' } } },
    });
    await gate.ask(wire, 'Bob Li in Paris', { more: { model: ownModel(wire) } });
    expect(sent()).toBe('[PERSON] in Paris');
    await gate.sidecar.stop();
    await start(echo, { tenants: { test: { request: off } } });
    recogniser.answer((call) => call.reset());
    await gate.ask(wire, 'Bob Li in Paris');
    expect(sent()).toBe('Bob Li in Paris');
    expect(recogniser.calls).toHaveLength(1);
  });

  test('names split by escapes, and beside quotes of JSON in text, are replaced without harm', async () => {
    await start(echo);
    recogniser.answer((call) => {
      const { text } = call.json as { text: string };
      const results = [{ entity_type: 'PERSON', start: 0, end: [...text].length, score: 1 }];
      call.whole(200, { 'content-type': 'application/json' }, JSON.stringify(results));
    });
    await gate.ask(wire, '{"name":"Ann\\u0020Smith"}');
    expect(textsOf(recogniser.calls)).toEqual(['{ name : Ann Smith }']);
    const written = sent();
    expect(written).toMatch(/^\{"\[PERSON_\w{6}]":"\[PERSON_\w{6}]"\}$/);
  });
});

describe('what is sent', () => {
  const body = {
    model: 'test-claude',
    max_tokens: 9,
    system: 'You serve Acme Corp',
    metadata: { user_id: 'Ann Smith' },
    tools: [
      { name: 't', description: 'Finds Ann Smith', input_schema: { type: 'object', required: ['Paris'] } },
    ],
    messages: [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Ｂｏｂ\u200b Li' },
          { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'UGFyaXM=' } },
          { type: 'text', text: '4111 1111 1111 1111' },
        ],
      },
      { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 't', input: { who: 'Ann Smith' } }] },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: 'Elm Street 5' }] },
    ],
  };
  const [, anthropic = openaiWire] = wires;

  test('texts that a model reads, and no other part of a request', async () => {
    await start(answers(anthropic, 'ok'));
    const { status } = await gate.post('/v1/messages', JSON.stringify(body));
    expect(status).toBe(200);
    expect(recogniser.calls.map(({ json, method, path }) => [method, path, json])).toEqual([
      [
        'POST',
        '/v1/analyze',
        {
          text: 'You serve Acme Corp\n\nBob Li\n\nAnn Smith\n\nElm Street 5',
          language: 'en',
          entities: ['PERSON', 'LOCATION', 'ORGANIZATION'],
          score_threshold: 0.5,
        },
      ],
    ]);
    const [call] = gate.upstream.calls;
    const { system, messages, tools } = (call?.json ?? {}) as unknown as typeof body;
    expect(system).toMatch(/^You serve \[ORGANISATION_\w{6}]$/);
    expect(messages.map(({ content }) => JSON.stringify(content))).toEqual([
      expect.stringMatching(/"text":"\[PERSON_\w{6}]"/),
      expect.stringMatching(/"who":"\[PERSON_\w{6}]"/),
      expect.stringMatching(/"content":"\[LOCATION_\w{6}]"/),
    ]);
    expect(tools).toEqual(body.tools);
  });

  test('a large request is read in a thread, its texts in several calls', async () => {
    await start(answers(anthropic, 'ok'), {}, {}, { textMaxBytes: 1_000_000 });
    const messages = Array.from({ length: 9 }, (_, at) => ({
      role: at % 2 === 0 ? 'user' : 'assistant',
      content: `${'many words, '.repeat(1000)}${at} Ann Smith`,
    }));
    const { headers } = await gate.post('/v1/messages', JSON.stringify({ ...body, messages }));
    expect(headers['x-sidegate-scrubbed']).toBe('person=9,organisation=1');
    expect(recogniser.calls).toHaveLength(9);
  });

  test('other entities and another language, by the configuration', async () => {
    await start(
      answers(openaiWire, 'ok'),
      {},
      {},
      {
        language: 'de',
        scoreMin: 0.9,
        entities: { PERSON: 'person', NRP: 'organisation', PHONE_NUMBER: 'phone' },
      },
    );
    recogniser.answer((call) => {
      const results = [
        { entity_type: 'PHONE_NUMBER', start: 0, end: 4, score: 0.9 },
        { entity_type: 'NRP', start: 5, end: 10, score: 0.89 },
      ];
      call.whole(200, {}, JSON.stringify(results));
    });
    await gate.ask(openaiWire, 'call swiss');
    expect(recogniser.calls[0]?.json).toMatchObject({
      language: 'de',
      entities: ['PERSON', 'NRP', 'PHONE_NUMBER'],
    });
    expect(sent()).toMatch(/^\[PHONE_\w{6}] swiss$/);
  });
});
