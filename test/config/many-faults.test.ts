/** A file with many faults is answered in about the time of one with few: it is read on the thread that serves requests. */
import { expect, test } from 'vitest';
import { listed, load } from '../support/config-samples.ts';
import { cpuMs } from '../support/time.ts';

test('a setting that is misspelled four hundred times takes no four hundred times as long', () => {
  const routes = (count: number): string =>
    ['routes:', ...Array.from({ length: count }, (_, i) => `  - { model: m${i}, tragets: [] }`)].join('\n');
  const faults = listed(load(routes(400)));
  expect(faults.filter((fault) => fault.includes('did you mean "targets"'))).toHaveLength(400);
  const tookMs = (text: string): number =>
    Math.min(...Array.from({ length: 3 }, () => cpuMs(() => listed(load(text)))));
  expect(tookMs(routes(400))).toBeLessThan(40 * tookMs(routes(1)));
});
