/** Objects that are made by a request with a stream for an answer belong to its tenant, like others. */
import { expect, test } from 'vitest';
import { gives } from '../support/auxiliary.ts';
import { keys, startPassing as start } from '../support/passing.ts';

test('a thread that a stream says was made is its tenant’s, and so is an upload', async () => {
  const { asking, upstream } = await start({ more: { authenticate: { keys } } });
  const event = (name: string, data: object): string => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
  upstream.answer((call) => {
    call.streamHead();
    const forged = { metadata: { id: 'file-victim' } };
    call.write(event('thread.created', { id: 'thread_1', object: 'thread', ...forged }));
    call.end(event('thread.run.created', { id: 'run_1', thread_id: 'thread_1' }));
  });
  expect((await asking('POST', '/v1/threads/runs', 'k-a', { stream: true })).status).toBe(200);
  upstream.answer(gives({ id: 'upload_1', object: 'upload' }));
  await asking('POST', '/v1/uploads', 'k-a', { bytes: 1 });
  upstream.answer(gives({ id: 'x' }));
  for (const [method, path] of [
    ['GET', '/v1/threads/thread_1/messages'],
    ['POST', '/v1/threads/thread_1/runs/run_1/cancel'],
    ['POST', '/v1/uploads/upload_1/complete'],
    ['POST', '/v1/uploads/upload_1/cancel'],
  ] as const) {
    expect([path, (await asking(method, path, 'k-a', method === 'GET' ? '' : {})).status]).toEqual([
      path,
      200,
    ]);
    expect([path, (await asking(method, path, 'k-b', method === 'GET' ? '' : {})).status]).toEqual([
      path,
      404,
    ]);
  }
  expect((await asking('GET', '/v1/files/file-victim', 'k-a')).status).toBe(404);
});

test('a list of objects that is refused holds its call no longer', async () => {
  const { asking, upstream } = await start({
    dialect: 'gemini',
    script: async (call) => {
      call.head(200, { 'content-type': 'application/x-protobuf' });
      call.write('files/b77');
      await call.aborted;
    },
    more: { authenticate: { keys }, attempt: { connectionsMax: 1, retriesMax: 0 } },
  });
  const list = async () =>
    (await asking('GET', '/v1beta/files', '', '', { 'x-goog-api-key': 'k-b' })).json?.error?.code;
  for (let i = 0; i < 3; i++) expect(await list()).toBe(502);
  expect(upstream.calls).toHaveLength(3);
  upstream.answer(gives({ files: [] }));
  expect((await asking('GET', '/v1beta/files', '', '', { 'x-goog-api-key': 'k-b' })).status).toBe(200);
});
