/** Files through the sidecar: which provider gets them, and who may see them. */
import { hash } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import { formOf, gives, start } from '../support/auxiliary.ts';
import { ask } from '../support/client.ts';
import { startTestSidecar } from '../support/sidecar.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

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
    expect(await asking('k-a')).toEqual([400, 'provider_unclear']);
    expect(await asking('k-a', 'third')).toEqual([400, 'provider_unclear']);
    expect(await asking('k-a', 'second')).toEqual([200, 'second/files']);
    const call = await second.call(0);
    expect([call.method, call.path, call.body.length]).toEqual(['GET', '/v1/files?limit=2', 0]);
    expect(call.headers['content-type']).toBeUndefined();
  });

  test('of one tenant stay where others may not look', async () => {
    const { asking } = await two({ first: ['a'], second: ['b'] });
    expect(await asking('k-a')).toEqual([200, 'first/files']);
    expect(await asking('k-b')).toEqual([200, 'second/files']);
    expect(await asking('k-b', 'first')).toEqual([400, 'provider_unclear']);
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
