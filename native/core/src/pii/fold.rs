//! Text as a value is looked for in: characters that only look different are made the same, with the way back.
//!
//! Digits of all scripts, full-width ASCII, odd spaces, dashes and points become ASCII; what has no width of its own
//! disappears, as the accents do that are written apart; and escapes of JSON in JSON, as the arguments of tool calls hold them,
//! become what they stand for.

use std::borrow::Cow;

use memchr::memchr;

use crate::text::block::{Lanes, Places, Scan, scan};

/// A folded text. Reused from text to text to keep its memory.
#[derive(Default)]
pub struct Folded {
    text: String,
    /// Behind each character that changed: (offset in `text`, offset in the original), both rising.
    marks: Vec<(usize, usize)>,
}

/// What a character becomes.
enum Fold {
    Same,
    Gone,
    Into(char),
}

/// The zeros of the scripts whose digits are folded; nine more follow each.
const ZEROS: [char; 19] = [
    '\u{660}', '\u{6f0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{b66}', '\u{be6}', '\u{c66}',
    '\u{ce6}', '\u{d66}', '\u{de6}', '\u{e50}', '\u{ed0}', '\u{f20}', '\u{1040}', '\u{1090}', '\u{17e0}',
    '\u{1810}',
];

fn fold(c: char) -> Fold {
    let digit = |first: char| Fold::Into(char::from(b'0' + ((c as u32 - first as u32) % 10) as u8));
    match c {
        // No width: soft hyphen, joiners, marks of direction, byte order mark, fillers, tags, selectors of variants.
        '\u{ad}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{e0000}'..='\u{e0fff}' => Fold::Gone,
        // Accents, strokes and frames of the letter or digit before.
        '\u{300}'..='\u{36f}' | '\u{20d0}'..='\u{20f0}' => Fold::Gone,
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => Fold::Into(' '),
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' => Fold::Into('-'),
        '\u{2024}' | '\u{fe52}' => Fold::Into('.'),
        '\u{2044}' | '\u{2215}' => Fold::Into('/'),
        '\u{2236}' | '\u{fe55}' => Fold::Into(':'),
        '\u{fe6b}' => Fold::Into('@'),
        '\u{1d7ce}'..='\u{1d7ff}' => digit('\u{1d7ce}'),
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).map_or(Fold::Same, Fold::Into),
        '\u{660}'..='\u{1819}' => match ZEROS.iter().rfind(|&&zero| zero <= c) {
            Some(&zero) if c as u32 - (zero as u32) < 10 => digit(zero),
            _ => Fold::Same,
        },
        _ => Fold::Same,
    }
}

/// Most backslashes that an escape begins with: those of strings of JSON in each other, five deep.
const SLASHES_MAX: usize = 31;

/// The character that an escape of JSON within text stands for, however deep in strings of JSON, and the escape's length.
fn escape(rest: &[u8]) -> Option<(char, usize)> {
    let deep = rest.get(1) == Some(&b'\\');
    let slashes =
        if deep { rest.iter().take(SLASHES_MAX).take_while(|&&byte| byte == b'\\').count() } else { 1 };
    let whole = |c: char| Some((c, slashes + 1));
    let code = match rest.get(slashes) {
        Some(b'n' | b'r' | b't') => whole(' '),
        Some(b'"') => whole('"'),
        Some(b'/') => whole('/'),
        Some(b'u') => coded(rest, slashes),
        _ => None,
    };
    code.or((slashes > 1).then_some(('\\', slashes)))
}

/// The character whose code, or the codes of whose halves, are there, behind so many backslashes each.
fn coded(rest: &[u8], slashes: usize) -> Option<(char, usize)> {
    let len = slashes + CODED;
    let first = unit(rest.get(slashes..len)?)?;
    if let Some(c) = char::from_u32(first.into()) {
        return Some((c, len));
    }
    let (before, second) = rest.get(len..2 * len)?.split_at(slashes);
    let second = before.iter().all(|&byte| byte == b'\\').then(|| unit(second))??;
    let c = char::decode_utf16([first, second]).next()?.ok()?;
    Some((c, 2 * len))
}

