/** The official OpenAI SDK, unmodified, at the endpoints beside chat, before the simulator. */
import OpenAI, { toFile } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';

let sidecar: TestSidecar;
let client: OpenAI;
const sound = Buffer.from(Array.from({ length: 5000 }, (_, at) => at % 251));

beforeAll(async () => {
  const to = (model: string, as?: string) => ({
    model,
    targets: [as === undefined ? { provider: 'sim' } : { provider: 'sim', model: as }],
  });
  sidecar = await startTestSidecar({
    providers: { sim: { preset: 'simulator' } },
    catalog: {
      models: [{ model: 'gpt-image-1', inputUsdPerMTok: 5, outputUsdPerMTok: 40 }],
    },
    routes: [
      to('*'),
      to('painter', 'gpt-image-1'),
      to('omni-moderation-latest', 'omni-moderation-2024-09-26'),
    ],
  });
  client = new OpenAI({ baseURL: `${sidecar.url}/v1`, apiKey: 'app-key', maxRetries: 0 });
});
afterAll(() => sidecar.stop());

const recordOf = (requestId: string | null | undefined) =>
  sidecar.recordWhere((record) => record.requestId === requestId);

describe('images', () => {
  test('are generated, and cost what the provider says they took', async () => {
    const { data, request_id, response } = await client.images
      .generate({ model: 'painter', prompt: 'A red square', n: 2, quality: 'low' })
      .withResponse();
    expect(data.data).toHaveLength(2);
    expect(
      Buffer.from(data.data?.[0]?.b64_json ?? '', 'base64')
        .subarray(1, 4)
        .toString(),
    ).toBe('PNG');
    expect(data.usage?.output_tokens).toBe(544);
    const record = await recordOf(request_id);
    expect(record).toMatchObject({
      endpoint: 'images',
      model: 'painter',
      outputTokens: 544,
      usageKnown: true,
    });
    const costUsd = ((data.usage?.input_tokens ?? 0) * 5 + 544 * 40) / 1e6;
    expect(record.costNanoUsd).toBe(Math.round(costUsd * 1e9));
    expect(Number(response.headers.get('x-sidegate-cost-usd'))).toBeCloseTo(costUsd, 9);
  });

  test('come as a stream, partial ones first', async () => {
    const stream = await client.images.generate({
      model: 'painter',
      prompt: 'A blue square',
      partial_images: 2,
      stream: true,
    });
    const types: string[] = [];
    for await (const event of stream) types.push(event.type);
    expect(types).toEqual([
      'image_generation.partial_image',
      'image_generation.partial_image',
      'image_generation.completed',
    ]);
    expect(await sidecar.recordWhere(({ endpoint, stream: s }) => endpoint === 'images' && s)).toMatchObject({
      outputTokens: 1056,
      usageKnown: true,
      error: '',
    });
  });

  test('are edited: a form with files, streamed or not', async () => {
    const image = [await toFile(sound, 'a.png'), await toFile(sound, 'b.png')];
    const edited = await client.images.edit({ model: 'painter', image, prompt: 'More red' });
    expect(edited.usage?.input_tokens_details?.image_tokens).toBe(130);
    const stream = await client.images.edit({ model: 'painter', image, prompt: 'More red', stream: true });
    const types: string[] = [];
    for await (const event of stream) types.push(event.type);
    expect(types).toEqual(['image_edit.completed']);
  });

  test('are varied', async () => {
    const varied = await client.images.createVariation({
      model: 'gpt-image-1',
      image: await toFile(sound, 'a.png'),
    });
    expect(varied.data).toHaveLength(1);
  });
});

