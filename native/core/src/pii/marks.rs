//! Where a text has digits, words, tokens and signs: a bit for each byte, so that what is looked for is found by counting
//! zeros.

use std::ops::Range;

use crate::shared::steps::step;
use crate::text::block::{BLOCK, Block};

/// Characters that are anchors by themselves and found with all others; other texts are searched for one by one.
pub const SIGNS: [u8; 4] = *b"@:=>";

/// A bit for each byte of a text, and at least one unset behind the last.
#[derive(Clone, Debug, Default)]
pub struct Bits(Vec<u64>);

impl Bits {
    fn word(&self, at: usize) -> u64 {
        step();
        self.0.get(at).copied().unwrap_or(0)
    }

    /// The first that is set, from there on.
    pub fn next(&self, from: usize) -> Option<usize> {
        let mut at = from / BLOCK;
        let mut word = self.word(at) & u64::MAX << (from % BLOCK);
        while word == 0 {
            at += 1;
            if at >= self.0.len() {
                return None;
            }
            word = self.word(at);
        }
        Some(at * BLOCK + word.trailing_zeros() as usize)
    }

    /// Where those end that are set from there on without a gap.
    pub fn run_end(&self, from: usize) -> usize {
        let mut at = from / BLOCK;
        let mut unset = !self.word(at) & u64::MAX << (from % BLOCK);
        while unset == 0 {
            at += 1;
            unset = !self.word(at);
        }
        at * BLOCK + unset.trailing_zeros() as usize
    }

    /// Where those begin, but not before `floor`, that are set up to there without a gap.
    pub fn run_start(&self, end: usize, floor: usize) -> usize {
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
    pub fn next_run(&self, from: usize, least: usize) -> Option<Range<usize>> {
        debug_assert!(least >= RUN_MIN);
        let mut seen = u64::MAX << (from % BLOCK);
        let mut done = from;
        for at in from / BLOCK..self.0.len() {
            let mut whole = whole_bytes(self.word(at) & seen);
            seen = u64::MAX;
            while whole != 0 {
                let place = at * BLOCK + whole.trailing_zeros() as usize;
                whole &= whole - 1;
                if place < done {
                    continue;
                }
                let run = self.run_start(place, done)..self.run_end(place);
                if run.len() >= least {
                    return Some(run);
                }
                done = run.end;
            }
        }
        None
    }
}

/// Shortest run that is sure to hold eight bits of one byte.
pub const RUN_MIN: usize = 15;

/// The highest bit of each byte of which all bits are set.
fn whole_bytes(word: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    // Adding one carries into the highest bit if all others are set.
    ((word & LOW) + 0x0101_0101_0101_0101) & word & !LOW
}

/// What stands where in a text. Reused from text to text to keep its memory.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// Digits of ASCII.
    pub digits: Bits,
    /// Letters and digits of ASCII.
    pub words: Bits,
    /// Letters, digits, dashes, dots and underscores.
    pub tokens: Bits,
    /// [`SIGNS`].
    pub signs: Bits,
}

impl Marks {
    /// Reads a text.
    pub fn read(&mut self, text: &[u8]) {
        let all = [&mut self.digits, &mut self.words, &mut self.tokens, &mut self.signs];
        for Bits(bits) in all {
            bits.clear();
            bits.reserve(text.len() / BLOCK + 1);
        }
        for at in (0..=text.len()).step_by(BLOCK) {
            let block = Block::new(&text[at..]);
            let digits = block.between(b'0', b'9');
            let words = digits | block.letters();
            self.digits.0.push(digits);
            self.words.0.push(words);
            self.tokens.0.push(words | block.between(b'-', b'.') | block.any_of(b"_"));
            self.signs.0.push(block.any_of(&SIGNS));
        }
    }
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
            prop_assert_eq!(marks.words.run_end(from), end);
            let start = (0..from).rev().find(|&at| !word(at)).map_or(0, |at| at + 1);
            prop_assert_eq!(marks.words.run_start(from, 0), start);
            prop_assert_eq!(marks.words.run_start(from, from / 2), start.max(from / 2));
            let digit = (from..bytes.len()).find(|&at| bytes[at].is_ascii_digit());
            prop_assert_eq!(marks.digits.next(from), digit);
            let sign = (from..bytes.len()).find(|&at| bytes[at] == b'=');
            prop_assert_eq!(marks.signs.next(from), sign);
            let run = (start..bytes.len()).find(|&at| (at..at + least).all(word));
            let run = run.map(|at| at..(at..).find(|&at| !word(at)).unwrap());
            prop_assert_eq!(marks.tokens.next_run(start, least), run);
        }
    }

    #[test]
    fn knows_the_signs_and_tokens() {
        let mut marks = Marks::default();
        let text = format!("{}a-b_c.d=@", "x".repeat(62));
        marks.read(text.as_bytes());
        assert_eq!((marks.tokens.run_end(0), marks.words.run_end(0)), (69, 63));
        assert_eq!((marks.signs.next(0), marks.signs.next(70)), (Some(69), Some(70)));
        assert_eq!(marks.signs.next(71), None);
        marks.read(&[b'x'; BLOCK]);
        assert_eq!((marks.words.run_end(0), marks.words.next(BLOCK)), (BLOCK, None));
    }
}