/// Length of an escape without its backslashes: `u00e9`.
const CODED: usize = 5;

fn unit(coded: &[u8]) -> Option<u16> {
    let digits = std::str::from_utf8(coded.strip_prefix(b"u")?).ok()?;
    // A sign would be read as part of the number.
    if digits.starts_with('+') { None } else { u16::from_str_radix(digits, 16).ok() }
}

/// A value without the escapes of letters that it has as part of JSON in a text. As it is, where it has others, which stand
/// for what JSON must escape.
pub fn without_escapes(value: &str) -> Cow<'_, str> {
    if memchr(b'\\', value.as_bytes()).is_none() {
        return Cow::Borrowed(value);
    }
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = memchr(b'\\', rest.as_bytes()) {
        let (before, escaped) = rest.split_at(at);
        let Some((c, len)) = escape(escaped.as_bytes()) else { return Cow::Borrowed(value) };
        let is_letter = c >= ' ' && !matches!(c, '"' | '\\') && !escaped[..len].ends_with(['n', 'r', 't']);
        if !is_letter {
            return Cow::Borrowed(value);
        }
        text.push_str(before);
        text.push(c);
        rest = &escaped[len..];
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// How something begins that may be folded: an escape, or a character beyond ASCII.
const BEGINS: [u8; 13] = [b'\\', 0xc2, 0xcc, 0xcd, 0xd9, 0xdb, 0xe0, 0xe1, 0xe2, 0xe3, 0xef, 0xf0, 0xf3];

impl Folded {
    /// Folds a text; `None`: it would stay as it is.
    pub fn fold(&mut self, text: &str) -> Option<&str> {
        self.marks.clear();
        if text.is_ascii() && memchr(b'\\', text.as_bytes()).is_none() {
            return None;
        }
        self.text.clear();
        let copied = scan(Folds { text, folded: self });
        if self.marks.is_empty() {
            return None;
        }
        self.text.push_str(&text[copied..]);
        Some(&self.text)
    }

    /// The text folded last.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where a character boundary of the folded text is in the original: behind what has gone there for an `end`, before it
    /// for a beginning.
    pub fn offset(&self, offset: usize) -> usize {
        match self.marks.partition_point(|mark| mark.0 <= offset) {
            0 => offset,
            after => {
                let (text, original) = self.marks[after - 1];
                original + (offset - text)
            }
        }
    }

    /// The way there; for an offset within an escape, to behind the escape.
    pub fn folded(&self, original: usize) -> usize {
        let next = self.marks.partition_point(|mark| mark.1 <= original);
        let (text, from) = next.checked_sub(1).map_or((0, 0), |last| self.marks[last]);
        let behind = self.marks.get(next).map_or(usize::MAX, |mark| mark.0);
        (text + (original - from)).min(behind)
    }
}

struct Folds<'t> {
    text: &'t str,
    folded: &'t mut Folded,
}

