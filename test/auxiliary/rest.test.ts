/** What an API has that nobody here knows of: passed on as it is, but only where all objects are one tenant's. */
import OpenAI from 'openai';
import { describe, expect, test } from 'vitest';
import type { DialectName } from '../../src/exchange/dialects.ts';
import { rawExchange } from '../support/client.ts';
import { key, keys, startPassing } from '../support/passing.ts';

const unknown: readonly (readonly [DialectName, string, string])[] = [
  ['openai', '/v1/organization/projects/proj_1/api_keys?limit=2&after=a%20b', ''],
  ['openai', '/v1/realtime/client_secrets', ''],
  ['openai', '/v1/fine_tuning/checkpoints/ft:gpt-4o:org::abc:ckpt-1/permissions', ''],
  ['openai', '/v1/what/comes-next', ''],
  ['anthropic', '/v1/organizations/me?beta=true', ''],
  ['gemini', '/v1beta/interactions', ''],
  ['gemini', '/v1alpha/auth_tokens', '/v1/auth_tokens'],
  ['gemini', '/v1beta/webhooks/w1:ping', ''],
  [
    'gemini',
    '/upload/v1beta/fileSearchStores/s1:uploadToFileSearchStore',
    '/upload/v1/fileSearchStores/s1:uploadToFileSearchStore',
  ],
  ['cohere', '/v2/what/comes-next', '/v1/what/comes-next'],
];
const headersOf = (dialect: DialectName) =>
  dialect === 'anthropic' ? { 'anthropic-version': '2023-06-01' } : {};

describe.each(unknown)('%s: %s', (dialect, path, up) => {
  test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])('%s goes to the only provider', async (method) => {
    const { asking, upstream, sidecar } = await startPassing({ dialect });
    const body = method === 'GET' || method === 'DELETE' ? '' : '{"a":[1,"ß"]}';
    const reply = await asking(method, path, '', body, headersOf(dialect));
    expect([reply.status, reply.json]).toEqual([200, { id: 'obj_1', object: 'thing' }]);
    const [call] = upstream.calls;
    const expected = up === '' ? path.replace(/^\/v1beta/, '/v1') : up;
    expect([call?.method, call?.path, call?.body.toString()]).toEqual([method, expected, body]);
    expect(await sidecar.recordWhere(({ status }) => status === 200)).toMatchObject({
      endpoint: 'rest',
      target: 'first/rest',
    });
  });

  test('no tenant among several can ask for it, but where the provider keeps its objects only', async () => {
    const { asking, upstream } = await startPassing({ dialect, more: { authenticate: { keys } } });
    const refused = await asking('POST', path, 'k-a', '{}', headersOf(dialect));
    expect(refused.status).toBe(404);
    expect(refused.text).toContain("only to a provider whose objects are all this tenant's");
    expect(upstream.calls).toEqual([]);
    const own = await startPassing({ dialect, more: { authenticate: { keys } }, provider: { files: ['a'] } });
    expect((await own.asking('POST', path, 'k-a', '{}', headersOf(dialect))).status).toBe(200);
    expect((await own.asking('POST', path, 'k-b', '{}', headersOf(dialect))).status).not.toBe(200);
    expect(own.upstream.calls).toHaveLength(1);
  });
});

test('it is off where the provider is not passed what is not modelled', async () => {
  const { asking, upstream } = await startPassing({ provider: { passthrough: false } });
  const { status, json } = await asking('GET', '/v1/organization/users');
  expect([status, json.error.code, upstream.calls.length]).toEqual([404, 'not_found', 0]);
});

test.each([
  ['GET', '/v1/embeddings'],
  ['DELETE', '/v1/chat/completions'],
  ['POST', '/v1/models'],
  ['GET', '/v1/responses/compact/'],
  ['GET', '/v1/cache/feedback'],
])('a known path stays what it is: %s %s', async (method, path) => {
  const { asking, upstream } = await startPassing();
  const { status } = await asking(method, path);
  expect([404, 405]).toContain(status);
  expect(upstream.calls).toEqual([]);
});

