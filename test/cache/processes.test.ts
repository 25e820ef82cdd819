/** Three processes and a real Redis: what one stores the others serve, and when Redis is killed no request notices. */
import { setTimeout as wait } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { ask } from '../support/client.ts';
import { startRedis } from '../support/redis.ts';
import { openaiWire as wire } from '../support/replies.ts';
import { type SidecarProcess, spawnSidecar } from '../support/sidecar.ts';
import { answers, startUpstream } from '../support/upstream.ts';

const question = 'How can I change my shipping address?';
const reworded = 'How do I update my delivery address?';

test('shared by three processes; without Redis each goes on', async () => {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  const own = await startUpstream(answers(wire, 'Under Settings.'));
  onTestFinished(() => own.close());
  const config = {
    listen: { port: 0 },
    admin: { port: 0 },
    authenticate: { anonymousTenant: 'test' },
    providers: { own: { dialect: 'openai', baseUrl: own.baseUrl, apiKey: 'key' } },
    routes: [{ model: 'any', targets: [{ provider: 'own' }] }],
    cache: { semantic: { mode: 'on' }, secret: 'a secret of the deployment' },
    scrub: { secret: 'placeholders of all pods' },
    sync: { redis: redis.url },
  };
  const pods: SidecarProcess[] = [];
  for (let i = 0; i < 3; i++) {
    const pod = await spawnSidecar(JSON.stringify(config));
    onTestFinished(async () => void (await pod.stop()));
    pods.push(pod);
  }
  const [one, ...others] = pods as [SidecarProcess, ...SidecarProcess[]];
  const send = async (pod: SidecarProcess, text: string, headers: Record<string, string> = {}) => {
    const reply = await ask(pod.url, wire.path, { body: { ...wire.request(text), model: 'any' }, headers });
    expect(reply.status).toBe(200);
    return reply.headers['cache-status'];
  };
  const adopted = async (pod: SidecarProcess): Promise<boolean> => {
    const metrics = await (await fetch(`${pod.adminUrl}/metrics`)).text();
    return /^sidegate_cache_entries [1-9]/m.test(metrics);
  };
  // A pod that just started isn't connected yet: it tells again what it stores anew.
  while (!(await Promise.all(others.map(adopted))).every(Boolean)) {
    await send(one, question, { 'cache-control': 'no-cache' });
    await wait(50);
  }
  const calls = own.calls.length;
  for (const pod of others) {
    expect(await send(pod, question)).toBe('sidegate; hit');
    expect(await send(pod, reworded)).toMatch(/^sidegate; hit; detail=semantic/);
  }
  expect(own.calls).toHaveLength(calls);

  await redis.stop();
  for (const [at, pod] of pods.entries()) {
    expect(await send(pod, question)).toBe('sidegate; hit');
    const other = `What is the capital of ${['France', 'Spain', 'Italy'][at]}?`;
    expect(await send(pod, other)).toBe('sidegate; fwd=uri-miss');
    expect(await send(pod, other)).toBe('sidegate; hit');
  }
});
