//! A network that compares the tokens of two questions (decomposable attention, Parikh et al. 2016).
//!
//! Each token is seen with its neighbours, set against what the other question has in its place, and judged; the
//! judgements are added, and weighed together with the pair's features. `bench/cache/model/train.py` has the same in a
//! few lines.

use crate::search::bytes::Reader;
use crate::search::features::FEATURES;
use crate::search::kernel::{Layer, arch, product};
use crate::search::table::{DIMENSIONS, table};

const WIDTH: usize = 64;
/// How far from its mean a feature may be, in standard deviations.
const FAR: f32 = 3.0;
/// Further tokens of a question aren't read.
const TOKENS_MAX: usize = 48;

fn read_layer(reader: &mut Reader, inputs: usize) -> Option<Layer<WIDTH>> {
    Layer::new(reader.f16s(inputs * WIDTH)?, reader.f16s(WIDTH)?)
}

/// The network.
#[derive(Debug)]
pub struct Network {
    project: Layer<WIDTH>,
    context: Layer<WIDTH>,
    compare: Layer<WIDTH>,
    hidden: Layer<WIDTH>,
    /// Means of the features, and what is multiplied by what they differ from them.
    means: Vec<f32>,
    spreads: Vec<f32>,
    out: Vec<f32>,
    sharpness: f32,
    bonus: f32,
    bias: f32,
}

/// A question as the network sees it: for each token a row, and the row's direction.
#[derive(Clone, Debug)]
pub struct Seen {
    tokens: Vec<u16>,
    rows: Vec<[f32; WIDTH]>,
    directions: Vec<[f32; WIDTH]>,
}

impl Network {
    /// Reads it.
    pub fn read(reader: &mut Reader) -> Option<Network> {
        let project = read_layer(reader, DIMENSIONS)?;
        let context = read_layer(reader, 3 * WIDTH)?;
        let compare = read_layer(reader, 4 * WIDTH + 1)?;
        let hidden = read_layer(reader, 4 * WIDTH + FEATURES)?;
        let (means, spreads) = (reader.f16s(FEATURES)?, reader.f16s(FEATURES)?);
        let out = reader.f16s(WIDTH)?;
        let [sharpness, bonus, bias] = reader.f16s(3)?.try_into().ok()?;
        Some(Network { project, context, compare, hidden, means, spreads, out, sharpness, bonus, bias })
    }

    /// Looks at a question's tokens.
    pub fn see(&self, tokens: &[u16]) -> Seen {
        // Padding stands in for no token at all, as it did in training.
        let tokens: Vec<u16> =
            if tokens.is_empty() { vec![0] } else { tokens[..tokens.len().min(TOKENS_MAX)].to_vec() };
        let plain: Vec<[f32; WIDTH]> = tokens.iter().map(|&token| self.plain(token)).collect();
        let none = [0.0; WIDTH];
        let mut around = [0.0; 3 * WIDTH];
        let mut row = |at: usize| {
            let before = at.checked_sub(1).map_or(&none, |before| &plain[before]);
            let after = plain.get(at + 1).unwrap_or(&none);
            around
                .chunks_mut(WIDTH)
                .zip([before, &plain[at], after])
                .for_each(|(to, from)| to.copy_from_slice(from));
            let mut row = self.context.apply(&around);
            row.iter_mut().zip(&plain[at]).for_each(|(out, own)| *out += own);
            row
        };
        let rows: Vec<[f32; WIDTH]> = (0..plain.len()).map(&mut row).collect();
        let directions = rows.iter().map(direction).collect();
        Seen { tokens, rows, directions }
    }

    fn plain(&self, token: u16) -> [f32; WIDTH] {
        if token == 0 {
            return [0.0; WIDTH];
        }
        let (row, scale) = table().row(token);
        let mut input = [0.0; DIMENSIONS];
        input.iter_mut().zip(row).for_each(|(input, &part)| *input = f32::from(part as i8) * scale);
        self.project.apply(&input)
    }