test.each(['/v1/a//b', '/v1/a/../b', '/v1/./a', '/v1/a/%2e%2e/b', '/v1/', '/v2beta/a'])(
  '%s is no path',
  async (path) => {
    const { sidecar, upstream } = await startPassing();
    const head = `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n`;
    expect(await rawExchange(sidecar.url, head)).toMatch(/^HTTP\/1.1 404 /);
    expect(upstream.calls).toEqual([]);
  },
);

test('a key that names its endpoints must name this one', async () => {
  const authenticate = {
    keys: [key('k-some', 'a', { endpoints: ['chat'] }), key('k-rest', 'a', { endpoints: ['rest'] })],
  };
  const { asking } = await startPassing({ more: { authenticate } });
  expect((await asking('GET', '/v1/organization/users', 'k-some')).json.error.code).toBe(
    'endpoint_forbidden',
  );
  expect((await asking('GET', '/v1/organization/users', 'k-rest')).status).toBe(200);
});

test("it counts in limits, and a budget doesn't let what may cost anything pass", async () => {
  const limits = [
    {
      name: 'few',
      unit: 'requests' as const,
      capacity: 2,
      refillPerSecond: 0.001,
    },
  ];
  const { asking } = await startPassing({ more: { limits } as never });
  const statuses: number[] = [];
  for (let n = 0; n < 3; n++) statuses.push((await asking('GET', '/v1/organization/users')).status);
  expect(statuses).toEqual([200, 200, 429]);
  const budgeted = await startPassing({ more: { budgets: [{ name: 'day', usd: 1, window: 'day' }] } });
  const secret = await budgeted.asking('POST', '/v1/realtime/client_secrets', '', '{}');
  expect([secret.status, secret.json.error.code]).toEqual([403, 'model_unpriced']);
});

test('the reply comes in the form that is asked for', async () => {
  const { asking, upstream } = await startPassing({
    script: (call) =>
      call.whole(201, { 'content-type': 'application/sdp', location: '/v1/realtime/calls/rtc_1' }, 'v=0\r\n'),
  });
  const reply = await asking('POST', '/v1/realtime/calls', '', 'v=0\r\n', {
    'content-type': 'application/sdp',
    accept: 'application/sdp',
  });
  expect([reply.status, reply.headers['content-type'], reply.headers.location, reply.text]).toEqual([
    201,
    'application/sdp',
    '/v1/realtime/calls/rtc_1',
    'v=0\r\n',
  ]);
  expect(upstream.calls[0]?.headers).toMatchObject({
    accept: 'application/sdp',
    'content-type': 'application/sdp',
  });
});

describe("a model of one's own", () => {
  test('is deleted by the SDK', async () => {
    const { sidecar, upstream } = await startPassing({
      script: (call) =>
        call.whole(200, { 'content-type': 'application/json' }, '{"id":"ft:gpt-4o:org::abc","deleted":true}'),
    });
    const openai = new OpenAI({ baseURL: `${sidecar.url}/v1`, apiKey: 'k', maxRetries: 0 });
    expect((await openai.models.delete('ft:gpt-4o:org::abc')).deleted).toBe(true);
    expect([upstream.calls[0]?.method, upstream.calls[0]?.path]).toEqual([
      'DELETE',
      '/v1/models/ft:gpt-4o:org::abc',
    ]);
  });

  test('is deleted by the tenant alone whose job made it', async () => {
    const job = { id: 'ftjob-1', object: 'fine_tuning.job', fine_tuned_model: 'ft:gpt-4o:a::1' };
    const { asking, upstream } = await startPassing({
      script: (call) => call.whole(200, { 'content-type': 'application/json' }, JSON.stringify(job)),
      more: { authenticate: { keys } },
    });
    expect((await asking('POST', '/v1/fine_tuning/jobs', 'k-a', '{}')).status).toBe(200);
    const gone = async (as: string) => (await asking('DELETE', '/v1/models/ft:gpt-4o:a::1', as)).status;
    expect([await gone('k-b'), await gone('k-a')]).toEqual([404, 200]);
    expect(upstream.calls).toHaveLength(2);
  });
});
