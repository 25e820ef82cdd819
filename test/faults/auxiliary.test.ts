/** FAULTS.md rows 1, 5, 7, 9, 11, 12, 15 and 16 at the endpoints beside chat: JSON, transcripts, bytes and events. */
import OpenAI from 'openai';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { World } from '../../src/base/world.ts';
import { ask, send } from '../support/client.ts';
import { type ConfigInput, startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { silenceMs, standingTime } from '../support/time.ts';
import { hangs, resets, type Script, startUpstream, type Upstream } from '../support/upstream.ts';

const json = { 'content-type': 'application/json' };
const form = {
  headers: { 'content-type': 'multipart/form-data; boundary=b' },
  body:
    '--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n' +
    '--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\nsound\r\n--b--\r\n',
};

/** One endpoint of each kind. */
const kinds = {
  images: {
    path: '/v1/images/generations',
    sending: { body: { model: 'm', prompt: 'a' } },
    type: 'application/json',
    good: '{"created":1,"data":[{"b64_json":"AA=="}]}',
  },
  transcriptions: {
    path: '/v1/audio/transcriptions',
    sending: form,
    type: 'application/json',
    good: '{"text":"Hello"}',
  },
  speech: {
    path: '/v1/audio/speech',
    sending: { body: { model: 'm', input: 'a', voice: 'v' } },
    type: 'audio/mpeg',
    good: 'ID3 sound',
  },
  rerank: {
    path: '/v1/rerank',
    sending: { body: { model: 'm', query: 'a', documents: ['b'] } },
    type: 'application/json',
    good: '{"results":[]}',
  },
} as const;
type Kind = (typeof kinds)[keyof typeof kinds];
const each = Object.entries(kinds) as [string, Kind][];

const good =
  ({ good: body, type }: Kind): Script =>
  (call) =>
    call.whole(200, { 'content-type': type }, body);
const refuses =
  (status: number, headers: Record<string, string> = {}): Script =>
  (call) =>
    call.whole(status, { ...json, ...headers }, '{"error":{"message":"no","type":"server_error"}}');
const says =
  (body: string, type = 'application/json'): Script =>
  (call) =>
    call.whole(200, { 'content-type': type }, body);

async function start(
  first: readonly Script[],
  second: readonly Script[] | null,
  attempt: ConfigInput['attempt'] = {},
  world: Partial<World> = {},
): Promise<TestSidecar & { readonly first: Upstream; readonly second: Upstream }> {
  const [one, two] = await Promise.all([startUpstream(...first), startUpstream(...(second ?? [hangs]))]);
  const targets = [{ provider: 'first' }, ...(second === null ? [] : [{ provider: 'second' }])];
  const config = {
    providers: {
      first: { dialect: 'openai' as const, baseUrl: one.baseUrl },
      second: { dialect: 'openai' as const, baseUrl: two.baseUrl },
    },
    routes: [{ model: 'm', targets }],
    attempt: { backoffBaseMs: 0, retriesMax: 1, ...attempt },
  };
  const sidecar = await startTestSidecar(config, world);
  onTestFinished(async () => {
    await sidecar.stop();
    await Promise.all([one.close(), two.close()]);
  });
  return { ...sidecar, first: one, second: two };
}

describe.each(each)('%s', (name, kind) => {
  test.each([
    ['row 1: a reset', resets, 1],
    ['row 9: 500', refuses(500), 1],
    ['row 9: 503', refuses(503), 1],
    ['row 11: an error in a reply that says 200', says('{"error":{"message":"no"}}'), 1],
    ['row 12: JSON that is cut', says('{"data":'), 1],
  ] as const)('%s is tried again', async (_, fault, retries) => {
    const { url, first, recordWhere } = await start([fault, good(kind)], null);
    const reply = await ask(url, kind.path, kind.sending);
    expect([reply.status, reply.text]).toEqual([200, kind.good]);
    expect(reply.headers['content-type']).toBe(kind.type);
    expect(first.calls).toHaveLength(1 + retries);
    // What is sent again is what was sent.
    expect(first.calls[1]?.body).toEqual(first.calls[0]?.body);
    expect(first.calls[1]?.headers['content-type']).toBe(first.calls[0]?.headers['content-type']);
    expect(await recordWhere(({ endpoint }) => endpoint === name)).toMatchObject({
      attempts: 2,
      status: 200,
    });
  });

  test('row 1: without a connection the next target answers', async () => {
    const { url, first, second } = await start([good(kind)], [good(kind)]);
    await first.close();
    const reply = await ask(url, kind.path, kind.sending);
    expect([reply.status, reply.headers['x-sidegate-target']]).toEqual([200, 'second/m']);
    expect(second.calls).toHaveLength(1);
  });

  test('row 5: no answer in time, then the next target; nobody left, 504', async () => {
    const time = standingTime();
    const times = { replyTimeoutMs: silenceMs, firstTokenTimeoutMs: silenceMs };
    const { url, first } = await start([time.silent], [good(kind)], times, time.world);
    const reply = await ask(url, kind.path, kind.sending);
    expect([reply.status, reply.headers['x-sidegate-target']]).toEqual([200, 'second/m']);
    await (await first.call(0)).closed;
    const alone = await start([hangs], null, times);
    const late = await ask(alone.url, kind.path, kind.sending);
    expect([late.status, JSON.parse(late.text).error.code]).toEqual([504, 'upstream_timeout']);
  });

  test('row 7: 429, then the next target; that one rests', async () => {
    const { url, first } = await start([refuses(429, { 'retry-after': '60' })], [good(kind)]);
    for (let i = 0; i < 2; i++)
      expect((await ask(url, kind.path, kind.sending)).headers['x-sidegate-target']).toBe('second/m');
    expect(first.calls).toHaveLength(1);
  });

  test('row 15: the client leaves before the answer, and the provider is let go', async () => {
    const { url, first, recordWhere } = await start([hangs], null);
    const sent = send(url, kind.path, kind.sending);
    const call = await first.call(0);
    sent.hangUp();
    await call.aborted;
    const record = await recordWhere(({ endpoint }) => endpoint === name);
    expect(record).toMatchObject({ status: 499, abandoned: true, error: '' });
  });
});

describe('bytes', () => {
  const { path, sending } = kinds.speech;

  test('row 3: cut after the first of them, the connection breaks: no forged end, no event among them', async () => {
    const { url, first, recordWhere } = await start([hangs], null);
    const sent = send(url, path, sending);
    const call = await first.call(0);
    call.head(200, { 'content-type': 'audio/mpeg' });
    call.write('ID3 begun');
    const reply = await sent.reply;
    await reply.sees('begun');
    call.reset();
    await expect(reply.all()).rejects.toThrow('broken');
    expect(reply.text).toBe('ID3 begun');
    expect(await recordWhere(({ endpoint }) => endpoint === 'speech')).toMatchObject({
      error: 'stream_cut',
      priced: false,
    });
  });

  test('row 3: no restart puts a second sound behind the first', async () => {
    const { url, first, second } = await start([hangs], [good(kinds.speech)]);
    const sent = send(url, path, { ...sending, headers: { 'x-sidegate-restart': 'on-cut' } });
    const call = await first.call(0);
    call.head(200, { 'content-type': 'audio/mpeg' });
    call.write('ID3 begun');
    const reply = await sent.reply;
    await reply.sees('begun');
    call.reset();
    await expect(reply.all()).rejects.toThrow('broken');
    expect(reply.text).toBe('ID3 begun');
    expect(second.calls).toHaveLength(0);
  });

  test('row 12: none at all is no sound', async () => {
    const { url, first } = await start([says('', 'audio/mpeg'), good(kinds.speech)], null);
    expect((await ask(url, path, sending)).text).toBe(kinds.speech.good);
    expect(first.calls).toHaveLength(2);
  });

  test('silence between them is not filled', async () => {
    const upstream = await startUpstream();
    const sidecar = await startTestSidecar({
      listen: { keepAliveMs: 10 },
      providers: { first: { dialect: 'openai', baseUrl: upstream.baseUrl } },
      routes: [
        { model: 'm', targets: [{ provider: 'first' }] },
        { model: 'chat', targets: [{ provider: 'first' }] },
      ],
    });
    onTestFinished(async () => {
      await sidecar.stop();
      await upstream.close();
    });
    const open = async (to: string, body: object, type: string, index: number, bytes: string) => {
      const sent = send(sidecar.url, to, { body });
      const call = await upstream.call(index);
      call.head(200, { 'content-type': type });
      call.write(bytes);
      return { call, reply: await sent.reply };
    };
    const speech = await open(path, sending.body, 'audio/mpeg', 0, 'ID3 ');
    const events = await open(
      path,
      { ...sending.body, stream_format: 'sse' },
      'text/event-stream',
      1,
      'data: {"type":"speech.audio.delta"}\n\n',
    );
    // By the time that events are filled twice the bytes would have been.
    await events.reply.sees(': keep-alive\n\n: keep-alive');
    speech.call.end('end');
    expect(await speech.reply.all()).toBe('ID3 end');
    events.call.end('data: {"type":"speech.audio.done"}\n\n');
    await events.reply.all();
  });

  test('row 15: the client leaves in the middle of a download', async () => {
    const { url, first, recordWhere } = await start([hangs], null);
    const sent = send(url, '/v1/files/file-1/content', {
      method: 'GET',
      headers: { 'x-sidegate-provider': 'first' },
      body: '',
    });
    const call = await first.call(0);
    call.head(200, { 'content-type': 'application/json' });
    call.write('{"a":');
    const reply = await sent.reply;
    await reply.sees('{"a":');
    reply.hangUp();
    await call.aborted;
    expect(await recordWhere(({ endpoint }) => endpoint === 'files')).toMatchObject({
      abandoned: true,
      error: '',
    });
  });

  test('row 16: a slow client gets all of it', async () => {
    const { url, first } = await start([hangs], null);
    const sent = send(url, path, { ...sending, discard: true });
    const call = await first.call(0);
    call.head(200, { 'content-type': 'audio/mpeg' });
    call.write('ID3');
    const reply = await sent.reply;
    reply.pause();
    const [chunk, chunks] = [Buffer.alloc(1024 * 1024), 48];
    const flooded = call.flood(chunk, chunks);
    reply.resume();
    expect(await flooded).toBe(chunks);
    call.end();
    await reply.all();
    expect(reply.bytes).toBe(3 + chunks * chunk.length);
  });
});

describe('events', () => {
  const first =
    'event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image","b64_json":"AA=="}\n\n';
  const last =
    'event: image_generation.completed\ndata: {"type":"image_generation.completed","b64_json":"AA=="}\n\n';
  const streams =
    (...events: string[]): Script =>
    (call) => {
      call.streamHead();
      for (const event of events) call.write(event);
      call.end();
    };
  const asked = { model: 'm', prompt: 'a', stream: true as const };

  test('pass as they came, without an end that the provider does not send', async () => {
    const { url } = await start([streams(first, last)], null);
    const reply = await ask(url, '/v1/images/generations', { body: asked });
    expect(reply.text).toBe(first + last);
  });

  test.each([
    ['row 3: cut', (call: Parameters<Script>[0]) => call.reset()],
    ['row 4: ended without the last one', (call: Parameters<Script>[0]) => call.end()],
  ])('%s: the SDK throws', async (_, ends) => {
    const { url, first: upstream } = await start([hangs], null);
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'k', maxRetries: 0 });
    const seen: string[] = [];
    const reading = (async () => {
      for await (const event of await client.images.generate(asked)) {
        seen.push(event.type);
        ends(await upstream.call(0));
      }
    })();
    const call = await upstream.call(0);
    call.streamHead();
    call.write(first);
    await expect(reading).rejects.toThrow('broke off');
    expect(seen).toEqual(['image_generation.partial_image']);
  });

  test('row 11: an error before the first of them is tried again', async () => {
    const fault = streams('data: {"error":{"message":"no"}}\n\n');
    const { url, first: upstream } = await start([fault, streams(first, last)], null);
    expect((await ask(url, '/v1/images/generations', { body: asked })).text).toBe(first + last);
    expect(upstream.calls).toHaveLength(2);
  });

  test('row 12: an image of several MB in one event, split anywhere', async () => {
    const large = last.replace('AA==', 'A'.repeat(6 * 1024 * 1024));
    const { url } = await start(
      [
        (call) => {
          call.streamHead();
          void call.writeSplit(Buffer.from(large), [1, 50, 70_000, 3_000_000]).then(() => call.end());
        },
      ],
      null,
    );
    const reply = await ask(url, '/v1/images/generations', { body: asked });
    expect(reply.text.length).toBe(large.length);
  });
});
