//! Patterns and lists of words that a configuration brings along.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};
use regex_automata::meta::Regex;
use regex_automata::{Input, MatchKind as RegexMatchKind};

use crate::pii::edges::is_edge;

/// Longest value of a pattern, in bytes. With it, all values of a text are found in time that grows linearly with the
/// text: no search looks further than that behind where a value begins.
pub const VALUE_MAX: usize = 1024;
/// Most words of a list.
pub const WORDS_MAX: usize = 10_000;
/// How large a compiled pattern may be, in bytes.
const SIZE_MAX: usize = 1 << 20;

/// Finds values of a kind that the configuration defines.
#[derive(Clone, Debug)]
pub enum Custom {
    /// A regular expression.
    Pattern(Regex),
    /// Whole words, in any case.
    Words(AhoCorasick),
}

impl Custom {
    /// A regular expression in the syntax of Rust's `regex`: without look-around or back-references. Says why one is
    /// refused.
    pub fn pattern(pattern: &str) -> Result<Custom, String> {
        let parsed = regex_syntax::parse(pattern).map_err(|error| format!("it doesn't compile: {error}"))?;
        let properties = parsed.properties();
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
        regex.map(Custom::Pattern).map_err(|error| format!("it is too large: {error}"))
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
        let built = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            .build(words);
        built.map(Custom::Words).map_err(|error| error.to_string())
    }

    /// Each value of a text, from left to right.
    pub fn find(&self, text: &str, mut found: impl FnMut(Range<usize>)) {
        match self {
            Custom::Pattern(regex) => {
                regex.find_iter(Input::new(text)).for_each(|value| found(value.range()))
            }
            Custom::Words(words) => words
                .find_iter(text)
                .map(|word| word.start()..word.end())
                .filter(|range| {
                    is_edge(text[..range.start].chars().next_back())
                        && is_edge(text[range.end..].chars().next())
                })
                .for_each(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
