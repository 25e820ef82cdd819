//! Reads a conversation's text once and counts what its features are computed from.

use crate::json::walker::Text;
use crate::tier::features::{Asked, FEATURES, Features, SHAPES};
use crate::tier::lexicon::{LEXICON, in_word, trie};

/// Bytes read of the last user message, at its beginning and at its end.
const HEAD_MAX: usize = 1280;
const TAIL_MAX: usize = 768;
/// Bytes read of the previous user message, and of the system message.
const ASIDE_MAX: usize = 512;

/// The shape of a text.
#[derive(Clone, Copy, Default)]
struct Shape {
    words: usize,
    word_bytes: usize,
    sentences: usize,
    questions: usize,
    lines: usize,
    items: usize,
    code: usize,
    fences: usize,
    numbers: usize,
    math: usize,
    commas: usize,
}

/// Reads normalised text and counts what the features are computed from.
#[derive(Default)]
pub struct Measure {
    text: Vec<u8>,
    counts: [i32; LEXICON.len()],
    shape: Shape,
}

impl Measure {
    /// Reads the beginning and the end of a message; returns its length.
    pub fn ends(&mut self, body: &str, texts: &[Text]) -> usize {
        let mut room = HEAD_MAX;
        for (index, text) in texts.iter().enumerate() {
            let raw = &body[text.start..text.end];
            let head = floor(raw, room);
            room -= head;
            self.read(&raw[..head], 8);
            if index + 1 == texts.len() && head < raw.len() {
                self.read(&raw[floor(raw, head.max(raw.len().saturating_sub(TAIL_MAX)))..], 8);
            }
        }
        texts.iter().map(|text| text.end - text.start).sum()
    }

    /// Reads the beginning of texts, weighted with `weight` eighths; returns their length.
    pub fn head(&mut self, body: &str, texts: &[Text], weight: i32) -> usize {
        let mut room = ASIDE_MAX;
        for text in texts {
            let raw = &body[text.start..text.end];
            let head = floor(raw, room);
            let shape = self.shape;
            self.read(&raw[..head], weight);
            // Words count wherever they are, the text's shape only in the last message.
            self.shape = shape;
            room -= head;
        }
        texts.iter().map(|text| text.end - text.start).sum()
    }

    fn read(&mut self, raw: &str, weight: i32) {
        let mut text = std::mem::take(&mut self.text);
        normalise(raw, &mut text);
        self.count(&text, weight);
        self.text = text;
    }

    fn count(&mut self, text: &[u8], weight: i32) {
        let trie = trie();
        let mut line_start = true;
        let mut before = b' ';
        for (at, &byte) in text.iter().enumerate() {
            let open = (0xe3..=0xed).contains(&byte);
            let start = open || in_word(byte) && !in_word(before) && byte & 0xc0 != 0x80;
            if start {
                if let Some(category) = trie.longest(&text[at..], open) {
                    self.counts[category] += weight;
                }
                self.shape.words += usize::from(!open);
                self.shape.numbers += usize::from(byte.is_ascii_digit());
            }
            self.shape.word_bytes += usize::from(in_word(byte));
            match byte {
                b'\n' => self.shape.lines += 1,
                b'.' | b'!' | b';' => self.shape.sentences += usize::from(!before.is_ascii_punctuation()),
                b'?' => self.shape.questions += 1,
                b',' => self.shape.commas += 1,
                b'{' | b'}' | b'<' | b'>' | b'=' | b'_' | b'[' | b']' | b'(' | b')' => self.shape.code += 1,
                b'`' => self.shape.fences += usize::from(text[at..].starts_with(b"```")),
                b'^' | b'+' | b'*' | b'\\' => self.shape.math += 1,
                // In a three-byte character the first two bytes determine its block.
                0xe2 => self.shape.math += usize::from(matches!(text.get(at + 1), Some(0x86..=0x8b))),
                0xe3 if text[at..].starts_with("。".as_bytes()) => self.shape.sentences += 1,
                0xe3 if text[at..].starts_with("、".as_bytes()) => self.shape.commas += 1,
                0xef if text[at..].starts_with("？".as_bytes()) => self.shape.questions += 1,
                0xef if text[at..].starts_with("，".as_bytes()) => self.shape.commas += 1,
                _ => {}
            }
            if line_start && (byte == b'-' || byte == b'*' || byte.is_ascii_digit()) {
                self.shape.items += 1;
            }
            // Numbered items within a line, as in "(2)" or "2)".
            if byte == b')' && before.is_ascii_digit() {
                self.shape.items += 1;
            }
            line_start = byte == b'\n';
            before = byte;
        }
        // Characters of a language without spaces: two of them count as a word.
        self.shape.words += text.iter().filter(|&byte| (0xe3..=0xed).contains(byte)).count() / 2;
    }

