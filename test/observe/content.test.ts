/** What traces say of prompts and replies: nothing by default; where it is wanted, messages without personal data. */
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { createAside } from '../../src/base/aside.ts';
import type { DialectName } from '../../src/exchange/dialects.ts';
import type { Said } from '../../src/observe/content.ts';
import { type Content, contentOf } from '../../src/observe/otlp/content.ts';
import { fitMessages } from '../../src/observe/otlp/fit.ts';
import { createScrubPolicies } from '../../src/scrub/policy.ts';
import { scrub } from '../../src/scrub/settings.ts';
import { folder } from '../dialects/fixtures.ts';
import { bedrockWire } from '../support/bedrock-wire.ts';
import { ask } from '../support/client.ts';
import { cohereWire } from '../support/cohere-wire.ts';
import { geminiWire } from '../support/gemini-wire.ts';
import { contentOfSpan, expectMessages, expectParts, saidIn } from '../support/genai-messages.ts';
import { startReceiver } from '../support/otlp-receiver.ts';
import { anthropicWire, openaiWire, testModel, type Wire } from '../support/replies.ts';
import { responsesWire } from '../support/responses-wire.ts';
import { sharedThread } from '../support/shared-thread.ts';
import { startTestSidecar } from '../support/sidecar.ts';
import { answers, placeholders, refuses, startUpstream } from '../support/upstream.ts';

const clients = [openaiWire, anthropicWire, geminiWire, responsesWire];
const aside = createAside({ clock: Date.now, startThread: sharedThread });
const off = scrub.parse({
  request: { email: 'off' },
  custom: [{ name: 'own', words: ['zqown'], action: 'report' }],
});
const scope = createScrubPolicies(off, Buffer.alloc(32, 1)).of('t').exported();
const address = 'zqcanary.person@example.com';

const read = (said: Partial<Said>, maxBytes = 65_536): Promise<Content | null> =>
  contentOf({ dialect: 'openai', scope, request: Buffer.from('{}'), reply: null, ...said }, maxBytes, aside);

const fixtures = (dialect: DialectName, kind: string): [name: string, body: Buffer][] =>
  readdirSync(`${folder}${dialect}/${kind}`).map((name) => [
    `${dialect}/${kind}/${name}`,
    readFileSync(`${folder}${dialect}/${kind}/${name}`),
  ]);

test.each(clients.map(({ name }) => name))(
  'each sample of %s becomes messages by the conventions',
  async (dialect) => {
    for (const [name, file] of fixtures(dialect, 'requests')) {
      const { body = JSON.parse(file.toString()) } = JSON.parse(file.toString());
      const content = await read({ dialect, request: Buffer.from(JSON.stringify(body)) });
      expect(content?.cut, name).toBe(false);
      const [system, input] = [JSON.parse(content?.system || '[]'), JSON.parse(content?.input || '[]')];
      expectParts(system);
      expectMessages(input, false);
      expect(input.length, name).toBeGreaterThan(0);
    }
    for (const kind of ['replies', 'streams'] as const)
      for (const [name, body] of fixtures(dialect, kind)) {
        const reply = { pieces: [body], stream: kind === 'streams', cut: false };
        const output = JSON.parse((await read({ dialect, reply }))?.output || '[]');
        expectMessages(output, true);
        if (/\/text\./.test(name)) expect(saidIn(output), name).not.toBe('');
        if (/\/tools\./.test(name))
          expect(
            output[0].parts.some(({ type }: { type: string }) => type === 'tool_call'),
            name,
          ).toBe(true);
      }
  },
);

test('images and files are named, calls have their arguments as objects, and results are messages of tools', async () => {
  const request = {
    messages: [
      { role: 'system', content: 'be brief' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'look' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,enFpbWFnZQ==' } },
          { type: 'image_url', image_url: { url: 'https://files.example/a.png?sig=zqsigned#x' } },
        ],
      },
      {
        role: 'assistant',
        tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{"to":"Paris"}' } }],
      },
      { role: 'tool', tool_call_id: 'c1', content: 'rainy' },
    ],
  };
  const content = await read({ request: Buffer.from(JSON.stringify(request)) });
  expect(JSON.parse(content?.input ?? '')).toEqual([
    { role: 'system', parts: [{ type: 'text', content: 'be brief' }] },
    {
      role: 'user',
      parts: [
        { type: 'text', content: 'look' },
        { type: 'blob', modality: 'image', mime_type: 'image/png', content: '' },
        { type: 'uri', modality: 'image', uri: 'https://files.example/a.png' },
      ],
    },
    { role: 'assistant', parts: [{ type: 'tool_call', id: 'c1', name: 'f', arguments: { to: 'Paris' } }] },
    { role: 'tool', parts: [{ type: 'tool_call_response', id: 'c1', response: 'rainy' }] },
  ]);
  expect(content?.system).toBe('');
});

