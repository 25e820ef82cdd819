/** The auxiliary endpoints on the wire: what reaches the provider, what comes back, and what is refused. */
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { formOf, gives, json, noise, said, start, transcripts } from '../support/auxiliary.ts';
import { ask, send, writable } from '../support/client.ts';
import type { ConfigInput } from '../support/sidecar.ts';
import { placeholders } from '../support/upstream.ts';

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

  test('a form with samples of known speakers, which are text', async () => {
    const { url, upstreams } = await start([[gives(said)]]);
    // Ten seconds of stereo.
    const sample = `data:audio/wav;base64,${Buffer.alloc(1_764_044, noise).toString('base64')}`;
    const speakers = Object.fromEntries(
      [0, 1, 2, 3].map((at) => [`known_speaker_references[${at}]`, sample]),
    );
    const form = formOf({ model: 'same', ...speakers });
    expect((await ask(url, transcripts, form)).status).toBe(200);
    expect((await upstreams[0]?.call(0))?.body.equals(form.body)).toBe(true);
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
    const { url, upstreams, recordWhere } = await start([
      [(call) => gives({ text: `To ${call.body.toString().match(placeholders)?.[0]}` })(call)],
    ]);
    const file = Buffer.from('bob@example.com');
    const reply = await ask(url, transcripts, formOf({ model: 'm', prompt: 'Ask alice@example.com' }, file));
    const sent = (await upstreams[0]?.call(0))?.body.toString() ?? '';
    expect(sent).toMatch(/\r\n\r\nAsk \[EMAIL_[0-9A-Z]{6}\]\r\n/);
    expect(sent).toContain('bob@example.com');
    expect(sent).toContain('\r\n\r\ntheirs-0\r\n');
    expect(JSON.parse(reply.text)).toEqual({ text: 'To alice@example.com' });
    expect((await recordWhere(({ endpoint }) => endpoint === 'transcriptions')).scrubbed).toBe('email=1');
  });

  test('prompts in JSON without personal data; or none, where the policy blocks it', async () => {
    const { url, upstreams } = await start([[gives({ data: [] })]]);
    await ask(url, '/v1/images/generations', { body: { model: 'm', prompt: 'For alice@example.com' } });
    expect((await upstreams[0]?.call(0))?.json.prompt).toMatch(/^For \[EMAIL_[0-9A-Z]{6}\]$/);
    const blocking = await start([[gives({ data: [] })]], { scrub: { request: { email: 'block' } } });
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

  test.each([{ stream: true }, { stream: true, stream_format: 'audio' }, { stream_format: 'sse' }])(
    'bytes that are no text, where events were asked for: %j',
    async (asked) => {
      const sound = Buffer.concat([noise, Buffer.from(' ann@example.com '), noise]);
      const scrub = { reply: { email: 'redact' as const } };
      const { url, recordWhere } = await start([[gives(sound, 'audio/mpeg')]], { scrub });
      const body = JSON.stringify({ model: 'm', input: 'To bob@example.com', voice: 'v', ...asked });
      const reply = await fetch(`${url}/v1/audio/speech`, { method: 'POST', headers: json, body });
      expect([reply.status, reply.headers.get('content-type')]).toEqual([200, 'audio/mpeg']);
      expect(Buffer.from(await reply.arrayBuffer()).equals(sound)).toBe(true);
      expect(await recordWhere(({ endpoint }) => endpoint === 'speech')).toMatchObject({ priced: false });
    },
  );

  test.each([
    ['{}', 'application/json'],
    ['<html>', 'text/html'],
    ['', 'audio/mpeg'],
  ])('no speech that is text, or nothing: %j', async (body, type) => {
    const { url } = await start([[gives(body, type)]]);
    const asked = { model: 'm', input: 'Hi', voice: 'v', stream_format: 'sse' };
    expect((await ask(url, '/v1/audio/speech', { body: asked })).status).toBe(502);
  });

  test.each(['text', 'srt', 'vtt'])('a transcript as %s, with its media type', async (response_format) => {
    const { url } = await start([[gives('[EMAIL] said\n\n', 'text/vtt; charset=utf-8')]]);
    const reply = await ask(url, transcripts, formOf({ model: 'm', response_format }));
    expect([reply.status, reply.text]).toEqual([200, '[EMAIL] said\n\n']);
    expect(reply.headers['content-type']).toBe('text/vtt; charset=utf-8');
  });

  test.each(['text', 'vtt'])(
    'a transcript as %s, without what a reply may not hold',
    async (response_format) => {
      const transcript =
        'WEBVTT\n\n00:01.000 --> 00:02.000\nMy card is 4111 1111 1111 1111,\nann@example.com\n';
      const { url, recordWhere } = await start([[gives(transcript, 'text/plain; charset=utf-8')]], {
        scrub: { reply: { card: 'mask', email: 'redact' } },
      });
      const { text } = await ask(url, transcripts, formOf({ model: 'm', response_format }));
      expect(text).toBe('WEBVTT\n\n00:01.000 --> 00:02.000\nMy card is ****1111,\n[EMAIL]\n');
      expect((await recordWhere(({ endpoint }) => endpoint === 'transcriptions')).scrubbedReply).toBe(
        'email=1,card=1',
      );
    },
  );

  test("the provider's own refusal", async () => {
    const error = { error: { message: 'Unknown voice.', type: 'invalid_request_error' } };
    const { url, upstreams } = await start([[gives(error, 'application/json', 400)]]);
    const reply = await ask(url, '/v1/audio/speech', { body: { model: 'm', input: 'Hi', voice: 'v' } });
    expect([reply.status, JSON.parse(reply.text)]).toEqual([400, error]);
    expect(upstreams[0]?.calls).toHaveLength(1);
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
