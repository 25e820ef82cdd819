//! Words that say what a number nearby is.

use std::cell::{OnceCell, RefCell};
use std::ops::Range;
use std::sync::LazyLock;

pub use crate::pii::context_words::Context;
use crate::pii::context_words::WORDS;
use crate::shared::steps::step;
use crate::text::block::{BLOCK, Block, Common};

/// Some contexts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contexts(u64);

const _: () = assert!(WORDS.len() <= u64::BITS as usize);

impl Contexts {
    /// Those of either.
    #[must_use]
    pub fn or(self, other: Contexts) -> Contexts {
        Contexts(self.0 | other.0)
    }

    /// Whether this one is among them.
    pub fn has(self, context: Context) -> bool {
        self.0 & 1 << context as u32 != 0
    }
}

/// What a letter is in a key: its place in the alphabet, in either case, or one of four for those beyond ASCII. 0: no letter.
const LETTER: [u8; 256] = {
    let mut codes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let c = byte as u8;
        codes[byte] = match c {
            _ if c.is_ascii_alphabetic() => c & 31,
            0x80.. => 27 + (c & 3),
            _ => 0,
        };
        byte += 1;
    }
    codes
};

fn letter(text: &[u8], at: usize) -> usize {
    text.get(at).map_or(0, |&byte| usize::from(LETTER[usize::from(byte)]))
}

/// Whether a word begins within a name here, as the second one of `userName` does.
fn is_joint(before: u8, next: u8) -> bool {
    before.is_ascii_lowercase() && next.is_ascii_uppercase()
}

/// The first three letters of a word; of a shorter one, that it is.
#[inline(always)]
fn key(text: &[u8], at: usize) -> usize {
    let letter = |byte: u8| usize::from(LETTER[usize::from(byte)]);
    let bytes @ [_, b, c] = match text[at..].first_chunk() {
        Some(bytes) => *bytes,
        None => [0, 1, 2].map(|more| text.get(at + more).copied().unwrap_or(0)),
    };
    let [first, second, third] = bytes.map(letter);
    first << 10 | second << 5 | if second == 0 || is_joint(b, c) { 0 } else { third }
}

const KEYS: usize = 1 << 15;

struct Word {
    key: usize,
    text: &'static [u8],
    context: Context,
    /// More letters may follow.
    goes_on: bool,
    /// It has a space in it.
    spaced: bool,
}

impl Word {
    /// Where it ends, if a text has it there.
    #[inline(always)]
    fn end(&self, text: &[u8], at: usize) -> Option<usize> {
        let end = at + self.text.len();
        let same = text.get(at..end).is_some_and(|text| text.eq_ignore_ascii_case(self.text));
        let end = if same { Some(end) } else { self.spaced.then(|| self.joined_end(text, at)).flatten() }?;
        (self.goes_on || self.ends(text, end)).then_some(end)
    }

    fn ends(&self, text: &[u8], end: usize) -> bool {
        let small = |at: usize| text.get(at).is_some_and(u8::is_ascii_lowercase);
        // `SSNumber` is of one word, `SSNValue` of two.
        letter(text, end) == 0 || text[end].is_ascii_uppercase() && (small(end - 1) || small(end + 1))
    }

    /// The end of several words that are one name: `tax_id`, `taxId`.
    fn joined_end(&self, text: &[u8], at: usize) -> Option<usize> {
        let mut end = at;
        for &byte in self.text {
            let next = *text.get(end)?;
            match byte {
                b' ' if matches!(next, b'_' | b'-') => end += 1,
                b' ' if is_joint(text[end - 1], next) => {}
                _ if next.eq_ignore_ascii_case(&byte) => end += 1,
                _ => return None,
            }
        }
        Some(end)
    }
}

struct Table {
    /// For 64 keys each, a bit for those that a word has, which most words of a text have none of; and how many lower keys
    /// there are.
    keys: [(u64, u16); KEYS / 64],
    /// For each key that a word has, where its words begin; and where the last ones end.
    first: Vec<u16>,
    /// By key.
    words: Vec<Word>,
}

impl Table {
    /// Whether a word has this key.
    #[inline(always)]
    fn has(&self, key: usize) -> bool {
        self.keys[key / 64 % self.keys.len()].0 >> (key % 64) & 1 != 0
    }

