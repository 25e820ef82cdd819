//! A network that compares the tokens of two questions (decomposable attention, Parikh et al. 2016).
//!
//! Each token is seen with its neighbours, set against what the other question has in its place, and judged; the
//! judgements are added, and weighed together with the pair's features. `bench/cache/model/train.py` has the same in a
//! few lines.

use pulp::Arch;

use crate::search::bytes::Reader;
use crate::search::features::FEATURES;
use crate::search::table::{DIMENSIONS, table};

const WIDTH: usize = 64;
/// How far from its mean a feature may be, in standard deviations.
const FAR: f32 = 3.0;
/// Further tokens of a question aren't read.
const TOKENS_MAX: usize = 48;

/// A matrix whose rows are what one part of the input adds, and a bias.
#[derive(Debug)]
struct Layer {
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Layer {
    fn read(reader: &mut Reader, inputs: usize) -> Option<Layer> {
        Some(Layer { weights: reader.f16s(inputs * WIDTH)?, bias: reader.f16s(WIDTH)? })
    }

    /// `input` through the layer; what is below 0 becomes 0.
    #[inline(always)]
    fn apply(&self, input: impl Iterator<Item = f32>) -> [f32; WIDTH] {
        let mut out = [0.0; WIDTH];
        out.copy_from_slice(&self.bias);
        for (value, row) in input.zip(self.weights.chunks_exact(WIDTH)) {
            out.iter_mut().zip(row).for_each(|(out, weight)| *out += value * weight);
        }
        out.map(|value| value.max(0.0))
    }
}

/// The network.
#[derive(Debug)]
pub struct Network {
    project: Layer,
    context: Layer,
    compare: Layer,
    hidden: Layer,
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
        let project = Layer::read(reader, DIMENSIONS)?;
        let context = Layer::read(reader, 3 * WIDTH)?;
        let compare = Layer::read(reader, 4 * WIDTH + 1)?;
        let hidden = Layer::read(reader, 4 * WIDTH + FEATURES)?;
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
        Arch::new().dispatch(
            #[inline(always)]
            || {
                let plain: Vec<[f32; WIDTH]> = tokens.iter().map(|&token| self.plain(token)).collect();
                let none = [0.0; WIDTH];
                let rows: Vec<[f32; WIDTH]> = (0..plain.len())
                    .map(|at| {
                        let before = at.checked_sub(1).map_or(&none, |before| &plain[before]);
                        let after = plain.get(at + 1).unwrap_or(&none);
                        let mut row =
                            self.context.apply(before.iter().chain(&plain[at]).chain(after).copied());
                        row.iter_mut().zip(&plain[at]).for_each(|(out, own)| *out += own);
                        row
                    })
                    .collect();
                let directions = rows.iter().map(direction).collect();
                Seen { tokens, rows, directions }
            },
        )
    }

    #[inline(always)]
    fn plain(&self, token: u16) -> [f32; WIDTH] {
        if token == 0 {
            return [0.0; WIDTH];
        }
        let (row, scale) = table().row(token);
        self.project.apply(row.iter().map(|&part| f32::from(part as i8) * scale))
    }

    /// How much speaks for the same, or against it if below 0. The order of the pair makes no difference.
    pub fn score(&self, a: &Seen, b: &Seen, features: &[f32; FEATURES]) -> f32 {
        let (a, b) = if a.tokens <= b.tokens { (a, b) } else { (b, a) };
        Arch::new().dispatch(
            #[inline(always)]
            || {
                let (left, right) = (self.side(a, b), self.side(b, a));
                let sums = left.iter().zip(&right).map(|(x, y)| x + y);
                let differences = left.iter().zip(&right).map(|(x, y)| (x - y).abs());
                let scales = self.means.iter().zip(&self.spreads);
                let features =
                    features.iter().zip(scales).map(|(x, (mean, by))| ((x - mean) * by).clamp(-FAR, FAR));
                let hidden = self.hidden.apply(sums.chain(differences).chain(features));
                hidden.iter().zip(&self.out).map(|(value, weight)| value * weight).sum::<f32>() + self.bias
            },
        )
    }

    /// The judgements on one question's tokens: their sum, and the greatest of each.
    #[inline(always)]
    fn side(&self, own: &Seen, other: &Seen) -> [f32; 2 * WIDTH] {
        let mut all = [0.0; 2 * WIDTH];
        let mut attention = vec![0.0; other.rows.len()];
        for (at, row) in own.rows.iter().enumerate().filter(|(at, _)| own.tokens[*at] != 0) {
            let best = self.attend(own, at, other, &mut attention);
            let mut found = [0.0; WIDTH];
            for (share, theirs) in attention.iter().zip(&other.rows) {
                found.iter_mut().zip(theirs).for_each(|(found, part)| *found += share * part);
            }
            let far = row.iter().zip(&found).map(|(x, y)| (x - y).abs());
            let both = row.iter().zip(&found).map(|(x, y)| x * y);
            let input = row.iter().copied().chain(found.iter().copied()).chain(far).chain(both);
            let judged = self.compare.apply(input.chain([best / 8.0]));
            for (at, judged) in judged.into_iter().enumerate() {
                all[at] += judged / 6.0;
                all[WIDTH + at] = f32::max(all[WIDTH + at], judged);
            }
        }
        all
    }

    /// How much of each of the other's tokens stands for one of our own: shares that add up to 1. Gives the greatest
    /// before it was made a share.
    #[inline(always)]
    fn attend(&self, own: &Seen, at: usize, other: &Seen, shares: &mut [f32]) -> f32 {
        let sharpness = self.sharpness.exp().ln_1p() * 4.0;
        for (to, share) in shares.iter_mut().enumerate() {
            let cosine: f32 = own.directions[at].iter().zip(&other.directions[to]).map(|(x, y)| x * y).sum();
            let equal = f32::from(u8::from(own.tokens[at] == other.tokens[to]));
            *share = if other.tokens[to] == 0 { -1e4 } else { cosine * sharpness + self.bonus * equal };
        }
        let best = shares.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for share in shares.iter_mut() {
            *share = (*share - best).exp();
            sum += *share;
        }
        shares.iter_mut().for_each(|share| *share /= sum);
        best
    }
}

fn direction(row: &[f32; WIDTH]) -> [f32; WIDTH] {
    let length = (row.iter().map(|part| part * part).sum::<f32>() + 1e-6).sqrt();
    row.map(|part| part / length)
}
