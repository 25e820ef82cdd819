//! Decodes JSON strings, and maps offsets in the decoded text back to the raw bytes.

use crate::text::block::Places;

/// A decoded string. Reused for many strings to keep its memory.
#[derive(Default)]
pub struct Decoded {
    text: String,
    /// After each escape: (offset in `text`, offset in the raw bytes), both ascending.
    marks: Vec<(usize, usize)>,
}

impl Decoded {
    /// Decodes `raw`, the bytes between the quotes of a string that the walker has accepted. A lone surrogate
    /// becomes U+FFFD, which has the same length in UTF-8.
    pub fn decode(&mut self, raw: &str) -> &str {
        self.text.clear();
        self.text.reserve(raw.len());
        self.marks.clear();
        let mut copied = 0;
        for at in Places::new(raw.as_bytes(), |block| block.any_of(b"\\")) {
            // The second of two backslashes.
            if at < copied {
                continue;
            }
            self.text.push_str(&raw[copied..at]);
            let (char, len) = unescape(&raw.as_bytes()[at..]);
            self.text.push(char);
            copied = at + len;
            self.marks.push((self.text.len(), copied));
        }
        self.text.push_str(&raw[copied..]);
        &self.text
    }

    /// The text of the last `decode`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The raw offset of a character boundary of the text.
    pub fn raw_offset(&self, offset: usize) -> usize {
        match self.marks.partition_point(|mark| mark.0 <= offset) {
            0 => offset,
            after => {
                let (text, raw) = self.marks[after - 1];
                raw + (offset - text)
            }
        }
    }
}

/// The character an escape encodes, and the escape's length in bytes (12 for a surrogate pair).
fn unescape(escape: &[u8]) -> (char, usize) {
    let byte = |at: usize| escape.get(at).copied().unwrap_or(0);
    let simple = match byte(1) {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let unit = hex4(escape, 2);
            if matches!(unit, 0xD800..=0xDBFF) && byte(6) == b'\\' && byte(7) == b'u' {
                let low = hex4(escape, 8);
                if matches!(low, 0xDC00..=0xDFFF) {
                    let code = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
                    return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
                }
            }
            return (char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), 6);
        }
        other => char::from(other),
    };
    (simple, 2)
}

fn hex4(escape: &[u8], at: usize) -> u32 {
    let digits = escape.get(at..at + 4).unwrap_or_default();
    digits.iter().fold(0, |unit, &digit| unit << 4 | char::from(digit).to_digit(16).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_each_escape() {
        let mut decoded = Decoded::default();
        assert_eq!(decoded.decode(r#"\"\\\/\b\f\n\r\t"#), "\"\\/\u{8}\u{c}\n\r\t");
        assert_eq!(decoded.decode(r"\u0041\u00E4\u20aC\uD83D\uDE00"), "A\u{e4}\u{20ac}\u{1f600}");
        assert_eq!(decoded.decode(r"\ud83dx\ude00\ud83d\ud83d"), "\u{fffd}x\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(decoded.decode("plain"), "plain");
    }

    #[test]
    fn finds_the_way_back() {
        let raw = r"ab\ncd\u0040\ud83d\ude00e";
        let mut decoded = Decoded::default();
        assert_eq!(decoded.decode(raw), "ab\ncd@\u{1f600}e");
        let offsets = [(0, 0), (1, 1), (2, 2), (3, 4), (4, 5), (5, 6), (6, 12), (10, 24), (11, 25)];
        for (text, raw) in offsets {
            assert_eq!(decoded.raw_offset(text), raw, "{text}");
        }
    }
}
