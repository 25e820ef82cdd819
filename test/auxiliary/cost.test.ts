/** What requests to the auxiliary endpoints cost, and how limits count them. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { formOf, gives, json, start, transcripts } from '../support/auxiliary.ts';
import { ask, send } from '../support/client.ts';
import { startTestSidecar } from '../support/sidecar.ts';
import { startUpstream } from '../support/upstream.ts';

describe('what it cost', () => {
  const models = [
    { model: 'theirs-0', inputUsdPerMTok: 1, outputUsdPerMTok: 2 },
    { model: 'judge', inputUsdPerMTok: 0, outputUsdPerMTok: 0 },
  ];
  const image = { created: 1, data: [{ b64_json: 'AA==' }] };
  const usage = { input_tokens: 100, output_tokens: 50, total_tokens: 150 };

  test.each([
    ['/v1/images/generations', { prompt: 'a' }, { ...image, usage }, [100, 50, 200_000, true]],
    ['/v1/images/generations', { prompt: 'a' }, image, [1, 0, 0, false]],
    [
      '/v1/rerank',
      { query: 'a', documents: [] },
      { results: [], usage: { total_tokens: 7 } },
      [7, 0, 7000, true],
    ],
    ['/v1/rerank', { query: 'abcdefg', documents: [] }, { results: [] }, [2, 0, 2000, true]],
    ['/v1/moderations', { input: 'abcdefg' }, { results: [] }, [0, 0, 0, true]],
  ] as const)('%s: %j answered by %j', async (path, body, reply, [input, output, nanoUsd, priced]) => {
    const { url, recordWhere } = await start([[gives(reply)]], { catalog: { models } });
    const { headers } = await ask(url, path, { body: { model: 'm', ...body } });
    const record = await recordWhere(({ status }) => status === 200);
    const { inputTokens, outputTokens, costNanoUsd, priced: isPriced } = record;
    expect([inputTokens, outputTokens, costNanoUsd, isPriced]).toEqual([input, output, nanoUsd, priced]);
    if (!priced) expect(headers['x-sidegate-cost-usd']).toBeUndefined();
  });

  test('sound by the minute, sound and images by the token, at the known prices', async () => {
    const upstream = await startUpstream();
    onTestFinished(() => upstream.close());
    const providers = { openai: { preset: 'openai', apiKey: 'k', baseUrl: upstream.baseUrl } };
    const { url, recordWhere, stop } = await startTestSidecar({
      providers,
      routes: [{ model: '*', targets: [{ provider: 'openai' }] }],
    });
    onTestFinished(stop);
    const costs = async (path: string, sending: object, reply: object, endpoint: string): Promise<number> => {
      upstream.answer(gives(reply));
      await ask(url, path, sending);
      const record = await recordWhere((each) => each.endpoint === endpoint);
      expect([record.priced, record.usageKnown]).toEqual([true, true]);
      return record.costNanoUsd;
    };
    const duration = { text: '', usage: { type: 'duration', seconds: 90 } };
    // $0.006 a minute.
    expect(
      await costs('/v1/audio/translations', formOf({ model: 'whisper-1' }), duration, 'translations'),
    ).toBe(9e6);
    const heard = {
      input_tokens: 110,
      input_token_details: { text_tokens: 10, audio_tokens: 100 },
      output_tokens: 5,
    };
    // $2.50 a million tokens of text, $6 of sound, $10 out.
    expect(
      await costs(
        transcripts,
        formOf({ model: 'gpt-4o-transcribe' }),
        { text: '', usage: heard },
        'transcriptions',
      ),
    ).toBe(10 * 2500 + 100 * 6000 + 5 * 10_000);
    const seen = {
      input_tokens: 60,
      input_tokens_details: { text_tokens: 10, image_tokens: 50 },
      output_tokens: 7,
    };
    // $5, $10, $40.
    expect(
      await costs(
        '/v1/images/edits',
        formOf({ model: 'gpt-image-1', prompt: 'a' }),
        { data: [], usage: seen },
        'image_edits',
      ),
    ).toBe(10 * 5000 + 50 * 10_000 + 7 * 40_000);
    const judged = await costs('/v1/moderations', { body: { input: 'a' } }, { results: [] }, 'moderations');
    expect(judged).toBe(0);
  });

  test.each([
    ['as events, which tell no kinds of tokens', { stream: true }, {}],
    ['as a whole that tells none', {}, {}],
    ['as a whole with some text', {}, { output_tokens_details: { image_tokens: 40, text_tokens: 10 } }],
  ])('drawn images at their own price: %s', async (_, asked, details) => {
    const usage = { input_tokens: 3, output_tokens: 50, total_tokens: 53, ...details };
    const done = { type: 'image_generation.completed', b64_json: 'AA==', usage };
    const events = gives(`data: ${JSON.stringify(done)}\n\n`, 'text/event-stream');
    const upstream = await startUpstream('stream' in asked ? events : gives({ data: [], usage }));
    onTestFinished(() => upstream.close());
    const { url, recordWhere, stop } = await startTestSidecar({
      providers: { openai: { preset: 'openai', apiKey: 'k', baseUrl: upstream.baseUrl } },
      routes: [{ model: '*', targets: [{ provider: 'openai' }] }],
    });
    onTestFinished(stop);
    const body = { model: 'gpt-image-1.5', prompt: 'a', ...asked };
    expect((await ask(url, '/v1/images/generations', { body })).status).toBe(200);
    const { costNanoUsd } = await recordWhere(({ status }) => status === 200);
    // $5 a million tokens in, $32 of images and $10 of text out.
    const drawn = 'output_tokens_details' in details ? 40 : 50;
    expect(costNanoUsd).toBe(3 * 5000 + drawn * 32_000 + (50 - drawn) * 10_000);
  });

  test('limits reserve for images that JSON brings, too', async () => {
    const limits = [{ name: 'tokens', unit: 'tokens' as const, capacity: 20_000, refillPerSecond: 0.001 }];
    const { url } = await start([[gives({ ...image, usage })]], { limits });
    const edit = (count: number) => {
      const images = Array.from({ length: count }, (_, at) =>
        at % 2 === 0 ? { image_url: 'data:image/png;base64,AA==' } : { file_id: 'file-1' },
      );
      return ask(url, '/v1/images/edits', { body: { model: 'm', prompt: 'a', images } });
    };
    expect((await edit(3)).status).not.toBe(200);
    expect((await edit(2)).status).toBe(200);
  });

  test('limits reserve for images, and settle with what they took', async () => {
    const limits = [{ name: 'tokens', unit: 'tokens' as const, capacity: 20_000, refillPerSecond: 0.001 }];
    const { url, upstreams } = await start([[]], { limits });
    const asking = { body: { model: 'm', prompt: 'a', n: 3 } };
    const first = send(url, '/v1/images/generations', asking);
    const call = await upstreams[0]?.call(0);
    // Three images may take 18,720, so there is no room for another one until they are there.
    const second = await ask(url, '/v1/images/generations', { body: { model: 'm', prompt: 'b' } });
    expect([second.status, JSON.parse(second.text).error.code]).toEqual([429, 'rate_limited']);
    call?.whole(200, json, JSON.stringify({ ...image, usage }));
    await (await first.reply).all();
    upstreams[0]?.answer(gives(image));
    expect((await ask(url, '/v1/images/generations', { body: { model: 'm', prompt: 'b' } })).status).toBe(
      200,
    );
  });

  test('a limit in dollars refuses what has no price, and lets files and free moderations pass', async () => {
    const limits = [{ name: 'usd', unit: 'usd' as const, capacity: 1, refillPerSecond: 0.001 }];
    const { url } = await start([[gives({ results: [], data: [] })]], { limits, catalog: { models } });
    const image = await ask(url, '/v1/images/generations', { body: { model: 'same', prompt: 'a' } });
    expect(JSON.parse(image.text).error.code).toBe('model_unpriced');
    expect((await ask(url, '/v1/moderations', { body: { input: 'a' } })).status).toBe(200);
    expect((await ask(url, '/v1/files', { method: 'GET', body: '' })).status).toBe(200);
  });
});
