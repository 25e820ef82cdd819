//! Products of matrices whose numbers are bytes: eight bits for a weight, and as many for each number of an input.
//!
//! All sums are whole numbers, so every processor gets the same ones, whatever instructions it has.

use crate::search::bytes::Reader;
use crate::search::kernel::{arch, largest};
#[cfg(target_arch = "x86_64")]
use pulp::{Arch, cast, i8x16, i16x16, x86::V3};

/// Inputs have a whole number of such parts.
const PART: usize = 16;
/// So many rows of the input are multiplied at once, by so many of the matrix, so that sums stay in registers.
const TALL: usize = 4;
const BROAD: usize = 2;

/// A matrix, and what is added to each product with one of its rows.
#[derive(Debug)]
pub struct Matrix {
    columns: usize,
    weights: Box<[i8]>,
    /// What each row's product is multiplied by.
    scales: Vec<f32>,
    bias: Vec<f32>,
}

impl Matrix {
    /// Reads so many rows: what each is multiplied by, what is added, then their bytes. `None` if there is less, or the
    /// sizes aren't whole parts.
    pub fn read(reader: &mut Reader, rows: usize, columns: usize) -> Option<Matrix> {
        let (scales, bias) = (reader.f32s(rows)?, reader.f32s(rows)?);
        let weights = reader.take(rows * columns)?.iter().map(|&byte| byte as i8).collect();
        let sound = columns.is_multiple_of(PART) && rows.is_multiple_of(BROAD);
        sound.then_some(Matrix { columns, weights, scales, bias })
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.weights.len() + 4 * (self.scales.len() + self.bias.len())
    }

    /// The product with each row of an input: so many numbers for each as the matrix has rows.
    pub fn apply(&self, input: &[f32]) -> Vec<f32> {
        let input = Rounded::new(input, self.columns);
        let rows = self.scales.len();
        let mut out = vec![0.0; input.scales.len() * rows];
        self.each_tile(&input.parts, |at, row, sums: &[[i32; BROAD]]| {
            for (sums, at) in sums.iter().zip(at..input.scales.len()) {
                let scale = input.scales[at];
                for (&sum, row) in sums.iter().zip(row..) {
                    out[at * rows + row] = sum as f32 * scale * self.scales[row] + self.bias[row];
                }
            }
        });
        out
    }

    /// Gives the sums of every row of the input with every row of the matrix, a few of both at once.
    fn each_tile(&self, input: &[i16], mut tell: impl FnMut(usize, usize, &[[i32; BROAD]])) {
        let (tall, broad) = (TALL * self.columns, BROAD * self.columns);
        #[cfg(target_arch = "x86_64")]
        if let Arch::V3(simd) = arch() {
            return simd.vectorize(
                #[inline(always)]
                || {
                    for (row, weights) in self.weights.chunks_exact(broad).enumerate() {
                        for (at, input) in input.chunks_exact(tall).enumerate() {
                            tell(at * TALL, row * BROAD, &tile(simd, input, weights, self.columns));
                        }
                    }
                },
            );
        }
        for (row, weights) in self.weights.chunks_exact(broad).enumerate() {
            for (at, input) in input.chunks_exact(tall).enumerate() {
                tell(at * TALL, row * BROAD, &plain_tile(input, weights, self.columns));
            }
        }
    }
}

/// The sums of a few rows of both.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn tile(simd: V3, input: &[i16], weights: &[i8], columns: usize) -> [[i32; BROAD]; TALL] {
    let parts = columns / PART;
    let inputs: [_; TALL] =
        std::array::from_fn(|at| &input[at * columns..(at + 1) * columns].as_chunks::<PART>().0[..parts]);
    let rows: [_; BROAD] = std::array::from_fn(|row| {
        &weights[row * columns..(row + 1) * columns].as_chunks::<PART>().0[..parts]
    });
    let mut sums = [[simd.splat_i32x8(0); BROAD]; TALL];
    for part in 0..parts {
        let numbers: [i16x16; TALL] = std::array::from_fn(|at| cast(inputs[at][part]));
        for row in 0..BROAD {
            let weights = simd.convert_i8x16_to_i16x16(cast::<_, i8x16>(rows[row][part]));
            for at in 0..TALL {
                let products = simd.multiply_wrapping_add_adjacent_i16x16(numbers[at], weights);
                sums[at][row] = simd.wrapping_add_i32x8(sums[at][row], products);
            }
        }
    }
    sums.map(|sums| sums.map(|sums| cast::<_, [i32; 8]>(sums).iter().sum()))
}

