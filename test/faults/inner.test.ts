/**
 * Refusals and failures inside an answer of status 200, from a provider of each dialect that has them, behind clients of
 * each: rows 31 and 32.
 */
import { describe, expect, test } from 'vitest';
import { event, exception } from '../support/bedrock-wire.ts';
import { startChain } from '../support/chain.ts';
import { type ProviderWire, streamHeaders } from '../support/replies.ts';
import type { ConfigInput } from '../support/sidecar.ts';
import { answers, type Script } from '../support/upstream.ts';
import { clients, providers } from './dialect-rows.ts';

type Json = Readonly<Record<string, unknown>>;
type Bytes = string | Buffer;

const words = 'Their own words.';
const data = (body: Json): string => `data: ${JSON.stringify(body)}\n\n`;
const named = (body: Json): string => `event: ${String(body.type)}\n${data(body)}`;

/** A refusal as a dialect has it inside an answer: whole, and in a stream. Null: it has none there. */
interface Inner {
  readonly whole: Json | null;
  readonly stream: Bytes;
}
const failedResponse = (code: string): Inner => {
  const response = {
    id: 'r',
    object: 'response',
    status: 'failed',
    output: [],
    error: { code, message: words },
  };
  return { whole: response, stream: named({ type: 'response.failed', response }) };
};
const ofOpenai = (type: string): Inner => {
  const body = { error: { message: words, type, code: type, param: null } };
  return { whole: body, stream: data(body) };
};
const ofAnthropic = (type: string): Inner => {
  const body = { type: 'error', error: { type, message: words } };
  return { whole: body, stream: named(body) };
};
const ofGemini = (code: number, status: string): Inner => {
  const body = { error: { code, status, message: words } };
  return { whole: body, stream: data(body) };
};
const ofBedrock = (name: string): Inner => ({ whole: null, stream: exception(name, words) });

/** Refusals of the prompt, and of its rate. Cohere says only that it failed. */
const refusals: Readonly<Record<string, readonly [prompt: Inner, rate: Inner]>> = {
  openai: [ofOpenai('invalid_request_error'), ofOpenai('rate_limit_exceeded')],
  anthropic: [ofAnthropic('invalid_request_error'), ofAnthropic('rate_limit_error')],
  responses: [failedResponse('invalid_prompt'), failedResponse('rate_limit_exceeded')],
  gemini: [ofGemini(400, 'INVALID_ARGUMENT'), ofGemini(429, 'RESOURCE_EXHAUSTED')],
  bedrock: [ofBedrock('validationException'), ofBedrock('throttlingException')],
};

const choice = (more: Json): Json => ({
  id: 'c',
  object: 'chat.completion',
  model: 'm',
  choices: [{ index: 0, ...more }],
});
const candidate = { candidates: [{ content: {}, finishReason: 'MALFORMED_FUNCTION_CALL', index: 0 }] };
const cohereEnd = { finish_reason: 'ERROR', error: words };
const message = {
  id: 'm',
  type: 'message',
  role: 'assistant',
  model: 'm',
  content: [],
  usage: { input_tokens: 1, output_tokens: 0 },
};

/** A generation that failed, as a dialect says it. */
const failures: Readonly<Record<string, { readonly whole: Json; readonly stream: readonly Bytes[] }>> = {
  openai: {
    whole: choice({ message: { role: 'assistant', content: 'The' }, finish_reason: 'error' }),
    stream: [
      data(choice({ delta: { role: 'assistant', content: '' } })),
      data(choice({ delta: {}, finish_reason: 'abort' })),
    ],
  },
  anthropic: {
    whole: { ...message, stop_reason: 'odd' },
    stream: [
      named({ type: 'message_start', message: { ...message, stop_reason: null } }),
      named({ type: 'message_delta', delta: { stop_reason: 'odd' }, usage: { output_tokens: 0 } }),
      named({ type: 'message_stop' }),
    ],
  },
  responses: {
    whole: failedResponse('server_error').whole ?? {},
    stream: [failedResponse('server_error').stream],
  },
  gemini: { whole: candidate, stream: [data(candidate)] },
  bedrock: {
    whole: {
      output: { message: { role: 'assistant', content: [] } },
      stopReason: 'malformed_tool_use',
      usage: {},
    },
    stream: [
      event('messageStart', { role: 'assistant' }),
      event('messageStop', { stopReason: 'malformed_model_output' }),
    ],
  },
  cohere: {
    whole: {
      id: 'c',
      message: { role: 'assistant', content: [{ type: 'text', text: 'The' }] },
      finish_reason: 'ERROR',
    },
    stream: [
      named({ type: 'message-start', id: 'c', delta: { message: { role: 'assistant', content: [] } } }),
      named({ type: 'message-end', id: 'c', delta: cohereEnd }),
    ],
  },
};

