//! What finds the values of one kind, and what makes it worth asking.

use std::cell::OnceCell;
use std::ops::Range;

use crate::pii::context::{Context, Contexts, Nearby};
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
    /// A word of up to four letters and digits with a digit in it, and beside it a `:`, or a `-` or `.` where it is as long
    /// as the groups of addresses that these separate.
    Part,
    /// At least so many ASCII letters, digits, dashes, dots and underscores in a row.
    Token(usize),
    /// This text, ASCII.
    Text(&'static str),
    /// All of what a tool is given or gives as the value of a member. Other members are the API's: it knows what they mean,
    /// and needs what they say.
    Member,
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

impl Matcher {
    /// Finds nothing: of a kind whose values only a recogniser finds.
    pub const NONE: Matcher = Matcher { anchors: &[], at: |_| None };
}

/// An anchor in a text, and what is around it.
pub struct Spot<'t> {
    /// The text searched.
    pub text: &'t str,
    /// Everything before is taken.
    pub from: usize,
    /// Where the anchor lies, in bytes.
    pub anchor: Range<usize>,
    /// The number that begins here, for [`Anchor::Digits`].
    pub number: Option<&'t Number>,
    nearby: &'t Nearby<'t>,
    near: OnceCell<Contexts>,
}

impl<'t> Spot<'t> {
    /// An anchor that lies there.
    pub fn new(text: &'t str, nearby: &'t Nearby<'t>, from: usize, anchor: Range<usize>) -> Self {
        Spot { text, from, anchor, number: None, nearby, near: OnceCell::new() }
    }

    /// The text in bytes.
    pub fn bytes(&self) -> &'t [u8] {
        self.text.as_bytes()
    }

    /// The anchor's own text.
    pub fn word(&self) -> &'t str {
        &self.text[self.anchor.clone()]
    }

    /// What the text is called.
    pub fn label(&self) -> &'t [u8] {
        self.nearby.label()
    }

    /// Whether one of the words of a context stands shortly before the anchor, or in the label.
    pub fn near(&self, context: Context) -> bool {
        self.after(context) || self.nearby.named().has(context)
    }

    /// Whether one of the words of a context stands shortly before the anchor.
    pub fn after(&self, context: Context) -> bool {
        self.near.get_or_init(|| self.nearby.before(self.anchor.start)).has(context)
    }

    /// The anchor's text, where it is a word of its own: no letter, digit or `_` touches it.
    pub fn lone(&self) -> Option<&'t str> {
        let alone = is_edge(self.text[..self.anchor.start].chars().next_back())
            && is_edge(self.text[self.anchor.end..].chars().next());
        alone.then(|| self.word())
    }
}