    /// How much speaks for the same, or against it if below 0. The order of the pair makes no difference.
    pub fn score(&self, a: &Seen, b: &Seen, features: &[f32; FEATURES]) -> f32 {
        let (a, b) = if a.tokens <= b.tokens { (a, b) } else { (b, a) };
        let (left, right) = self.attention(a, b);
        let (left, right) = (self.side(a, b, left), self.side(b, a, right));
        let mut input = [0.0; 4 * WIDTH + FEATURES];
        for at in 0..2 * WIDTH {
            input[at] = left[at] + right[at];
            input[2 * WIDTH + at] = (left[at] - right[at]).abs();
        }
        let scales = self.means.iter().zip(&self.spreads);
        let features = features.iter().zip(scales).map(|(x, (mean, by))| ((x - mean) * by).clamp(-FAR, FAR));
        input[4 * WIDTH..].iter_mut().zip(features).for_each(|(input, feature)| *input = feature);
        let hidden = self.hidden.apply(&input);
        hidden.iter().zip(&self.out).map(|(value, weight)| value * weight).sum::<f32>() + self.bias
    }

    /// How well each token of one question stands for each of the other: a row for each of `a`'s, and one for each of
    /// `b`'s.
    fn attention(&self, a: &Seen, b: &Seen) -> (Vec<f32>, Vec<f32>) {
        let sharpness = self.sharpness.exp().ln_1p() * 4.0;
        let (rows, columns) = (a.tokens.len(), b.tokens.len());
        let mut both = (vec![0.0; rows * columns], vec![0.0; rows * columns]);
        arch().dispatch(
            #[inline(always)]
            || {
                for (x, direction) in a.directions.iter().enumerate() {
                    for (y, other) in b.directions.iter().enumerate() {
                        let equal = f32::from(u8::from(a.tokens[x] == b.tokens[y]));
                        let fit = product(direction, other) * sharpness + self.bonus * equal;
                        both.0[x * columns + y] = if b.tokens[y] == 0 { NONE } else { fit };
                        both.1[y * rows + x] = if a.tokens[x] == 0 { NONE } else { fit };
                    }
                }
            },
        );
        both
    }

    /// The judgements on one question's tokens: their sum, and the greatest of each.
    fn side(&self, own: &Seen, other: &Seen, mut attention: Vec<f32>) -> [f32; 2 * WIDTH] {
        let mut all = [0.0; 2 * WIDTH];
        let tokens = own.rows.iter().zip(attention.chunks_mut(other.rows.len()));
        for ((row, shares), _) in tokens.zip(&own.tokens).filter(|(_, token)| **token != 0) {
            let best = to_shares(shares);
            let mut input = [0.0; 4 * WIDTH + 1];
            input[..WIDTH].copy_from_slice(row);
            for (share, theirs) in shares.iter().zip(&other.rows) {
                input[WIDTH..2 * WIDTH]
                    .iter_mut()
                    .zip(theirs)
                    .for_each(|(found, part)| *found += share * part);
            }
            for at in 0..WIDTH {
                let (x, y) = (input[at], input[WIDTH + at]);
                (input[2 * WIDTH + at], input[3 * WIDTH + at]) = ((x - y).abs(), x * y);
            }
            input[4 * WIDTH] = best / 8.0;
            for (at, judged) in self.compare.apply(&input).into_iter().enumerate() {
                all[at] += judged / 6.0;
                all[WIDTH + at] = f32::max(all[WIDTH + at], judged);
            }
        }
        all
    }
}

/// How well what isn't there fits.
const NONE: f32 = -1e4;

/// Makes how well tokens fit shares that add up to 1; gives the greatest before.
fn to_shares(fits: &mut [f32]) -> f32 {
    let best = fits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for fit in fits.iter_mut() {
        *fit = (*fit - best).exp();
        sum += *fit;
    }
    fits.iter_mut().for_each(|share| *share /= sum);
    best
}

fn direction(row: &[f32; WIDTH]) -> [f32; WIDTH] {
    let length = (product(row, row) + 1e-6).sqrt();
    row.map(|part| part / length)
}
