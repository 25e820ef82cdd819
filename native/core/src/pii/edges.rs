//! Where a value may begin and end: what touches a word or number may make it part of something longer.

use crate::text::script::is_unspaced;

/// Whether a value may begin or end beside this character; `None`: the text begins or ends there.
pub fn is_edge(beside: Option<char>) -> bool {
    beside.is_none_or(|c| c != '_' && (!c.is_alphanumeric() || is_unspaced(c)))
}

/// What most often stands beside a value: it neither is part of a word, nor may join two numbers.
fn parts(byte: Option<&u8>) -> bool {
    matches!(byte, None | Some(b' ' | b',' | b';' | b':' | b'(' | b')' | b'"' | b'\n'))
}

/// Whether a number may begin behind this text: nothing touches it that makes it longer, be it a letter, or a digit
/// behind a point or dash.
pub fn is_free_before(before: &str) -> bool {
    parts(before.as_bytes().last()) || is_free(before.chars().rev())
}

/// Whether a number may end before this text.
pub fn is_free_after(after: &str) -> bool {
    parts(after.as_bytes().first()) || is_free(after.chars())
}

fn is_free(mut chars: impl Iterator<Item = char>) -> bool {
    match chars.next() {
        Some('.' | '-') => !chars.next().is_some_and(|c| c.is_ascii_digit()),
        beside => is_edge(beside),
    }
}
