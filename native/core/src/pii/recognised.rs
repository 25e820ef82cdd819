//! What an external recogniser is asked about, and the values it found: names, places and organisations have no form that
//! the core could look for.

use std::ops::Range;

use crate::json::string::Decoded;
use crate::pii::blob::is_blob;
use crate::pii::finder::Finding;
use crate::pii::fold::Folded;
use crate::pii::kind_set::KindId;

/// Shortest part of a value that is one itself, in bytes: a single letter says nothing.
const PART_MIN: usize = 2;

/// A string of a document, as values are looked for in it: decoded, and folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptText {
    /// Its number among the strings that are searched.
    pub string: u32,
    /// What it says.
    pub text: String,
}

/// Gathers the texts of a document.
#[derive(Default)]
pub(crate) struct Texts {
    pub found: Vec<PromptText>,
    decoded: Decoded,
    folded: Folded,
}

impl Texts {
    /// Takes a string between its quotes, unless it can hold no name: one without letters, or a file in a link.
    pub fn add(&mut self, string: u32, raw: &str, escaped: bool) {
        let decoded = if escaped { self.decoded.decode(raw) } else { raw };
        let is_link = decoded.starts_with("data:") && is_blob(decoded);
        if is_link || !decoded.chars().any(char::is_alphabetic) {
            return;
        }
        let text = self.folded.fold(decoded).unwrap_or(decoded);
        self.found.push(PromptText { string, text: String::from(text) });
    }
}

/// A value in one of these texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognised {
    /// The string's number.
    pub string: u32,
    /// What it is.
    pub kind: KindId,
    /// Where it is in the text, in bytes.
    pub range: Range<usize>,
}

/// The values in the order of their strings.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Values<'v> {
    left: &'v [Recognised],
}

impl<'v> Values<'v> {
    pub fn new(values: &'v [Recognised]) -> Self {
        Values { left: values }
    }

    pub fn is_empty(self) -> bool {
        self.left.is_empty()
    }

    /// Adds the values in the string of this number, which says `text`; false: there are none.
    pub fn add(&mut self, string: u32, text: &str, found: &mut Vec<Finding>) -> bool {
        let before = found.len();
        while let Some((first, rest)) = self.left.split_first()
            && first.string <= string
        {
            self.left = rest;
            if first.string == string {
                let parts = parts(text, first.range.clone());
                found.extend(parts.map(|range| Finding { kind: first.kind, range }));
            }
        }
        found.len() > before
    }
}

/// The parts of a value that can be replaced without harm. A recogniser knows nothing of JSON in a text, so what it takes
/// for a name may reach over quotes: whatever encloses a string must stay.
fn parts(text: &str, range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut end = range.end.min(text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    let mut start = range.start.min(end);
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut at = start;
    text[start..end].split(|c: char| c < ' ' || matches!(c, '"' | '\\')).filter_map(move |part| {
        let from = at;
        at += part.len() + 1;
        let begun = part.trim_start_matches(is_beside);
        let value = begun.trim_end_matches(is_beside);
        let start = from + part.len() - begun.len();
        (value.len() >= PART_MIN).then_some(start..start + value.len())
    })
}

fn is_beside(c: char) -> bool {
    c.is_whitespace() || c.is_ascii_punctuation()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str, range: Range<usize>) -> Vec<&str> {
        parts(text, range).map(|part| &text[part]).collect()
    }

    #[test]
    fn values_keep_off_what_encloses_strings() {
        let text = r#"{"name":"Ann Smith","city":"K\u00f6ln"}"#;
        assert_eq!(of(text, 8..text.len()), ["Ann Smith", "city", "u00f6ln"]);
        assert_eq!(of(" Ann,\nBob Li. ", 0..14), ["Ann", "Bob Li"]);
        assert_eq!(of("\u{1f600}Zo\u{eb}", 5..99), ["o\u{eb}"]);
        assert_eq!(of("\u{1f600}Zo\u{eb}", 1..7), ["\u{1f600}Zo\u{eb}"]);
        assert_eq!(of("x", 0..1), Vec::<&str>::new());
        assert_eq!(of("abc", 7..9), Vec::<&str>::new());
    }

    #[test]
    fn texts_are_gathered_as_they_are_searched() {
        let mut texts = Texts::default();
        texts.add(0, "4111 1111", false);
        texts.add(1, "Ann\\u00eb \\ud83d\\ude00", true);
        texts.add(2, "data:image/png;base64,iVBORw0KGgo", false);
        texts.add(3, "\u{ff21}\u{200b}nn", false);
        texts.add(4, "data: patient Ann", false);
        texts.add(5, "data:text/plain,Ann", false);
        let found = texts.found.iter().map(|found| (found.string, found.text.as_str()));
        assert_eq!(
            found.collect::<Vec<_>>(),
            [(1, "Ann\u{eb} \u{1f600}"), (3, "Ann"), (4, "data: patient Ann"), (5, "data:text/plain,Ann")]
        );
    }

    #[test]
    fn each_string_gets_its_own() {
        let value = |string, range| Recognised { string, kind: 7, range };
        let all = [value(0, 0..3), value(2, 0..3), value(2, 4..7), value(5, 0..2)];
        let mut values = Values::new(&all);
        let mut found = Vec::new();
        assert!(!values.add(1, "Ann Bob", &mut found));
        assert!(values.add(2, "Ann Bob", &mut found));
        assert_eq!(found, [Finding { kind: 7, range: 0..3 }, Finding { kind: 7, range: 4..7 }]);
        assert!(!values.is_empty());
    }

    proptest! {
        #[test]
        fn whatever_is_claimed_parts_are_whole_characters(
            text in "[a\"\\\\\n \u{e9}\u{1f600}]{0,20}", start in 0usize..40, len in 0usize..40
        ) {
            for part in parts(&text, start..start + len) {
                prop_assert!(!text[part].contains(['"', '\\', '\n']));
            }
        }
    }
}
