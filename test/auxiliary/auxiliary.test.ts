/** The endpoints beside chat on the wire: what reaches the provider, what comes back, and who may. */
import { hash } from 'node:crypto';
import { connect } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ask, send, writable } from '../support/client.ts';
import { type ConfigInput, startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { type Script, startUpstream, type Upstream } from '../support/upstream.ts';

const json = { 'content-type': 'application/json' };
const gives =
  (body: object | string | Buffer, type = 'application/json', status = 200): Script =>
  (call) =>
    call.whole(
      status,
      { 'content-type': type },
      typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
    );
const noise = Buffer.from(Array.from({ length: 300 }, (_, at) => (at * 37) % 256));

async function start(
  scripts: readonly (readonly Script[])[],
  more: ConfigInput = {},
): Promise<TestSidecar & { upstreams: readonly Upstream[] }> {
  const upstreams = await Promise.all(scripts.map((each) => startUpstream(...each)));
  const names = ['first', 'second'];
  const sidecar = await startTestSidecar({
    providers: Object.fromEntries(
      upstreams.map(({ baseUrl }, i) => [names[i], { dialect: 'openai' as const, baseUrl }]),
    ),
    routes: [
      { model: 'm', targets: upstreams.map((_, i) => ({ provider: names[i], model: `theirs-${i}` })) },
      { model: 'same', targets: [{ provider: 'first' }] },
      { model: 'omni-moderation-latest', targets: [{ provider: 'first', model: 'judge' }] },
    ],
    attempt: { backoffBaseMs: 0, retriesMax: 1, replyTimeoutMs: 2000, firstTokenTimeoutMs: 2000 },
    ...more,
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await Promise.all(upstreams.map((upstream) => upstream.close()));
  });
  return { ...sidecar, upstreams };
}

/** A form as an SDK would write it. */
function formOf(fields: Readonly<Record<string, string>>, file: Buffer | null = noise, boundary = 'b4711') {
  const texts = Object.entries(fields).map(
    ([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  const head = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n`;
  const parts = file === null ? [] : [Buffer.from(head), file, Buffer.from('\r\n')];
  return {
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    body: Buffer.concat([
      ...texts.map((text) => Buffer.from(text)),
      ...parts,
      Buffer.from(`--${boundary}--\r\n`),
    ]),
  };
}

const transcripts = '/v1/audio/transcriptions';
const said = {
  text: 'Hello',
  usage: { type: 'tokens', input_tokens: 20, output_tokens: 2, total_tokens: 22 },
};

describe('what reaches the provider', () => {
  test('a form, byte for byte but for the name of the model', async () => {
    const { url, upstreams } = await start([[gives(said)]]);
    const form = formOf({ language: 'en', model: 'm', prompt: 'm' });
    const { status } = await ask(url, transcripts, form);
    expect(status).toBe(200);
    const call = await upstreams[0]?.call(0);
    expect(call?.path).toBe(transcripts);
    expect(call?.headers['content-type']).toBe(form.headers['content-type']);
    const expected = form.body
      .toString('latin1')
      .replace('name="model"\r\n\r\nm', 'name="model"\r\n\r\ntheirs-0');
    expect(call?.body.toString('latin1')).toBe(expected);
  });

  test('a form as it came where the name is the same', async () => {
    const { url, upstreams } = await start([[gives(said)]]);
    const form = formOf({ model: 'same' });
    await ask(url, transcripts, form);
    expect((await upstreams[0]?.call(0))?.body).toEqual(form.body);
  });

  test.each([
    ['{"input":"a"}', { model: 'judge', input: 'a' }],
    ['{ }', { model: 'judge' }],
    ['{"mod\\u0065l":"omni-moderation-latest","input":[]}', { model: 'judge', input: [] }],
  ])('a model where the request names none: %s', async (body, expected) => {
    const { url, upstreams } = await start([[gives({ results: [] })]]);
    await ask(url, '/v1/moderations', { body });
    expect((await upstreams[0]?.call(0))?.json).toEqual(expected);
  });

  test('text fields without personal data, files as they are', async () => {
    const { url, upstreams, recordWhere } = await start([[gives({ text: 'To [EMAIL_1]' })]]);
    const file = Buffer.from('bob@example.com');
    const reply = await ask(url, transcripts, formOf({ model: 'm', prompt: 'Ask alice@example.com' }, file));
    const sent = (await upstreams[0]?.call(0))?.body.toString() ?? '';
    expect(sent).toContain('\r\n\r\nAsk [EMAIL_1]\r\n');
    expect(sent).toContain('bob@example.com');
    expect(sent).toContain('\r\n\r\ntheirs-0\r\n');
    expect(JSON.parse(reply.text)).toEqual({ text: 'To alice@example.com' });
    expect((await recordWhere(({ endpoint }) => endpoint === 'transcriptions')).emails).toBe(1);
  });

  test('prompts in JSON without personal data; or none, where the policy blocks it', async () => {
    const { url, upstreams } = await start([[gives({ data: [] })]]);
    await ask(url, '/v1/images/generations', { body: { model: 'm', prompt: 'For alice@example.com' } });
    expect((await upstreams[0]?.call(0))?.json.prompt).toBe('For [EMAIL_1]');
    const blocking = await start([[gives({ data: [] })]], { scrub: { email: 'block' } });
    const form = formOf({ model: 'm', prompt: 'For alice@example.com' });
    const { text } = await ask(blocking.url, '/v1/images/edits', form);
    expect(JSON.parse(text).error.code).toBe('pii_blocked');
  });
});

describe('what comes back', () => {
  test('bytes as they come, the first of them before the last are there', async () => {
    const { url, upstreams, recordWhere } = await start([[]]);
    const sent = send(url, '/v1/audio/speech', { body: { model: 'm', input: 'Hi', voice: 'v' } });
    const call = await upstreams[0]?.call(0);
    call?.head(200, { 'content-type': 'audio/mpeg' });
    call?.write('ID3 first');
    const reply = await sent.reply;
    expect(reply.headers['content-type']).toBe('audio/mpeg');
    await reply.sees('first');
    call?.end(' last');
    expect(await reply.all()).toBe('ID3 first last');
    const record = await recordWhere(({ endpoint }) => endpoint === 'speech');
    expect(record).toMatchObject({ status: 200, error: '', stream: true, priced: false });
  });

  test('bytes that are no text, unchanged', async () => {
    const { url } = await start([[gives(noise, 'audio/pcm')]]);
    const body = JSON.stringify({ model: 'm', input: 'Hi', voice: 'v' });
    const reply = await fetch(`${url}/v1/audio/speech`, { method: 'POST', headers: json, body });
    expect(Buffer.from(await reply.arrayBuffer())).toEqual(noise);
  });

  test.each(['text', 'srt', 'vtt'])('a transcript as %s, with its media type', async (response_format) => {
    const { url } = await start([[gives('[EMAIL] said\n\n', 'text/vtt; charset=utf-8')]]);
    const reply = await ask(url, transcripts, formOf({ model: 'm', response_format }));
    expect([reply.status, reply.text]).toEqual([200, '[EMAIL] said\n\n']);
    expect(reply.headers['content-type']).toBe('text/vtt; charset=utf-8');
  });

  test("the provider's own refusal", async () => {
    const error = { error: { message: 'Unknown voice.', type: 'invalid_request_error' } };
    const { url, upstreams } = await start([[gives(error, 'application/json', 400)]]);
    const reply = await ask(url, '/v1/audio/speech', { body: { model: 'm', input: 'Hi', voice: 'v' } });
    expect([reply.status, JSON.parse(reply.text)]).toEqual([400, error]);
    expect(upstreams[0]?.calls).toHaveLength(1);
  });
});

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

describe('what is refused', () => {
  const code = async (path: string, sending: object, more: ConfigInput = {}): Promise<[number, string]> => {
    const { url, upstreams } = await start([[gives({})]], more);
    const reply = await ask(url, path, sending);
    expect(upstreams[0]?.calls).toHaveLength(0);
    return [reply.status, JSON.parse(reply.text).error.code];
  };

  const once = formOf({ model: 'm' }, null);
  const field = once.body.subarray(0, once.body.lastIndexOf('--b4711'));
  const twice = { ...once, body: Buffer.concat([field, once.body]) };

  test.each([
    ['JSON where a form is needed', transcripts, { body: { model: 'm' } }, 415, 'unsupported_media_type'],
    ['a form where JSON is needed', '/v1/moderations', formOf({ model: 'm' }), 415, 'unsupported_media_type'],
    ['a broken form', transcripts, { ...formOf({ model: 'm' }), body: '--b4711\r\n' }, 400, 'invalid_form'],
    ['two models', transcripts, twice, 400, 'duplicate_field'],
    ['no model', transcripts, formOf({}), 400, 'invalid_field'],
    ['no model in JSON', '/v1/images/generations', { body: { prompt: 'a' } }, 400, 'invalid_field'],
    ['a stream of neither kind', transcripts, formOf({ model: 'm', stream: 'maybe' }), 400, 'invalid_field'],
    ['a count that is none', '/v1/images/edits', formOf({ model: 'm', n: '1.5' }), 400, 'invalid_field'],
    ['a count below none', '/v1/images/generations', { body: { model: 'm', n: -1 } }, 400, 'invalid_field'],
    ['a model nobody serves', transcripts, formOf({ model: 'x' }), 404, 'model_not_found'],
    ['a body where none belongs', '/v1/files', { method: 'GET', body: '{}' }, 400, 'invalid_field'],
    ['a method that is none', '/v1/files', { method: 'PUT', body: '' }, 405, 'method_not_allowed'],
    ['a path beside files', '/v1/files/a/b', { method: 'GET', body: '' }, 404, 'not_found'],
    ['a path out of files', '/v1/files/..', { method: 'GET', body: '' }, 404, 'not_found'],
  ])('%s', async (_, path, sending, status, expected) => {
    expect(await code(path, sending)).toEqual([status, expected]);
  });

  test("an upload over its bound, which is not that of other bodies; Anthropic's files", async () => {
    const listen = { bodyMaxBytes: 1024, uploadMaxBytes: 4096 };
    const large = formOf({ model: 'm' }, Buffer.alloc(4096));
    expect(await code(transcripts, large, { listen })).toEqual([413, 'body_too_large']);
    const { url } = await start([[gives(said)]], { listen });
    expect((await ask(url, transcripts, formOf({ model: 'm' }, Buffer.alloc(2048)))).status).toBe(200);
    const headers = { 'anthropic-version': '2023-06-01' };
    expect((await ask(url, '/v1/files', { method: 'GET', headers, body: '' })).status).toBe(404);
  });
});

describe('files', () => {
  const key = (id: string, tenant: string, more: object = {}) => ({
    id,
    sha256: hash('sha256', id),
    tenant,
    ...more,
  });
  const list = { object: 'list', data: [] };

  async function two(files?: Readonly<Record<string, readonly string[]>>) {
    const [first, second] = await Promise.all([startUpstream(gives(list)), startUpstream(gives(list))]);
    const provider = (name: string, { baseUrl }: Upstream) => {
      const tenants = files?.[name];
      return {
        dialect: 'openai' as const,
        baseUrl,
        ...(tenants === undefined ? {} : { files: [...tenants] }),
      };
    };
    const sidecar = await startTestSidecar({
      authenticate: {
        keys: [
          key('k-a', 'a'),
          key('k-b', 'b'),
          key('k-models', 'a', { models: ['m'] }),
          key('k-both', 'a', { models: ['m'], endpoints: ['files'] }),
          key('k-chat', 'a', { endpoints: ['chat'] }),
        ],
      },
      providers: { first: provider('first', first), second: provider('second', second) },
    });
    onTestFinished(async () => {
      await sidecar.stop();
      await Promise.all([first.close(), second.close()]);
    });
    const asking = async (name: string, header?: string): Promise<[number, string]> => {
      const headers = {
        authorization: `Bearer ${name}`,
        ...(header === undefined ? {} : { 'x-sidegate-provider': header }),
      };
      const reply = await ask(sidecar.url, '/v1/files?limit=2', { method: 'GET', headers, body: '' });
      return [reply.status, String(reply.headers['x-sidegate-target'] ?? JSON.parse(reply.text).error.code)];
    };
    return { asking, first, second };
  }

  test('go to the provider that is named; without a name only where there is one', async () => {
    const { asking, second } = await two();
    expect(await asking('k-a')).toEqual([400, 'files_provider']);
    expect(await asking('k-a', 'third')).toEqual([400, 'files_provider']);
    expect(await asking('k-a', 'second')).toEqual([200, 'second/files']);
    const call = await second.call(0);
    expect([call.method, call.path, call.body.length]).toEqual(['GET', '/v1/files?limit=2', 0]);
    expect(call.headers['content-type']).toBeUndefined();
  });

  test('of one tenant stay where others may not look', async () => {
    const { asking } = await two({ first: ['a'], second: ['b'] });
    expect(await asking('k-a')).toEqual([200, 'first/files']);
    expect(await asking('k-b')).toEqual([200, 'second/files']);
    expect(await asking('k-b', 'first')).toEqual([400, 'files_provider']);
  });

  test('are for keys without restrictions, and for those that name them', async () => {
    const { asking } = await two({ first: [], second: ['a'] });
    expect(await asking('k-a')).toEqual([200, 'second/files']);
    expect(await asking('k-both')).toEqual([200, 'second/files']);
    expect(await asking('k-models')).toEqual([403, 'endpoint_forbidden']);
    expect(await asking('k-chat')).toEqual([403, 'endpoint_forbidden']);
  });

  test('are uploaded once, since a second one would stay there', async () => {
    const { url, upstreams } = await start([[(call) => call.reset()]]);
    expect((await ask(url, '/v1/files', formOf({ purpose: 'batch' }))).status).toBe(503);
    expect(upstreams[0]?.calls).toHaveLength(1);
    const deleted = await ask(url, '/v1/files/file-1', { method: 'DELETE', body: '' });
    expect(deleted.status).toBe(503);
    expect(upstreams[0]?.calls.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /v1/files',
      'DELETE /v1/files/file-1',
      'DELETE /v1/files/file-1',
    ]);
  });
});

describe('an idempotency key', () => {
  const headers = { 'idempotency-key': 'k1' };

  test('knows an upload again whose boundary is another', async () => {
    const { url, upstreams } = await start([[gives({ id: 'file-1' })]]);
    for (const boundary of ['one', 'two']) {
      const form = formOf({ purpose: 'batch' }, noise, boundary);
      const reply = await ask(url, '/v1/files', { ...form, headers: { ...form.headers, ...headers } });
      expect(JSON.parse(reply.text)).toEqual({ id: 'file-1' });
    }
    expect(upstreams[0]?.calls).toHaveLength(1);
    const other = formOf({ purpose: 'batch' }, Buffer.from('other'), 'one');
    const reply = await ask(url, '/v1/files', { ...other, headers: { ...other.headers, ...headers } });
    expect(reply.status).toBe(422);
  });

  test('gives the same speech again, byte for byte', async () => {
    const { url, upstreams } = await start([[gives(noise, 'audio/mpeg')]]);
    const body = JSON.stringify({ model: 'm', input: 'To alice@example.com', voice: 'v' });
    for (let i = 0; i < 2; i++) {
      const reply = await fetch(`${url}/v1/audio/speech`, {
        method: 'POST',
        headers: { ...json, ...headers },
        body,
      });
      expect(reply.headers.get('content-type')).toBe('audio/mpeg');
      expect(Buffer.from(await reply.arrayBuffer())).toEqual(noise);
    }
    expect(upstreams[0]?.calls).toHaveLength(1);
  });
});

test('images and sound are never cached', async () => {
  const { url, upstreams } = await start([[gives({ created: 1, data: [] })]]);
  for (let i = 0; i < 2; i++) await ask(url, '/v1/images/generations', { body: { model: 'm', prompt: 'a' } });
  expect(upstreams[0]?.calls).toHaveLength(2);
});

test('a client that leaves while it uploads reaches no provider', async () => {
  const { url, upstreams, recordWhere } = await start([[gives(said)]]);
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const form = formOf({ model: 'm' });
  socket.write(
    `POST ${transcripts} HTTP/1.1\r\nhost: ${hostname}\r\ncontent-type: ${form.headers['content-type']}\r\ncontent-length: 5000\r\n\r\n`,
  );
  if (!socket.write(form.body)) await writable(socket);
  socket.destroy();
  expect((await ask(url, transcripts, form)).status).toBe(200);
  await recordWhere(({ status }) => status === 200);
  expect(upstreams[0]?.calls).toHaveLength(1);
});
