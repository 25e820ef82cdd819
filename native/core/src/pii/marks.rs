//! Where a text has digits, words, tokens and signs: a bit for each byte, so that what is looked for is found by counting
//! zeros.

use std::ops::Range;

use crate::shared::steps::step;
use crate::text::block::{BLOCK, Block, Lanes, Scan, scan};

/// Characters that are anchors by themselves and found with all others; other texts are searched for one by one.
pub const SIGNS: [u8; 5] = *b"@:=>%";

/// What is marked.
#[derive(Clone, Copy, Debug)]
pub enum Class {
    /// Digits of ASCII.
    Digits,
    /// Letters and digits of ASCII.
    Words,
    /// Letters, digits, dashes, dots and underscores.
    Tokens,
    /// [`SIGNS`].
    Signs,
}

/// A bit of each class for each byte of a block.
type Masks = [u64; 4];

/// What stands where in a text: a bit for each byte, and at least one unset behind the last. Reused from text to text to keep
/// its memory.
#[derive(Clone, Debug, Default)]
pub struct Marks(Vec<Masks>);

/// Those of one class.
#[derive(Clone, Copy, Debug)]
pub struct Bits<'m> {
    blocks: &'m [Masks],
    class: Class,
}

impl Bits<'_> {
    #[inline(always)]
    fn word(self, at: usize) -> u64 {
        step();
        self.blocks.get(at).map_or(0, |masks| masks[self.class as usize])
    }

    /// The first that is set, from there on.
    #[inline]
    pub fn next(self, from: usize) -> Option<usize> {
        let mut at = from / BLOCK;
        let mut word = self.word(at) & u64::MAX << (from % BLOCK);
        while word == 0 {
            at += 1;
            if at >= self.blocks.len() {
                return None;
            }
            word = self.word(at);
        }
        Some(at * BLOCK + word.trailing_zeros() as usize)
    }

    /// Where those end that are set from there on without a gap.
    #[inline]
    pub fn run_end(self, from: usize) -> usize {
        let mut at = from / BLOCK;
        let mut unset = !self.word(at) & u64::MAX << (from % BLOCK);
        while unset == 0 {
            at += 1;
            unset = !self.word(at);
        }
        at * BLOCK + unset.trailing_zeros() as usize
    }

    /// Where those begin, but not before `floor`, that are set up to there without a gap.
    #[inline]
    pub fn run_start(self, end: usize, floor: usize) -> usize {
        let mut start = end;
        while start > floor {
            let last = start - 1;
            let before = (self.word(last / BLOCK) << (BLOCK - 1 - last % BLOCK)).leading_ones() as usize;
            start -= before;
            if before <= last % BLOCK {
                break;
            }
        }
        start.max(floor)
    }

    /// The first run from there on that has at least so many, at least [`RUN_MIN`]. None may have begun before.
    #[inline]
    pub fn next_run(self, from: usize, least: usize) -> Option<Range<usize>> {
        debug_assert!(least >= RUN_MIN);
        let mut seen = u64::MAX << (from % BLOCK);
        // The last bits of the block before: of those set, and of those that end two, four and eight in a row.
        let mut before = [0; 4];
        for at in from / BLOCK..self.blocks.len() {
            let mut ends = self.word(at) & seen;
            seen = u64::MAX;
            for (before, shift) in before.iter_mut().zip([1, 2, 4, 8]) {
                let shifted = ends << shift | *before;
                *before = ends >> (BLOCK - shift);
                ends &= shifted;
            }
            while ends != 0 {
                let last = at * BLOCK + ends.trailing_zeros() as usize;
                let end = self.run_end(last);
                if end - (last + 1 - RUN_MIN) >= least {
                    return Some(last + 1 - RUN_MIN..end);
                }
                // The rest of this run, as far as it is of this block.
                ends &= u64::MAX.checked_shl((end - at * BLOCK) as u32).unwrap_or(0);
            }
        }
        None
    }
}

/// Shortest run that is looked for.
pub const RUN_MIN: usize = 16;

impl Marks {
    /// Those of a class.
    #[inline(always)]
    pub fn of(&self, class: Class) -> Bits<'_> {
        Bits { blocks: &self.0, class }
    }

    /// Reads a text.
    pub fn read(&mut self, text: &[u8]) {
        self.0.resize(text.len() / BLOCK + 1, Masks::default());
        scan(Read { text, blocks: &mut self.0 });
    }
}

struct Read<'t> {
    text: &'t [u8],
    blocks: &'t mut [Masks],
}

impl Scan for Read<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let (whole, rest) = self.text.as_chunks();
        for (masks, bytes) in self.blocks.iter_mut().zip(whole) {
            *masks = classify(Block::new(lanes, bytes));
        }
        if let Some(masks) = self.blocks.last_mut() {
            *masks = classify(Block::first(lanes, rest));
        }
    }
}

#[inline(always)]
fn classify<L: Lanes>(block: Block<L>) -> Masks {
    let digits = block.between(b'0', b'9');
    let words = digits | block.letters();
    let tokens = words | block.between(b'-', b'.') | block.any_of(b"_");
    [digits.bits(), words.bits(), tokens.bits(), block.any_of(&SIGNS).bits()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn says_what_a_loop_says(
            parts in prop::collection::vec(("[a1=]", 1_usize..90), 0..8),
            from in 0_usize..300,
            least in RUN_MIN..=100,
        ) {
            let text: String = parts.iter().map(|(letter, count)| letter.repeat(*count)).collect();
            let mut marks = Marks::default();
            marks.read(text.as_bytes());
            let bytes = text.as_bytes();
            let from = from.min(bytes.len());
            let word = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphanumeric);
            let end = (from..).find(|&at| !word(at)).unwrap();
            let [digits, words, tokens, signs] =
                [Class::Digits, Class::Words, Class::Tokens, Class::Signs].map(|class| marks.of(class));
            prop_assert_eq!(words.run_end(from), end);
            let start = (0..from).rev().find(|&at| !word(at)).map_or(0, |at| at + 1);
            prop_assert_eq!(words.run_start(from, 0), start);
            prop_assert_eq!(words.run_start(from, from / 2), start.max(from / 2));
            let digit = (from..bytes.len()).find(|&at| bytes[at].is_ascii_digit());
            prop_assert_eq!(digits.next(from), digit);
            let sign = (from..bytes.len()).find(|&at| bytes[at] == b'=');
            prop_assert_eq!(signs.next(from), sign);
            let run = (start..bytes.len()).find(|&at| (at..at + least).all(word));
            let run = run.map(|at| at..(at..).find(|&at| !word(at)).unwrap());
            prop_assert_eq!(tokens.next_run(start, least), run);
        }
    }

    #[test]
    fn knows_the_signs_and_tokens() {
        let mut marks = Marks::default();
        let text = format!("{}a-b_c.d=@", "x".repeat(62));
        marks.read(text.as_bytes());
        let signs = marks.of(Class::Signs);
        let (tokens, words) = (marks.of(Class::Tokens), marks.of(Class::Words));
        assert_eq!((tokens.run_end(0), words.run_end(0)), (69, 63));
        assert_eq!((signs.next(0), signs.next(70)), (Some(69), Some(70)));
        assert_eq!(signs.next(71), None);
        marks.read(&[b'x'; BLOCK]);
        let words = marks.of(Class::Words);
        assert_eq!((words.run_end(0), words.next(BLOCK)), (BLOCK, None));
    }
}
