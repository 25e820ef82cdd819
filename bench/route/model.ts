/** A softmax regression with L2, fitted by gradient descent; the same data give the same weights. */

/** Weights by class: the bias first, then one per feature. */
export type Weights = readonly Float64Array[];

/** A labelled sample: its features and its class. */
export interface Sample {
  readonly features: readonly number[];
  readonly label: number;
}

/** Mean and deviation of each feature. */
interface Scale {
  readonly mean: Float64Array;
  readonly deviation: Float64Array;
}

function scaleOf(samples: readonly Sample[], size: number): Scale {
  const mean = new Float64Array(size);
  const deviation = new Float64Array(size);
  for (const { features } of samples)
    features.forEach((x, i) => {
      mean[i] = at(mean, i) + x / samples.length;
    });
  for (const { features } of samples) {
    features.forEach((x, i) => {
      deviation[i] = at(deviation, i) + (x - at(mean, i)) ** 2 / samples.length;
    });
  }
  // A feature that hardly varies in training must not weigh much when it does.
  return { mean, deviation: deviation.map((each) => Math.max(1, Math.sqrt(each))) };
}

const at = (array: ArrayLike<number>, index: number): number => array[index] ?? 0;

/** The classes' scores for the given features. */
export const scoresOf = (weights: Weights, features: readonly number[]): number[] =>
  weights.map((own) => features.reduce((sum, x, i) => sum + x * at(own, i + 1), at(own, 0)));

/** The class with the highest score; of equal ones, the last. */
export const best = (scores: readonly number[]): number =>
  scores.reduce((most, score, index) => (score >= (scores[most] ?? 0) ? index : most), 0);

/**
 * Fits weights.
 * @param l2 strength of the pull to zero, per sample
 */
export function fit(samples: readonly Sample[], classes: number, l2: number, rounds = 1500): Weights {
  const size = samples[0]?.features.length ?? 0;
  const { mean, deviation } = scaleOf(samples, size);
  const rows = samples.map(({ features }) => features.map((x, i) => (x - at(mean, i)) / at(deviation, i)));
  const weights = Array.from({ length: classes }, () => new Float64Array(size + 1));
  const speed = Array.from({ length: classes }, () => new Float64Array(size + 1));
  const counts = Array.from({ length: classes }, (_, c) => samples.filter(({ label }) => label === c).length);
  for (let round = 0; round < rounds; round++) {
    const gradient = weights.map((own) => own.map((w, i) => (i === 0 ? 0 : l2 * w)));
    samples.forEach(({ label }, row) => {
      const x = rows[row] ?? [];
      const scores = scoresOf(weights, x);
      const top = Math.max(...scores);
      const powers = scores.map((score) => Math.exp(score - top));
      const total = powers.reduce((a, b) => a + b, 0);
      // Each class counts the same, however many samples it has.
      const share = 1 / (classes * at(counts, label));
      powers.forEach((power, c) => {
        const error = (power / total - (c === label ? 1 : 0)) * share;
        const own = gradient[c];
        if (own === undefined) return;
        own[0] = at(own, 0) + error;
        x.forEach((value, i) => {
          own[i + 1] = at(own, i + 1) + error * value;
        });
      });
    });
    weights.forEach((own, c) => {
      const v = speed[c] ?? new Float64Array();
      own.forEach((_, i) => {
        v[i] = 0.9 * at(v, i) - 0.3 * at(gradient[c] ?? [], i);
        own[i] = at(own, i) + at(v, i);
      });
    });
  }
  return weights.map((own) => {
    const raw = new Float64Array(size + 1);
    raw[0] = at(own, 0);
    for (let i = 0; i < size; i++) {
      raw[i + 1] = at(own, i + 1) / at(deviation, i);
      raw[0] = at(raw, 0) - at(raw, i + 1) * at(mean, i);
    }
    return raw;
  });
}

/** Predicts the class of every sample by a model that wasn't trained on it. */
export function crossValidate(
  samples: readonly Sample[],
  folds: number,
  train: (samples: readonly Sample[]) => (features: readonly number[]) => number,
): number[] {
  const given: number[] = [];
  for (let fold = 0; fold < folds; fold++) {
    const model = train(samples.filter((_, index) => index % folds !== fold));
    samples.forEach(({ features }, index) => {
      if (index % folds === fold) given[index] = model(features);
    });
  }
  return given;
}
