/**
 * Trains the classifier's weights on the labelled prompts, without those held out, and writes them as a Rust table for
 * the native core: `npm run train:route`, then `npm run build:native`.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { classify, tiers } from '../../src/native/classify.ts';
import { best, crossValidate, fit, type Sample, scoresOf, type Weights } from './model.ts';
import { heldOut, readPrompts } from './prompts.ts';
import { score, scoreText } from './score.ts';

const root = new URL('../../', import.meta.url);
const folds = 6;
/** Found by cross-validation, together with `lean` below. */
const l2 = 0.1;
/** Added to the complex tier's score, as a complex prompt classified too low costs more than a simple one too high. */
const lean = 0.3;
/** Weights are integers in units of 1/65,536. */
const unit = 65_536;

function train(samples: readonly Sample[]): Weights {
  const weights = fit(samples, tiers.length, l2);
  const complex = weights.at(-1);
  if (complex !== undefined) complex[0] = (complex[0] ?? 0) + lean;
  return weights;
}

const prompts = readPrompts(fileURLToPath(new URL('test/fixtures/route/prompts.jsonl', root))).filter(
  (_, index) => !heldOut(index),
);
const samples = prompts.map(({ body, tier }): Sample => {
  const found = classify(body, 0);
  if (found === null) throw new Error('a labelled prompt is not a request');
  return { features: found.features, label: tiers.indexOf(tier) };
});

const given = crossValidate(samples, folds, (part) => {
  const weights = train(part);
  return (features) => best(scoresOf(weights, features));
});
const classified = samples.map(({ label }, i) => ({
  label,
  given: given[i] ?? 0,
  bytes: prompts[i]?.body.length ?? 0,
}));
console.log(`${folds}-fold cross-validation:\n${scoreText(score(classified))}`);

const whole = (weight: number): string => String(Math.round(weight * unit));
const list = (numbers: Iterable<number>): string => [...numbers].map(whole).join(', ');
const weights = train(samples);
writeFileSync(
  new URL('native/core/src/tier/weights.rs', root),
  `//! The classifier's weights by tier and feature. Written by \`npm run train:route\`; not edited by hand.

use crate::tier::features::{FEATURES, TIERS};

/// What each tier's score begins with.
pub const BIASES: [i32; TIERS] = [${list(weights.map((own) => own[0] ?? 0))}];

/// What each feature adds to each tier's score.
#[rustfmt::skip]
pub const WEIGHTS: [[i32; FEATURES]; TIERS] = [
${weights.map((own) => `    [${list(own.subarray(1))}],`).join('\n')}
];
`,
);
