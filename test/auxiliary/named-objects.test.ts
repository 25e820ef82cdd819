/** What a tenant has made at a provider stays its own, and no other can name it, whatever request and member does. */
import { describe, expect, test } from 'vitest';
import type { DialectName } from '../../src/exchange/dialects.ts';
import { gives } from '../support/auxiliary.ts';
import { keys, startPassing as start } from '../support/passing.ts';
import { anthropicWire } from '../support/replies.ts';

const input = [{ role: 'user', content: 'a' }];
const responses = (more: object) => ['responses', '/v1/responses', { model: 'm', input, ...more }] as const;
const shell = (environment: object) => responses({ tools: [{ type: 'shell', environment }] });
const openai = (path: string, more: object) => ['openai', path, { model: 'm', ...more }] as const;
const search = (member: string) =>
  [
    'gemini',
    '/v1beta/models/m:generateContent',
    {
      contents: [{ parts: [{ text: 'a' }] }],
      tools: [{ fileSearch: { [member]: ['fileSearchStores/x1'] } }],
    },
  ] as const;
const document = [{ type: 'document', source: { type: 'file', file_id: 'file_x1' } }];
const messages = [{ role: 'user', content: document }];

describe('an object of another tenant', () => {
  test.each([
    ['cntr_x1', shell({ type: 'container_reference', container_id: 'cntr_x1' })],
    ['resp_x1', responses({ prompt_cache_options: { comparison_response_id: 'resp_x1' } })],
    [
      'skill_x1',
      shell({ type: 'container_auto', skills: [{ type: 'skill_reference', skill_id: 'skill_x1' }] }),
    ],
    ['vs_x1', responses({ tools: [{ type: 'file_search', vector_store_ids: ['vs_x1'] }] })],
    ['ft:gpt-4o:org::x1', openai('/v1/chat/completions', { model: 'ft:gpt-4o:org::x1', messages: input })],
    ['voice_x1', openai('/v1/chat/completions', { messages: input, audio: { voice: { id: 'voice_x1' } } })],
    ['voice_x1', openai('/v1/audio/speech', { input: 'a', voice: { id: 'voice_x1' } })],
    ['file-x1', openai('/v1/images/edits', { prompt: 'a', images: [{ file_id: 'file-x1' }] })],
    ['fileSearchStores/x1', search('fileSearchStoreNames')],
    ['fileSearchStores/x1', search('file_search_store_names')],
    ['file_x1', ['anthropic', '/v1/messages/count_tokens', { model: 'm', messages }]],
    ['file_x1', ['anthropic', '/v1/messages', { model: 'm', max_tokens: 9, messages }]],
  ] as const)('%s can’t be named: %j', async (id, [dialect, path, body]) => {
    const routes = [{ model: '*', targets: [{ provider: 'first' }] }];
    const more = { authenticate: { keys }, routes };
    const { asking, upstream } = await start({
      dialect: dialect as DialectName,
      script: gives({ id }),
      more,
    });
    const google = id.includes('/');
    const as = (key: string) => (google ? { 'x-goog-api-key': key } : { 'anthropic-version': '2023-06-01' });
    const make = google ? '/v1beta/fileSearchStores' : '/v1/skills';
    upstream.answer(gives(google ? { name: id } : { id }));
    const keyOf = (key: string): string => (google ? '' : key);
    const made = dialect === 'anthropic' ? as('k-a') : google ? as('k-a') : {};
    expect((await asking('POST', make, keyOf('k-a'), { a: 1 }, made)).status).toBe(200);
    const headers = (key: string) => (dialect === 'anthropic' || google ? as(key) : {});
    const { status, json } = await asking('POST', path, keyOf('k-b'), body, headers('k-b'));
    expect([status, String(json?.error?.message)]).toEqual([
      404,
      expect.stringContaining(`No object "${id}" of this tenant`),
    ]);
    const calls = upstream.calls.length;
    await asking('POST', path, keyOf('k-a'), body, headers('k-a'));
    expect(upstream.calls.length).toBeGreaterThan(calls);
  });
});

