/** Bounds of a share of which only a sample was seen (Clopper and Pearson, 1934). */

/** Sums beyond this are made smaller: a number holds a little more. */
const sumMax = 1e200;

/** Logarithm of the probability that at most `hits` of `total` are seen where the true share is `share`. */
function logAtMost(hits: number, total: number, share: number): number {
  const odds = share / (1 - share);
  // As parts of the first term, which may be too small for a number itself.
  let first = total * Math.log1p(-share);
  let [term, sum] = [1, 1];
  for (let k = 0; k < hits; k++) {
    term *= ((total - k) / (k + 1)) * odds;
    sum += term;
    if (sum > sumMax) {
      [term, sum] = [term / sumMax, sum / sumMax];
      first += Math.log(sumMax);
    }
  }
  return Math.min(first + Math.log(sum), 0);
}

/** The share at which `isBelow` changes from true to false. */
function bisect(isBelow: (share: number) => boolean): number {
  let [low, high] = [1e-12, 1 - 1e-12];
  for (let i = 0; i < 50; i++) {
    const middle = (low + high) / 2;
    if (isBelow(middle)) low = middle;
    else high = middle;
  }
  return high;
}

/** Whether the true share is at most `share`, with 95% confidence. */
export const isAtMost = (share: number, hits: number, total: number): boolean =>
  hits < total && logAtMost(hits, total, share) <= Math.log(0.05);

/** Whether the true share is more than `share`, with 95% confidence. */
export const isAbove = (share: number, hits: number, total: number): boolean =>
  hits > 0 && 1 - Math.exp(logAtMost(hits - 1, total, share)) < 0.05;

/** With 95% confidence the true share is at most this. */
export const upperBound = (hits: number, total: number): number =>
  hits >= total ? 1 : bisect((share) => !isAtMost(share, hits, total));

/** With 95% confidence the true share is at least this. */
export const lowerBound = (hits: number, total: number): number =>
  hits === 0 ? 0 : bisect((share) => isAbove(share, hits, total));
