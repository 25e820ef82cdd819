//! Sixty-four bytes of a text at once: a bit for each that is of a class, the lowest for the first.

use std::ops::BitOr;

/// Bytes of a block.
pub const BLOCK: usize = 64;

/// What a processor does with sixty-four bytes at once.
pub trait Lanes: Copy {
    /// Sixty-four bytes.
    type Bytes: Copy;
    /// These.
    fn load(self, bytes: &[u8; BLOCK]) -> Self::Bytes;
    /// The same byte everywhere.
    fn splat(self, byte: u8) -> Self::Bytes;
    /// All bits set where two are equal, otherwise none.
    fn equal(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// The bits of either.
    fn or(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// The differences, modulo 256.
    fn less(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// The smaller of two.
    fn min(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// The highest bit of each.
    fn highest_bits(self, bytes: Self::Bytes) -> u64;
}

/// Sixty-four bytes.
#[derive(Clone, Copy)]
pub struct Block<L: Lanes> {
    lanes: L,
    bytes: L::Bytes,
}

/// Which bytes of a block are of a class, or of either of two: `a | b`.
#[derive(Clone, Copy)]
pub struct Found<L: Lanes>(Block<L>);

impl<L: Lanes> Found<L> {
    /// A bit for each.
    #[inline(always)]
    pub fn bits(self) -> u64 {
        let Block { lanes, bytes } = self.0;
        lanes.highest_bits(bytes)
    }
}

impl<L: Lanes> BitOr for Found<L> {
    type Output = Found<L>;

    #[inline(always)]
    fn bitor(self, other: Found<L>) -> Found<L> {
        let Block { lanes, bytes } = self.0;
        Found(Block { lanes, bytes: lanes.or(bytes, other.0.bytes) })
    }
}

impl<L: Lanes> Block<L> {
    /// These bytes.
    #[inline(always)]
    pub fn new(lanes: L, bytes: &[u8; BLOCK]) -> Self {
        Block { lanes, bytes: lanes.load(bytes) }
    }

    /// The first bytes of a text; those that it lacks are NUL.
    #[inline(always)]
    pub fn first(lanes: L, text: &[u8]) -> Self {
        match text.first_chunk() {
            Some(whole) => Block::new(lanes, whole),
            None => Block::new(lanes, &padded(text)),
        }
    }

    #[inline(always)]
    fn found(self, bytes: L::Bytes) -> Found<L> {
        Found(Block { bytes, ..self })
    }

    /// Which bytes are one of these.
    #[inline(always)]
    pub fn any_of<const N: usize>(self, wanted: &[u8; N]) -> Found<L> {
        let lanes = self.lanes;
        let mut all = lanes.splat(0);
        for byte in wanted {
            all = lanes.or(all, lanes.equal(self.bytes, lanes.splat(*byte)));
        }
        self.found(all)
    }

    /// Which bytes lie between two, both included.
    #[inline(always)]
    pub fn between(self, first: u8, last: u8) -> Found<L> {
        let lanes = self.lanes;
        let above = lanes.less(self.bytes, lanes.splat(first));
        self.found(lanes.equal(lanes.min(above, lanes.splat(last - first)), above))
    }

    /// Which bytes are letters of ASCII.
    #[inline(always)]
    pub fn letters(self) -> Found<L> {
        let small = self.lanes.or(self.bytes, self.lanes.splat(0x20));
        Block { bytes: small, ..self }.between(b'a', b'z')
    }

    /// Which bytes are beyond ASCII.
    #[inline(always)]
    pub fn high(self) -> Found<L> {
        self.found(self.bytes)
    }
}

/// The bytes of a text shorter than a block, and NUL behind them.
#[inline]
pub fn padded(text: &[u8]) -> [u8; BLOCK] {
    let mut padded = [0; BLOCK];
    padded[..text.len()].copy_from_slice(text);
    padded
}

/// Where a text has bytes of a class, from left to right.
pub struct Places<'t, L, F> {
    lanes: L,
    text: &'t [u8],
    wanted: F,
    /// Where the block begins that is looked at, and which of its bytes are still to come.
    block: usize,
    left: u64,
}

impl<'t, L: Lanes, F: Fn(Block<L>) -> Found<L>> Places<'t, L, F> {
    /// `wanted`: which bytes of a block; NUL must not be among them.
    #[inline(always)]
    pub fn new(lanes: L, text: &'t [u8], wanted: F) -> Self {
        let left = wanted(Block::first(lanes, text)).bits();
        Places { lanes, text, wanted, block: 0, left }
    }
}

impl<L: Lanes, F: Fn(Block<L>) -> Found<L>> Iterator for Places<'_, L, F> {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        while self.left == 0 {
            self.block += BLOCK;
            self.left = (self.wanted)(Block::first(self.lanes, self.text.get(self.block..)?)).bits();
        }
        let at = self.block + self.left.trailing_zeros() as usize;
        self.left &= self.left - 1;
        Some(at)
    }
}

