/** What those who look at the states of targets see. */
import { expect, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { createHealthBook } from '../../src/upstream/health.ts';

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
