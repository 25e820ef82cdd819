/** The Responses API passed through to providers that speak it. */
import { describe, expect, test } from 'vitest';
import { observedReading } from '../../src/dialects/read-reply.ts';
import { echoOf } from '../../src/dialects/responses/echo.ts';
import { responses } from '../../src/dialects/responses/index.ts';
import { bodyFlags, inspect, nativeEndpoint } from '../../src/native/inspect.ts';
import { findNothing } from '../../src/native/pii.ts';
import { startChain } from '../support/chain.ts';
import { eventData, lastError, statedUsage } from '../support/replies.ts';
import { responsesWire as wire } from '../support/responses-wire.ts';
import { streamBySdk } from '../support/sdk.ts';
import { answers, echoes, placeholders, type Script } from '../support/upstream.ts';

describe('its bytes', () => {
  test('pass unchanged in both directions, and usage is counted', async () => {
    const chain = await startChain(wire, [[answers(wire, 'Grüße, ', '日本')]]);
    const odd = { previous_response_id: 'resp_0', x_unknown: [1.5], tools: [{ type: 'web_search' }] };
    const whole = await chain.ask(odd);
    expect(whole.text).toBe(wire.whole('Grüße, 日本'));
    expect(chain.first.calls[0]?.body.toString()).toBe(JSON.stringify(wire.request('Say hello.', odd)));
    expect(chain.first.calls[0]?.path).toBe('/v1/responses');
    expect(await (await chain.stream()).all()).toBe(wire.stream('Grüße, ', '日本').join(''));
    for (const record of chain.records()) {
      expect(record).toMatchObject({ endpoint: 'responses', usageKnown: true, error: '', ...statedUsage });
    }
    expect(await streamBySdk(wire, chain.url)).toEqual({ text: 'Grüße, 日本', error: null });
  });

  test('split at every byte give the same output', async () => {
    const bytes = Buffer.from(wire.stream('Grüße, ', '日本 🎉').join(''));
    const split: Script = async (call) => {
      call.streamHead();
      await call.writeSplit(bytes, [...bytes.keys()]);
      call.end();
    };
    const chain = await startChain(wire, [[split]]);
    expect(await (await chain.stream()).all()).toBe(bytes.toString());
  });

  test('a stream that is stopped at a limit ends the response that began', () => {
    const { chatProvider, chatClient } = responses;
    if (chatProvider === null || chatClient === null) throw new Error('it has both sides');
    const stream = observedReading(chatProvider, chatClient).stream({
      eventMaxBytes: 65_536,
      textMaxBytes: 65_536,
      choices: 1,
    });
    stream.push(Buffer.from(wire.opening + wire.text('Hello')));
    const end = stream.lengthEnd?.({ inputTokens: 3, outputTokens: 2 }).toString() ?? '';
    const begun = JSON.parse(eventData(wire.opening)[0] ?? '').response;
    expect(JSON.parse(eventData(end).at(-1) ?? '')).toMatchObject({
      type: 'response.incomplete',
      response: {
        id: begun.id,
        model: begun.model,
        created_at: begun.created_at,
        incomplete_details: { reason: 'max_output_tokens' },
        usage: { input_tokens: 3, output_tokens: 2 },
      },
    });
  });

  test('a cut stream ends in an error event, and the SDK throws', async () => {
    const cut: Script = (call) => {
      call.streamHead();
      call.write(wire.opening + wire.text('Hello'));
      call.end();
    };
    const chain = await startChain(wire, [[cut]], { attempt: { breaker: { failures: 9 } } });
    const text = await (await chain.stream()).all();
    expect(lastError(wire, text)).toMatchObject({ code: 'stream_cut' });
    const { text: seen, error } = await streamBySdk(wire, chain.url);
    expect(seen).toBe('Hello');
    expect(error?.message).toContain('broke off');
  });

  test('personal data is masked in instructions and items, and restored in whole and streamed answers', async () => {
    const address = 'ann.smith@example.com';
    const chain = await startChain(wire, [
      [echoes(wire, (token) => [`to ${token.slice(0, 4)}`, token.slice(4, -1), '] now'])],
    ]);
    const asked = {
      instructions: `You are ${address}`,
      input: [{ role: 'user', content: [{ type: 'input_text', text: `Write to ${address}` }] }],
    };
    expect((await chain.ask(asked)).text).toContain(`to ${address} now`);
    expect(wire.textOf((await chain.ask({ ...asked, stream: true })).text)).toBe(`to ${address} now`);
    for (const { body } of chain.first.calls) {
      expect(body.toString()).not.toContain(address);
      expect(body.toString().match(placeholders)).toHaveLength(2);
    }
  });
});

describe('what is known of a request', () => {
  const look = (body: object): ReturnType<typeof inspect> =>
    inspect(
      Buffer.from(JSON.stringify({ model: 'm', input: 'Hi', ...body })),
      nativeEndpoint.Responses,
      findNothing,
      false,
      Buffer.alloc(32),
    );
  const flagsOf = (body: object): number => {
    const found = look(body);
    return 'kind' in found ? -1 : found.flags;
  };

  test('its token limit, its text and the capabilities it needs', () => {
    expect(look({ max_output_tokens: 77, instructions: 'Be brief.' })).toMatchObject({
      maxTokens: 77,
      textCharacters: 11,
    });
    expect(look({ max_tokens: 5 })).toMatchObject({ maxTokens: null });
    const image = [{ role: 'user', content: [{ type: 'input_image', image_url: 'data:,' }] }];
    expect(flagsOf({ input: image }) & bodyFlags.images).not.toBe(0);
    expect(flagsOf({ tools: [{ type: 'function', name: 'f' }] }) & bodyFlags.tools).not.toBe(0);
    expect(flagsOf({ tools: [{ type: 'function', name: 'f' }] }) & bodyFlags.serverTools).toBe(0);
    expect(flagsOf({ tools: [{ type: 'web_search' }] }) & bodyFlags.serverTools).not.toBe(0);
    expect(flagsOf({ text: { format: { type: 'json_schema' } } }) & bodyFlags.schema).not.toBe(0);
    expect(flagsOf({ text: { format: { type: 'text' } } }) & bodyFlags.schema).toBe(0);
    expect(flagsOf({ reasoning: { effort: 'high' } }) & bodyFlags.reasoning).not.toBe(0);
  });

  test.each([
    [{ max_output_tokens: 'many' }, { kind: 'type', field: 'max_tokens' }],
    [{ input: 7 }, { kind: 'type', field: 'input' }],
    [{ stream: 1 }, { kind: 'type', field: 'stream' }],
  ])('%j is refused', (body, fault) => {
    expect(look(body)).toMatchObject(fault);
  });
});

test('what a response repeats of its request is left out beyond 256 KiB a member, and no other member', () => {
  const echoed = (length: number): unknown => {
    const body = { instructions: 'x'.repeat(length), metadata: { a: 'b' } };
    const { instructions, metadata } = echoOf(body, JSON.stringify(body).length);
    return { length: typeof instructions === 'string' ? instructions.length : instructions, metadata };
  };
  expect(echoed(1000)).toEqual({ length: 1000, metadata: { a: 'b' } });
  expect(echoed(256 * 1024 - 2)).toEqual({ length: 256 * 1024 - 2, metadata: { a: 'b' } });
  expect(echoed(256 * 1024)).toEqual({ length: null, metadata: { a: 'b' } });
});
