//! Numbers in text: groups of digits, each a separator or two from the next.

use std::ops::Range;

use crate::pii::edges::is_free_after;
use crate::shared::steps::step;

/// Most digits that are read of a number.
pub const DIGITS_MAX: usize = 20;

/// A group of digits, in bytes of the text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Group {
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// What separates it from the group before: `)` where that is more than one character; 0 for the first.
    pub gap: u8,
}

/// The groups that begin at one of them, as far as there is room.
#[derive(Clone, Debug, Default)]
pub struct Number {
    digits: [u8; DIGITS_MAX],
    groups: [Group; DIGITS_MAX],
    count: usize,
    len: usize,
    /// Bit `n`: the first few groups have `n` digits together.
    pub sums: u32,
    /// How many groups these are.
    counts: [u8; DIGITS_MAX + 1],
    /// It is the first of its run.
    pub first: bool,
}

/// The first digits of a number that make a number of their own.
pub struct Taken<'n> {
    /// Their values.
    pub digits: &'n [u8],
    /// Their groups.
    pub groups: &'n [Group],
}

impl Taken<'_> {
    /// Where they begin.
    pub fn start(&self) -> usize {
        self.groups[0].start
    }

    /// Where they end.
    pub fn end(&self) -> usize {
        self.groups.last().map_or(0, |group| group.end)
    }

    /// Whether there is one group only.
    pub fn undivided(&self) -> bool {
        self.groups.len() == 1
    }

    /// Whether the groups have these sizes, with one of these characters between any two.
    pub fn is_grouped(&self, sizes: &[usize], gaps: &[u8]) -> bool {
        self.groups.len() == sizes.len()
            && self.groups.iter().zip(sizes).all(|(group, &size)| group.end - group.start == size)
            && self.groups[1..].iter().all(|group| gaps.contains(&group.gap))
    }
}

impl Number {
    /// Reads the number whose first group is there; nothing before makes it part of something longer. `first`: no group of it
    /// stands before.
    pub fn read(&mut self, text: &str, group: Range<usize>, first: bool) {
        let bytes = text.as_bytes();
        self.count = 0;
        self.len = 0;
        self.sums = 0;
        self.first = first;
        let Range { mut start, mut end } = group;
        let mut gap = 0;
        loop {
            let len = self.len + (end - start);
            let Some(digits) = self.digits.get_mut(self.len..len) else { return };
            for (digit, byte) in digits.iter_mut().zip(&bytes[start..end]) {
                step();
                *digit = byte - b'0';
            }
            self.len = len;
            self.groups[self.count] = Group { start, end, gap };
            self.count += 1;
            // An extension may follow a telephone number: 555-0100x12.
            let extended =
                bytes.get(end) == Some(&b'x') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
            if extended || is_free_after(&text[end..]) {
                self.sums |= 1 << self.len;
                self.counts[self.len] = self.count as u8;
            }
            match next_group(bytes, end) {
                Some((next, between)) if self.len < DIGITS_MAX => (start, gap) = (next, between),
                _ => return,
            }
            let rest = bytes[start..].iter().take(DIGITS_MAX + 1 - self.len);
            end = start + rest.take_while(|byte| byte.is_ascii_digit()).inspect(|_| step()).count();
        }
    }

    /// The first `len` digits, if groups end there and nothing behind belongs to them.
    pub fn take(&self, len: usize) -> Option<Taken<'_>> {
        if self.sums & 1 << len == 0 {
            return None;
        }
        let groups = &self.groups[..usize::from(self.counts[len])];
        Some(Taken { digits: &self.digits[..len], groups })
    }

    /// How many digits the first few groups have together, of the counts of a mask; the most first.
    pub fn lengths(&self, mask: u32) -> impl Iterator<Item = usize> {
        let mut left = self.sums & mask;
        std::iter::from_fn(move || {
            let most = left.checked_ilog2()?;
            left ^= 1 << most;
            Some(most as usize)
        })
    }

    /// The longest part that has one of the lengths of the mask.
    pub fn longest(&self, mask: u32) -> Option<Taken<'_>> {
        self.take(self.lengths(mask).next()?)
    }

    /// All groups that were read.
    pub fn groups(&self) -> &[Group] {
        &self.groups[..self.count]
    }
}

/// Where the next group begins after one that ends at `at`, and what is between.
pub fn next_group(bytes: &[u8], at: usize) -> Option<(usize, u8)> {
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let gap = *bytes.get(at)?;
    match gap {
        b' ' | b'-' | b'.' | b'/' if is_digit(at + 1) => Some((at + 1, gap)),
        b')' if is_digit(at + 1) => Some((at + 1, b')')),
        b')' if matches!(bytes.get(at + 1), Some(b' ' | b'-')) && is_digit(at + 2) => Some((at + 2, b')')),
        b' ' | b'-' if bytes.get(at + 1) == Some(&b'(') && is_digit(at + 2) => Some((at + 2, b')')),
        _ => None,
    }
}
