//! Patterns and lists of words that a configuration brings along.

use std::borrow::Cow;
use std::ops::Range;

use aho_corasick::AhoCorasick;
use regex_automata::meta::Regex;
use regex_automata::{Input, MatchKind as RegexMatchKind};
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::pii::edges::is_edge;
use crate::pii::fold::Folded;

/// Longest value of a pattern, in bytes. With it, all values of a text are found in time that grows linearly with the
/// text: no search looks further than that behind where a value begins.
pub const VALUE_MAX: usize = 1024;
/// Most words of a list.
pub const WORDS_MAX: usize = 10_000;
/// How large a compiled pattern may be, in bytes.
const SIZE_MAX: usize = 1 << 20;

/// Finds values of a kind that the configuration defines.
#[derive(Clone, Debug)]
pub struct Custom {
    search: Way,
    /// Longest value, in bytes.
    pub longest: usize,
    /// Longest value that has a space in it, in bytes; 0: none has.
    pub spaced_max: usize,
}

#[derive(Clone, Debug)]
enum Way {
    /// A regular expression.
    Pattern(Regex),
    /// Whole words, in any case.
    Words {
        /// Of the words in small letters.
        search: AhoCorasick,
        /// Some have letters beyond ASCII, whose case it doesn't know.
        beyond: bool,
    },
}

impl Custom {
    /// A regular expression in the syntax of Rust's `regex`: without look-around or back-references. Says why one is
    /// refused.
    pub fn pattern(pattern: &str) -> Result<Custom, String> {
        let parsed = regex_syntax::parse(pattern).map_err(|error| format!("it doesn't compile: {error}"))?;
        let properties = parsed.properties();
        let longest = properties.maximum_len().unwrap_or(usize::MAX);
        match (properties.minimum_len(), properties.maximum_len()) {
            (None | Some(0), _) => return Err("it matches the empty text".into()),
            (_, Some(longest)) if longest <= VALUE_MAX => {}
            _ => {
                return Err(format!(
                    "its matches have no bound, or one over {VALUE_MAX} bytes: write {{1,64}} for + and {{0,64}} for *"
                ));
            }
        }
        let config = Regex::config()
            .match_kind(RegexMatchKind::LeftmostFirst)
            .nfa_size_limit(Some(SIZE_MAX))
            .hybrid_cache_capacity(SIZE_MAX);
        let regex = Regex::builder().configure(config).build_from_hir(&parsed);
        let regex = regex.map_err(|error| format!("it is too large: {error}"))?;
        let spaced_max = if may_have_space(&parsed) { longest } else { 0 };
        Ok(Custom { search: Way::Pattern(regex), longest, spaced_max })
    }

    /// A list of words.
    pub fn words<'w>(words: impl IntoIterator<Item = &'w str>) -> Result<Custom, String> {
        let words: Vec<&str> = words.into_iter().collect();
        if words.is_empty() || words.len() > WORDS_MAX {
            return Err(format!("there must be 1 to {WORDS_MAX} words"));
        }
        if words.iter().any(|word| word.trim().is_empty() || word.len() > VALUE_MAX) {
            return Err(format!("each word must have 1 to {VALUE_MAX} bytes"));
        }
        // As texts are in which they are looked for.
        let mut folded = Folded::default();
        let words: Vec<String> =
            words.iter().map(|word| small(folded.fold(word).unwrap_or(word)).into_owned()).collect();
        if words.iter().any(|word| word.trim().is_empty()) {
            return Err("a word must have characters that can be seen".into());
        }
        let search = AhoCorasick::builder().ascii_case_insensitive(true).build(&words);
        let search = search.map_err(|error| error.to_string())?;
        let spaced = words.iter().filter(|word| word.contains(char::is_whitespace)).map(String::len);
        let spaced_max = spaced.max().unwrap_or(0);
        let longest = words.iter().map(String::len).max().unwrap_or(0);
        let beyond = !words.iter().all(|word| word.is_ascii());
        Ok(Custom { search: Way::Words { search, beyond }, longest, spaced_max })
    }

    /// Each value of a text. Words may overlap: all of them are found, so that nothing of a longer one hides another.
    pub fn find(&self, text: &str, mut found: impl FnMut(Range<usize>)) {
        match &self.search {
            Way::Pattern(regex) => regex.find_iter(Input::new(text)).for_each(|value| found(value.range())),
            Way::Words { search, beyond } => {
                let small = if *beyond { small(text) } else { Cow::Borrowed(text) };
                let is_whole = |range: &Range<usize>| {
                    is_edge(text[..range.start].chars().next_back())
                        && is_edge(text[range.end..].chars().next())
                };
                let words = search.find_overlapping_iter(&*small).map(|word| word.start()..word.end());
                // They come in the order of their ends. Those that overlap are one, however many they are.
                let mut last = 0..0;
                for word in words.filter(is_whole) {
                    if word.start >= last.end && !last.is_empty() {
                        found(std::mem::replace(&mut last, word));
                    } else {
                        let start = if last.is_empty() { word.start } else { word.start.min(last.start) };
                        last = start..word.end;
                    }
                }
                if !last.is_empty() {
                    found(last);
                }
            }
        }
    }
}

