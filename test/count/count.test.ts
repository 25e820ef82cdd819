/** Stage count: usage that no provider states is counted by a tokenizer, off the request path, within bounds. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createCatalog } from '../../src/catalog/catalog.ts';
import { costNanoUsd, type Price, unknownFacts } from '../../src/catalog/facts.ts';
import { createEstimator } from '../../src/count/estimate.ts';
import { imageSize, imageTokens } from '../../src/count/image.ts';
import { countPieces } from '../../src/count/pieces.ts';
import { countPrompt } from '../../src/count/prompt.ts';
import {
  type BilledTry,
  bill,
  type Counts,
  learn,
  windowsMaxOf,
  withPlausible,
} from '../../src/count/usage.ts';
import { bodyFlags } from '../../src/native/inspect.ts';
import { inspectReply, noFacts, type ReplyFacts } from '../../src/native/reply.ts';
import type { Target } from '../../src/upstream/target.ts';
import { sampleEndpoint, sampleRequest } from '../support/samples.ts';
import { tokenizer } from '../support/tokenizer.ts';

const tokensOf = (text: string): number => tokenizer.encode(text, [], []).length;

const price: Price = { input: 3000, cachedInput: 300, cacheWrite: 3750, output: 15_000 };
const target = (own: Price | null): Target =>
  ({ label: 'p/m', facts: { ...unknownFacts, price: own } }) as Target;
const billed = (facts: Partial<ReplyFacts>, more: Partial<BilledTry> = {}): BilledTry => ({
  target: target(price),
  facts: { ...noFacts, ...facts },
  complete: true,
  text: () => Buffer.alloc(0),
  ...more,
});

describe('dollars', () => {
  const usage = { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0, cacheWriteTokens: 0, known: true };

  test('each kind of token has its price, to the nano-dollar', () => {
    const used = {
      ...usage,
      inputTokens: 1000,
      cachedInputTokens: 600,
      cacheWriteTokens: 300,
      outputTokens: 7,
    };
    expect(costNanoUsd(price, used)).toBe(100 * 3000 + 600 * 300 + 300 * 3750 + 7 * 15_000);
    expect(costNanoUsd({ ...price, input: 37.5 }, { ...usage, inputTokens: 1 })).toBe(38);
    expect(costNanoUsd(price, usage)).toBe(0);
  });

  test('more cached tokens than input never make the price negative', () => {
    const any = fc.nat(1e9);
    fc.assert(
      fc.property(any, any, any, any, (inputTokens, outputTokens, cachedInputTokens, cacheWriteTokens) => {
        const cost = costNanoUsd(price, {
          inputTokens,
          outputTokens,
          cachedInputTokens,
          cacheWriteTokens,
          known: true,
        });
        expect(Number.isSafeInteger(cost) && cost >= 0).toBe(true);
      }),
    );
  });

  test('both dialects state input the same way: including tokens read from and written to caches', () => {
    const openai = `{"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":60}}}`;
    const anthropic = `{"content":[],"usage":{"input_tokens":10,"output_tokens":5,"cache_read_input_tokens":60,"cache_creation_input_tokens":30}}`;
    const same = { inputTokens: 100, outputTokens: 5, cachedInputTokens: 60 };
    expect(inspectReply(Buffer.from(openai), 'openai')).toMatchObject({ ...same, cacheWriteTokens: 0 });
    expect(inspectReply(Buffer.from(anthropic), 'anthropic')).toMatchObject({
      ...same,
      cacheWriteTokens: 30,
    });
  });

  test('every try counts, each at its own price, and one without a price is noticed', () => {
    const facts = { usage: true, inputTokens: 10, outputTokens: 2, finish: 'stop' } as const;
    const dear = { ...price, input: 9000 };
    const tries = [billed(facts), billed(facts, { target: target(dear) })];
    const both = bill(sampleRequest(), tries, createEstimator(), null);
    expect(both).toMatchObject({ costNanoUsd: 60_000 + 120_000, priced: true });
    expect(both.usage).toMatchObject({ inputTokens: 20, outputTokens: 4, known: true });
    expect(both.charges.map((charge) => charge.costNanoUsd)).toEqual([60_000, 120_000]);
    const free = bill(
      sampleRequest(),
      [...tries, billed(facts, { target: target(null) })],
      createEstimator(),
      null,
    );
    expect(free).toMatchObject({ costNanoUsd: 180_000, priced: false });
  });
});

describe('usage', () => {
  const request = sampleRequest({ text: 'x'.repeat(1000) });

  test('usage stated at the start of a stream that is cut is kept, the rest is counted', () => {
    const cut = billed(
      { usage: true, inputTokens: 25, outputTokens: 1, textBytes: 400 },
      { complete: false },
    );
    const estimated = bill(request, [cut], createEstimator(), null).usage;
    expect(estimated).toMatchObject({ inputTokens: 25, known: false });
    expect(estimated.outputTokens).toBe(113);
    const counts: Counts = { promptTokens: 999, imageTokens: 0, replyTokens: [77] };
    expect(bill(request, [cut], createEstimator(), counts).usage).toMatchObject({
      inputTokens: 25,
      outputTokens: 77,
    });
  });

  test('usage stated after the finish reason is final, even if the end is missing', () => {
    const facts = { usage: true, inputTokens: 25, outputTokens: 15, finish: 'stop', textBytes: 400 } as const;
    expect(bill(request, [billed(facts, { complete: false })], createEstimator(), null).usage).toMatchObject({
      outputTokens: 15,
      known: true,
    });
  });

  test('the estimator learns from what was counted, without the images', () => {
    const estimator = createEstimator();
    learn(request, [billed({})], estimator, { promptTokens: 1500, imageTokens: 1400, replyTokens: [] });
    expect(estimator.tokens(request.model, 1000)).toBe(100);
  });

  test.each(['tools', 'media', 'audio', 'schema'] as const)(
    'the estimator learns nothing of text from a request with %s, stated or counted',
    (flag) => {
      const estimator = createEstimator();
      const request = { ...sampleRequest(), textBytes: 100, flags: bodyFlags[flag] };
      const before = estimator.tokens('m', 1000);
      learn(request, [billed({})], estimator, { promptTokens: 5000, imageTokens: 0, replyTokens: [] });
      learn(request, [billed({ usage: true, inputTokens: 5000 })], estimator, null);
      expect(estimator.tokens('m', 1000)).toBe(before);
    },
  );
});

describe('stated tokens that no request can use are not believed', () => {
  const stated = (target: string, facts: Partial<ReplyFacts>): BilledTry => ({
    ...billed({ usage: true, ...facts }),
    target: {
      label: target,
      facts: createCatalog({ openai: { preset: 'openai' } }, [], 0).facts('openai', target),
    },
  });
  const windowsOf = (kind: 'chat' | 'embedding' | 'rerank', choices = 1, serverTools = false) =>
    windowsMaxOf({ kind }, { choices, serverTools });

  test.each([
    ['a long chat', 'gpt-4o', { inputTokens: 900_000 }, windowsOf('chat'), true],
    ['more than any chat', 'gpt-4o', { inputTokens: 1_100_000 }, windowsOf('chat'), false],
    ['rounds of tools', 'gpt-4o', { inputTokens: 1_100_000 }, windowsOf('chat', 1, true), true],
    ['many texts to embed', 'text-embedding-3-small', { inputTokens: 290_000 }, windowsOf('embedding'), true],
    ['one text to embed', 'text-embedding-3-small', { inputTokens: 2 ** 31 }, windowsOf('embedding'), false],
    ['many choices', 'gpt-4', { outputTokens: 20 * 4000 }, windowsOf('chat', 20), true],
    ['one choice', 'gpt-4', { outputTokens: 20 * 4000 }, windowsOf('chat'), false],
    ['many documents to rank', 'gpt-4', { inputTokens: 500_000 }, windowsOf('rerank'), true],
  ])('%s', (_, model, facts, windows, believed) => {
    const each = stated(model, facts);
    expect(withPlausible(each, windows) === each).toBe(believed);
  });
});

describe('tokens of text', () => {
  test('pieces count as much as the whole, except for a token per split without a space', () => {
    const word = fc.oneof(
      fc.lorem({ maxCount: 3 }),
      fc.string({ unit: 'binary', maxLength: 12 }),
      fc.constant('\n\n  '),
    );
    const text = fc.array(word, { minLength: 200, maxLength: 900 }).map((words) => words.join(' '));
    fc.assert(
      fc.property(text, (given) => {
        const whole = given.toWellFormed();
        const pieces = countPieces(whole, tokensOf);
        expect(Math.abs(pieces - tokensOf(whole))).toBeLessThanOrEqual(Math.ceil(whole.length / 1024));
      }),
      { numRuns: 60 },
    );
  });

  test('no text is lost or split inside a character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 900, maxLength: 3000 }), (text) => {
        let joined = '';
        countPieces(text, (piece) => {
          expect(piece.isWellFormed()).toBe(text.isWellFormed());
          expect(piece.length).toBeLessThanOrEqual(1024);
          joined += piece;
          return 0;
        });
        expect(joined).toBe(text);
      }),
      { numRuns: 50 },
    );
  });
});

describe('prompts', () => {
  const count = (endpoint: 'chat' | 'messages' | 'embeddings', body: unknown) =>
    countPrompt(sampleEndpoint(endpoint), body, tokensOf);

  test('OpenAI chat: three tokens around each message and before the reply, names, parts, calls and tools', () => {
    const call = { name: 'get_weather', arguments: '{"city":"Oslo"}' };
    const tool = { name: 'get_weather', parameters: { type: 'object' } };
    const body = {
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', name: 'ann', content: [{ type: 'text', text: 'Weather in Oslo?' }] },
        { role: 'assistant', content: null, tool_calls: [{ id: 'c', type: 'function', function: call }] },
      ],
      tools: [{ type: 'function', function: tool }],
    };
    const texts = [
      'system',
      'Be brief.',
      'user',
      'ann',
      'Weather in Oslo?',
      'assistant',
      JSON.stringify(call),
      JSON.stringify(tool),
    ];
    const expected = texts.reduce((sum, text) => sum + tokensOf(text), 4 * 3);
    expect(count('chat', body)).toEqual({ promptTokens: expected, imageTokens: 0 });
  });

  test('Anthropic: system, blocks, tool results and images in them', () => {
    const image = {
      type: 'image',
      source: { type: 'base64', media_type: 'image/png', data: png(750, 100).toString('base64') },
    };
    const body = {
      system: [{ type: 'text', text: 'Be brief.' }],
      messages: [
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 't', content: [{ type: 'text', text: 'ok' }, image] },
          ],
        },
      ],
    };
    const expected = tokensOf('Be brief.') + 3 + tokensOf('user') + tokensOf('ok') + 3 + 100;
    expect(count('messages', body)).toEqual({ promptTokens: expected, imageTokens: 100 });
  });

  test('embeddings: texts, and tokens counted by the client', () => {
    expect(count('embeddings', { input: ['one two', 'three'] }).promptTokens).toBe(
      tokensOf('one two') + tokensOf('three'),
    );
    expect(count('embeddings', { input: 'one two' }).promptTokens).toBe(tokensOf('one two'));
    expect(count('embeddings', { input: [1, 2, 3] }).promptTokens).toBe(3);
    expect(count('embeddings', { input: [[1, 2], [3]] }).promptTokens).toBe(3);
  });

  test('any body can be counted', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (messages, system) => {
        for (const endpoint of ['chat', 'messages', 'embeddings'] as const) {
          const { promptTokens } = countPrompt(
            sampleEndpoint(endpoint),
            { messages, system, tools: messages, input: messages },
            (text) => text.length,
          );
          expect(Number.isSafeInteger(promptTokens) && promptTokens >= 0).toBe(true);
        }
      }),
    );
    expect(count('chat', [1]).promptTokens).toBe(0);
  });
});

/** The beginning of a PNG (RFC 2083) of this size. */
function png(width: number, height: number): Buffer {
  const head = Buffer.from('89504e470d0a1a0a0000000d494844520000000000000000080600000000000000', 'hex');
  head.writeUInt32BE(width, 16);
  head.writeUInt32BE(height, 20);
  return head;
}