/// As `tile`, for processors without those instructions.
fn plain_tile(input: &[i16], weights: &[i8], columns: usize) -> [[i32; BROAD]; TALL] {
    std::array::from_fn(|at| {
        std::array::from_fn(|row| {
            let input = &input[at * columns..(at + 1) * columns];
            let weights = &weights[row * columns..(row + 1) * columns];
            input.iter().zip(weights).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
        })
    })
}

/// An input's rows as parts of each one's largest number, which becomes 127.
struct Rounded {
    parts: Vec<i16>,
    scales: Vec<f32>,
}

impl Rounded {
    fn new(input: &[f32], columns: usize) -> Rounded {
        let rows = input.len() / columns;
        // Rows of zeros make whole tiles of it.
        let mut parts = vec![0; rows.next_multiple_of(TALL) * columns];
        let mut scales = Vec::with_capacity(rows);
        for (row, parts) in input.chunks_exact(columns).zip(parts.chunks_exact_mut(columns)) {
            let largest = largest(row).unwrap_or(0.0).max(f32::MIN_POSITIVE);
            round(row, 127.0 / largest, parts);
            scales.push(largest / 127.0);
        }
        Rounded { parts, scales }
    }
}

/// The nearest whole numbers, ties to even, as long as they are small.
fn round(row: &[f32], by: f32, parts: &mut [i16]) {
    /// Added to a small number it leaves no room for a fraction, and its lowest bits are the number.
    const ROUND: f32 = 12_582_912.0;
    arch().dispatch(
        #[inline(always)]
        || {
            for (part, number) in parts.iter_mut().zip(row) {
                *part = (number * by + ROUND).to_bits() as i16;
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matrix(rows: usize, columns: usize, weights: &[i8]) -> Matrix {
        let weights = weights.iter().copied().cycle().take(rows * columns).collect();
        Matrix { columns, weights, scales: vec![0.5; rows], bias: vec![1.0; rows] }
    }

    proptest! {
        /// Whatever instructions are used, the sums are those of a plain loop, to the bit.
        #[test]
        fn multiplies_as_a_plain_loop_does(
            tokens in 1usize..9,
            rows in 1usize..5,
            parts in 1usize..5,
            weights in prop::collection::vec(-127i8..=127, 1..200),
            numbers in prop::collection::vec(-4f32..4.0, 1..200),
        ) {
            let (rows, columns) = (BROAD * rows, PART * parts);
            let matrix = matrix(rows, columns, &weights);
            let input: Vec<f32> = numbers.iter().copied().cycle().take(tokens * columns).collect();
            let rounded = Rounded::new(&input, columns);
            let out = matrix.apply(&input);
            prop_assert_eq!(out.len(), tokens * rows);
            for (at, out) in out.iter().enumerate() {
                let (token, row) = (at / rows, at % rows);
                let a = &rounded.parts[token * columns..(token + 1) * columns];
                let b = &matrix.weights[row * columns..(row + 1) * columns];
                let sum: i32 = a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum();
                prop_assert_eq!(*out, sum as f32 * rounded.scales[token] * 0.5 + 1.0);
            }
            for (part, number) in rounded.parts.iter().zip(&input) {
                prop_assert!(part.abs() <= 127 && number.signum() * f32::from(*part) >= 0.0);
            }
        }
    }

    #[test]
    fn nothing_and_what_is_no_number_are_no_fault() {
        let matrix = matrix(BROAD, PART, &[1]);
        assert_eq!(matrix.apply(&[0.0; PART]), [1.0; BROAD]);
        assert_eq!(matrix.apply(&[f32::NAN; PART]).len(), BROAD);
        assert!(matrix.apply(&[]).is_empty());
    }
}
