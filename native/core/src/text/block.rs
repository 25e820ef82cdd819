//! Sixty-four bytes of a text at once: a bit for each that is of a class, the lowest for the first.

/// Bytes of a block.
pub const BLOCK: usize = 64;

/// What a processor does with sixteen bytes at once.
pub trait Lanes: Copy + Default {
    /// Sixteen bytes.
    type Bytes: Copy;
    /// These.
    fn load(self, bytes: [u8; 16]) -> Self::Bytes;
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
pub struct Block<L = Common>(L, [u8; BLOCK]);

impl Block {
    /// The first bytes of a text; those that it lacks are NUL.
    #[inline(always)]
    pub fn new(text: &[u8]) -> Self {
        Block::read(text)
    }
}

impl<L: Lanes> Block<L> {
    #[inline(always)]
    fn read(text: &[u8]) -> Self {
        let bytes = match text.first_chunk() {
            Some(whole) => *whole,
            None => padded(text),
        };
        Block(L::default(), bytes)
    }

    #[inline(always)]
    fn bits(&self, found: impl Fn(L::Bytes) -> L::Bytes) -> u64 {
        let Block(lanes, bytes) = self;
        let [a, b, c, d] = *bytes.as_chunks().0 else { return 0 };
        let quarter = |part| lanes.highest_bits(found(lanes.load(part)));
        quarter(a) | quarter(b) << 16 | quarter(c) << 32 | quarter(d) << 48
    }

    /// Which bytes are one of these.
    #[inline(always)]
    pub fn any_of<const N: usize>(&self, wanted: &[u8; N]) -> u64 {
        let lanes = self.0;
        self.bits(
            #[inline(always)]
            |part| {
                let mut all = lanes.splat(0);
                for byte in wanted {
                    all = lanes.or(all, lanes.equal(part, lanes.splat(*byte)));
                }
                all
            },
        )
    }

    #[inline(always)]
    fn part_between(&self, part: L::Bytes, first: u8, last: u8) -> L::Bytes {
        let lanes = self.0;
        let above = lanes.less(part, lanes.splat(first));
        lanes.equal(lanes.min(above, lanes.splat(last - first)), above)
    }

    /// Which bytes lie between two, both included.
    #[inline(always)]
    pub fn between(&self, first: u8, last: u8) -> u64 {
        self.bits(
            #[inline(always)]
            |part| self.part_between(part, first, last),
        )
    }

    /// Which bytes are letters of ASCII.
    #[inline(always)]
    pub fn letters(&self) -> u64 {
        let lanes = self.0;
        self.bits(
            #[inline(always)]
            |part| self.part_between(lanes.or(part, lanes.splat(0x20)), b'a', b'z'),
        )
    }

    /// Which bytes are beyond ASCII.
    #[inline(always)]
    pub fn high(&self) -> u64 {
        self.bits(
            #[inline(always)]
            |part| part,
        )
    }
}

fn padded(text: &[u8]) -> [u8; BLOCK] {
    let mut padded = [0; BLOCK];
    padded[..text.len()].copy_from_slice(text);
    padded
}

/// Where a text has bytes of a class, from left to right.
pub struct Places<'t, F> {
    text: &'t [u8],
    wanted: F,
    /// Where the block begins that is looked at, and which of its bytes are still to come.
    block: usize,
    left: u64,
}

impl<'t, F: Fn(Block) -> u64> Places<'t, F> {
    /// `wanted`: which bytes of a block; NUL must not be among them.
    #[inline(always)]
    pub fn new(text: &'t [u8], wanted: F) -> Self {
        let left = wanted(Block::new(text));
        Places { text, wanted, block: 0, left }
    }
}

impl<F: Fn(Block) -> u64> Iterator for Places<'_, F> {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        while self.left == 0 {
            self.block += BLOCK;
            self.left = (self.wanted)(Block::new(self.text.get(self.block..)?));
        }
        let at = self.block + self.left.trailing_zeros() as usize;
        self.left &= self.left - 1;
        Some(at)
    }
}

