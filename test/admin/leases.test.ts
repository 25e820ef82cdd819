/** What the admin port tells of limits that pods share over Redis. */
import { expect, onTestFinished, test, vi } from 'vitest';
import type { LeaseState } from '../../src/admin/dashboard.ts';
import type { LimitView } from '../../src/limit/view.ts';
import { startGate } from '../support/gate.ts';
import { startRedis } from '../support/redis.ts';
import { openaiWire } from '../support/replies.ts';
import { answers } from '../support/upstream.ts';

const patience = { timeout: 60_000 };

interface Overview {
  readonly leases: LeaseState | null;
  readonly limits: readonly LimitView[];
}

test('the dashboard learns how many pods share limits, what each leased, and that Redis is gone', async () => {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  const start = async () => {
    const gate = await startGate([answers(openaiWire, 'hello')], {
      sync: { redis: redis.url },
      limits: [{ name: 'all', capacity: 1000, refillPerSecond: 10, scope: 'shared' }],
    });
    onTestFinished(() => gate.stop());
    return gate;
  };
  const [gate] = [await start(), await start()];
  const overview = async (): Promise<Overview> => {
    const reply = await fetch(`${gate.sidecar.adminUrl}/api/overview`);
    return (await reply.json()) as Overview;
  };
  await gate.ask(openaiWire, 'hi');
  await vi.waitFor(async () => {
    const { leases, limits } = await overview();
    expect(leases).toEqual({ up: true, pods: 2 });
    expect(limits[0]).toMatchObject({ limit: 'all', counts: 'shared' });
    expect(limits[0]?.leasedHere).toBeGreaterThan(0);
  }, patience);
  await redis.stop();
  await vi.waitFor(async () => expect((await overview()).leases?.up).toBe(false), patience);
});
