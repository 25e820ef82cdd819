/** Personal data through the whole sidecar: what the provider sees, what the client gets, what is written down. */
import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { anthropicChannel, type Json, openaiTool } from '../support/channels.ts';
import { type Gate, ownModel, startGate } from '../support/gate.ts';
import { anthropicWire, eventData, openaiWire, testModel, wires } from '../support/replies.ts';
import { responsesWire } from '../support/responses-wire.ts';
import { answers, placeholders, type Script } from '../support/upstream.ts';

describe.each(wires)('through the sidecar, $name', (wire) => {
  let gate: Gate;
  afterEach(() => gate.stop());
  const address = 'ann.smith@example.com';
  const card = '4111 1111 1111 1111';
  const prompt = `Write to ${address}, not to bob@example.com, paid with ${card}. Again: ${address}`;
  /** What stands for each value, in order. */
  const tokensIn = (text: string): string[] => text.match(placeholders) ?? [];

  /** Says back what it was asked, in pieces of one character where a stream was asked for. */
  const echo: Script = (call) => answers(wire, ...promptOf(call.json))(call);
  const promptOf = (json: Json): string[] => [
    ...String((json.messages as { content: string }[])[0]?.content),
  ];

  test('the provider sees placeholders, the client its values, the log neither', async () => {
    gate = await startGate([echo]);
    const whole = await gate.ask(wire, prompt);
    const stream = await gate.ask(wire, prompt, { more: { stream: true } });
    const first = promptOf(gate.upstream.calls[0]?.json ?? {}).join('');
    expect(gate.upstream.calls.map(({ json }) => promptOf(json).join(''))).toEqual([first, first]);
    const [ann, bob, paid, again] = tokensIn(first);
    expect(first).toBe(`Write to ${ann}, not to ${bob}, paid with ${paid}. Again: ${again}`);
    expect(again).toBe(ann);
    expect(new Set([ann, bob, paid]).size).toBe(3);
    expect(whole.headers['x-sidegate-scrubbed']).toBe('email=3,card=1');
    expect(whole.text).toContain(prompt);
    expect(wire.textOf(stream.text)).toBe(prompt);
    // A time or a digest may hold any four digits by chance.
    for (const value of [address, 'bob@example.com', card, '4111 ', '41111111'])
      expect(gate.sidecar.logText()).not.toContain(value);
    expect(gate.sidecar.records()[0]).toMatchObject({ scrubbed: 'email=3,card=1' });
  });

  test('all of the body except the model is masked: system text, tool results, metadata, escapes', async () => {
    gate = await startGate([answers(wire, 'ok')]);
    const body = JSON.stringify(
      wire.request('hi', {
        model: ownModel(wire),
        system: `you are ${address}`,
        metadata: { user_id: address },
        tools: [
          { name: 't', description: `mail ${address}`, input_schema: { properties: { [address]: {} } } },
        ],
        unknown: { deep: [[address]] },
      }),
    ).replaceAll('ann.smith@', 'ann.smith\\u0040');
    expect((await gate.post(wire.path, body)).status).toBe(200);
    const sent = gate.upstream.calls[0]?.body.toString() ?? '';
    expect(sent).not.toMatch(/ann\.smith/);
    expect(tokensIn(sent)).toHaveLength(5);
    expect(new Set(tokensIn(sent)).size).toBe(1);
  });

  test('two tenants have two placeholders for one value, and a tenant always the same', async () => {
    const keys = ['acme', 'other'].map((tenant) => ({
      id: tenant,
      sha256: createHash('sha256').update(`key of ${tenant}`).digest('hex'),
      tenant,
    }));
    gate = await startGate([echo], { authenticate: { keys }, scrub: { secret: 'a secret of the tests' } });
    const sendAs = (tenant: string) =>
      gate.ask(wire, prompt, {
        headers: { authorization: `Bearer key of ${tenant}`, 'cache-control': 'no-store' },
      });
    const replies = await Promise.all(
      Array.from({ length: 100 }, (_, i) => sendAs(i % 2 === 0 ? 'acme' : 'other')),
    );
    for (const reply of replies) expect(reply.text).toContain(prompt);
    const sent = new Set(gate.upstream.calls.map(({ json }) => promptOf(json).join('')));
    expect(sent.size).toBe(2);
    const [one = '', two = ''] = sent;
    expect(tokensIn(one).filter((token) => tokensIn(two).includes(token))).toEqual([]);
  });

  test('tool arguments are restored, streamed in pieces', async () => {
    gate = await startGate([
      (call) => {
        call.streamHead();
        call.write(wire.opening + wire.toolBegins);
        const [to, cc] = tokensIn(promptOf(call.json).join(''));
        for (const piece of `{"to":"${to}","cc":"${cc}"}`) call.write(wire.toolArguments(piece));
        call.end(wire.finish('tool') + wire.usage + wire.end);
      },
    ]);
    const { text: stream } = await gate.ask(wire, prompt, { more: { stream: true } });
    const channel =
      wire === openaiWire ? openaiTool(0) : anthropicChannel('tool', 1, 'input_json_delta', 'partial_json');
    const events = eventData(stream)
      .filter((event) => event !== '[DONE]')
      .map((event): Json => JSON.parse(event));
    expect(JSON.parse(events.map(channel.read).join(''))).toEqual({ to: address, cc: 'bob@example.com' });
  });

  test('numbers of tool calls become strings, in any dialect, and all stays JSON', async () => {
    gate = await startGate([
      (call) => answers(call.path.endsWith('/messages') ? anthropicWire : openaiWire, 'Done')(call),
    ]);
    const called = { card: 4111111111111111, count: 12, all: [4111111111111111, 7] };
    const text = JSON.stringify(called);
    const asked = { role: 'user', content: 'Pay' };
    const messages =
      wire === openaiWire
        ? [
            asked,
            {
              role: 'assistant',
              content: null,
              tool_calls: [{ id: 'c1', type: 'function', function: { name: 'pay', arguments: text } }],
            },
            { role: 'tool', tool_call_id: 'c1', content: text },
          ]
        : [
            asked,
            { role: 'assistant', content: [{ type: 'tool_use', id: 'c1', name: 'pay', input: called }] },
            { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c1', content: text }] },
          ];
    const tools =
      wire === openaiWire
        ? [{ type: 'function', function: { name: 'pay', parameters: { type: 'object' } } }]
        : [{ name: 'pay', input_schema: { type: 'object' } }];
    for (const model of [ownModel(wire), ownModel(wire) === testModel ? 'test-claude' : testModel])
      await gate.ask(wire, '', { more: { model, messages, tools } });
    expect(gate.upstream.calls).toHaveLength(2);
    for (const { body, json } of gate.upstream.calls) {
      const sent = body.toString();
      expect(sent).not.toContain('4111');
      expect(new Set(tokensIn(sent)).size).toBe(1);
      expect(tokensIn(sent)).toHaveLength(4);
      const [token] = tokensIn(sent);
      const [, call, result] = json.messages as Json[];
      const { tool_calls: calls, content } = call as { tool_calls?: Json[]; content: Json[] };
      const given = calls?.[0]?.function as { arguments: string } | undefined;
      const wanted = { card: token, count: 12, all: [token, 7] };
      expect(given === undefined ? content.at(-1)?.input : JSON.parse(given.arguments)).toEqual(wanted);
      const back = (result as { content: string | Json[] }).content;
      const said = typeof back === 'string' ? back : (back[0]?.content ?? back[0]?.text);
      expect(JSON.parse(typeof said === 'string' ? said : String((said as Json[])[0]?.text))).toEqual(wanted);
    }
  });

  test('by policy it is refused, without quoting what was found, or let through', async () => {
    gate = await startGate([echo], { scrub: { request: { email: 'block', card: 'off' } } });
    const blocked = await gate.ask(wire, prompt);
    expect(blocked.status).toBe(400);
    expect(wire.errorOf(blocked.text)).toMatchObject({ type: 'invalid_request_error', code: 'pii_blocked' });
    expect(blocked.text).not.toContain('example.com');
    expect(gate.upstream.calls).toHaveLength(0);
    const passed = await gate.ask(wire, `card ${card}`);
    expect(promptOf(gate.upstream.calls[0]?.json ?? {}).join('')).toBe(`card ${card}`);
    expect(passed.text).toContain(card);
  });

  test('a tenant, a route and kinds of the configuration have their own actions', async () => {
    gate = await startGate([echo], {
      scrub: {
        request: { card: 'mask' },
        custom: [
          { name: 'employee', pattern: 'EMP-\\d{4}', action: 'redact' },
          { name: 'project', words: ['Falcon'], action: 'redact' },
        ],
        routes: { [ownModel(wire)]: { request: { email: 'redact', project: 'mask' } } },
      },
    });
    await gate.ask(wire, `EMP-1234 has ${card}, ${address}, falcon`, { more: { model: ownModel(wire) } });
    const [call] = gate.upstream.calls;
    expect(promptOf(call?.json ?? {}).join('')).toBe('[EMPLOYEE] has ****1111, [EMAIL], ****');
  });

  test('what a reply may not hold is replaced, streamed in any pieces and whole, and kept so', async () => {
    const said = `Use AKIAIOSFODNN7EXAMPLE or ${card} now`;
    gate = await startGate([answers(wire, ...said)], {
      scrub: { reply: { api_key: 'redact', card: 'mask' } },
    });
    const whole = await gate.ask(wire, 'a');
    const again = await gate.ask(wire, 'a');
    const stream = await gate.ask(wire, 'b', { more: { stream: true } });
    expect(whole.text).toContain('Use [API_KEY] or ****1111 now');
    expect(again.text).toContain('Use [API_KEY] or ****1111 now');
    expect(wire.textOf(stream.text)).toBe('Use [API_KEY] or ****1111 now');
    expect(gate.sidecar.records()[0]).toMatchObject({ scrubbed: '', scrubbedReply: 'api_key=1,card=1' });
  });

  test('a reply that is too large to be searched at once is searched in a thread', async () => {
    const said = `${'many words '.repeat(20_000)} ${card} now, ${address}`;
    gate = await startGate([answers(wire, said)], { scrub: { reply: { card: 'mask', email: 'redact' } } });
    for (const prompt of ['a', 'a']) {
      const { status, text } = await gate.ask(wire, prompt);
      expect([status, text.includes('words  ****1111 now, [EMAIL]')]).toEqual([200, true]);
    }
    expect(gate.upstream.calls).toHaveLength(1);
    expect(gate.sidecar.records()[0]).toMatchObject({ scrubbedReply: 'email=1,card=1' });
  });

  test('a prompt that repeats an earlier reply is masked the same way again', async () => {
    gate = await startGate([echo]);
    const first = wire.textOf((await gate.ask(wire, prompt, { more: { stream: true } })).text);
    await gate.ask(wire, first, { headers: { 'cache-control': 'no-store' } });
    const [a, b] = gate.upstream.calls.map(({ json }) => promptOf(json).join(''));
    expect(b).toBe(a);
  });
});

test('what a reply may not hold is replaced wherever a stream of Responses says it, and kept so', async () => {
  const address = 'ann.smith@example.com';
  const gate = await startGate([answers(openaiWire, ...`Write to ${address} now`)], {
    scrub: { reply: { email: 'redact' } },
  });
  const asking = { more: { stream: true } };
  const first = await gate.ask(responsesWire, 'a', asking);
  const again = await gate.ask(responsesWire, 'a', asking);
  expect(gate.upstream.calls).toHaveLength(1);
  for (const { text } of [first, again]) {
    expect(text).not.toContain(address);
    const events = eventData(text).map((event): Json => JSON.parse(event));
    const texts = events.flatMap((event) => JSON.stringify(event).match(/Write to [^"]+/g) ?? []);
    // Of the text, its part, its item and the whole reply.
    expect(texts).toEqual(Array.from({ length: 4 }, () => 'Write to [EMAIL] now'));
    expect(responsesWire.textOf(text)).toBe('Write to [EMAIL] now');
  }
  const records = gate.sidecar.records().map(({ scrubbedReply }) => scrubbedReply);
  expect(records[0]).toBe('email=1');
  await gate.stop();
});
