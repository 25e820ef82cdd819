/** What the official SDKs put on the wire, what the provider gets of it, what comes back: byte for byte. */
import type Anthropic from '@anthropic-ai/sdk';
import type OpenAI from 'openai';
import { describe, expect, test } from 'vitest';
import { anthropicWire, openaiWire, testModel } from '../support/replies.ts';
import { type SdkSetup, startSdks } from '../support/sdk-setup.ts';
import { answers, type Script, startUpstream } from '../support/upstream.ts';

/** Text with all that an encoder could change: escapes, emoji, a lone surrogate, HTML, line separators. */
const odd = 'tab\t quote" back\\slash / <b>&amp;</b> é 😀 \ud83d \u2028 \u0000 \u007f';
const unknown = { not_yet_known: { a: [1.5, 1e21, -0, null, true], ключ: odd }, temperature: 0.1 };

describe('bytes on the way in', () => {
  const ask = { model: testModel, messages: [{ role: 'user' as const, content: odd }], ...unknown };

  /** Asks straight and through the sidecar; gives the two bodies. */
  async function both(
    { upstream, openai, anthropic, straight }: SdkSetup,
    send: (to: { openai: OpenAI; anthropic: Anthropic }) => Promise<unknown>,
  ) {
    await send(straight);
    await send({ openai, anthropic });
    const [sent, got] = upstream.calls.map(({ body }) => body.toString('latin1'));
    if (sent === undefined || got === undefined) throw new Error('a request is missing');
    return { sent, got };
  }

  test('OpenAI: what needs no edit arrives byte for byte', async () => {
    const setup = await startSdks([answers(openaiWire, 'ok')]);
    const { sent, got } = await both(setup, ({ openai }) => openai.chat.completions.create(ask));
    expect(got).toBe(sent);
    expect(got).toContain('not_yet_known');
  });

  test('OpenAI: a stream asks for its usage, and nothing else changes', async () => {
    const setup = await startSdks([answers(openaiWire, 'ok')]);
    const { sent, got } = await both(setup, async ({ openai }) => {
      for await (const _ of await openai.chat.completions.create({ ...ask, stream: true }));
    });
    expect(got).toBe(sent.replace('{', '{"stream_options":{"include_usage":true},'));
  });

  test('OpenAI: a stream that asks for its usage itself arrives byte for byte', async () => {
    const setup = await startSdks([answers(openaiWire, 'ok')]);
    const { sent, got } = await both(setup, async ({ openai }) => {
      const stream_options = { include_usage: true, include_obfuscation: false };
      for await (const _ of await openai.chat.completions.create({ ...ask, stream: true, stream_options }));
    });
    expect(got).toBe(sent);
  });

  test('OpenAI: other stream options are kept beside it', async () => {
    const setup = await startSdks([answers(openaiWire, 'ok')]);
    const { sent, got } = await both(setup, async ({ openai }) => {
      const stream_options = { include_usage: false, include_obfuscation: false };
      for await (const _ of await openai.chat.completions.create({ ...ask, stream: true, stream_options }));
    });
    const [before, after] = sent.split(
      '"stream_options":{"include_usage":false,"include_obfuscation":false}',
    );
    expect(got).toBe(`${before}"stream_options":{"include_usage":true,"include_obfuscation":false}${after}`);
  });

  test('OpenAI: another model name is put in place, alone and with the usage', async () => {
    for (const stream of [false, true]) {
      const setup = await startSdks([answers(openaiWire, 'ok')]);
      const { sent, got } = await both(setup, ({ openai }) =>
        openai.chat.completions.create({ ...ask, model: 'alias', stream }).asResponse(),
      );
      const renamed = sent.replace('"model":"alias"', '"model":"the-real-one"');
      expect(got).toBe(stream ? renamed.replace('{', '{"stream_options":{"include_usage":true},') : renamed);
    }
  });

  test('Anthropic: whole and streamed arrive byte for byte, another model name in place', async () => {
    for (const stream of [false, true]) {
      for (const model of [testModel, 'alias']) {
        const setup = await startSdks([answers(anthropicWire, 'ok')]);
        const { sent, got } = await both(setup, ({ anthropic }) =>
          anthropic.messages.create({ ...ask, max_tokens: 9, model, stream }).asResponse(),
        );
        expect(got).toBe(model === 'alias' ? sent.replace('"alias"', '"the-real-one"') : sent);
      }
    }
  });

  test('embeddings and token counts arrive byte for byte', async () => {
    const embedding: Script = (call) =>
      call.whole(
        200,
        { 'content-type': 'application/json' },
        '{"object":"list","data":[],"model":"m","usage":{"prompt_tokens":1}}',
      );
    const setup = await startSdks([embedding]);
    const embedded = await both(setup, ({ openai }) =>
      openai.embeddings.create({ model: testModel, input: [odd, 'b'], dimensions: 3 }),
    );
    expect(embedded.got).toBe(embedded.sent);

    const counted = await startSdks([
      (call) => call.whole(200, { 'content-type': 'application/json' }, '{"input_tokens":42,"more":1}'),
    ]);
    let tokens = 0;
    const { sent, got } = await both(counted, async ({ anthropic }) => {
      const { model, messages } = ask;
      tokens = (await anthropic.messages.countTokens({ model, messages, system: odd })).input_tokens;
    });
    expect(got).toBe(sent);
    expect(tokens).toBe(42);
    expect(counted.upstream.calls[1]?.path).toBe('/v1/messages/count_tokens');
    expect(counted.records()[0]).toMatchObject({ endpoint: 'count_tokens', status: 200 });
  });
});

