//! What finds the values of one kind, and when it is worth asking.

use std::ops::Range;

/// What every value of a kind holds. Texts are searched for anchors first, once for each however many kinds share it,
/// and a kind's matcher sees only texts that have its own: ordinary text costs hardly more with many kinds than with
/// one. All are ASCII, so that an escaped one is known by `\u00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// This byte.
    Byte(u8),
    /// So many digits, at least 2, each at most one space or dash from the next.
    Digits(usize),
}

/// Finds the values of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Matcher {
    /// In every value.
    pub anchor: Anchor,
    /// The first value of a text that lies at or after a byte offset, as a byte range that isn't empty.
    ///
    /// All values of a text, each looked for from the end of the one before, must take time that grows linearly with the
    /// text, whatever it holds (`shared::steps` counts them in tests).
    pub next: fn(text: &str, from: usize) -> Option<Range<usize>>,
}