/** Sends a whole reply, or a stream if one was asked for. */
const says =
  (provider: ProviderWire, stream: boolean, whole: Json, events: readonly Bytes[]): Script =>
  (call) => {
    if (!stream) return call.whole(200, { 'content-type': 'application/json' }, JSON.stringify(whole));
    call.streamHead(streamHeaders(provider));
    for (const each of events) call.write(each);
    call.end();
  };

/** Ends that would say that all was well. */
const cleanEnds = /\[DONE\]|message_stop|"end_turn"|"finish_reason":"stop"|response\.completed|"STOP"/;

const pairs = clients.flatMap((client) =>
  providers.flatMap((provider) => [false, true].map((stream) => ({ client, provider, stream }))),
);

describe.each(pairs)('$client.name to $provider.name, streamed: $stream', ({ client, provider, stream }) => {
  const start = (scripts: readonly (readonly Script[])[], more: ConfigInput = {}) =>
    startChain(client, scripts, more, {}, provider);
  const good = answers(provider, 'Good');
  const refusing = ({ whole, stream: bytes }: Inner): Script | null =>
    whole === null && !stream ? null : says(provider, stream, whole ?? {}, [bytes]);
  const [prompt, rate] = (refusals[provider.name] ?? []).map(refusing);

  if (prompt !== undefined && prompt !== null)
    test('row 31: a refused prompt is told once, in the provider’s words, and opens no breaker', async () => {
      const chain = await start([[prompt], [good]], { attempt: { retriesMax: 2 } });
      const reply = await chain.ask({ stream });
      expect([reply.status, reply.text.includes(words)]).toEqual([400, true]);
      expect([chain.first.calls.length, chain.second.calls.length]).toEqual([1, 0]);
      expect(await chain.breaker()).toBe('closed');
    });

  if (rate !== undefined && rate !== null)
    test('row 31: a rate limit rests the key, and the next target answers', async () => {
      const chain = await start([[rate], [good]], { attempt: { retriesMax: 2 } });
      for (let n = 0; n < 2; n++) expect((await chain.ask({ stream })).text).toContain('Good');
      expect(chain.first.calls).toHaveLength(1);
      expect(await chain.breaker()).toBe('closed');
      const alone = await start([[rate]]);
      expect([(await alone.ask({ stream })).status, alone.first.calls.length]).toEqual([429, 1]);
    });

  const { whole, stream: events } = failures[provider.name] ?? { whole: {}, stream: [] };
  const fails = says(provider, stream, whole, events);

  test('row 32: a generation that failed is tried again, then at the next target', async () => {
    const again = await start([[fails, good]], {
      attempt: { retriesMax: 1, breaker: { failures: 5 } },
    });
    expect((await again.ask({ stream })).text).toContain('Good');
    const next = await start([[fails], [good]]);
    expect((await next.ask({ stream })).text).toContain('Good');
  });

  test('row 32: else it is an error, and never a clean end', async () => {
    const chain = await start([[fails]]);
    const reply = await chain.ask({ stream });
    expect(reply.status).toBe(502);
    expect(reply.text).not.toMatch(cleanEnds);
  });
});