describe('headers on the way in', () => {
  test('the provider gets the gateway’s key, the headers that mean something, and nothing else', async () => {
    const { upstream, openai, anthropic } = await startSdks([
      answers(openaiWire, 'ok'),
      answers(anthropicWire, 'ok'),
    ]);
    const messages = [{ role: 'user' as const, content: 'hi' }];
    const headers = { 'OpenAI-Organization': 'org', 'x-secret': 's', cookie: 'c', traceparent: '00-1-2-01' };
    await openai.chat.completions.create({ model: testModel, messages }, { headers });
    await anthropic.beta.messages.create({
      model: testModel,
      max_tokens: 9,
      messages,
      betas: ['b-1', 'b-2'],
    });
    const [first, second] = upstream.calls.map((call) => call.headers);
    expect(first).toMatchObject({
      authorization: 'Bearer provider-key',
      traceparent: '00-1-2-01',
    });
    expect(second).toMatchObject({
      'x-api-key': 'provider-key',
      'anthropic-beta': 'b-1,b-2',
      'anthropic-version': expect.stringMatching(/^\d{4}-\d\d-\d\d$/),
    });
    for (const got of [first, second]) {
      expect(JSON.stringify(got)).not.toMatch(/app-key|x-stainless|x-secret|cookie|organization/);
    }
  });

  test('the client’s own credential goes on where the configuration says so', async () => {
    const upstream = await startUpstream(answers(openaiWire, 'ok'), answers(anthropicWire, 'ok'));
    const { baseUrl } = upstream;
    const { openai, anthropic } = await startSdks([], {
      providers: {
        o: { dialect: 'openai', baseUrl, credential: 'client' },
        a: { dialect: 'anthropic', baseUrl, credential: 'client' },
      },
    });
    const messages = [{ role: 'user' as const, content: 'hi' }];
    await openai.chat.completions.create({ model: testModel, messages });
    await anthropic.messages.create({ model: testModel, max_tokens: 9, messages });
    expect(upstream.calls[0]?.headers.authorization).toBe('Bearer app-key');
    expect(upstream.calls[1]?.headers['x-api-key']).toBe('app-key');
    await upstream.close();
  });
});