test.each([true, false])('each choice of a reply is a message of its own (stream: %s)', async (stream) => {
  const choice = (index: number, more: object) => ({ index, ...more });
  const whole = {
    choices: [0, 1].map((i) => choice(i, { message: { content: `answer ${i}` }, finish_reason: 'stop' })),
  };
  const events = [0, 1, 0, 1].map((i, at) => ({
    choices: [
      choice(i, {
        delta: { content: at < 2 ? 'answer ' : String(i) },
        finish_reason: at < 2 ? null : 'stop',
      }),
    ],
  }));
  const body = stream
    ? events.map((each) => `data: ${JSON.stringify(each)}\n\n`).join('')
    : JSON.stringify(whole);
  const content = await read({ reply: { pieces: [Buffer.from(body)], stream, cut: false } });
  expect(JSON.parse(content?.output ?? '').map(({ parts }: never) => parts)).toEqual([
    [{ type: 'text', content: 'answer 0' }],
    [{ type: 'text', content: 'answer 1' }],
  ]);
});

test('whatever is said, each attribute keeps to its size and the newest message is in it', async () => {
  const text = fc.string({
    unit: fc.constantFrom('a', '"', '\\', 'é', '😀', '\u0001', '\ud800', '[', '{'),
    maxLength: 3000,
  });
  const value = fc.oneof(text, fc.double({ noNaN: true }), fc.constant(1e21));
  const part = fc.oneof(
    text.map((content) => ({ type: 'text', content })),
    fc
      .tuple(text, value)
      .map(([name, a]) => ({ type: 'tool_call', id: 'c', name, arguments: JSON.stringify({ a }) })),
    fc.tuple(text, value).map(([id, a]) => ({ type: 'tool_call_response', id, response: [a, a] })),
  );
  const messages = fc.array(
    fc.record({
      role: fc.constantFrom('user', 'tool'),
      parts: fc.array(part, { minLength: 1, maxLength: 4 }),
    }),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(messages, fc.integer({ min: 1024, max: 20_000 }), (all, maxBytes) => {
      const { json, cut } = fitMessages(all, maxBytes, 'newest');
      expect(Buffer.byteLength(json)).toBeLessThanOrEqual(maxBytes);
      const kept = json === '' ? [] : JSON.parse(json);
      expectMessages(kept, false);
      if (!cut) expect(kept).toHaveLength(all.length);
      const newest = all.at(-1)?.parts[0];
      if (newest?.type === 'text') expect(kept.at(-1).parts[0].type).toBe('text');
    }),
    { numRuns: 200 },
  );
});

test('wherever personal data stand and wherever a text is cut, none is exported', async () => {
  const words = fc.string({ unit: fc.constantFrom('a', ' ', '.', '\n', 'é', '"'), maxLength: 1500 });
  const kinds = [
    (said: string) => ({ role: 'user', content: said }),
    (said: string) => ({ role: 'tool', tool_call_id: 'c', content: JSON.stringify({ [said]: said }) }),
    (said: string) => ({
      role: 'assistant',
      tool_calls: [
        {
          id: 'c',
          type: 'function',
          function: { name: 'f', arguments: JSON.stringify({ [said]: [said] }).replaceAll('@', '\\u0040') },
        },
      ],
    }),
  ];
  await fc.assert(
    fc.asyncProperty(
      words,
      words,
      fc.constantFrom(...kinds),
      fc.integer({ min: 300, max: 3000 }),
      async (before, after, message, maxBytes) => {
        const request = { messages: [message(`${before} ${address} zqown ${after}`)] };
        const content = await read({ request: Buffer.from(JSON.stringify(request)) }, maxBytes);
        expect(content?.input).not.toMatch(/zq/);
      },
    ),
    { numRuns: 200 },
  );
});