    /// The words with a key that some have.
    fn words(&self, key: usize) -> &[Word] {
        let (bits, lower) = self.keys[key / 64];
        let at = usize::from(lower) + (bits & !(u64::MAX << (key % 64))).count_ones() as usize;
        &self.words[usize::from(self.first[at])..usize::from(self.first[at + 1])]
    }
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let all = WORDS.iter().flat_map(|(context, words)| words.iter().map(|word| (*context, *word)));
    let mut words: Vec<Word> = all
        .map(|(context, word)| {
            let text = word.trim_end_matches('*').as_bytes();
            assert!(!word.ends_with('*') || text.len() >= 3, "{word}: a beginning has three letters");
            let spaced = text.contains(&b' ');
            Word { key: key(text, 0), text, context, goes_on: word.ends_with('*'), spaced }
        })
        .collect();
    words.sort_by_key(|word| word.key);
    let mut keys = [(0_u64, 0); KEYS / 64];
    let mut first = Vec::new();
    for (at, word) in words.iter().enumerate() {
        if at == 0 || words[at - 1].key != word.key {
            keys[word.key / 64].0 |= 1 << (word.key % 64);
            first.push(at as u16);
        }
    }
    first.push(words.len() as u16);
    let mut lower = 0;
    for (bits, count) in &mut keys {
        *count = lower;
        lower += bits.count_ones() as u16;
    }
    Table { keys, first, words }
});

/// A word of a context in a text.
struct Hit {
    start: usize,
    end: usize,
    contexts: Contexts,
}

/// The words of contexts that begin in a part of a text.
fn scan(text: &[u8], part: Range<usize>, mut found: impl FnMut(Hit)) {
    let table = &*TABLE;
    // A word that is cut is none, and neither are letters behind a digit.
    let cut = |byte: u8| byte.is_ascii_digit() || LETTER[usize::from(byte)] != 0;
    let before = part.start.checked_sub(1).map_or(0, |at| text[at]);
    let mut goes_on = cut(before);
    let mut small_before = before.is_ascii_lowercase();
    for from in part.clone().step_by(BLOCK) {
        step();
        let block = Block::first(Common::default(), &text[from..]);
        let letters = (block.letters() | block.high()).bits();
        let joined = letters | block.between(b'0', b'9').bits();
        let capital = block.between(b'A', b'Z').bits();
        let small = block.between(b'a', b'z').bits();
        let mut starts = letters & !(joined << 1 | u64::from(goes_on));
        starts |= capital & (small << 1 | u64::from(small_before));
        goes_on = joined >> (BLOCK - 1) != 0;
        small_before = small >> (BLOCK - 1) != 0;
        while starts != 0 {
            step();
            let at = from + starts.trailing_zeros() as usize;
            if at >= part.end {
                return;
            }
            starts &= starts - 1;
            let key = key(text, at);
            if !table.has(key) {
                continue;
            }
            for word in table.words(key) {
                if let Some(end) = word.end(text, at) {
                    found(Hit { start: at, end, contexts: Contexts(1 << word.context as u32) });
                }
            }
        }
    }
}

/// How far before a value its context may be, in bytes.
const WINDOW: usize = 64;
/// How much of a label is read, in bytes: it is read again for each text that it names, such as those of a list.
const LABEL_MAX: usize = 256;

/// The words of contexts in one text, looked up where someone asks, and once only.
pub struct Nearby<'t> {
    text: &'t [u8],
    label: &'t [u8],
    named: OnceCell<Contexts>,
    hits: RefCell<Hits>,
}

#[derive(Default)]
struct Hits {
    /// In the order of the text; old ones are dropped.
    last: Vec<Hit>,
    /// The text before is looked through, as far as it is near what was asked about.
    scanned: usize,
}

/// Most bytes that are looked at one by one first.
const SHORT_MAX: usize = 8;

/// Hits from which on those that are too far away are dropped.
const HITS_MAX: usize = 32;

impl<'t> Nearby<'t> {
    /// `label`: what the text is called, such as the JSON member's name.
    pub fn new(text: &'t str, label: &'t str) -> Self {
        Nearby {
            text: text.as_bytes(),
            label: label.as_bytes(),
            named: OnceCell::new(),
            hits: RefCell::default(),
        }
    }

