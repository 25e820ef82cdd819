/** Limits that pods share, as the limiter decides on them and names them, without Redis. */
import { describe, expect, test } from 'vitest';
import { leaseEntry, reportAt } from '../../src/native/leases.ts';
import { granted, header, refused, stage } from '../support/limit-stage.ts';
import type { ConfigInput } from '../support/sidecar.ts';

const horizonMs = 2000;
const sync = { redis: 'redis://localhost' };

/** A pod that knows of `pods` in all, and that Redis is there. */
function sharing(config: ConfigInput, pods: number) {
  const pod = stage({ sync, ...config });
  pod.limiter.book.pods(pods);
  pod.limiter.book.alone(false);
  const reports = new Float64Array(leaseEntry.report);
  return {
    ...pod,
    /** What the pod would tell Redis of its limit, and the limit. */
    report() {
      expect(pod.limiter.book.report(reports, horizonMs, pod.time.nowMs)).toBe(1);
      const number = (field: keyof typeof reportAt): number => reports[reportAt[field]] as number;
      return {
        used: number('used'),
        demand: number('demand'),
        meter: pod.limiter.book.meter(number('id'), number('window')),
      };
    },
  };
}

describe('one that is too small to slice and only observed', () => {
  const few = { name: 'few', per: [], capacity: 6, refillPerSecond: 0.001, mode: 'observe' as const };
  const observed = (result: Parameters<typeof granted>[0]) =>
    header(granted(result).headers, 'x-sidegate-observed-limit');

  test('is decided by the pod’s share, as nobody waits for Redis', () => {
    const { admit, report, events } = sharing({ limits: [few] }, 2);
    const said = [1, 2, 3, 4, 5].map(() => observed(admit()));
    expect(said.slice(0, 1)).toEqual([undefined]);
    expect(said.slice(3)).toEqual(['few', 'few']);
    expect(events).toContain('observed few');
    expect(report().used).toBeGreaterThan(0);
  });
});

test('one that is enforced is not', () => {
  const few = { name: 'few', per: [], capacity: 6, refillPerSecond: 0.001 };
  refused(sharing({ limits: [few] }, 2).admit());
});

test.each<['hour' | 'day' | 'week' | 'month', number]>([
  ['hour', 2],
  ['day', 48],
  ['week', 14 * 24],
  ['month', 62 * 24],
])('Redis remembers a budget of a %s for two windows', (window, hours) => {
  const { admit, report } = sharing({ budgets: [{ name: 'b', per: [], usd: 1000, window }] }, 1);
  granted(admit());
  const { meter } = report();
  expect((meter?.ttlMs ?? 0) / 3_600_000).toBeGreaterThanOrEqual(hours);
  expect((meter?.ttlMs ?? 0) / 3_600_000).toBeLessThanOrEqual(1.2 * hours + 2);
});
