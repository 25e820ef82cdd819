/** Sidecars tell each other over a real Redis who made an object at a provider. */
import { hash } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { gives } from '../support/auxiliary.ts';
import { metricIn } from '../support/chain.ts';
import { ask } from '../support/client.ts';
import { startRedis } from '../support/redis.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { until } from '../support/until.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const keys = ['a', 'b'].map((tenant) => ({ id: `k-${tenant}`, sha256: hash('sha256', tenant), tenant }));

async function pod(redis: string, { baseUrl }: Upstream): Promise<TestSidecar> {
  const sidecar = await startTestSidecar({
    providers: { own: { dialect: 'openai', baseUrl, passthrough: 'unscrubbed' } },
    authenticate: { keys },
    sync: { redis },
  });
  onTestFinished(() => sidecar.stop());
  return sidecar;
}

test('an object is its tenant’s in all pods that were told of it', async () => {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  const upstream = await startUpstream(gives({ id: 'batch_1', object: 'batch' }));
  onTestFinished(() => upstream.close());
  const pods = await Promise.all([pod(redis.url, upstream), pod(redis.url, upstream)]);
  const [first, second] = pods as [TestSidecar, TestSidecar];
  for (const one of pods)
    await until(async () => metricIn(await one.metrics(), 'sidegate_peers_up', {}) === 1);
  const headers = (tenant: string) => ({ authorization: `Bearer ${tenant}` });
  const status = async (of: TestSidecar, tenant: string) =>
    (await ask(of.url, '/v1/batches/batch_1', { method: 'GET', body: '', headers: headers(tenant) })).status;
  expect(await status(second, 'a')).toBe(404);
  await ask(first.url, '/v1/batches', { body: { a: 1 }, headers: headers('a') });
  await until(async () => (await status(second, 'a')) === 200);
  expect([await status(second, 'b'), await status(first, 'b')]).toEqual([404, 404]);
  // What is heard is not told again.
  const sent = async (of: TestSidecar) =>
    metricIn(await of.metrics(), 'sidegate_peer_hints_total', { outcome: 'sent' }) ?? 0;
  expect([await sent(first), await sent(second)]).toEqual([1, 0]);
});