    /// Computes the features, from the counts, the number of messages and the lengths of the texts.
    pub fn finish(self, asked: &Asked, [messages, last, earlier, system]: [usize; 4]) -> Features {
        let flag = |set: bool| i32::from(set) * 8;
        let kinds = self.counts.iter().filter(|&&count| count > 0).count();
        let average = (8 * self.shape.word_bytes).checked_div(self.shape.words).unwrap_or_default();
        let shapes: [i32; SHAPES.len()] = [
            log(last),
            log(asked.text_bytes),
            log(messages.saturating_sub(1)),
            log(earlier),
            log(system),
            log(self.shape.words),
            log(self.shape.sentences),
            log(self.shape.questions),
            log(self.shape.lines),
            log(self.shape.items),
            log(self.shape.code),
            log(self.shape.fences),
            log(self.shape.numbers),
            log(self.shape.math),
            log(self.shape.commas),
            i32::try_from(average.min(8 * 12)).unwrap_or_default(),
            flag(asked.tools),
            flag(asked.structured),
            flag(asked.images),
            flag(asked.reasoning),
            log(asked.tokens_max),
            i32::try_from(8 * kinds).unwrap_or_default(),
        ];
        let mut features = [0; FEATURES];
        features[..SHAPES.len()].copy_from_slice(&shapes);
        for (feature, count) in features[SHAPES.len()..].iter_mut().zip(self.counts) {
            // Repetitions of a word weigh less.
            *feature = if count <= 8 { count } else { 8 + (count - 8).min(24) / 2 };
        }
        features
    }
}

/// The last character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// 1 + log2 in eighths, interpolated linearly between powers of two; 0 for 0.
pub fn log(count: usize) -> i32 {
    if count == 0 {
        return 0;
    }
    let power = count.ilog2();
    let rest = ((count << 3) >> power) & 7;
    i32::try_from(8 * (1 + power as usize) + rest).unwrap_or_default()
}

/// Lower case, runs of spaces as one, JSON escapes decoded. Half an escape at an end is accepted.
fn normalise(raw: &str, out: &mut Vec<u8>) {
    out.clear();
    let mut chars = raw.chars();
    while let Some(char) = chars.next() {
        let char = if char != '\\' {
            char
        } else {
            match chars.next().unwrap_or(' ') {
                'n' => '\n',
                't' | 'r' | 'b' | 'f' => ' ',
                'u' => {
                    let unit =
                        chars.as_str().get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
                    if unit.is_some() {
                        chars.nth(3);
                    }
                    unit.and_then(char::from_u32).unwrap_or(' ')
                }
                other => other,
            }
        };
        let last = out.last().copied().unwrap_or(b'\n');
        match char {
            '\n' if last == b' ' => *out.last_mut().unwrap_or(&mut 0) = b'\n',
            ' ' | '\t' | '\r' | '\u{a0}' | '\u{3000}' if last == b' ' || last == b'\n' => {}
            '\t' | '\r' | '\u{a0}' | '\u{3000}' => out.push(b' '),
            '\u{2019}' => out.push(b'\''),
            _ if char.is_ascii() => out.push(char.to_ascii_lowercase() as u8),
            _ => char.to_lowercase().for_each(|lower| {
                out.extend_from_slice(lower.encode_utf8(&mut [0; 4]).as_bytes());
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_rise() {
        assert_eq!([0, 1, 2, 3, 4, 8].map(log), [0, 8, 16, 20, 24, 32]);
        assert!((1..5000).all(|count| log(count) <= log(count + 1)));
    }
}