/// What every processor of this architecture can.
#[cfg(target_arch = "x86_64")]
pub type Common = x86::Sixteen;
/// What every processor can.
#[cfg(not(target_arch = "x86_64"))]
pub type Common = Plain;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Lanes;
    use pulp::core_arch::x86::Sse2;
    use std::arch::x86_64::__m128i;

    /// SSE2, which each of them has.
    #[derive(Clone, Copy, Default)]
    pub struct Sixteen;

    /// Known when this is compiled.
    #[inline(always)]
    fn sse2() -> Sse2 {
        Sse2::try_new().expect("every processor of this architecture has it")
    }

    impl Lanes for Sixteen {
        type Bytes = __m128i;

        #[inline(always)]
        fn load(self, bytes: [u8; 16]) -> __m128i {
            pulp::cast(bytes)
        }

        #[inline(always)]
        fn splat(self, byte: u8) -> __m128i {
            sse2()._mm_set1_epi8(byte as i8)
        }

        #[inline(always)]
        fn equal(self, a: __m128i, b: __m128i) -> __m128i {
            sse2()._mm_cmpeq_epi8(a, b)
        }

        #[inline(always)]
        fn or(self, a: __m128i, b: __m128i) -> __m128i {
            sse2()._mm_or_si128(a, b)
        }

        #[inline(always)]
        fn less(self, a: __m128i, b: __m128i) -> __m128i {
            sse2()._mm_sub_epi8(a, b)
        }

        #[inline(always)]
        fn min(self, a: __m128i, b: __m128i) -> __m128i {
            sse2()._mm_min_epu8(a, b)
        }

        #[inline(always)]
        fn highest_bits(self, bytes: __m128i) -> u64 {
            u64::from(sse2()._mm_movemask_epi8(bytes) as u32)
        }
    }
}

/// What the compiler makes of it.
#[derive(Clone, Copy, Default)]
pub struct Plain;

impl Lanes for Plain {
    type Bytes = [u8; 16];

    fn load(self, bytes: [u8; 16]) -> [u8; 16] {
        bytes
    }

    fn splat(self, byte: u8) -> [u8; 16] {
        [byte; 16]
    }

    fn equal(self, a: [u8; 16], b: [u8; 16]) -> [u8; 16] {
        std::array::from_fn(|at| if a[at] == b[at] { 0xff } else { 0 })
    }

    fn or(self, a: [u8; 16], b: [u8; 16]) -> [u8; 16] {
        std::array::from_fn(|at| a[at] | b[at])
    }

    fn less(self, a: [u8; 16], b: [u8; 16]) -> [u8; 16] {
        std::array::from_fn(|at| a[at].wrapping_sub(b[at]))
    }

    fn min(self, a: [u8; 16], b: [u8; 16]) -> [u8; 16] {
        std::array::from_fn(|at| a[at].min(b[at]))
    }

    fn highest_bits(self, bytes: [u8; 16]) -> u64 {
        // The highest byte of the product has the lowest bit of each byte.
        let gather = |half: u64| (half >> 7 & (u64::MAX / 0xff)).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        let both = u128::from_le_bytes(bytes);
        gather(both as u64) | gather((both >> 64) as u64) << 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(bytes: &[u8; BLOCK], wanted: impl Fn(u8) -> bool) -> u64 {
        bytes.iter().enumerate().fold(0, |all, (at, &byte)| all | u64::from(wanted(byte)) << at)
    }

    /// Compares a block with a loop over its bytes.
    fn compare<L: Lanes>(text: &[u8], first: u8, last: u8) {
        let block = Block::<L>::read(text);
        let bytes = &block.1;
        assert_eq!(block.any_of(b"a\\\xe2"), bits(bytes, |byte| matches!(byte, b'a' | b'\\' | 0xe2)));
        assert_eq!(block.between(first, last), bits(bytes, |byte| (first..=last).contains(&byte)));
        assert_eq!(block.letters(), bits(bytes, |byte| byte.is_ascii_alphabetic()));
        assert_eq!(block.high(), bits(bytes, |byte| byte >= 0x80));
    }

    proptest! {
        #[test]
        fn says_what_a_loop_over_the_bytes_says(
            text in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\\'), Just(b'a')], 0..200),
            ends in any::<(u8, u8)>(),
        ) {
            let (first, last) = (ends.0.min(ends.1), ends.0.max(ends.1));
            compare::<Common>(&text, first, last);
            compare::<Plain>(&text, first, last);
            let places: Vec<usize> = Places::new(&text, |block| block.any_of(b"\\\xe2")).collect();
            let plain: Vec<usize> = (0..text.len()).filter(|&at| matches!(text[at], b'\\' | 0xe2)).collect();
            prop_assert_eq!(places, plain);
        }
    }
}
