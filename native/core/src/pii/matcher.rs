//! What finds the values of one kind, and what makes it worth asking.

use std::cell::OnceCell;
use std::ops::Range;

use crate::pii::context::{Context, Contexts, contexts_in};
use crate::pii::edges::is_edge;
use crate::pii::number::Number;

/// What every value of a kind holds or begins with. A text is searched for anchors once, however many kinds share one,
/// and a matcher is only asked at its own: ordinary text costs hardly more with many kinds than with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// A number begins here, that is, a group of digits that no ASCII letter touches. Bit `n` of the mask: the matcher wants to
    /// be asked where this group and the next few have `n` digits together.
    Digits(u32),
    /// A word of letters and digits, both in it, of so many bytes.
    Word(usize, usize),
    /// At least so many ASCII letters, digits, dashes, dots and underscores in a row.
    Token(usize),
    /// This text, ASCII.
    Text(&'static str),
}

/// Finds the values of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Matcher {
    /// Each value has one of these.
    pub anchors: &'static [Anchor],
    /// The value at an anchor, as a byte range that isn't empty, begins at or after [`Spot::from`] and touches the anchor.
    ///
    /// It looks at a bounded number of bytes, or at each byte of the text at most once for all anchors together, so that
    /// all take time that grows linearly with the text, whatever it holds (`shared::steps` counts them in tests).
    pub at: fn(spot: &Spot) -> Option<Range<usize>>,
}

/// An anchor in a text, and what is around it.
pub struct Spot<'t> {
    /// The text searched.
    pub text: &'t str,
    /// What the text is called, such as the JSON member's name; often empty.
    pub label: &'t str,
    /// Everything before is taken.
    pub from: usize,
    /// Where the anchor lies, in bytes.
    pub anchor: Range<usize>,
    /// The number that begins here, for [`Anchor::Digits`].
    pub number: Option<&'t Number>,
    near: OnceCell<Contexts>,
}

impl<'t> Spot<'t> {
    /// An anchor that lies there.
    pub fn new(text: &'t str, label: &'t str, from: usize, anchor: Range<usize>) -> Self {
        Spot { text, label, from, anchor, number: None, near: OnceCell::new() }
    }

    /// The text in bytes.
    pub fn bytes(&self) -> &'t [u8] {
        self.text.as_bytes()
    }

    /// The anchor's own text.
    pub fn word(&self) -> &'t str {
        &self.text[self.anchor.clone()]
    }

    /// Whether one of the words of a context stands shortly before the anchor, or in the label.
    pub fn near(&self, context: Context) -> bool {
        let near = || contexts_in(self.label.as_bytes()).or(contexts_in(self.before()));
        self.near.get_or_init(near).has(context)
    }

    /// The text before the anchor that counts as near.
    fn before(&self) -> &'t [u8] {
        let start = self.anchor.start.saturating_sub(WINDOW);
        // A word that is cut by the window is none.
        let start = (start..self.anchor.start)
            .find(|&at| at == 0 || !self.bytes()[at - 1].is_ascii_alphabetic())
            .unwrap_or(self.anchor.start);
        &self.bytes()[start..self.anchor.start]
    }

    /// The anchor's text, where it is a word of its own: no letter, digit or `_` touches it.
    pub fn lone(&self) -> Option<&'t str> {
        let alone = is_edge(self.text[..self.anchor.start].chars().next_back())
            && is_edge(self.text[self.anchor.end..].chars().next());
        alone.then(|| self.word())
    }
}

/// How far before a value its context may be, in bytes.
const WINDOW: usize = 64;
