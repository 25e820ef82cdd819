/** Conditions of edges that lead to a nested chain: if the condition isn't met, none of the chain is tried. */
import { expect, test } from 'vitest';
import { enters, following } from '../../src/attempt/edges.ts';
import { Refusal } from '../../src/base/errors.ts';
import { idleProvider, startRouting } from '../support/routing.ts';

const p = (model: string, more: object = {}): object => ({ provider: 'p', model, ...more });

test.each(['fallback', 'weighted'])('an edge holds for all of the chain behind it (%s)', (strategy) => {
  const main = [p('x'), { route: 'mid', on: ['outage'] }, p('last', { on: ['timeout', 'context_window'] })];
  const routes = [
    { model: 'm', targets: main },
    { model: 'mid', strategy, targets: [{ route: 'pool' }, p('w')] },
    { model: 'pool', targets: [p('y'), p('z', { on: ['context_window'] }), p('zz')] },
  ];
  const plan = startRouting(routes, [idleProvider('p')]).ask('m');
  if (plan instanceof Refusal) throw new Error(plan.message);
  const { steps } = plan;
  const label = (at: number): string | undefined => steps[at]?.target.label;
  expect(label(following(steps, 0, ['timeout']))).toBe('p/last');
  expect(label(enters(steps, 0, 'context_window'))).toBe('p/last');
  const y = steps.findIndex(({ target }) => target.label === 'p/y');
  expect(label(enters(steps, y, 'context_window'))).toBe('p/z');
  expect(['p/zz', 'p/w']).toContain(label(following(steps, y, ['server'])));
});