/// A text whose letters beyond ASCII are small, but for those few that are of another length then.
fn small(text: &str) -> Cow<'_, str> {
    let smaller = |c: char| {
        let mut lower = c.to_lowercase();
        lower.next().filter(|small| lower.next().is_none() && small.len_utf8() == c.len_utf8()).unwrap_or(c)
    };
    if text.is_ascii() || text.chars().all(|c| c.is_ascii() || smaller(c) == c) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if c.is_ascii() { c } else { smaller(c) }).collect())
}

/// Whether a match may have a space in it.
fn may_have_space(pattern: &Hir) -> bool {
    const SPACES: [char; 2] = [' ', '\n'];
    match pattern.kind() {
        HirKind::Literal(literal) => literal.0.iter().any(u8::is_ascii_whitespace),
        HirKind::Class(Class::Unicode(class)) => class
            .ranges()
            .iter()
            .any(|range| SPACES.iter().any(|space| (range.start()..=range.end()).contains(space))),
        HirKind::Class(Class::Bytes(_)) => true,
        HirKind::Repetition(repeated) => may_have_space(&repeated.sub),
        HirKind::Capture(capture) => may_have_space(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(may_have_space),
        HirKind::Empty | HirKind::Look(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_a_space_is_known() {
        let pattern = |pattern| Custom::pattern(pattern).unwrap().spaced_max;
        assert_eq!(pattern(r"EMP-\d{1,6}"), 0);
        assert_eq!(pattern(r"EMP \d{6}"), 28);
        assert_eq!(pattern(r"[^,]{3,9}"), 36);
        assert_eq!(pattern(r"(?:ab|c\sd)e"), 6);
        assert_eq!(Custom::words(["Falcon", "Blue Harbour", "x"]).unwrap().spaced_max, 12);
        assert_eq!(Custom::words(["Falcon"]).unwrap().spaced_max, 0);
    }

    fn found<'t>(custom: &Custom, text: &'t str) -> Vec<&'t str> {
        let mut found = Vec::new();
        custom.find(text, |range| found.push(&text[range]));
        found
    }

    #[test]
    fn patterns_are_found() {
        let custom = Custom::pattern(r"\bEMP-\d{6}\b").unwrap();
        assert_eq!(
            found(&custom, "EMP-123456, EMP-1234567 xEMP-123456 EMP-000001"),
            ["EMP-123456", "EMP-000001"]
        );
    }

    #[test]
    fn what_is_not_linear_is_refused() {
        for pattern in [r"\w+", "a.*b", "a*", "", r"(a)\1", "(?=a)b", "a{2000}", r"\p{L}{1,1000}", "("] {
            assert!(Custom::pattern(pattern).is_err(), "{pattern}");
        }
        assert!(Custom::words([]).is_err() && Custom::words([" "]).is_err());
    }

    #[test]
    fn words_are_whole_and_in_any_case() {
        let custom = Custom::words(["Project X", "Falcon", "falconer"]).unwrap();
        assert_eq!(
            found(&custom, "FALCON falcons Falconer, project x."),
            ["FALCON", "Falconer", "project x"]
        );
        let custom =
            Custom::words(["M\u{fc}ller", "\u{c9}lan", "\u{421}\u{43e}\u{43a}\u{43e}\u{43b}"]).unwrap();
        let text =
            "M\u{dc}LLER, m\u{fc}ller; \u{e9}lan \u{c9}LANs; \u{421}\u{41e}\u{41a}\u{41e}\u{41b} \u{130}.";
        assert_eq!(
            found(&custom, text),
            ["M\u{dc}LLER", "m\u{fc}ller", "\u{e9}lan", "\u{421}\u{41e}\u{41a}\u{41e}\u{41b}"]
        );
    }

    #[test]
    fn words_in_other_words_are_found() {
        let custom = Custom::words(["Blue", "Blue Harbour", "Harbour Bridge", "Ann Smith", "Smith"]).unwrap();
        assert_eq!(found(&custom, "Blue Harbours, Joann Smith"), ["Blue", "Smith"]);
        assert_eq!(found(&custom, "Blue Harbour Bridge"), ["Blue Harbour Bridge"]);
    }

    #[test]
    fn words_are_as_texts_are_in_which_they_are_looked_for() {
        // A dash, a space that doesn't break, full-width letters, and a backslash that looks like an escape.
        let words = ["North\u{2013}South", "Blue\u{a0}Harbour", "\u{ff21}cme", r"CORP\nancy"];
        let custom = Custom::words(words).unwrap();
        for text in words {
            let folded = Folded::default().fold(text).unwrap().to_owned();
            assert_eq!(found(&custom, &folded), [folded.as_str()]);
        }
        assert!(Custom::words(["\u{200b}"]).is_err());
    }

    #[test]
    fn words_that_overlap_are_one_however_many_they_are() {
        let nested: Vec<String> = (1..=100).map(|len| "a ".repeat(len).trim_end().to_owned()).collect();
        let custom = Custom::words(nested.iter().map(String::as_str)).unwrap();
        let text = "a ".repeat(1000);
        assert_eq!(found(&custom, &format!("{text}, {text}")), [text.trim_end(); 2]);
    }
}