    /// What the text is called.
    pub fn label(&self) -> &'t [u8] {
        self.label
    }

    /// What the label says.
    pub fn named(&self) -> Contexts {
        *self.named.get_or_init(|| {
            let mut found = Contexts::default();
            scan(self.label, 0..self.label.len().min(LABEL_MAX), |hit| found = found.or(hit.contexts));
            found
        })
    }

    /// What the words shortly before a place say. Places must be asked about in the order of the text.
    pub fn before(&self, at: usize) -> Contexts {
        let start = at.saturating_sub(WINDOW);
        let Hits { last, scanned } = &mut *self.hits.borrow_mut();
        if last.len() >= HITS_MAX {
            last.retain(|hit| hit.start >= start);
        }
        if *scanned < at {
            let new = start.max(*scanned)..at;
            // Between two numbers there is often nothing to read.
            if new.len() > SHORT_MAX || new.clone().any(|at| letter(self.text, at) != 0) {
                scan(self.text, new, |hit| last.push(hit));
            }
            *scanned = at;
        }
        let near = last.iter().rev().take_while(|hit| hit.start >= start).filter(|hit| hit.end <= at);
        near.fold(Contexts::default(), |found, hit| found.or(hit.contexts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole_and_in_any_case() {
        let has = |text: &str, context| Nearby::new(text, "").before(text.len()).has(context);
        assert!(has("My ZIP code is", Context::Post) && has("zipcode:", Context::Post));
        assert!(has("user_ssn", Context::Ssn) && has("Social Security Number", Context::Ssn));
        assert!(!has("a3dl7", Context::Licence) && has("dl7", Context::Licence));
        assert!(!has("unzip it", Context::Post) && !has("escape", Context::Post) && !has("", Context::Post));
    }

    #[test]
    fn names_of_members_are_read_word_by_word() {
        let named = |label: &str, context| Nearby::new("", label).named().has(context);
        for (label, context) in [
            ("dateOfBirth", Context::Birth),
            ("nhsNumber", Context::Nhs),
            ("driverLicense", Context::Licence),
            ("userSsn", Context::Ssn),
            ("SSNValue", Context::Ssn),
            ("customerPhone", Context::Phone),
            ("homeZip", Context::Post),
            ("clientIp", Context::Ip),
            ("taxId", Context::Itin),
            ("TAX_ID", Context::Itin),
            ("national-insurance-number", Context::Nino),
            ("niNumber", Context::Nino),
            ("messageId", Context::Other),
        ] {
            assert!(named(label, context), "{label}");
            assert!(Nearby::new(label, "").before(label.len()).has(context), "{label}");
        }
        for (label, context) in [
            ("SSNumber", Context::Ssn),
            ("taxidermy", Context::Itin),
            ("Unzip", Context::Post),
            ("SHIP", Context::Ip),
        ] {
            assert!(!named(label, context), "{label}");
        }
        // Wherever the word begins.
        for before in 0..=130 {
            assert!(named(&format!("{}Zip", "x".repeat(before)), Context::Post), "{before}");
        }
    }

    #[test]
    fn a_word_counts_shortly_before_a_place() {
        let text = format!("zip {} 1 and 2", "x".repeat(70));
        let nearby = Nearby::new(&text, "date_of_birth");
        assert!(nearby.named().has(Context::Birth) && !nearby.named().has(Context::Post));
        for (place, near) in [(2, false), (3, true), (60, true), (64, true), (65, false)] {
            assert_eq!(nearby.before(place).has(Context::Post), near, "{place}");
        }
    }

    #[test]
    fn a_long_name_is_read_at_its_beginning() {
        let named = |label: &str, context| Nearby::new("", label).named().has(context);
        for len in [LABEL_MAX - 2, LABEL_MAX - 1] {
            assert!(named(&format!("{} zip code", "-".repeat(len - 1)), Context::Post), "{len}");
        }
        // No part of a word is one: `card` would be.
        assert!(!named(&format!("{} cardinal", "\u{e9}".repeat(LABEL_MAX)), Context::Card));
        assert!(!named(&format!("{} panel", "-".repeat(LABEL_MAX - 4)), Context::Card));
    }
}
