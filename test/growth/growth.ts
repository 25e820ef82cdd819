/** Measures how the work of a function grows with the length of its input. */
import { collectGarbage } from '../../src/base/memory.ts';
import { cpuMs } from '../support/time.ts';

/** Lengths of the smaller and the larger input, in bytes. */
const [small, large] = [16_000, 256_000];
/** Work that is linear, to be measured no further. */
const plainlyLinear = 3;
/** Measurements of which the fastest counts, where the first one raises a doubt. */
const rounds = 6;

/**
 * How many times more CPU time a byte of the larger input takes: 1 if the work is linear, 16 if it is quadratic. An
 * input this size takes a few ms; half a ms is granted to what else the process does meanwhile.
 * @param make an input, larger with a larger number
 */
export function growth<T extends { readonly length: number }>(
  make: (n: number) => T,
  work: (input: T) => unknown,
): number {
  const unit = make(1000).length / 1000;
  const [first, second] = [make(Math.ceil(small / unit)), make(Math.ceil(large / unit))];
  // Enough calls of the small one for a measurable time, and some so that it is compiled before it is measured.
  const repeats = Math.ceil(second.length / first.length);
  const times = (count: number) => (): void => {
    for (let i = 0; i < count; i++) work(first);
  };
  times(Math.ceil(repeats / 2))();
  let [ofSmall, ofLarge] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  let grown = Number.POSITIVE_INFINITY;
  for (let i = 0; i < rounds && grown > plainlyLinear; i++) {
    // What tests before left behind would be collected in the time of one of the two.
    if (i > 0) collectGarbage();
    ofSmall = Math.min(ofSmall, cpuMs(times(repeats)));
    if (i > 0) collectGarbage();
    ofLarge = Math.min(
      ofLarge,
      cpuMs(() => work(second)),
    );
    const perSmall = ofSmall / (repeats * first.length);
    grown = ofLarge / second.length / Math.max(perSmall, 0.5 / second.length);
  }
  return grown;
}