impl Scan for Folds<'_> {
    /// How much of the text has been copied.
    type Out = usize;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> usize {
        let Folds { text, folded } = self;
        let bytes = text.as_bytes();
        let mut copied = 0;
        let mut end = 0;
        for at in Places::new(
            lanes,
            bytes,
            #[inline(always)]
            |block| {
                // Most blocks of most texts are plain, which costs little to see.
                let odd = block.high() | block.any_of(b"\\");
                if odd.bits() == 0 { odd } else { block.any_of(&BEGINS) }
            },
        ) {
            // Within an escape.
            if at < end {
                continue;
            }
            let (into, len) = match bytes[at] {
                b'\\' => match escape(&bytes[at..]) {
                    Some((into, len)) if into.is_ascii() => (Fold::Into(into), len),
                    Some((into, len)) => match fold(into) {
                        Fold::Same => (Fold::Into(into), len),
                        folded => (folded, len),
                    },
                    None => (Fold::Same, 1),
                },
                _ => text[at..].chars().next().map_or((Fold::Same, 1), |c| (fold(c), c.len_utf8())),
            };
            end = at + len;
            if !matches!(into, Fold::Same) {
                folded.text.push_str(&text[copied..at]);
                if let Fold::Into(c) = into {
                    folded.text.push(c);
                }
                copied = end;
                folded.marks.push((folded.text.len(), end));
            }
        }
        copied
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_the_same() {
        let fold = |text: &str| Folded::default().fold(text).map(String::from);
        assert_eq!(fold("plain"), None);
        assert_eq!(fold("gr\u{fc}n \u{4e2d}"), None);
        assert_eq!(fold("\u{ff14}\u{ff11}\u{a0}1\u{2011}1\u{200b}\u{ff20}").as_deref(), Some("41 1-1@"));
        assert_eq!(fold(r#"\"a\u0040b\n\\c\""#).as_deref(), Some("\"a@b \\c\""));
        // Digits in frames, struck through, of other scripts; an accent apart; points and signs.
        assert_eq!(fold("4\u{fe0f}\u{20e3}1\u{336}\u{9e7}\u{e52}\u{1041}").as_deref(), Some("41121"));
        assert_eq!(fold("jose\u{301}\u{fe6b}a\u{2024}bc\u{2236}").as_deref(), Some("jose@a.bc:"));
        assert_eq!(fold("a\u{e0041}b\u{3164}c").as_deref(), Some("abc"));
        assert_eq!(fold("\u{e4f}\u{e5a}\u{104a}\u{9f0}\u{1eb1}"), None);
        assert_eq!(fold(r"\\nb\\\\u0040c\\\\\\n\\\ud\\").as_deref(), Some(r" b@c \ud\"));
        assert_eq!(
            fold(r"C:\dir \u00e \udc00 \ud83d \ud83d\n \"),
            Some(r"C:\dir \u00e \udc00 \ud83d \ud83d  \".into())
        );
        // As programs write what is beyond ASCII: letters, halves of a character, and what looks the same as something else.
        assert_eq!(fold(r"J\u00fcrgen \\u5361\u53F7").as_deref(), Some("J\u{fc}rgen \u{5361}\u{53f7}"));
        assert_eq!(
            fold(r"\ud83d\ude00 \\ud83d\\ude00 \ud83d\\ude00").as_deref(),
            Some("\u{1f600} \u{1f600} \\ud83d\\ude00")
        );
        assert_eq!(fold(r"\uff14\u200b1\u00a0\ud835\udfcf").as_deref(), Some("41 1"));
    }

    #[test]
    fn values_are_known_without_escapes() {
        assert_eq!(without_escapes(r"jos\u00e9\\u0040\ud83d\ude00.b\/c"), "jos\u{e9}@\u{1f600}.b/c");
        for kept in ["plain", r"a\nb", r"a\u0022b", r"a\u005cb", r"a\u000ab", r"a\\b", r"a\x", r"a\ud83d"] {
            assert_eq!(without_escapes(kept), kept);
        }
    }

    #[test]
    fn what_is_folded_begins_as_is_looked_for() {
        for c in (0x80..=0x10_ffff).filter_map(char::from_u32) {
            let first = c.to_string().as_bytes()[0];
            assert!(matches!(fold(c), Fold::Same) || BEGINS.contains(&first), "{c:?}");
        }
    }

    #[test]
    fn finds_the_way_back() {
        let text = "a\u{200b}b\u{ff11}c\\nd";
        let mut folded = Folded::default();
        assert_eq!(folded.fold(text), Some("ab1c d"));
        let offsets: Vec<usize> = (0..=6).map(|at| folded.offset(at)).collect();
        assert_eq!(offsets, [0, 4, 5, 8, 9, 11, 12]);
        let back: Vec<usize> = offsets.iter().map(|&at| folded.folded(at)).collect();
        assert_eq!(back, [0, 1, 2, 3, 4, 5, 6]);
    }
}
