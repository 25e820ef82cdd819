//! The loops that go over every vector of a scope, compiled once more for the instructions newer processors have.

use pulp::{Arch, Simd, WithSimd};
use std::sync::OnceLock;

/// What runs a loop with the instructions that this processor has.
pub fn arch() -> Arch {
    static ARCH: OnceLock<Arch> = OnceLock::new();
    *ARCH.get_or_init(Arch::new)
}

/// One bit for each part of a vector, set where it is positive, in whole words.
pub fn code(parts: &[i8]) -> impl Iterator<Item = u64> + '_ {
    parts
        .chunks(64)
        .map(|part| part.iter().enumerate().fold(0, |code, (at, &part)| code | u64::from(part > 0) << at))
}

/// Writes for each code of `codes` how many bits tell it from `query`; both have `query.len()` words a code. Gives the
/// least.
pub fn distances(query: &[u64], codes: &[u64], out: &mut [u16]) -> u16 {
    arch().dispatch(
        #[inline(always)]
        || {
            match query.first_chunk::<4>() {
                // 256 dimensions, the usual: their length known, the loop has no inner one.
                Some(query) if codes.len() == 4 * out.len() => {
                    for (code, out) in codes.as_chunks::<4>().0.iter().zip(out.iter_mut()) {
                        let bits = |at: usize| (query[at] ^ code[at]).count_ones();
                        *out = (bits(0) + bits(1) + bits(2) + bits(3)) as u16;
                    }
                }
                _ => {
                    for (code, out) in codes.chunks_exact(query.len().max(1)).zip(out.iter_mut()) {
                        *out = query.iter().zip(code).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>() as u16;
                    }
                }
            }
            out.iter().copied().fold(u16::MAX, u16::min)
        },
    )
}

/// The dot product of two vectors of equal length.
pub fn dot(a: &[i8], b: &[i8]) -> i32 {
    arch().dispatch(
        #[inline(always)]
        || a.iter().zip(b).map(|(&a, &b)| i32::from(i16::from(a) * i16::from(b))).sum(),
    )
}

/// Adds a row, each part multiplied, to sums.
pub fn add(sums: &mut [f32], row: impl Iterator<Item = f32>, by: f32) {
    arch().dispatch(
        #[inline(always)]
        || sums.iter_mut().zip(row).for_each(|(sum, part)| *sum += part * by),
    );
}

/// The largest of the numbers, whatever their signs; `None` if one is no number.
pub fn largest(numbers: &[f32]) -> Option<f32> {
    arch().dispatch(
        #[inline(always)]
        || {
            let mut lanes = [0f32; 8];
            let mut sound = true;
            for eight in numbers.chunks(8) {
                for (lane, number) in lanes.iter_mut().zip(eight) {
                    *lane = if number.abs() > *lane { number.abs() } else { *lane };
                    sound &= number.is_finite();
                }
            }
            sound.then(|| lanes.into_iter().fold(0.0, f32::max))
        },
    )
}

/// Numbers as parts of the largest, which becomes 127.
pub fn to_bytes(numbers: &[f32], largest: f32) -> Box<[i8]> {
    arch().dispatch(
        #[inline(always)]
        || numbers.iter().map(|number| (number / largest * 127.0).round() as i8).collect(),
    )
}

/// A matrix of rows of `N` numbers, and what is added to their sum.
#[derive(Debug)]
pub struct Layer<const N: usize> {
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl<const N: usize> Layer<N> {
    /// From all rows one after the other; `None` unless their lengths fit.
    pub fn new(weights: Vec<f32>, bias: Vec<f32>) -> Option<Layer<N>> {
        (weights.len().is_multiple_of(N) && bias.len() == N).then_some(Layer { weights, bias })
    }

    /// The sum of the rows, each multiplied by a number of the input; what is below 0 becomes 0.
    pub fn apply(&self, input: &[f32]) -> [f32; N] {
        arch().dispatch(Apply { layer: self, input })
    }
}

struct Apply<'a, const N: usize> {
    layer: &'a Layer<N>,
    input: &'a [f32],
}

/// So many sums are held in registers.
const SUMS: usize = 8;

impl<const N: usize> WithSimd for Apply<'_, N> {
    type Output = [f32; N];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [f32; N] {
        let Apply { layer, input } = self;
        let mut out = [0.0; N];
        let (weights, _) = S::as_simd_f32s(&layer.weights).0.as_chunks::<SUMS>();
        let (biases, _) = S::as_simd_f32s(&layer.bias).0.as_chunks::<SUMS>();
        let (outs, _) = S::as_mut_simd_f32s(&mut out).0.as_chunks_mut::<SUMS>();
        let (blocks, none) = (biases.len(), simd.splat_f32s(0.0));
        for (block, (out, bias)) in outs.iter_mut().zip(biases).enumerate() {
            let mut sums = *bias;
            let rows = weights[block.min(weights.len())..].iter().step_by(blocks);
            for (number, row) in input.iter().zip(rows) {
                let number = simd.splat_f32s(*number);
                for at in 0..SUMS {
                    sums[at] = simd.mul_add_e_f32s(number, row[at], sums[at]);
                }
            }
            *out = sums.map(|sum| simd.max_f32s(sum, none));
        }
        out
    }
}

/// The dot product of two lists of numbers.
#[inline(always)]
pub fn product(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; 16];
    for (a, b) in a.chunks_exact(16).zip(b.chunks_exact(16)) {
        lanes.iter_mut().zip(a.iter().zip(b)).for_each(|(lane, (a, b))| *lane += a * b);
    }
    lanes.into_iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn counts_and_sums_as_a_plain_loop_does(
            words in 1usize..8,
            seed in prop::collection::vec(any::<u64>(), 8..200),
            a in prop::collection::vec(-127i8..=127, 0..600),
        ) {
            let (query, codes) = seed.split_at(words);
            let count = codes.len() / words;
            let mut out = vec![0; count];
            let least = distances(query, &codes[..count * words], &mut out);
            prop_assert_eq!(least, out.iter().copied().min().unwrap_or(u16::MAX));
            for (at, &distance) in out.iter().enumerate() {
                let plain: u32 = (0..words).map(|i| (query[i] ^ codes[at * words + i]).count_ones()).sum();
                prop_assert_eq!(u32::from(distance), plain);
            }
            let b: Vec<i8> = a.iter().rev().copied().collect();
            let plain: i32 = a.iter().zip(&b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum();
            prop_assert_eq!(dot(&a, &b), plain);
        }
    }

    #[test]
    fn a_code_tells_signs() {
        let mut parts = [-1i8; 70];
        parts[0] = 5;
        parts[69] = 1;
        parts[3] = 0;
        assert_eq!(code(&parts).collect::<Vec<_>>(), [1, 1 << 5]);
    }
}
