//! The loops that go over every vector of a scope, compiled once more for the instructions newer processors have.

use pulp::Arch;
use std::sync::OnceLock;

fn arch() -> Arch {
    static ARCH: OnceLock<Arch> = OnceLock::new();
    *ARCH.get_or_init(Arch::new)
}

/// One bit for each part of a vector, set where it is positive, in whole words.
pub fn code(parts: &[i8]) -> impl Iterator<Item = u64> + '_ {
    parts
        .chunks(64)
        .map(|part| part.iter().enumerate().fold(0, |code, (at, &part)| code | u64::from(part > 0) << at))
}

/// Writes for each code of `codes` how many bits tell it from `query`; both have `query.len()` words a code.
pub fn distances(query: &[u64], codes: &[u64], out: &mut [u16]) {
    arch().dispatch(
        #[inline(always)]
        || match query.first_chunk::<4>() {
            // 256 dimensions, the usual: their length known, the loop has no inner one.
            Some(query) if codes.len() == 4 * out.len() => {
                for (code, out) in codes.chunks_exact(4).zip(out) {
                    let bits = |at: usize| (query[at] ^ code[at]).count_ones();
                    *out = (bits(0) + bits(1) + bits(2) + bits(3)) as u16;
                }
            }
            _ => {
                for (code, out) in codes.chunks_exact(query.len().max(1)).zip(out) {
                    *out = query.iter().zip(code).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>() as u16;
                }
            }
        },
    );
}

/// The dot product of two vectors of equal length.
pub fn dot(a: &[i8], b: &[i8]) -> i32 {
    arch().dispatch(
        #[inline(always)]
        || a.iter().zip(b).map(|(&a, &b)| i32::from(i16::from(a) * i16::from(b))).sum(),
    )
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
            distances(query, &codes[..count * words], &mut out);
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
