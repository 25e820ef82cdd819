/** A stream that the gateway ends because a limit is used up: how it ends, for each client and provider dialect. */
import { describe, expect, test } from 'vitest';
import { clients, providers } from '../faults/dialect-rows.ts';
import { startChain } from '../support/chain.ts';
import { eventData, lastError, streamHeaders } from '../support/replies.ts';
import { streamBySdk } from '../support/sdk.ts';
import { tokenizer } from '../support/tokenizer.ts';
import type { Script } from '../support/upstream.ts';

/** How a dialect's last events state that the token limit was reached. */
const lengthEnds: Readonly<Record<string, readonly string[]>> = {
  openai: ['"finish_reason":"length"', '[DONE]'],
  anthropic: ['"stop_reason":"max_tokens"', '"message_stop"'],
  responses: ['"response.incomplete"', '"max_output_tokens"'],
  gemini: ['"finishReason":"MAX_TOKENS"'],
};
/** How an app sets its token limit, which is reserved but which the provider does not obey. */
const bounds: Readonly<Record<string, (tokens: number) => Record<string, unknown>>> = {
  openai: (tokens) => ({ max_completion_tokens: tokens }),
  anthropic: (tokens) => ({ max_tokens: tokens }),
  responses: (tokens) => ({ max_output_tokens: tokens }),
  gemini: (tokens) => ({ generationConfig: { maxOutputTokens: tokens } }),
};

/** More than is reserved if an app sets no limit (4096 tokens). */
const words = 'Words that cost. '.repeat(1200);
const wordTokens = tokenizer.encode(words).length;
const limit = {
  name: 'tokens',
  per: ['user' as const],
  unit: 'tokens' as const,
  capacity: 4300,
  refillPerSecond: 0.0001,
  onHardEnd: 'stop' as const,
};

describe.each(clients)('$name', (client) => {
  test.each(providers)('from $name', async (provider) => {
    const endless: Script = async (call) => {
      call.streamHead(streamHeaders(provider));
      call.write(provider.opening);
      call.write(provider.text(words));
      await call.aborted;
    };
    const chain = await startChain(client, [[endless]], { limits: [limit] }, {}, provider);
    const reply = await chain.stream(bounds[client.name]?.(20), { 'x-sidegate-user': 'ada' });
    const text = await reply.all();
    expect(client.textOf(text)).toBe(words);
    expect(lastError(client, text)).toBeNull();
    const ends = eventData(text).slice(-2).join('\n');
    for (const end of lengthEnds[client.name] ?? ['?']) expect(ends).toContain(end);
    const record = await chain.recordWhere(({ stream }) => stream);
    expect(record).toMatchObject({ stopped: true, error: '', abandoned: false, usageKnown: false });
    expect(record.outputTokens).toBe(wordTokens);
    expect(await chain.breaker()).toBe('closed');

    expect(await streamBySdk(client, chain.url)).toEqual({ text: words, error: null });
  });
});