describe('images', () => {
  const jpeg = Buffer.from(
    `ffd8ffe000104a46494600010100000100010000ffff${'ffdb000400ff'.slice(2)}ffc2001108012c0190031100`,
    'hex',
  );
  test.each([
    ['PNG', png(640, 480), 640, 480],
    [
      'GIF',
      Buffer.concat([Buffer.from('GIF89a'), Buffer.from([0x90, 1, 0x2c, 1]), Buffer.alloc(30)]),
      400,
      300,
    ],
    ['JPEG, progressive, after other segments', jpeg, 400, 300],
    ['WebP, lossy', webp('VP8 ', '000000000000009d012a90012c01'), 400, 300],
    [
      'WebP, lossless',
      webp(
        'VP8L',
        `000000002f${(399 | (299 << 14)).toString(16).padStart(8, '0').match(/../g)?.reverse().join('')}`,
      ),
      400,
      300,
    ],
    ['WebP, extended', webp('VP8X', '0a000000000000008f01002b0100'), 400, 300],
  ])('%s: its size stands in its first bytes', (_, bytes, width, height) => {
    expect(imageSize(bytes)).toEqual({ width, height });
  });

  function webp(chunk: string, rest: string): Buffer {
    return Buffer.concat([
      Buffer.from('RIFF\0\0\0\0WEBP'),
      Buffer.from(chunk),
      Buffer.from(rest, 'hex'),
      Buffer.alloc(16),
    ]);
  }

  test('anything else has no size, and never throws', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom('', 'ffd8ff', '89504e47', '52494646'),
        (bytes, magic) => {
          const size = imageSize(Buffer.concat([Buffer.from(magic, 'hex'), bytes]));
          if (size !== null) expect(Math.min(size.width, size.height)).toBeGreaterThan(0);
        },
      ),
      { numRuns: 2000 },
    );
  });

  // The examples of the providers' own pages.
  test.each([
    ['openai', 'gpt-4o', 1024, 1024, false, 765],
    ['openai', 'gpt-4o', 2048, 4096, false, 1105],
    ['openai', 'gpt-4.1', 4096, 8192, true, 85],
    ['openai', 'gpt-4o-mini', 512, 512, false, 2833 + 5667],
    ['openai', 'gpt-4.1-mini', 1024, 1024, false, Math.ceil(1024 * 1.62)],
    ['openai', 'gpt-4.1-nano', 1800, 2400, false, Math.ceil(1452 * 2.46)],
    ['anthropic', 'claude-sonnet-4-5', 1000, 1000, false, 1334],
    ['anthropic', 'claude-sonnet-4-5', 200, 200, false, 54],
    ['anthropic', 'claude-sonnet-4-5', 8000, 8000, false, 1600],
  ] as const)('%s %s %i×%i', (dialect, model, width, height, low, tokens) => {
    expect(imageTokens(dialect, model, { width, height }, low)).toBe(tokens);
  });
});
