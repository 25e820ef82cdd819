//! Numbers of JSON within a text, such as the arguments of a tool call: what takes a number's place is a string, and needs
//! quotes for the text to stay JSON.

use std::ops::Range;

use memchr::memchr_iter;

/// How deep strings of JSON in each other are followed.
const DEPTH_MAX: u32 = 5;
/// Most backslashes before a quote there.
const SLASHES_MAX: usize = (1 << DEPTH_MAX) - 1;

/// Finds the numbers of JSON among the values of one text, which may come in pieces.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quotes {
    /// The text begins as JSON does, so that its commas and brackets are JSON's. `None`: nothing but space came yet.
    json: Option<bool>,
    /// How many strings of JSON are open that hold JSON themselves: in the first, quotes have one backslash, in the next three.
    depth: u32,
    /// In these, a string is open.
    inside: bool,
    /// How deep the last quote is; `None`: too deep.
    last: Option<u32>,
    /// Up to here, the text is read.
    seen: usize,
}

impl Quotes {
    /// The quotes that must stand on both sides of what takes a value's place: how many backslashes they have, as those of
    /// the strings beside it do. `None`: the value is no number of JSON. Values must be asked about from left to right.
    pub fn around(&mut self, text: &str, value: Range<usize>) -> Option<usize> {
        self.read_to(text, value.start);
        let text = text.as_bytes();
        if !text[value.clone()].iter().all(u8::is_ascii_digit) {
            return None;
        }
        // Behind a backslash there is the `n` of a line's end, in JSON in JSON.
        if !matches!(text[value.end..].trim_ascii_start(), [] | [b',' | b'}' | b']' | b'\\', ..]) {
            return None;
        }
        let depth = match text[..value.start].trim_ascii_end() {
            // The value of a member, in whatever text.
            [name @ .., b':'] if name.trim_ascii_end().ends_with(b"\"") => self.last,
            [.., b'[' | b','] if self.json == Some(true) && !self.inside => Some(self.depth),
            _ => None,
        };
        depth.filter(|&depth| depth <= DEPTH_MAX).map(|depth| (1 << depth) - 1)
    }

    /// Reads the text up to there.
    pub fn read_to(&mut self, text: &str, end: usize) {
        let text = text.as_bytes();
        let new = &text[self.seen..end];
        if self.json.is_none() && !new.trim_ascii().is_empty() {
            self.json = Some(begins_json(text[self.seen..].trim_ascii_start()));
        }
        for at in memchr_iter(b'"', new) {
            let before = text[..self.seen + at].iter().rev().take(SLASHES_MAX + 1);
            let slashes = before.take_while(|&&byte| byte == b'\\').count();
            // So deep, a quote has 0, 1, 3, 7 … of its own; before them may be those of backslashes, in pairs and more.
            self.last = (slashes <= SLASHES_MAX).then_some(slashes.trailing_ones());
            if let Some(depth) = self.last {
                self.pass_quote(depth, begins_json(&text[self.seen + at + 1..]));
            }
        }
        self.seen = end;
    }

    fn pass_quote(&mut self, depth: u32, holds_json: bool) {
        if depth < self.depth {
            // The end of the string that all this stands in.
            (self.depth, self.inside) = (depth, false);
        } else if depth == self.depth && !self.inside && holds_json {
            self.depth += 1;
        } else if depth == self.depth {
            self.inside = !self.inside;
        }
    }

    /// So many bytes of the text, at its beginning, are there no longer. They must have been read.
    pub fn forget(&mut self, bytes: usize) {
        self.seen -= bytes;
    }
}

/// Whether a text is an object or list of JSON, or a string that holds one, as far as its beginning says.
fn begins_json(text: &[u8]) -> bool {
    let first = text.iter().take(2 * SLASHES_MAX).find(|byte| !matches!(byte, b'"' | b'\\'));
    matches!(first, Some(b'{' | b'['))
}

/// A quote with so many backslashes before it.
pub fn quote(slashes: usize) -> impl Iterator<Item = u8> {
    std::iter::repeat_n(b'\\', slashes).chain([b'"'])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many backslashes the quotes around each `1234` of a text have.
    fn quotes(text: &str) -> Vec<Option<usize>> {
        let mut quotes = Quotes::default();
        let values = text.match_indices("1234").map(|(at, value)| at..at + value.len());
        values.map(|value| quotes.around(text, value)).collect()
    }

    #[test]
    fn numbers_of_json_need_quotes_as_deep_as_they_are() {
        assert_eq!(quotes(r#"{"a":1234}"#), [Some(0)]);
        assert_eq!(quotes(" {\n  \"a\" : 1234 ,\n  \"b\": [1234, 1234]\n}"), [Some(0); 3]);
        assert_eq!(quotes("[1234,{\"a,[\":\"\\\"[\"}, 1234]"), [Some(0); 2]);
        assert_eq!(quotes(r#"It gave {\"a\": 1234} and {\\\"b\\\":1234\\n}"#), [Some(1), Some(3)]);
        assert_eq!(quotes(r#"cut off: {"a": 1234"#), [Some(0)]);
        let deep = r#"{"a":"[1234,{\"b\":\"[\\\"x\\\",1234]\"},1234]","c":[1234]}"#;
        assert_eq!(quotes(deep), [Some(1), Some(3), Some(1), Some(0)]);
        assert_eq!(quotes(r#"{"a\\":1234,"b":["\\",1234,"[\"\\\\\",1234]"]}"#), [Some(0), Some(0), Some(1)]);
    }

    #[test]
    fn other_values_need_none() {
        for text in [
            "1234",
            "card: 1234, 1234",
            "as [1234] says",
            r#"{"a":"1234"}"#,
            r#"{"a":"x, 1234, 1234"}"#,
            r#"{"a":"\", 1234, \"b"}"#,
            r#"{"a":-1234}"#,
            r#"{"a":1234.5}"#,
            r#"as "a": 1234 or"#,
        ] {
            assert!(quotes(text).iter().all(Option::is_none), "{text}");
        }
        let deep = format!("{{{slashes}\"a{slashes}\":1234}}", slashes = "\\".repeat(64));
        assert_eq!(quotes(&deep), [None]);
    }
}
