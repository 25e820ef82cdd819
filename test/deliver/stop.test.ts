/** A hard budget that ends in the middle of a stream: the client gets its dialect's own end, the provider is let go. */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Refusal } from '../../src/base/errors.ts';
import { type Gate, ownModel, startGate } from '../support/gate.ts';
import { eventData, lastError, openaiWire, testModel, type Wire, wires } from '../support/replies.ts';
import { responsesWire } from '../support/responses-wire.ts';
import { tokenizer } from '../support/tokenizer.ts';
import { answers, placeholders, type Script } from '../support/upstream.ts';

/** The reply tokens that each stream may have; infinite: what the limiter itself says. */
const budget = vi.hoisted(() => ({ tokens: Number.POSITIVE_INFINITY }));

vi.mock('../../src/limit/limit.ts', async (original) => {
  const real = await original<typeof import('../../src/limit/limit.ts')>();
  const createLimiter: typeof real.createLimiter = (...given) => {
    const limiter = real.createLimiter(...given);
    return {
      ...limiter,
      admit(...asked) {
        const permit = limiter.admit(...asked);
        if (permit instanceof Refusal) return permit;
        const stream = (tokens: number): 'go' | 'stop' => {
          if (budget.tokens === Number.POSITIVE_INFINITY) return permit.stream(tokens);
          return tokens > budget.tokens ? 'stop' : 'go';
        };
        return {
          headers: permit.headers,
          limits: permit.limits,
          waitMs: permit.waitMs,
          cover: (target) => permit.cover(target),
          stream,
          release: () => permit.release(),
          settle: (usage, nanoUsd) => permit.settle(usage, nanoUsd),
        };
      },
    };
  };
  return { ...real, createLimiter };
});

