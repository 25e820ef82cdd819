//! The name of the member or variable that a value stands in, as JSON in a text, and most code, has it.

use crate::pii::matcher::Spot;

/// Most bytes between a name and its value, and of a name.
const GAP_MAX: usize = 8;
const NAME_MAX: usize = 48;

/// A name, and whether it is whole: in quotes, or known to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'t> {
    pub text: &'t [u8],
    whole: bool,
}

/// The name of the value that begins at an anchor.
pub fn name_of<'t>(spot: &Spot<'t>) -> Option<Name<'t>> {
    let before = &spot.bytes()[..spot.anchor.start];
    if before.is_empty() {
        return Some(Name { text: spot.label(), whole: true });
    }
    let is_gap = |byte: &&u8| matches!(byte, b' ' | b'"' | b'\'' | b'\\' | b':' | b'=');
    let gap = before.iter().rev().take(GAP_MAX).take_while(is_gap).count();
    let (named, gap) = before.split_at(before.len() - gap);
    if !gap.iter().any(|byte| matches!(byte, b':' | b'=')) {
        return None;
    }
    let is_of_name = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let len = named.iter().rev().take(NAME_MAX).take_while(is_of_name).count();
    let (outside, text) = named.split_at(named.len() - len);
    Some(Name { text, whole: matches!(outside.last(), Some(b'"' | b'\'')) })
}

impl Name<'_> {
    /// Whether its last word, or it as a whole, is one of these.
    pub fn ends_with_one_of(self, words: &[&str]) -> bool {
        words.iter().any(|word| {
            let Some(at) = self.text.len().checked_sub(word.len()) else { return false };
            let (first, last) = self.text.split_at(at);
            let begins = match first.last() {
                Some(b'_' | b'-') => true,
                Some(before) => before.is_ascii_lowercase() && last[0].is_ascii_uppercase(),
                None => self.whole,
            };
            begins && last.eq_ignore_ascii_case(word.as_bytes())
        })
    }
}