test('a request of many MB is read in a thread, and costs the others nothing', async () => {
  const messages = [
    ...Array.from({ length: 3000 }, (_, i) => ({ role: 'user', content: `old ${i} ${'x'.repeat(1000)}` })),
    { role: 'user', content: `the newest, from ${address}` },
  ];
  const content = await read({ request: Buffer.from(JSON.stringify({ messages })) }, 4096);
  expect(content?.cut).toBe(true);
  const input = JSON.parse(content?.input ?? '');
  expect(input.at(-1).parts[0].content).toMatch(/^the newest, from \[EMAIL_/);
  expect(input.length).toBeGreaterThan(2);
});

test.each([
  ['a body that is no request', '[1]', '{"choices":[{"message":{"content":"x"}}]}'],
  ['a reply that is none', '{"messages":[]}', 'zq not JSON'],
  ['members of other types', '{"messages":{"a":1},"tools":7,"system":[[]]}', '{"choices":{"0":1}}'],
])('%s gives no content, and no error', async (_, request, reply) => {
  for (const stream of [true, false])
    for (const { name: dialect } of clients) {
      const said = {
        dialect,
        request: Buffer.from(request),
        reply: { pieces: [Buffer.from(reply)], stream, cut: false },
      };
      const content = await read(said);
      expect(content?.output ?? '').not.toContain('zq');
    }
});

/** A sidecar before one provider, whose traces say what was said, and a client of each dialect. */
async function startTraced(wire: Parameters<typeof answers>[0], more: object = {}) {
  const receiver = await startReceiver();
  const upstream = await startUpstream(answers(wire, `zqgenerated.one@example.com says: `, 'hello'));
  const sidecar = await startTestSidecar({
    providers: {
      p: {
        dialect: wire.name,
        baseUrl: upstream.baseUrl,
        ...(wire.name === 'bedrock' ? { apiKeys: ['k'] } : {}),
      },
    },
    routes: [{ model: testModel, targets: [{ provider: 'p' }] }],
    observe: { otlp: { endpoint: receiver.url, contentMaxBytes: 16_384 } },
    ...more,
  });
  let open = true;
  const stop = async (): Promise<void> => {
    if (!open) return;
    open = false;
    await sidecar.stop();
    await upstream.close();
  };
  onTestFinished(stop);
  const say = (client: Wire, prompt: string, stream: boolean, headers = {}) =>
    ask(sidecar.url, stream ? (client.streamPath ?? client.path) : client.path, {
      body: client.request(prompt, {
        model: testModel,
        ...(stream && client.streamPath === undefined ? { stream } : {}),
      }),
      headers,
    });
  return { receiver, upstream, sidecar, say, stop };
}

test.each([openaiWire, anthropicWire, geminiWire, responsesWire, bedrockWire, cohereWire])(
  'a provider of $name: clients of all dialects, whole and streamed, are told in traces, without personal data',
  async (wire) => {
    const { receiver, say, stop } = await startTraced(wire, {
      // Neither is changed on the way: traces have a policy of their own.
      scrub: { request: { email: 'off' } },
      cache: { enabled: false },
    });
    const secret =
      'sk-ant-api03-zqsecret0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdef-AAAAAAAA';
    for (const client of clients)
      for (const stream of [false, true]) {
        const reply = await say(client, `from ${address}, ${secret}`, stream);
        expect(reply.status, `${client.name} ${stream} ${reply.text}`).toBe(200);
        expect(reply.text).toContain('zqgenerated');
      }
    await stop();
    const calls = receiver.spans.filter(({ kind }) => kind === 3);
    expect(calls).toHaveLength(8);
    for (const span of calls) {
      const { input, output, cut } = contentOfSpan(span);
      expect(saidIn(input)).toMatch(/^from \[EMAIL_\w{6}\], /);
      expect(saidIn(output)).toMatch(/^\[EMAIL_\w{6}\] says: hello$/);
      expect(output.map(({ finish_reason: reason }) => reason)).toEqual(['stop']);
      expect(cut).toBe(false);
    }
    expect(receiver.text()).not.toMatch(/zq(canary|generated|secret)/);
  },
);

test('what is masked for the provider has the same placeholder in traces', async () => {
  const { receiver, upstream, say, stop } = await startTraced(openaiWire);
  await say(openaiWire, `from ${address}`, false);
  await stop();
  const [sent] = upstream.calls[0]?.body.toString().match(placeholders) ?? [];
  const [call] = receiver.spans.filter(({ kind }) => kind === 3);
  expect(call && saidIn(contentOfSpan(call).input)).toBe(`from ${sent}`);
});

test('a stored reply is told by the span of its request, and a failed call’s span has its prompt', async () => {
  const { receiver, upstream, say, stop } = await startTraced(openaiWire);
  for (const stream of [false, false, true, true]) await say(openaiWire, 'one', stream);
  upstream.answer(refuses(openaiWire.error(400, 'no')));
  expect((await say(openaiWire, 'two', false)).status).toBe(400);
  await stop();
  const told = (kind: number) =>
    receiver.spans
      .filter((span) => span.kind === kind)
      .map(contentOfSpan)
      .filter(({ input }) => input.length > 0)
      .map(({ input, output }) => [saidIn(input), saidIn(output).replaceAll(placeholders, '[it]')]);
  const answered = ['one', '[it] says: hello'];
  expect(told(2)).toEqual([answered, answered]);
  expect(told(3)).toEqual([answered, answered, ['two', '']]);
});

test('by default, and where only metrics are exported, nothing is kept or told', async () => {
  for (const otlp of [{}, { contentMaxBytes: 16_384, signals: ['metrics' as const] }]) {
    const receiver = await startReceiver();
    const upstream = await startUpstream(answers(openaiWire, 'zq reply'));
    const sidecar = await startTestSidecar({
      providers: { p: { dialect: 'openai', baseUrl: upstream.baseUrl } },
      routes: [{ model: testModel, targets: [{ provider: 'p' }] }],
      observe: { otlp: { endpoint: receiver.url, ...otlp } },
    });
    await ask(sidecar.url, openaiWire.path, { body: openaiWire.request('zq prompt') });
    await sidecar.stop();
    await upstream.close();
    expect(receiver.text()).not.toMatch(/zq (prompt|reply)/);
  }
});