describe.each(wires)('$name', (wire: Wire) => {
  let gate: Gate;
  afterEach(() => gate.stop());

  const start = async (tokens: number, ...events: string[]): Promise<void> => {
    budget.tokens = tokens;
    gate = await startGate([
      async (call) => {
        call.streamHead();
        call.write(events.join(''));
        await call.aborted;
      },
    ]);
  };
  const record = () => gate.sidecar.recordWhere(({ stream }) => stream);
  const long = wire.text('Words that cost. '.repeat(10));

  test("ends with the dialect's length end, and what arrived is billed", async () => {
    await start(20, wire.opening, long);
    const { status, text } = await gate.ask(wire, 'hi', { more: { stream: true } });
    expect(status).toBe(200);
    expect(wire.textOf(text)).toBe('Words that cost. '.repeat(10));
    const ends = eventData(text).slice(-4);
    if (wire.name === 'openai') {
      const [chunk, done] = ends.slice(-2);
      expect(JSON.parse(chunk ?? '')).toMatchObject({
        id: 'chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG',
        choices: [{ index: 0, delta: {}, finish_reason: 'length' }],
      });
      expect(done).toBe('[DONE]');
    } else {
      expect(ends.slice(-3).map((event) => JSON.parse(event))).toMatchObject([
        { type: 'content_block_stop', index: 0 },
        { type: 'message_delta', delta: { stop_reason: 'max_tokens', stop_sequence: null } },
        { type: 'message_stop' },
      ]);
    }
    const [call] = gate.upstream.calls;
    await call?.aborted;
    expect(await record()).toMatchObject({
      stopped: true,
      error: '',
      abandoned: false,
      outputTokens: tokenizer.encode(wire.textOf(text)).length,
      usageKnown: false,
    });
    expect(await gate.sidecar.metrics()).toMatch(/sidegate_breaker_state\{target="[oa]\/test-model"\} 0/);
  });

  test('those that follow it under a budget of their own learn that it broke off', async () => {
    budget.tokens = 20;
    gate = await startGate([], { cache: { singleFlight: true } });
    const first = gate.stream(wire, 'hi');
    const call = await gate.upstream.call(0);
    call.streamHead();
    call.write(wire.opening + wire.text('short'));
    const leader = await first;
    await leader.sees('short');
    const follower = await gate.stream(wire, 'hi');
    expect(follower.headers['cache-status']).toMatch(/collapsed/);
    await follower.sees('short');
    call.write(long);
    expect(await leader.all()).toMatch(/"(?:length|max_tokens)"/);
    const text = await follower.all();
    expect(text).not.toMatch(/"(?:length|max_tokens)"/);
    expect(lastError(wire, text)?.message).toMatch(/broke off/);
    expect((await gate.sidecar.recordWhere(({ error }) => error !== '')).error).toBe('stream_cut');
  });

  test('a reply within the budget, or finished before the budget was used up, is not stopped', async () => {
    budget.tokens = 20;
    gate = await startGate([
      answers(wire, 'short'),
      (call) => {
        call.streamHead();
        call.end(wire.opening + long + wire.finish() + wire.usage + wire.end);
      },
    ]);
    for (const _ of ['short', 'long']) {
      const { text } = await gate.ask(wire, 'hi', {
        more: { stream: true },
        headers: { 'cache-control': 'no-store' },
      });
      expect(text).not.toMatch(/"(?:length|max_tokens)"/);
    }
    expect(gate.sidecar.records().map(({ stopped }) => stopped)).toEqual([false, false]);
  });

  test('the SDK sees an answer that reached its token limit', async () => {
    await start(20, wire.opening, long);
    const messages = [{ role: 'user' as const, content: 'hi' }];
    if (wire.name === 'openai') {
      const client = new OpenAI({ baseURL: `${gate.sidecar.url}/v1`, apiKey: 'k', maxRetries: 0 });
      const completion = await client.chat.completions
        .stream({ model: testModel, messages, stream_options: { include_usage: true } })
        .finalChatCompletion();
      expect(completion.choices[0]).toMatchObject({
        finish_reason: 'length',
        message: { role: 'assistant' },
      });
      expect(completion.usage?.completion_tokens).toBeGreaterThan(20);
      expect(completion.usage?.total_tokens).toBeGreaterThan(completion.usage?.completion_tokens ?? 0);
    } else {
      const client = new Anthropic({ baseURL: gate.sidecar.url, apiKey: 'k', maxRetries: 0 });
      const message = await client.messages
        .stream({ model: ownModel(wire), messages, max_tokens: 500 })
        .finalMessage();
      expect(message.stop_reason).toBe('max_tokens');
      expect(message.content).toHaveLength(1);
      expect(message.usage.output_tokens).toBeGreaterThan(20);
    }
  });

  test('the open block is closed, of whatever kind', async () => {
    const closes = wire.name === 'anthropic' ? wire.finish().split('event: message_delta')[0] : '';
    await start(
      20,
      wire.opening,
      wire.text('a'),
      closes ?? '',
      wire.toolBegins,
      wire.toolArguments('{"a":"'.padEnd(200, 'x')),
    );
    const { text } = await gate.ask(wire, 'hi', { more: { stream: true } });
    const events = eventData(text);
    if (wire.name === 'anthropic')
      expect(JSON.parse(events.at(-3) ?? '')).toEqual({ type: 'content_block_stop', index: 1 });
    else expect(JSON.parse(events.at(-2) ?? '').choices[0].finish_reason).toBe('length');
  });

  test('text held back is sent before the end, and nothing is cached', async () => {
    await start(20, wire.opening, long, wire.text('to [EMAIL_'));
    const asking = { more: { stream: true } };
    const { text } = await gate.ask(wire, 'I am ann@example.com', asking);
    expect(wire.textOf(text)).toMatch(/to \[EMAIL_$/);
    gate.upstream.answer(answers(wire, 'anew'));
    expect(wire.textOf((await gate.ask(wire, 'I am ann@example.com', asking)).text)).toBe('anew');
  });

  test('a limit set to stop ends a stream that outgrows its reservation when nothing is left', async () => {
    budget.tokens = Number.POSITIVE_INFINITY;
    const limit = { name: 'tokens', unit: 'tokens', capacity: 60, refillPerSecond: 0.0001 } as const;
    const endless: Script = async (call) => {
      call.streamHead();
      call.write(wire.opening + long + long);
      await call.aborted;
    };
    const asking = { more: { stream: true, max_tokens: 50 } };
    gate = await startGate([endless], { limits: [{ ...limit, onHardEnd: 'stop' }] });
    expect((await gate.ask(wire, 'hi', asking)).text).toMatch(/"(?:length|max_tokens)"/);
    expect(await record()).toMatchObject({ stopped: true, error: '' });
    // What came beyond the limit is billed all the same.
    expect((await gate.ask(wire, 'hi', asking)).status).toBe(429);
  });

  test('what is held only while a stream runs is released before its tokens are counted', async () => {
    budget.tokens = Number.POSITIVE_INFINITY;
    const once = [{ name: 'once', unit: 'concurrency' as const, capacity: 1 }];
    // Its letters keep the tokenizer busy for a second or so.
    const slow = wire.text('漢'.repeat(300_000));
    const cut: Script = (call) => {
      call.streamHead();
      call.write(wire.opening + slow);
      call.cut();
    };
    gate = await startGate([cut, answers(wire, 'next')], { limits: once, attempt: { retriesMax: 0 } });
    expect((await gate.ask(wire, 'hi', { more: { stream: true } })).text).toContain('stream_cut');
    expect((await gate.ask(wire, 'hi')).status).toBe(200);
    expect((await gate.ask(wire, 'hi', { more: { stream: true } })).status).toBe(200);
  });

  test('a repeated idempotency key gets the same end', async () => {
    await start(20, wire.opening, long);
    const asking = { more: { stream: true }, headers: { 'idempotency-key': 'k' } };
    const first = await gate.ask(wire, 'hi', asking);
    const second = await gate.ask(wire, 'hi', asking);
    expect(second.text).toBe(first.text);
    expect(second.headers['idempotent-replayed']).toBe('true');
    expect(gate.upstream.calls).toHaveLength(1);
  });
});

test('the end of a stream says as little of what the reply may not hold as the stream did', async () => {
  budget.tokens = 20;
  const address = 'ann@example.com';
  const gate = await startGate(
    [
      async (call) => {
        call.streamHead();
        call.write(openaiWire.opening + openaiWire.text(`To ${address}. ${'Words that cost. '.repeat(10)}`));
        await call.aborted;
      },
    ],
    { scrub: { reply: { email: 'redact' } } },
  );
  const { text } = await gate.ask(responsesWire, 'hi', { more: { stream: true } });
  expect(text).not.toContain(address);
  const said = responsesWire.textOf(text);
  expect(said).toMatch(/^To \[EMAIL\]\. (?:Words that cost\. ){10}$/);
  const ends = eventData(text).map((event) => JSON.parse(event));
  expect(ends.find(({ type }) => type === 'response.output_text.done')?.text).toBe(said);
  expect(ends.at(-1)).toMatchObject({
    type: 'response.incomplete',
    response: { output: [{ content: [{ text: said }] }] },
  });
  expect(await gate.sidecar.recordWhere(({ stream }) => stream)).toMatchObject({ scrubbedReply: 'email=1' });
  await gate.stop();
});

test('the end of a stream has the values of its request, as the stream has', async () => {
  budget.tokens = 20;
  const address = 'ann@example.com';
  const gate = await startGate([
    async (call) => {
      const [placeholder = ''] = call.body.toString().match(placeholders) ?? [];
      call.streamHead();
      call.write(
        openaiWire.opening + openaiWire.text(`To ${placeholder}. ${'Words that cost. '.repeat(10)}`),
      );
      await call.aborted;
    },
  ]);
  const { text } = await gate.ask(responsesWire, `I am ${address}`, { more: { stream: true } });
  const said = responsesWire.textOf(text);
  expect(said).toMatch(/^To ann@example\.com\. /);
  expect(JSON.parse(eventData(text).at(-1) ?? '')).toMatchObject({
    response: { output: [{ content: [{ text: said }] }] },
  });
  await gate.stop();
});