describe('audio', () => {
  test('speech comes byte for byte, in its own media type', async () => {
    const asked = {
      model: 'gpt-4o-mini-tts',
      voice: 'alloy',
      input: 'Hello there',
      response_format: 'wav',
    } as const;
    const { data, response } = await client.audio.speech.create(asked).withResponse();
    expect(response.headers.get('content-type')).toBe('audio/wav');
    const bytes = Buffer.from(await data.arrayBuffer());
    expect(bytes.toString('latin1', 0, 4)).toBe('RIFF');
    expect(bytes.length).toBe(44 + bytes.readUInt32LE(40));
    // What isn't stated has no cost: never told as free.
    const record = await recordOf(response.headers.get('x-request-id'));
    expect(record).toMatchObject({ endpoint: 'speech', usageKnown: false, priced: false });
    expect(response.headers.get('x-sidegate-cost-usd')).toBeNull();
  });

  test('speech comes as events', async () => {
    const asked = { model: 'gpt-4o-mini-tts', voice: 'alloy', input: 'Hello', stream_format: 'sse' } as const;
    const reply = await client.audio.speech.create(asked);
    const events = (await reply.text())
      .split('\n')
      .flatMap((line) => (line.startsWith('data: ') ? [line] : []));
    expect(JSON.parse(events.at(-1)?.slice(6) ?? '{}')).toMatchObject({
      type: 'speech.audio.done',
      usage: { output_tokens: 6 },
    });
    const record = await sidecar.recordWhere((each) => each.endpoint === 'speech' && each.outputTokens === 6);
    expect(record.usageKnown).toBe(true);
  });

  test('is transcribed as JSON, text, SRT and VTT', async () => {
    const file = await toFile(sound, 'call.mp3');
    const model = 'gpt-4o-transcribe';
    const said = 'A simulated transcript of call.mp3, which has 5000 bytes.';
    const whole = await client.audio.transcriptions.create({ model, file });
    expect(whole.text).toBe(said);
    expect(whole.usage).toMatchObject({ type: 'tokens', input_tokens: 30 });
    expect(await client.audio.transcriptions.create({ model, file, response_format: 'text' })).toBe(
      `${said}\n`,
    );
    for (const form of ['srt', 'vtt'] as const) {
      const text = await client.audio.transcriptions.create({ model, file, response_format: form });
      expect(text).toContain(`${said}\n\n`);
    }
    const verbose = await client.audio.transcriptions.create({
      model,
      file,
      response_format: 'verbose_json',
    });
    expect(verbose.segments).toHaveLength(1);
  });

  test('is transcribed as a stream; a model that can not gives it whole', async () => {
    const file = await toFile(sound, 'call.mp3');
    const stream = await client.audio.transcriptions.create({
      model: 'gpt-4o-transcribe',
      file,
      stream: true,
    });
    let text = '';
    for await (const event of stream) if (event.type === 'transcript.text.delta') text += event.delta;
    expect(text).toMatch(/^A simulated transcript of call\.mp3/);
    const { response } = await client.audio.transcriptions
      .create({ model: 'whisper-1', file, stream: true })
      .withResponse();
    expect(response.status).toBe(200);
  });

  test('is translated', async () => {
    const file = await toFile(sound, 'call.mp3');
    const translated = await client.audio.translations.create({ model: 'whisper-1', file });
    expect(translated.text).toContain('call.mp3');
  });
});

describe('judgements', () => {
  test('texts are moderated, by the model the API has where none is named; the second time from the cache', async () => {
    for (const cache of ['sidegate; fwd=uri-miss', 'sidegate; hit']) {
      const { data, response } = await client.moderations
        .create({ input: ['hello', 'I will kill you'] })
        .withResponse();
      expect(data.results.map(({ flagged }) => flagged)).toEqual([false, true]);
      expect(data.model).toBe('omni-moderation-2024-09-26');
      expect(response.headers.get('cache-status')).toBe(cache);
    }
    const record = await sidecar.recordWhere(({ endpoint }) => endpoint === 'moderations');
    expect(record).toMatchObject({ model: 'omni-moderation-latest', inputTokens: 0, usageKnown: true });
  });

  test('documents are ranked', async () => {
    const reply = await client.post<{ results: { index: number }[]; usage: { total_tokens: number } }>(
      '/rerank',
      {
        body: {
          model: 'reranker',
          query: 'red cats',
          documents: ['blue dogs', 'cats that are red'],
          top_n: 1,
        },
      },
    );
    expect(reply.results.map(({ index }) => index)).toEqual([1]);
    const record = await sidecar.recordWhere(({ endpoint }) => endpoint === 'rerank');
    expect(record).toMatchObject({
      inputTokens: reply.usage.total_tokens,
      outputTokens: 0,
      usageKnown: true,
    });
  });
});

test('files are uploaded, listed, read and deleted', async () => {
  const file = await toFile(sound, 'data.jsonl');
  const made = await client.files.create({ file, purpose: 'user_data' });
  expect(made).toMatchObject({ filename: 'data.jsonl', bytes: 5000, purpose: 'user_data' });
  await client.files.create({ file, purpose: 'batch' });
  const ids: string[] = [];
  for await (const each of client.files.list({ purpose: 'user_data', limit: 1 })) ids.push(each.id);
  expect(ids).toEqual([made.id]);
  expect((await client.files.retrieve(made.id)).id).toBe(made.id);
  const content = await client.files.content(made.id);
  expect(content.headers.get('content-type')).toBe('application/octet-stream');
  expect(Buffer.from(await content.arrayBuffer())).toEqual(sound);
  expect(await client.files.delete(made.id)).toMatchObject({ deleted: true });
  await expect(client.files.retrieve(made.id)).rejects.toThrow(OpenAI.NotFoundError);
  const record = await sidecar.recordWhere(({ endpoint }) => endpoint === 'files');
  expect(record).toMatchObject({ target: 'sim/files', model: '', costNanoUsd: 0, inputTokens: 0 });
});