/// What goes over a long text block by block. It is compiled for every processor and once more for newer ones.
pub trait Scan {
    /// What comes of it.
    type Out;
    /// Does it. This, and what it does with blocks, must be inlined always.
    fn run<L: Lanes>(self, lanes: L) -> Self::Out;
}

pub use lanes::{Common, scan};

#[cfg(not(target_arch = "x86_64"))]
mod lanes {
    use super::{Plain, Scan};

    /// What every processor can.
    pub type Common = Plain;

    /// Scans a text.
    pub fn scan<S: Scan>(work: S) -> S::Out {
        work.run(Plain)
    }
}

#[cfg(target_arch = "x86_64")]
mod lanes {
    use super::{BLOCK, Lanes, Scan};
    use pulp::core_arch::x86::Sse2;
    use pulp::x86::V3;
    use std::arch::x86_64::{__m128i, __m256i};
    use std::array::from_fn;
    use std::sync::OnceLock;

    /// What every processor of this architecture can.
    pub type Common = Sixteen;

    /// Scans a text with the instructions that this processor has.
    #[inline]
    pub fn scan<S: Scan>(work: S) -> S::Out {
        static WIDER: OnceLock<Option<V3>> = OnceLock::new();
        match *WIDER.get_or_init(V3::try_new) {
            Some(v3) => v3.vectorize(
                #[inline(always)]
                || work.run(ThirtyTwo(v3)),
            ),
            None => work.run(Sixteen),
        }
    }

    /// SSE2.
    #[derive(Clone, Copy, Default)]
    pub struct Sixteen;

    /// Known when this is compiled.
    #[inline(always)]
    fn sse2() -> Sse2 {
        Sse2::try_new().expect("every processor of this architecture has it")
    }

    impl Lanes for Sixteen {
        type Bytes = [__m128i; 4];

        #[inline(always)]
        fn load(self, bytes: &[u8; BLOCK]) -> Self::Bytes {
            pulp::cast(*bytes)
        }

        #[inline(always)]
        fn splat(self, byte: u8) -> Self::Bytes {
            [sse2()._mm_set1_epi8(byte as i8); 4]
        }

        #[inline(always)]
        fn equal(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
            from_fn(|at| sse2()._mm_cmpeq_epi8(a[at], b[at]))
        }

        #[inline(always)]
        fn or(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
            from_fn(|at| sse2()._mm_or_si128(a[at], b[at]))
        }

        #[inline(always)]
        fn less(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
            from_fn(|at| sse2()._mm_sub_epi8(a[at], b[at]))
        }

        #[inline(always)]
        fn min(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
            from_fn(|at| sse2()._mm_min_epu8(a[at], b[at]))
        }

        #[inline(always)]
        fn highest_bits(self, bytes: Self::Bytes) -> u64 {
            let [a, b, c, d] = bytes;
            let bits = |part| u64::from(sse2()._mm_movemask_epi8(part) as u32);
            bits(a) | bits(b) << 16 | bits(c) << 32 | bits(d) << 48
        }
    }

    /// AVX2.
    #[derive(Clone, Copy)]
    pub struct ThirtyTwo(V3);

    impl Lanes for ThirtyTwo {
        type Bytes = [__m256i; 2];

        #[inline(always)]
        fn load(self, bytes: &[u8; BLOCK]) -> Self::Bytes {
            pulp::cast(*bytes)
        }

        #[inline(always)]
        fn splat(self, byte: u8) -> Self::Bytes {
            [self.0.avx._mm256_set1_epi8(byte as i8); 2]
        }

        #[inline(always)]
        fn equal(self, [a, b]: Self::Bytes, [c, d]: Self::Bytes) -> Self::Bytes {
            [self.0.avx2._mm256_cmpeq_epi8(a, c), self.0.avx2._mm256_cmpeq_epi8(b, d)]
        }

        #[inline(always)]
        fn or(self, [a, b]: Self::Bytes, [c, d]: Self::Bytes) -> Self::Bytes {
            [self.0.avx2._mm256_or_si256(a, c), self.0.avx2._mm256_or_si256(b, d)]
        }