describe('bytes on the way out', () => {
  const params = { model: testModel, messages: [{ role: 'user' as const, content: 'hi' }] };

  test('a whole reply survives byte for byte, with fields nobody knows', async () => {
    const odds = [
      [openaiWire, ({ openai }: SdkSetup) => openai.chat.completions.create(params)],
      [anthropicWire, ({ anthropic }: SdkSetup) => anthropic.messages.create({ ...params, max_tokens: 9 })],
    ] as const;
    for (const [wire, ask] of odds) {
      const body = `${wire.whole(odd).replace('{', '{ "x_extra" : { "deep":[1.0,1e3] },\n')}\n`;
      const setup = await startSdks([
        (call) => call.whole(200, { 'content-type': 'application/json; charset=utf-8' }, body),
      ]);
      expect(await (await ask(setup).asResponse()).text()).toBe(body);
      expect(await ask(setup)).toMatchObject({ x_extra: { deep: [1, 1000] } });
    }
  });

  test('OpenAI: the usage event is the gateway’s own unless the client asked for it', async () => {
    const script = answers(openaiWire, 'some ', 'text');
    const setup = await startSdks([script]);
    const raw = async (stream_options?: OpenAI.ChatCompletionStreamOptions): Promise<string> =>
      (
        await setup.openai.chat.completions
          .create({ ...params, stream: true, ...(stream_options && { stream_options }) })
          .asResponse()
      ).text();
    const sent = openaiWire.stream('some ', 'text');
    expect(await raw()).toBe(sent.filter((event) => event !== openaiWire.usage).join(''));
    expect(await raw({ include_usage: false })).toBe(
      sent.filter((event) => event !== openaiWire.usage).join(''),
    );
    expect(await raw({ include_usage: true })).toBe(sent.join(''));
    for (const record of setup.records())
      expect(record).toMatchObject({ outputTokens: 15, usageKnown: true });
  });

  test('Anthropic: every event survives byte for byte, known or not', async () => {
    const strange = 'event: brand_new\ndata: {"type":"brand_new", "x" : [ ]}\n\n';
    const events = [...anthropicWire.stream('some ', 'text')];
    events.splice(2, 0, strange, ': comment\n\n');
    const { anthropic } = await startSdks([
      (call) => {
        call.streamHead();
        for (const event of events) call.write(event);
        call.end();
      },
    ]);
    const reply = await anthropic.messages.create({ ...params, max_tokens: 9, stream: true }).asResponse();
    expect(await reply.text()).toBe(events.join(''));
  });

  test('Anthropic: thinking and its signature come as they were sent, character by character', async () => {
    const signature = 'ErUBCkYIBxgCIkC+Zz/9=='.repeat(20);
    const named = (type: string, more: object): string =>
      `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;
    const delta = (index: number, change: object): string =>
      named('content_block_delta', { index, delta: change });
    const [messageStart = ''] = anthropicWire.opening.split(/(?<=\n\n)/);
    const body = [
      messageStart,
      named('content_block_start', {
        index: 0,
        content_block: { type: 'thinking', thinking: '', signature: '' },
      }),
      ...'Let me see: [EMAIL'.split('').map((thinking) => delta(0, { type: 'thinking_delta', thinking })),
      delta(0, { type: 'signature_delta', signature }),
      named('content_block_stop', { index: 0 }),
      named('content_block_start', { index: 1, content_block: { type: 'text', text: '' } }),
      delta(1, { type: 'text_delta', text: 'So.' }),
      named('content_block_stop', { index: 1 }),
      named('message_delta', {
        delta: { stop_reason: 'end_turn', stop_sequence: null },
        usage: { output_tokens: 9 },
      }),
      anthropicWire.end,
    ];
    const { anthropic } = await startSdks([
      (call) => {
        call.streamHead();
        for (const event of body) call.write(event);
        call.end();
      },
    ]);
    const final = await anthropic.messages
      .stream({ ...params, messages: [{ role: 'user', content: 'I am ann@example.com' }], max_tokens: 9 })
      .finalMessage();
    expect(final.content).toEqual([
      { type: 'thinking', thinking: 'Let me see: [EMAIL', signature },
      { type: 'text', text: 'So.' },
    ]);
  });
});
