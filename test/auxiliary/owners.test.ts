/** Objects at providers belong to the tenant that made them: files, and whatever is passed on. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GoogleGenAI } from '@google/genai';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { DialectName } from '../../src/exchange/dialects.ts';
import { gives } from '../support/auxiliary.ts';
import { ask } from '../support/client.ts';
import { keys, startPassing as start } from '../support/passing.ts';
import { type ConfigInput, startTestSidecar } from '../support/sidecar.ts';
import { type Script, startUpstream } from '../support/upstream.ts';

describe('an object', () => {
  /** A provider that makes an object for each POST, and lists what tenants made, and more. */
  const maker = (): Script => {
    const made: object[] = [{ id: 'made_elsewhere' }];
    return (call) => {
      const id = `obj_${made.length}`;
      const body =
        call.method === 'POST'
          ? { id, output_file_id: `out_${id}`, input_file_id: 'made_elsewhere' }
          : call.path.split('/').length > 3
            ? { id: call.path.split('/')[3], output_file_id: `out_${call.path.split('/')[3]}` }
            : { object: 'list', data: made, first_id: 'made_elsewhere', last_id: id, has_more: false };
      if (call.method === 'POST') made.push(body);
      call.whole(200, { 'content-type': 'application/json' }, JSON.stringify(body));
    };
  };

  test('is its tenant’s: for others it isn’t there', async () => {
    const { asking, upstream } = await start({ script: maker(), more: { authenticate: { keys } } });
    const ofA = await asking('POST', '/v1/batches', 'k-a', { a: 1 });
    const ofB = await asking('POST', '/v1/batches', 'k-b', { a: 1 });
    expect([ofA.json.id, ofB.json.id]).toEqual(['obj_1', 'obj_2']);
    const calls = upstream.calls.length;
    for (const [method, path] of [
      ['GET', '/v1/batches/obj_1'],
      ['POST', '/v1/batches/obj_1/cancel'],
      ['DELETE', '/v1/batches/obj_1'],
      ['GET', '/v1/files/out_obj_1/content'],
      ['DELETE', '/v1/files/out_obj_1'],
      ['GET', '/v1/batches/made_elsewhere'],
      ['GET', '/v1/files/made_elsewhere'],
    ] as const) {
      const { status, json } = await asking(method, path, 'k-b');
      expect([path, status, json.error.code]).toEqual([path, 404, 'object_not_found']);
    }
    expect(upstream.calls).toHaveLength(calls);
    expect((await asking('GET', '/v1/batches/obj_1', 'k-a')).json.id).toBe('obj_1');
    expect((await asking('GET', '/v1/files/out_obj_1', 'k-a')).status).toBe(200);
    const { json: list } = await asking('GET', '/v1/batches', 'k-b');
    expect(list).toMatchObject({ first_id: 'obj_2', last_id: 'obj_2', data: [{ id: 'obj_2' }] });
    expect(list.data).toHaveLength(1);
    expect((await asking('GET', '/v1/files', 'k-a')).json.data).toMatchObject([{ id: 'obj_1' }]);
  });

  test.each([
    ['at once', 0],
    ['in a thread', 100_000],
  ])('is no other tenant’s to name in a body, looked for %s', async (_, bytes) => {
    const { asking, upstream } = await start({ script: maker(), more: { authenticate: { keys } } });
    const pad = 'x'.repeat(bytes);
    const { json: file } = await asking('POST', '/v1/batches', 'k-a', { pad });
    const calls = upstream.calls.length;
    const escaped = String(file.id).replace('_', '\\u005f');
    for (const body of [{ input: [file.id], pad }, `{"pad":"${pad}","input":"${escaped}"}`]) {
      const { status, json } = await asking('POST', '/v1/batches', 'k-b', body);
      expect([status, json.error.code]).toEqual([404, 'object_not_found']);
      expect((await asking('POST', '/v1/batches', 'k-a', body)).status).toBe(200);
    }
    expect(upstream.calls).toHaveLength(calls + 2);
    const many = { ids: Array.from({ length: 2001 }, (__, at) => `request-${at}`), pad };
    expect((await asking('POST', '/v1/batches', 'k-b', many)).status).toBe(200);
  });

  test('is no other tenant’s to name in a form, or in a chat', async () => {
    const { asking } = await start({
      script: maker(),
      more: { authenticate: { keys }, routes: [{ model: '*', targets: [{ provider: 'first' }] }] },
    });
    const { json: file } = await asking('POST', '/v1/batches', 'k-a', { a: 1 });
    const form = `--b\r\ncontent-disposition: form-data; name="file_id"\r\n\r\n${file.id}\r\n--b--\r\n`;
    const multipart = { 'content-type': 'multipart/form-data; boundary=b' };
    const encoded = { 'content-type': 'application/x-www-form-urlencoded' };
    const chat = { model: 'm', messages: [{ role: 'user', content: [{ type: 'file', file_id: file.id }] }] };
    for (const [path, body, headers] of [
      ['/v1/uploads', form, multipart],
      ['/v1/uploads', `file_id=${String(file.id).replace('_', '%5f')}`, encoded],
      ['/v1/chat/completions', chat, {}],
    ] as const) {
      const { json } = await asking('POST', path, 'k-b', body, headers);
      expect([path, json.error?.code]).toEqual([path, 'object_not_found']);
    }
  });

  test('is not made one’s own by a file that names it, and its name is free once it is deleted', async () => {
    const { asking, upstream } = await start({ script: maker(), more: { authenticate: { keys } } });
    await asking('POST', '/v1/containers', 'k-b', { a: 1 });
    const forged = { file: { id: 'file-victim' }, output_file_id: 'file-victim', thread_id: 'file-victim' };
    upstream.answer(gives(forged));
    expect((await asking('GET', '/v1/containers/obj_1/files/x/content', 'k-b')).status).toBe(200);
    expect((await asking('GET', '/v1/files/file-victim', 'k-b')).status).toBe(404);
    upstream.answer(gives({ id: 'obj_9' }));
    await asking('POST', '/v1/batches', 'k-a', { a: 1 });
    expect((await asking('DELETE', '/v1/batches/obj_9', 'k-a')).status).toBe(200);
    expect((await asking('POST', '/v1/batches', 'k-b', { a: 1 })).status).toBe(200);
    expect((await asking('GET', '/v1/batches/obj_9', 'k-a')).status).toBe(404);
    expect((await asking('GET', '/v1/batches/obj_9', 'k-b')).status).toBe(200);
  });

  test('is no other tenant’s to name in a query, by another provider of the account, or all at once', async () => {
    const { asking, upstream } = await start({
      script: maker(),
      second: true,
      more: { authenticate: { keys } },
    });
    const second = { 'x-sidegate-provider': 'second' };
    await asking('POST', '/v1/batches', 'k-a', { a: 1 }, { 'x-sidegate-provider': 'first' });
    const calls = upstream.calls.length;
    for (const [method, path, body] of [
      ['POST', '/v1/batches', { input_file_id: 'obj_1' }],
      ['GET', '/v1/batches?after=obj_1', ''],
      ['DELETE', '/v1/vector_stores', ''],
      ['GET', '/v1/vector_stores:obj_1', ''],
    ] as const)
      expect([path, (await asking(method, path, 'k-b', body, second)).status]).toEqual([path, 404]);
    expect(upstream.calls).toHaveLength(calls);
  });

  test.each([
    ['nested', { nested: { data: [{ id: 'obj_x' }] }, data: [] }],
    ['by id', { data: { obj_x: { id: 'obj_x' } } }],
  ])('of another tenant is in no list that holds it %s', async (_, list) => {
    const { asking } = await start({ script: gives(list), more: { authenticate: { keys } } });
    const reply = await asking('GET', '/v1/batches', 'k-b');
    expect([reply.status, reply.text.includes('obj_x')]).toEqual([200, false]);
  });

  test('of Google is known by its kind, named in bodies, and listed in no form that can’t be read', async () => {
    const { asking, upstream } = await start({
      dialect: 'gemini',
      script: gives({ name: 'files/b77' }),
      more: { authenticate: { keys } },
    });
    const google = { 'x-goog-api-key': 'k-b' };
    await asking('POST', '/v1beta/files', '', { a: 1 }, { 'x-goog-api-key': 'k-a' });
    expect((await asking('GET', '/v1beta/files/b77', '', '', google)).status).toBe(404);
    for (const name of ['files/b77', 'https://host.example/v1beta/files/b77', 'files\\/b77']) {
      const body = `{"fileName":"${name}"}`;
      expect((await asking('POST', '/v1beta/batches', '', body, google)).status).toBe(404);
    }
    await asking('POST', '/v1beta/files', '', { a: 1 }, google);
    expect((await asking('GET', '/v1beta/batches/b77', '', '', google)).status).toBe(404);
    upstream.answer((call) => call.whole(200, { 'content-type': 'application/x-protobuf' }, 'files/b77'));
    const asked = '/v1beta/files?alt=proto&callback=f&%24alt=proto';
    expect((await asking('GET', asked, '', '', google)).status).toBe(502);
    expect(upstream.calls.at(-1)?.path).not.toContain('?');
    upstream.answer((call) => call.whole(200, { 'content-type': 'application/json' }, 'f({})'));
    expect((await asking('GET', '/v1beta/files', '', '', google)).status).toBe(502);
  });

  test('can be anybody’s where there is one tenant, or the provider keeps for one', async () => {
    const one = await start({ script: maker() });
    expect((await one.asking('GET', '/v1/batches/made_elsewhere')).json.id).toBe('made_elsewhere');
    expect((await one.asking('GET', '/v1/batches')).json.data).toHaveLength(1);
    const more = { authenticate: { keys } };
    const own = await start({ script: maker(), provider: { files: ['a'] }, more });
    expect((await own.asking('GET', '/v1/batches/made_elsewhere', 'k-a')).json.id).toBe('made_elsewhere');
    expect((await own.asking('GET', '/v1/batches', 'k-b')).json.error.code).toBe('provider_unclear');
  });

  test('of a list that is too long to be read is nobody’s, unless there is one tenant', async () => {
    const data = Array.from({ length: 9000 }, (_, at) => ({ id: `obj_${at}`, note: 'x'.repeat(500) }));
    const several = await start({ script: gives({ data }), more: { authenticate: { keys } } });
    const { status, json } = await several.asking('GET', '/v1/batches', 'k-a');
    expect([status, json.error.code]).toEqual([502, 'upstream_failed']);
    const one = await start({ script: gives({ data }) });
    expect((await one.asking('GET', '/v1/batches')).json.data).toHaveLength(9000);
  });

  test('is anybody’s no more once there is a stored key of another tenant', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sidegate-owners-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const token = 'token-of-the-admin';
    const more: ConfigInput = {
      authenticate: { keys: keys.slice(0, 1) },
      store: { path: join(folder, 'store.db') },
      admin: { token },
    };
    const { asking, sidecar } = await start({ script: maker(), more });
    const make = async (id: string, tenant: string): Promise<string> => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      const body = JSON.stringify({ id, tenant });
      const reply = await fetch(`${sidecar.adminUrl}/keys`, { method: 'POST', headers, body });
      return ((await reply.json()) as { readonly key: string }).key;
    };
    const status = async (as: string) => (await asking('GET', '/v1/batches/made_elsewhere', as)).status;
    expect(await status('k-a')).toBe(200);
    const second = await make('second', 'a');
    expect([await status('k-a'), await status(second)]).toEqual([200, 200]);
    const other = await make('other', 'b');
    expect([await status('k-a'), await status(other)]).toEqual([404, 404]);
  });

  test('is asked for where it was made', async () => {
    let at = 0;
    const script: Script = (call) =>
      call.whole(200, { 'content-type': 'application/json' }, JSON.stringify({ id: `obj_${++at}` }));
    const { asking, upstreams } = await start({ script, second: true, more: { authenticate: { keys } } });
    const create = (provider: string) =>
      asking('POST', '/v1/batches', 'k-a', { a: 1 }, { 'x-sidegate-provider': provider });
    expect((await asking('POST', '/v1/batches', 'k-a', { a: 1 })).json.error.code).toBe('provider_unclear');
    await create('second');
    await create('first');
    const target = async (id: string, headers = {}) =>
      (await asking('GET', `/v1/batches/${id}`, 'k-a', '', headers)).headers['x-sidegate-target'];
    expect(await target('obj_1')).toBe('second/batches');
    expect(await target('obj_2')).toBe('first/batches');
    const wrong = await asking('GET', '/v1/batches/obj_1', 'k-a', '', { 'x-sidegate-provider': 'first' });
    expect(wrong.json.error.code).toBe('object_not_found');
    expect(upstreams.map(({ calls }) => calls.length)).toEqual([2, 2]);
  });

  test.each([false, true])('is a stored response, too (stream: %s)', async (stream) => {
    const response = { id: 'resp_77', object: 'response', status: 'completed', output: [], usage: {} };
    const output = [
      {
        type: 'message',
        id: 'm_1',
        role: 'assistant',
        status: 'completed',
        content: [{ type: 'output_text', text: 'Hi.', annotations: [] }],
      },
    ];
    const usage = { input_tokens: 1, output_tokens: 1, total_tokens: 2 };
    const done = { ...response, output, usage };
    const events = [
      { type: 'response.created', response: { ...response, status: 'in_progress' } },
      { type: 'response.output_text.delta', item_id: 'm_1', output_index: 0, content_index: 0, delta: 'Hi.' },
      { type: 'response.completed', response: done },
    ];
    const script: Script = (call) => {
      if (call.method === 'GET' || !stream) return gives(done)(call);
      call.streamHead();
      call.end(events.map((each) => `event: ${each.type}\ndata: ${JSON.stringify(each)}\n\n`).join(''));
    };
    const routes = [{ model: 'm', targets: [{ provider: 'first' }] }];
    const { asking } = await start({
      dialect: 'responses',
      script,
      more: { routes, authenticate: { keys } },
    });
    const made = await asking('POST', '/v1/responses', 'k-a', { model: 'm', input: 'hi', stream });
    expect(made.text).toContain('resp_77');
    expect((await asking('GET', '/v1/responses/resp_77', 'k-a')).json.id).toBe('resp_77');
    expect((await asking('GET', '/v1/responses/resp_77', 'k-b')).status).toBe(404);
  });

  test.each<[string, DialectName, object, boolean]>([
    ['/v1/responses', 'responses', {}, true],
    ['/v1/responses', 'responses', { store: true }, true],
    ['/v1/responses', 'responses', { store: false }, false],
    ['/v1/chat/completions', 'openai', {}, false],
    ['/v1/chat/completions', 'openai', { store: true }, true],
    ['/v1/chat/completions', 'openai', { store: false }, false],
  ])('is noted only if it is stored: %s of %s with %o', async (path, dialect, more, noted) => {
    const chat = {
      id: 'chatcmpl-77',
      object: 'chat.completion',
      choices: [{ index: 0, message: { role: 'assistant', content: 'Hi.' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
    };
    const response = {
      id: 'resp_77',
      object: 'response',
      status: 'completed',
      output: [
        {
          type: 'message',
          id: 'm_1',
          role: 'assistant',
          status: 'completed',
          content: [{ type: 'output_text', text: 'Hi.', annotations: [] }],
        },
      ],
      usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 },
    };
    const body = dialect === 'openai' ? chat : response;
    const routes = [{ model: 'm', targets: [{ provider: 'first' }] }];
    const { asking } = await start({
      dialect,
      script: gives(body),
      more: { routes, authenticate: { keys } },
    });
    const asked = dialect === 'openai' ? { messages: [{ role: 'user', content: 'hi' }] } : { input: 'hi' };
    await asking('POST', path, 'k-a', { model: 'm', ...asked, ...more });
    expect((await asking('GET', `${path}/${body.id}`, 'k-a')).status).toBe(noted ? 200 : 404);
  });

  test('made from another of its type is the tenant’s; what is only put into another is not', async () => {
    const script: Script = (call) =>
      gives({
        id: call.path.endsWith('remix') ? 'video_2' : call.path.endsWith('files') ? 'file-9' : 'video_1',
      })(call);
    const { asking } = await start({ script, more: { authenticate: { keys } } });
    await asking('POST', '/v1/videos', 'k-a', { a: 1 });
    await asking('POST', '/v1/videos/video_1/remix', 'k-a', { a: 1 });
    await asking('POST', '/v1/videos/video_1/files', 'k-a', { file_id: 'file-9' });
    expect((await asking('GET', '/v1/videos/video_2', 'k-a')).status).toBe(200);
    expect((await asking('GET', '/v1/videos/video_2', 'k-b')).status).toBe(404);
    expect((await asking('GET', '/v1/files/file-9', 'k-a')).status).toBe(404);
  });

  test('of Google is named by a path', async () => {
    const script: Script = (call) =>
      call.method === 'POST'
        ? gives({ name: 'cachedContents/c7', model: 'models/g' })(call)
        : gives({ cachedContents: [{ name: 'cachedContents/c7' }, { name: 'cachedContents/c8' }] })(call);
    const { asking } = await start({ dialect: 'gemini', script, more: { authenticate: { keys } } });
    await asking('POST', '/v1beta/cachedContents', 'k-a', { contents: [] });
    expect((await asking('GET', '/v1beta/cachedContents/c7', 'k-a')).status).toBe(200);
    expect((await asking('GET', '/v1beta/cachedContents/c7', 'k-b')).status).toBe(404);
    const { json } = await asking('GET', '/v1beta/cachedContents', 'k-a');
    expect(json).toEqual({ cachedContents: [{ name: 'cachedContents/c7' }] });
    expect((await asking('GET', '/v1beta/cachedContents', 'k-b')).json).toEqual({ cachedContents: [] });
  });

  test.each([true, false])(
    'is a file that Google’s SDK uploads (its URL is of the provider: %s)',
    async (own) => {
      const bytes = Buffer.from(Array.from({ length: 5000 }, (_, at) => (at * 89) % 256));
      const script: Script = (call) => {
        if (call.headers['x-goog-upload-command'] !== 'start')
          return call.whole(
            200,
            { 'content-type': 'application/json', 'x-goog-upload-status': 'final' },
            JSON.stringify({ file: { name: 'files/f7', mimeType: 'text/plain' } }),
          );
        const host = own ? String(call.headers.host) : 'elsewhere.test';
        const url = `http://${host}/upload/v1/files?upload_id=u1&key=secret&upload_protocol=resumable`;
        call.whole(200, { 'x-goog-upload-status': 'active', 'x-goog-upload-url': url }, '');
      };
      const { sidecar, upstream, asking } = await start({
        dialect: 'gemini',
        script,
        more: { authenticate: { keys } },
      });
      const client = new GoogleGenAI({ apiKey: 'k-a', httpOptions: { baseUrl: sidecar.url } });
      const uploading = client.files.upload({ file: new Blob([bytes]), config: { mimeType: 'text/plain' } });
      if (!own) return expect(uploading).rejects.toThrow();
      expect((await uploading).name).toBe('files/f7');
      const [begun, sent] = upstream.calls;
      expect([begun?.path, sent?.path]).toEqual([
        '/upload/v1/files',
        '/upload/v1/files?upload_id=u1&upload_protocol=resumable',
      ]);
      expect(sent?.headers).toMatchObject({
        'x-goog-upload-command': 'upload, finalize',
        'x-goog-upload-offset': '0',
        'x-goog-api-key': 'provider-key-0',
      });
      expect(sent?.body.equals(bytes)).toBe(true);
      expect((await asking('GET', '/v1beta/files/f7', 'k-a')).status).toBe(200);
      expect((await asking('GET', '/v1beta/files/f7', 'k-b')).status).toBe(404);
      const going = '/upload/v1beta/files?upload_id=u1&upload_protocol=resumable';
      const command = { 'x-goog-upload-command': 'upload, finalize', 'x-goog-upload-offset': '0' };
      const before = upstream.calls.length;
      const twice = '/upload/v1beta/files?upload_id=u2&upload_id=u1';
      for (const url of [going, twice])
        expect((await asking('POST', url, 'k-b', 'x', command)).status).toBe(404);
      expect(upstream.calls).toHaveLength(before);
      expect((await asking('POST', going, 'k-a', 'x', command)).status).toBe(200);
    },
  );

  test('stays its tenant’s over a restart, with a store', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sidegate-owners-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const upstream = await startUpstream(maker());
    onTestFinished(() => upstream.close());
    const config: ConfigInput = {
      providers: { p: { dialect: 'openai', baseUrl: upstream.baseUrl, passthrough: 'unscrubbed' } },
      authenticate: { keys },
      store: { path: join(folder, 'store.db') },
    };
    const first = await startTestSidecar(config);
    const as = (name: string) => ({ authorization: `Bearer ${name}` });
    await ask(first.url, '/v1/batches', { body: { a: 1 }, headers: as('k-a') });
    await first.stop();
    const second = await startTestSidecar(config);
    onTestFinished(() => second.stop());
    const status = async (name: string) =>
      (await ask(second.url, '/v1/batches/obj_1', { method: 'GET', body: '', headers: as(name) })).status;
    expect([await status('k-a'), await status('k-b')]).toEqual([200, 404]);
  });
});
