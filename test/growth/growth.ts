/** Measures how the work of a function grows with the length of its input. */

/** Lengths of the smaller and the larger input, in bytes. */
const [small, large] = [16_000, 256_000];
/** Calls of which the fastest counts. */
const rounds = 2;

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/**
 * How many times more CPU time a byte of the larger input takes: 1 if the work is linear, 16 if it is quadratic. An
 * input this size takes a few ms; a tenth of that is granted to what else the process does meanwhile.
 * @param make an input, larger with a larger number
 */
export function growth<T extends { readonly length: number }>(
  make: (n: number) => T,
  work: (input: T) => unknown,
): number {
  const unit = make(1000).length / 1000;
  const [first, second] = [make(Math.ceil(small / unit)), make(Math.ceil(large / unit))];
  // Enough calls of the small one for a measurable time, and so that it is compiled before it is measured.
  const repeats = Math.ceil(second.length / first.length);
  const batch = (): void => {
    for (let i = 0; i < repeats; i++) work(first);
  };
  batch();
  const fastest = (run: () => void): number => {
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < rounds; i++) {
      const before = cpuMs();
      run();
      least = Math.min(least, cpuMs() - before);
    }
    return least;
  };
  const perSmall = fastest(batch) / (repeats * first.length);
  return fastest(() => work(second)) / second.length / Math.max(perSmall, 0.5 / second.length);
}
