/** What those who look at the states of targets see. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { silent } from '../../src/base/telemetry.ts';
import { realWorld } from '../../src/base/world.ts';
import { configSchema } from '../../src/config/schema.ts';
import { breaker, breakerOutcome } from '../../src/native/breaker.ts';
import { createHealthBook } from '../../src/upstream/health.ts';
import { createUpstreams } from '../../src/upstream/upstreams.ts';

test('a model that a request named, and then a reload, is one target', () => {
  const config = configSchema.parse({});
  const health = createHealthBook(() => 0);
  const update = (...labels: string[]): void => {
    health.begin(config);
    for (const label of labels) health.target(label);
    health.settle(config);
  };
  update('p/*');
  const model = health.target('p/m', undefined, 'p/*');
  expect(health.states('target')).toEqual([]);
  health.open(model);
  model.inFlight += 1;
  expect(health.states('target')).toEqual([['p/m', 0, false]]);
  expect([health.inFlight('p/m'), health.inFlight('p/other')]).toEqual([1, 0]);
  update('p/*', 'p/m');
  expect(health.states('target')).toEqual([['p/m', 0, true]]);
});

test('what a reload removes is kept for requests that began before, however short it makes later ones', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const attempt = { totalTimeoutMs: 60_000 };
  const providers = { p: { dialect: 'openai', baseUrl: 'http://127.0.0.1:9/v1' } };
  const config = configSchema.parse({ attempt, batch: { deadlineMs: 1000 }, providers });
  const shorter = configSchema.parse({ attempt: { totalTimeoutMs: 1 }, batch: { deadlineMs: 1 } });
  const health = createHealthBook(() => 0);
  const upstreams = createUpstreams(realWorld, silent);
  onTestFinished(() => upstreams.close());
  const provider = (await upstreams.update(config)).get('p');
  const closed = vi.spyOn(provider?.pool ?? (null as never), 'close');
  health.begin(config);
  const { breakerId } = health.target('p/m');
  health.settle(config);
  health.begin(shorter);
  health.settle(shorter);
  await upstreams.update(shorter);
  vi.advanceTimersByTime(60_900);
  const ticket = breaker.admit(breakerId, 0);
  expect([ticket >= 0, closed.mock.calls.length]).toEqual([true, 0]);
  vi.advanceTimersByTime(100);
  expect(closed).toHaveBeenCalledOnce();
  expect(() => breaker.admit(breakerId, 0)).toThrow('no such breaker');
  // A session, and a stream whose client reads slowly, may last longer yet.
  expect(breaker.report(breakerId, ticket, breakerOutcome.failure, 0, 0)).toBe(false);
});