test.each([false, true])('a thread of messages is its tenant’s, streamed: %s', async (stream) => {
  const routes = [{ model: '*', targets: [{ provider: 'first' }] }];
  const { asking, upstream } = await start({
    dialect: 'anthropic',
    more: { authenticate: { keys }, routes },
  });
  upstream.answer((call) => {
    if (!stream) return call.whole(200, { 'content-type': 'application/json' }, anthropicWire.whole('Hi'));
    call.streamHead();
    for (const event of anthropicWire.stream('Hi')) call.write(event);
    call.end();
  });
  const ask = async (key: string, thread: object) => {
    const body = { model: 'm', max_tokens: 9, messages: input, stream, thread };
    const headers = { 'anthropic-version': '2023-06-01', 'x-api-key': key };
    return asking('POST', '/v1/messages', '', body, headers);
  };
  const made = await ask('k-a', { type: 'create' });
  const id = /"id":"(msg_\w+)"/.exec(made.text)?.[1];
  const next = { type: 'continue', previous_message_id: id };
  expect((await ask('k-b', next)).json?.error.code).toBe('object_not_found');
  expect(upstream.calls).toHaveLength(1);
  expect((await ask('k-a', next)).status).toBe(200);
});

test.each<[DialectName, string, string, string]>([
  ['openai', '/v1/vector_stores', 'vs_1', '/files/file-1'],
  ['openai', '/v1/conversations', 'conv_1', '/items/msg_1'],
  ['openai', '/v1/skills', 'skill_1', '/versions/2'],
  ['anthropic', '/v1/memory_stores', 'memstore_1', '/memories/mem_1'],
  ['gemini', '/v1beta/fileSearchStores', 'fileSearchStores/s1', '/documents/d1'],
])(
  'an object of %s in %s is still its tenant’s once a part of it is deleted',
  async (dialect, path, id, part) => {
    const isGoogle = dialect === 'gemini';
    const made = isGoogle ? { name: id } : { id };
    const { asking } = await start({ dialect, script: gives(made), more: { authenticate: { keys } } });
    const status = async (method: string, to: string, as: string) => {
      const google = isGoogle ? { 'x-goog-api-key': as } : {};
      const headers = dialect === 'anthropic' ? { 'anthropic-version': '2023-06-01' } : google;
      const body = method === 'POST' ? { a: 1 } : '';
      return (await asking(method, to, isGoogle ? '' : as, body, headers)).status;
    };
    const own = `${path}/${id.split('/').at(-1)}`;
    expect(await status('POST', path, 'k-a')).toBe(200);
    expect(await status('DELETE', own + part, 'k-a')).toBe(200);
    expect([await status('GET', own, 'k-a'), await status('GET', own, 'k-b')]).toEqual([200, 404]);
    expect(await status('DELETE', own, 'k-a')).toBe(200);
    expect(await status('GET', own, 'k-a')).toBe(404);
  },
);

test('a video that Google has made is whose the operation is', async () => {
  const { asking, upstream } = await start({ dialect: 'gemini', more: { authenticate: { keys } } });
  const name = 'models/veo-3/operations/op1';
  const uri = 'https://generativelanguage.googleapis.com/v1beta/files/v1deo:download?alt=media';
  const response = { generateVideoResponse: { generatedSamples: [{ video: { uri } }] } };
  const as = (key: string) => ({ 'x-goog-api-key': key });
  upstream.answer(gives({ name }));
  await asking('POST', '/v1beta/models/veo-3:predictLongRunning', '', { instances: [] }, as('k-a'));
  upstream.answer(gives({ name, done: true, response }));
  expect((await asking('GET', `/v1beta/${name}`, '', '', as('k-b'))).status).toBe(404);
  expect((await asking('GET', `/v1beta/${name}`, '', '', as('k-a'))).status).toBe(200);
  upstream.answer(gives('video', 'video/mp4'));
  const file = '/v1beta/files/v1deo:download?alt=media';
  expect((await asking('GET', file, '', '', as('k-b'))).status).toBe(404);
  expect((await asking('GET', file, '', '', as('k-a'))).text).toBe('video');
});
