//! Decodes JSON strings, and maps offsets in the decoded text back to the raw bytes.

use crate::text::block::{BLOCK, Block, Lanes, Scan, padded, scan};

/// A decoded string. Reused for many strings to keep its memory.
#[derive(Default)]
pub struct Decoded {
    /// The text, and room behind it.
    text: Vec<u8>,
    len: usize,
    /// After each escape: (offset in `text`, offset in the raw bytes), both ascending.
    marks: Vec<(usize, usize)>,
}

impl Decoded {
    /// Decodes `raw`, the bytes between the quotes of a string that the walker has accepted. A lone surrogate
    /// becomes U+FFFD, which has the same length in UTF-8.
    pub fn decode(&mut self, raw: &str) -> &str {
        self.read(raw).text()
    }

    /// As `decode`, for who asks where the text stood too.
    pub fn read(&mut self, raw: &str) -> &Decoded {
        self.marks.clear();
        // Blocks are copied whole, whatever of them is needed.
        let room = raw.len() + BLOCK;
        if self.text.len() < room {
            self.text.resize(room, 0);
        }
        self.len = scan(Decode { raw: raw.as_bytes(), text: &mut self.text, marks: &mut self.marks });
        self
    }

    /// The text of the last `decode`, which is checked anew each time.
    pub fn text(&self) -> &str {
        simdutf8::basic::from_utf8(&self.text[..self.len]).unwrap_or_default()
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

struct Decode<'t> {
    raw: &'t [u8],
    text: &'t mut [u8],
    marks: &'t mut Vec<(usize, usize)>,
}

impl Scan for Decode<'_> {
    /// How long the text is.
    type Out = usize;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> usize {
        let Decode { raw, text, marks } = self;
        let (mut at, mut len) = (0, 0);
        loop {
            let (block, bytes) = match raw[at..].first_chunk() {
                Some(whole) => (*whole, BLOCK),
                None => (padded(&raw[at..]), raw.len() - at),
            };
            text[len..len + BLOCK].copy_from_slice(&block);
            let escapes = Block::new(lanes, &block).any_of(b"\\").bits();
            if escapes == 0 {
                (at, len) = (at + bytes, len + bytes);
                if bytes < BLOCK {
                    return len;
                }
                continue;
            }
            let plain = escapes.trailing_zeros() as usize;
            (at, len) = (at + plain, len + plain);
            let simple = raw.get(at + 1).map_or(0, |&byte| SIMPLE[usize::from(byte)]);
            if simple == 0 {
                let (char, escape) = unescape(&raw[at..]);
                at += escape;
                len += char.encode_utf8(&mut text[len..]).len();
            } else {
                text[len] = simple;
                (at, len) = (at + 2, len + 1);
            }
            marks.push((len, at));
        }
    }
}

/// What a backslash and this stand for; 0: more follows.
const SIMPLE: [u8; 256] = {
    let pairs = *b"\"\"\\\\//b\x08f\x0cn\nr\rt\t";
    let mut simple = [0; 256];
    let mut at = 0;
    while at < pairs.len() {
        simple[pairs[at] as usize] = pairs[at + 1];
        at += 2;
    }
    simple
};

/// The character that `\u` and four digits encode, or two of them, and the escape's length in bytes.
fn unescape(escape: &[u8]) -> (char, usize) {
    let unit = hex4(escape, 2);
    if matches!(unit, 0xD800..=0xDBFF) && escape.get(6..8) == Some(b"\\u") {
        let low = hex4(escape, 8);
        if matches!(low, 0xDC00..=0xDFFF) {
            let code = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
            return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
        }
    }
    (char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), 6)
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
