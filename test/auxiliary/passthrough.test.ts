/** The rest of providers' APIs: passed on where that is switched on, with keys and limits, under the policy. */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { describe, expect, test } from 'vitest';
import type { DialectName } from '../../src/exchange/dialects.ts';
import { formOf, gives } from '../support/auxiliary.ts';
import { send } from '../support/client.ts';
import { key, keys, startPassing as start } from '../support/passing.ts';

const seen = ({ method, path }: { readonly method: string; readonly path: string }): string =>
  `${method} ${path}`;

describe('what is passed on', () => {
  test('is off until a provider says so, and the refusal says how', async () => {
    const { asking, upstream } = await start({ provider: { passthrough: false } });
    const { status, json } = await asking('GET', '/v1/batches');
    expect(status).toBe(404);
    expect(json.error.code).toBe('passthrough_off');
    expect(json.error.message).toContain('passthrough: true');
    // The path of a chat, which only a POST asks for.
    const { json: chats } = await asking('GET', '/v1/chat/completions');
    expect(chats.error.message).toMatch(/^GET "\/v1\/chat\/completions" is passed on only/);
    expect(upstream.calls).toEqual([]);
  });

  test.each<[DialectName, string, string, string?]>([
    ['responses', 'GET', '/v1/responses/resp_1?include[]=x'],
    ['responses', 'DELETE', '/v1/responses/resp_1'],
    ['responses', 'POST', '/v1/responses/resp_1/cancel'],
    ['responses', 'GET', '/v1/responses/resp_1/input_items?limit=2'],
    ['responses', 'POST', '/v1/responses/input_tokens'],
    ['responses', 'POST', '/v1/responses/compact'],
    ['openai', 'GET', '/v1/responses/resp_1'],
    ['openai', 'GET', '/v1/batches?after=batch_1'],
    ['openai', 'POST', '/v1/batches'],
    ['openai', 'POST', '/v1/completions'],
    ['openai', 'POST', '/v1/threads/runs'],
    ['openai', 'GET', '/v1/threads/thread_1/messages'],
    ['openai', 'POST', '/v1/fine_tuning/alpha/graders/run'],
    ['openai', 'POST', '/v1/vector_stores/vs_1/file_batches/vsfb_1/cancel'],
    ['openai', 'DELETE', '/v1/vector_stores/vs_1'],
    ['openai', 'POST', '/v1/uploads/upload_1/parts'],
    ['openai', 'GET', '/v1/conversations/conv_1/items'],
    ['openai', 'GET', '/v1/containers/cntr_1/files/cfile_1/content'],
    ['openai', 'GET', '/v1/chat/completions?limit=1'],
    ['openai', 'GET', '/v1/chat/completions/chatcmpl-1/messages'],
    ['responses', 'GET', '/v1/vector_stores/vs_1'],
    ['responses', 'GET', '/v1/files/file-1'],
    ['anthropic', 'POST', '/v1/messages/batches?beta=true'],
    ['anthropic', 'GET', '/v1/messages/batches/msgbatch_1/results'],
    ['anthropic', 'GET', '/v1/files/file_1/content'],
    ['anthropic', 'POST', '/v1/sessions/sess_1/events'],
    ['anthropic', 'GET', '/v1/skills/skill_1/versions/1'],
    ['gemini', 'POST', '/v1beta/cachedContents?key=secret', '/v1/cachedContents'],
    ['gemini', 'PATCH', '/v1alpha/cachedContents/c1?updateMask=ttl', '/v1/cachedContents/c1?updateMask=ttl'],
    ['gemini', 'GET', '/v1beta/files/f1:download?alt=media', '/v1/files/f1:download?alt=media'],
    ['gemini', 'POST', '/v1beta/batches/b1:cancel', '/v1/batches/b1:cancel'],
    ['gemini', 'POST', '/v1beta/models/imagen:predict', '/v1/models/imagen:predict'],
    ['gemini', 'POST', '/v1beta/models/g:computeTokens', '/v1/models/g:computeTokens'],
    ['gemini', 'GET', '/v1beta/models/veo/operations/op1', '/v1/models/veo/operations/op1'],
    ['cohere', 'POST', '/v2/chat', '/v1/chat'],
  ])('%s: %s %s', async (dialect, method, path, up = path) => {
    const { asking, upstream, sidecar } = await start({ dialect });
    const version = dialect === 'anthropic' ? { 'anthropic-version': '2023-06-01' } : {};
    const { status, json } = await asking(method, path, '', method === 'POST' ? { a: 1 } : '', version);
    expect([status, json.id]).toEqual([200, 'obj_1']);
    const call = await upstream.call(0);
    expect(seen(call)).toBe(`${method} ${up}`);
    expect(call.body.toString()).toBe(method === 'POST' ? '{"a":1}' : '');
    const keyNames = { anthropic: 'x-api-key', gemini: 'x-goog-api-key' } as Record<string, string>;
    const name = keyNames[dialect] ?? 'authorization';
    expect(call.headers[name]).toBe(`${name === 'authorization' ? 'Bearer ' : ''}provider-key-0`);
    const record = await sidecar.recordWhere((each) => each.status === 200);
    expect(record.target).toBe(`first/${record.endpoint}`);
    // What is billed for text, and says nothing of it, is estimated.
    const isText = ['/v1/completions', '/v2/chat', '/v1/responses/compact'].includes(path);
    expect(record).toMatchObject({ ...(isText ? {} : { inputTokens: 0, outputTokens: 0 }), model: '' });
  });

  test.each([
    '/v1/batches/../files',
    '/v1/batches/./x',
    '/v1/batches/x/..',
    '/v1/batches/%2e%2e/files',
    '/v1/batches/a%2Fb',
    '/v1/batches//x',
    '/v1/batches/x/',
    '/v1/batches/a\\b',
    '/v1/batches/..;/x',
    `/v1/batches/${'x'.repeat(300)}`,
    '/v2beta/organization/users',
    '/v1beta/files/..:download',
    '/v1beta/cachedContents/../models',
  ])('is not %s', async (path) => {
    const { sidecar, upstream } = await start({ dialect: path.includes('beta') ? 'gemini' : 'openai' });
    // As it is: a URL object would resolve the dots.
    const { port } = new URL(sidecar.url);
    const req = request({ port, host: '127.0.0.1', path, agent: false }).end();
    const [reply] = (await once(req, 'response')) as [IncomingMessage];
    expect(reply.statusCode).toBe(404);
    expect(JSON.parse((await reply.toArray()).join('')).error.message).toContain('There is no endpoint');
    expect(upstream.calls).toEqual([]);
  });

  test('is no WebSocket', async () => {
    const { asking, upstream } = await start();
    const headers = {
      connection: 'upgrade',
      upgrade: 'WebSocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    };
    const { status, json } = await asking('GET', '/v1/batches', '', '', headers);
    expect([status, json.error.code]).toEqual([404, 'not_found']);
    expect(json.error.message).toContain('There is no WebSocket');
    expect(upstream.calls).toEqual([]);
  });

  test('is a method that the API has', async () => {
    const { asking } = await start();
    const { status, headers } = await asking('GET', '/v1/completions');
    expect([status, headers.allow]).toEqual([405, 'POST']);
    expect((await asking('PATCH', '/v1/batches/batch_1')).status).toBe(200);
  });

  test('keeps the type of what it sends, and of what comes back, byte for byte', async () => {
    const bytes = Buffer.from(Array.from({ length: 5000 }, (_, at) => (at * 89) % 256));
    const { asking, upstream } = await start({ script: gives(bytes, 'video/mp4') });
    const type = 'multipart/form-data; boundary=odd';
    const headers = { 'content-type': type };
    const { status, headers: given } = await asking('POST', '/v1/uploads/up_1/parts', '', bytes, headers);
    expect([status, given['content-type']]).toEqual([200, 'video/mp4']);
    const { body, headers: sent } = await upstream.call(0);
    expect([sent['content-type'], body.equals(bytes)]).toEqual([type, true]);
  });

  test('is streamed as it comes', async () => {
    const { sidecar, upstream } = await start({ script: () => {} });
    const { reply } = send(sidecar.url, '/v1/responses/resp_1?stream=true', { method: 'GET', body: '' });
    const call = await upstream.call(0);
    call.streamHead();
    call.write('event: a\ndata: {"n":1}\n\n');
    const incoming = await reply;
    await incoming.sees('{"n":1}');
    call.end('data: not even JSON\n\n');
    expect(await incoming.all()).toBe('event: a\ndata: {"n":1}\n\ndata: not even JSON\n\n');
    expect(incoming.headers['content-type']).toContain('text/event-stream');
  });

  test('breaks off where the provider breaks off', async () => {
    const { sidecar, upstream } = await start({ script: () => {} });
    const { reply } = send(sidecar.url, '/v1/videos/v_1/content', { method: 'GET', body: '' });
    const call = await upstream.call(0);
    call.head(200, { 'content-type': 'video/mp4' });
    call.write('begun');
    const incoming = await reply;
    await incoming.sees('begun');
    call.cut();
    await expect(incoming.all()).rejects.toThrow();
  });

  test('answers with the refusals of its provider', async () => {
    const { asking } = await start({
      script: gives({ error: { message: 'no such batch' } }, undefined, 404),
    });
    const { status, json } = await asking('GET', '/v1/batches/batch_9');
    expect([status, json]).toEqual([404, { error: { message: 'no such batch' } }]);
  });

  test('passes an empty reply', async () => {
    const { asking } = await start({ script: (call) => call.whole(204, {}, '') });
    const { status, text } = await asking('DELETE', '/v1/batches/batch_9');
    expect([status, text]).toEqual([204, '']);
  });

  test('is repeated if that creates nothing twice', async () => {
    const { asking, upstream } = await start({ script: gives({ error: {} }, undefined, 500) });
    await asking('POST', '/v1/batches', '', { a: 1 });
    expect(upstream.calls).toHaveLength(1);
    await asking('GET', '/v1/batches/batch_1');
    expect(upstream.calls).toHaveLength(3);
  });

  test('has one reply for each idempotency key', async () => {
    const { asking, upstream } = await start();
    const headers = { 'idempotency-key': 'k' };
    await asking('POST', '/v1/batches', '', { a: 1 }, headers);
    const again = await asking('POST', '/v1/batches', '', { a: 1 }, headers);
    expect([again.json.id, again.headers['idempotent-replayed']]).toEqual(['obj_1', 'true']);
    expect((await asking('POST', '/v1/batches', '', { a: 2 }, headers)).status).toBe(422);
    expect((await asking('POST', '/v1/videos', '', { a: 1 }, headers)).status).toBe(422);
    expect(upstream.calls).toHaveLength(1);
  });

  test('is the same request with a form that has another boundary, as SDKs repeat it', async () => {
    const { asking, upstream } = await start();
    const send = (file: string, boundary: string) => {
      const { headers, body } = formOf({ purpose: 'x' }, Buffer.from(file), boundary);
      const keyed = { ...headers, 'idempotency-key': 'k' };
      return asking('POST', '/v1/uploads/upload_1/parts', '', body.toString(), keyed);
    };
    await send('one', 'b1');
    const again = await send('one', 'b2');
    expect([again.status, again.headers['idempotent-replayed']]).toEqual([200, 'true']);
    expect((await send('two', 'b1')).status).toBe(422);
    expect(upstream.calls).toHaveLength(1);
  });
});

describe('the policy', () => {
  test('keeps a body back that nobody reads', async () => {
    const { asking, upstream } = await start({ provider: { passthrough: true } });
    const { status, json } = await asking('POST', '/v1/completions', '', { prompt: 'ada@example.com' });
    expect([status, json.error.code]).toEqual([400, 'body_unread']);
    expect(json.error.message).toContain('passthrough: unscrubbed');
    expect(upstream.calls).toEqual([]);
    // Without a body there is nothing to be found.
    expect((await asking('GET', '/v1/batches')).status).toBe(200);
    expect((await asking('POST', '/v1/batches/batch_1/cancel')).status).toBe(200);
  });

  test('lets it pass where it only reports', async () => {
    const { piiKinds } = await import('../../src/native/pii.ts');
    const request = Object.fromEntries(piiKinds.map(({ name }) => [name, 'report' as const]));
    const more = {
      authenticate: { keys },
      scrub: { tenants: { a: { request }, b: { request: { ...request, email: 'off' as const } } } },
    };
    const { asking } = await start({ provider: { passthrough: true }, more });
    for (const as of ['k-a', 'k-b'])
      expect((await asking('POST', '/v1/completions', as, { prompt: 'x' })).status).toBe(200);
    const blocked = {
      ...more,
      scrub: { tenants: { a: { request: { ...request, email: 'block' as const } } } },
    };
    const other = await start({ provider: { passthrough: true }, more: blocked });
    expect((await other.asking('POST', '/v1/completions', 'k-a', { prompt: 'x' })).status).toBe(400);
  });
});

describe('keys and limits', () => {
  test('a key of Sidegate never leaves', async () => {
    const { asking, upstream } = await start({ more: { authenticate: { keys } } });
    expect((await asking('GET', '/v1/batches?api_key=k-a&x=1', 'k-a')).status).toBe(200);
    const { headers, path } = await upstream.call(0);
    expect(path).toBe('/v1/batches?x=1');
    expect(JSON.stringify(headers)).not.toContain('k-a');
    expect((await asking('GET', '/v1/batches')).status).toBe(401);
  });

  test('a key may be restricted to some of them', async () => {
    const authenticate = {
      keys: [
        key('k-batches', 'a', { endpoints: ['batches'] }),
        key('k-models', 'a', { models: ['m'] }),
        key('k-both', 'a', { models: ['m'], endpoints: ['batches'] }),
      ],
    };
    const { asking } = await start({ more: { authenticate } });
    const code = async (as: string, path: string) =>
      (await asking('GET', path, as)).json.error?.code ?? 'passed';
    expect(await code('k-batches', '/v1/batches')).toBe('passed');
    expect(await code('k-batches', '/v1/vector_stores')).toBe('endpoint_forbidden');
    expect(await code('k-models', '/v1/batches')).toBe('endpoint_forbidden');
    expect(await code('k-both', '/v1/batches')).toBe('passed');
  });

  test('requests are counted; what costs nobody knows how much is refused under a budget', async () => {
    const limits = [{ name: 'few', unit: 'requests' as const, capacity: 2, refillPerSecond: 0.001 }];
    const { asking } = await start({ more: { limits } });
    expect((await asking('GET', '/v1/batches')).status).toBe(200);
    expect((await asking('GET', '/v1/batches')).status).toBe(200);
    expect((await asking('GET', '/v1/batches')).status).toBe(429);
    const budgets = [{ name: 'b', usd: 1, window: 'day' as const }];
    const other = await start({ more: { budgets } });
    expect((await other.asking('GET', '/v1/batches')).status).toBe(200);
    const { json } = await other.asking('POST', '/v1/completions', '', { prompt: 'x' });
    expect(json.error.code).toBe('model_unpriced');
    const free = await start({ more: { budgets }, provider: { price: 'free' } });
    expect((await free.asking('POST', '/v1/completions', '', { prompt: 'x' })).status).toBe(200);
  });

  const usd = { inputUsdPerMTok: 2, outputUsdPerMTok: 8 };
  const catalog = { models: [{ model: 'm-1', ...usd }] };
  const openaiUsage = { prompt_tokens: 1000, completion_tokens: 500, total_tokens: 1500 };
  test('several answers are reserved for', async () => {
    const limits = [{ name: 'l', unit: 'outputTokens' as const, capacity: 10_000, refillPerSecond: 1 }];
    const { asking } = await start({ more: { limits, catalog } });
    const status = async (n: number) =>
      (await asking('POST', '/v1/completions', '', { model: 'm-1', prompt: 'x', n })).status;
    expect([await status(3), await status(2)]).toEqual([429, 200]);
  });

  test('a key keeps to its models where the body names one', async () => {
    const keys = [key('k-m', 'a', { models: ['m-1'], endpoints: ['completions'] })];
    const { asking } = await start({ more: { authenticate: { keys } } });
    const status = async (body: string) =>
      (await asking('POST', '/v1/completions', 'k-m', body, { 'content-type': 'application/json' })).status;
    expect(await status('{"model":"m-1","prompt":"x"}')).toBe(200);
    for (const body of [
      '{"model":"m-2"}',
      '{"model":"m\\u002d2"}',
      '{"model":"m-1","model":"m-2"}',
      '{"prompt":"x"}',
    ])
      expect(await status(body)).toBe(403);
  });

  const cohereUsage = {
    billed_units: { input_tokens: 1000, output_tokens: 500 },
    tokens: { input_tokens: 1200, output_tokens: 510 },
  };
  const responseUsage = {
    input_tokens: 1000,
    output_tokens: 500,
    input_tokens_details: { cached_tokens: 0 },
  };
  const text = 'He said "usage": {"prompt_tokens": 9}.';

  test.each<[DialectName, string, object]>([
    ['openai', '/v1/completions', { choices: [{ text }], usage: openaiUsage, system_fingerprint: 'f' }],
    ['cohere', '/v2/chat', { message: { content: [{ type: 'text', text }] }, usage: cohereUsage }],
    ['responses', '/v1/responses/compact', { output: [], usage: responseUsage }],
  ])('%s: %s costs what its reply says it used', async (dialect, path, reply) => {
    const { asking } = await start({ dialect, script: gives(reply), more: { catalog } });
    const { headers, text: sent } = await asking('POST', path, '', { model: 'm-1', prompt: 'x' });
    expect(sent).toBe(JSON.stringify(reply));
    expect(headers['x-sidegate-cost-usd']).toBe('0.006000000');
  });

  const events = (all: readonly unknown[]) => all.map((one) => `data: ${JSON.stringify(one)}\n\n`).join('');
  const pieces = Array.from({ length: 50 }, () => ({ choices: [{ text: 'a' }], usage: null }));

  test.each<[DialectName, string, string]>([
    [
      'openai',
      '/v1/completions',
      `${events([...pieces, { choices: [], usage: openaiUsage }])}data: [DONE]\n\n`,
    ],
    [
      'cohere',
      '/v2/chat',
      events([{ type: 'message-end', delta: { finish_reason: 'COMPLETE', usage: cohereUsage } }]),
    ],
  ])('%s: %s, streamed, counts in limits of tokens and in budgets', async (dialect, path, stream) => {
    const script = gives(stream, 'text/event-stream');
    const body = { model: 'm-1', prompt: 'x', stream: true };
    const limits = [{ name: 'in', unit: 'inputTokens' as const, capacity: 900, refillPerSecond: 0.001 }];
    // Another answer may take 0.033 dollars, which 0.006 less than 0.038 aren't.
    const budgets = [{ name: 'b', usd: 0.038, window: 'day' as const }];
    for (const rules of [{ limits }, { budgets }]) {
      const { asking, sidecar } = await start({ dialect, script, more: { catalog, ...rules } });
      expect((await asking('POST', path, '', body)).text).toBe(stream);
      const record = await sidecar.recordWhere((each) => each.status === 200);
      expect(record).toMatchObject({ inputTokens: 1000, outputTokens: 500, costUsd: 0.006, model: 'm-1' });
      expect((await asking('POST', path, '', body)).status).toBe(429);
    }
  });
});