        #[inline(always)]
        fn less(self, [a, b]: Self::Bytes, [c, d]: Self::Bytes) -> Self::Bytes {
            [self.0.avx2._mm256_sub_epi8(a, c), self.0.avx2._mm256_sub_epi8(b, d)]
        }

        #[inline(always)]
        fn min(self, [a, b]: Self::Bytes, [c, d]: Self::Bytes) -> Self::Bytes {
            [self.0.avx2._mm256_min_epu8(a, c), self.0.avx2._mm256_min_epu8(b, d)]
        }

        #[inline(always)]
        fn highest_bits(self, [a, b]: Self::Bytes) -> u64 {
            let bits = |part| u64::from(self.0.avx2._mm256_movemask_epi8(part) as u32);
            bits(a) | bits(b) << 32
        }
    }
}

/// What the compiler makes of it.
#[derive(Clone, Copy, Default)]
pub struct Plain;

impl Lanes for Plain {
    type Bytes = [u8; BLOCK];

    fn load(self, bytes: &[u8; BLOCK]) -> [u8; BLOCK] {
        *bytes
    }

    fn splat(self, byte: u8) -> [u8; BLOCK] {
        [byte; BLOCK]
    }

    fn equal(self, a: [u8; BLOCK], b: [u8; BLOCK]) -> [u8; BLOCK] {
        std::array::from_fn(|at| if a[at] == b[at] { 0xff } else { 0 })
    }

    fn or(self, a: [u8; BLOCK], b: [u8; BLOCK]) -> [u8; BLOCK] {
        std::array::from_fn(|at| a[at] | b[at])
    }

    fn less(self, a: [u8; BLOCK], b: [u8; BLOCK]) -> [u8; BLOCK] {
        std::array::from_fn(|at| a[at].wrapping_sub(b[at]))
    }

    fn min(self, a: [u8; BLOCK], b: [u8; BLOCK]) -> [u8; BLOCK] {
        std::array::from_fn(|at| a[at].min(b[at]))
    }

    fn highest_bits(self, bytes: [u8; BLOCK]) -> u64 {
        // The highest byte of the product has the lowest bit of each byte.
        let gather = |eight: u64| (eight >> 7 & (u64::MAX / 0xff)).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        let eights = bytes.as_chunks().0.iter().map(|&eight| gather(u64::from_le_bytes(eight)));
        eights.zip((0..BLOCK).step_by(8)).fold(0, |all, (bits, at)| all | bits << at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(text: &[u8], wanted: impl Fn(u8) -> bool) -> u64 {
        let bytes = text.iter().copied().chain(std::iter::repeat(0)).take(BLOCK);
        bytes.enumerate().fold(0, |all, (at, byte)| all | u64::from(wanted(byte)) << at)
    }

    /// Compares blocks with loops over their bytes.
    struct Compare<'t>(&'t [u8], u8, u8);

    impl Scan for Compare<'_> {
        type Out = ();

        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) {
            let Compare(text, first, last) = self;
            let block = Block::first(lanes, text);
            let wanted = |byte| matches!(byte, b'a' | b'\\' | 0xe2);
            assert_eq!(block.any_of(b"a\\\xe2").bits(), bits(text, wanted));
            assert_eq!(block.between(first, last).bits(), bits(text, |byte| (first..=last).contains(&byte)));
            assert_eq!(block.letters().bits(), bits(text, |byte| byte.is_ascii_alphabetic()));
            assert_eq!(block.high().bits(), bits(text, |byte| byte >= 0x80));
            let either = (block.high() | block.any_of(b"a")).bits();
            assert_eq!(either, bits(text, |byte| byte >= 0x80 || byte == b'a'));
            let places: Vec<usize> = Places::new(lanes, text, |block| block.any_of(b"\\\xe2")).collect();
            let plain: Vec<usize> = (0..text.len()).filter(|&at| matches!(text[at], b'\\' | 0xe2)).collect();
            assert_eq!(places, plain);
        }
    }

    proptest! {
        #[test]
        fn says_what_a_loop_over_the_bytes_says(
            text in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\\'), Just(b'a')], 0..200),
            ends in any::<(u8, u8)>(),
        ) {
            let compare = || Compare(&text, ends.0.min(ends.1), ends.0.max(ends.1));
            scan(compare());
            compare().run(Common::default());
            compare().run(Plain);
        }
    }
}
