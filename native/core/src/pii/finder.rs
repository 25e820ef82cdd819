//! Finds values of several kinds in one text.

use std::ops::Range;

use memchr::memmem;

use crate::pii::context::Nearby;
use crate::pii::custom::Custom;
use crate::pii::kind_set::{KindId, KindSet};
use crate::pii::matcher::{Anchor, Matcher, Spot};
use crate::pii::number::Number;
use crate::shared::steps::step;

/// A value in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: KindId,
    /// Where it is, in bytes.
    pub range: Range<usize>,
}

/// Longest word of letters and digits that a matcher can be anchored at.
const WORD_MAX: usize = 90;
/// Longest text that is looked through once for all anchors before it is searched for each.
const SHORT_MAX: usize = 256;
/// Most matchers that share a text as their anchor.
const SHARED_MAX: usize = 4;

/// Looks for some kinds. Made once for a configuration, used for every request.
#[derive(Clone, Debug)]
pub struct Finder {
    matchers: Vec<(KindId, Matcher)>,
    /// Each text that is an anchor, and the places in `matchers` of those it is one for.
    texts: Vec<(memmem::Finder<'static>, Vec<usize>)>,
    /// For each count of digits, the matchers that want to see it.
    digits: [KindSet; 32],
    /// For each length of a word with digits in it.
    words: Vec<KindSet>,
    /// Those of groups of an address.
    parts: KindSet,
    /// Those of tokens, and how long the shortest is that one wants to see.
    tokens: (KindSet, usize),
    /// Whether anything is anchored at digits.
    numeric: bool,
    /// The bytes of which a text has one if it has an anchor other than a token.
    signs: [bool; 256],
    /// What the configuration defines.
    custom: Vec<(KindId, Custom)>,
}

impl Default for Finder {
    fn default() -> Self {
        Finder::new(Vec::new(), Vec::new())
    }
}

impl Finder {
    /// Looks for what these matchers find, and for what the configuration defines.
    pub fn new(matchers: Vec<(KindId, Matcher)>, custom: Vec<(KindId, Custom)>) -> Self {
        let mut texts: Vec<(&str, Vec<usize>)> = Vec::new();
        let mut digits = [KindSet::NONE; 32];
        let mut words = vec![KindSet::NONE; WORD_MAX + 1];
        let mut parts = KindSet::NONE;
        let mut tokens = (KindSet::NONE, usize::MAX);
        for (at, (_, matcher)) in matchers.iter().enumerate() {
            let place = at as KindId;
            for anchor in matcher.anchors {
                match *anchor {
                    Anchor::Digits(mask) => {
                        let wanted =
                            digits.iter_mut().enumerate().filter(|(count, _)| mask >> count & 1 != 0);
                        wanted.for_each(|(_, kinds)| *kinds = kinds.with(place));
                    }
                    Anchor::Word(least, most) => {
                        words[least..=most].iter_mut().for_each(|kinds| *kinds = kinds.with(place));
                    }
                    Anchor::Part => parts = parts.with(place),
                    Anchor::Token(least) => tokens = (tokens.0.with(place), least.min(tokens.1)),
                    Anchor::Text(text) => match texts.iter_mut().find(|(known, _)| *known == text) {
                        Some((_, places)) => {
                            assert!(places.len() < SHARED_MAX, "too many matchers share {text}");
                            places.push(at);
                        }
                        None => texts.push((text, vec![at])),
                    },
                }
            }
        }
        let numeric = digits.iter().chain(&words).chain([&parts]).any(|kinds| !kinds.is_empty());
        let mut signs = [false; 256];
        (b'0'..=b'9').for_each(|digit| signs[usize::from(digit)] = numeric);
        for (text, _) in &texts {
            // The one that is rarest in names and prose.
            let mark = text.bytes().find(|byte| !byte.is_ascii_alphanumeric() && *byte != b' ');
            signs[usize::from(mark.unwrap_or(text.as_bytes()[0]))] = true;
        }
        let texts = texts
            .into_iter()
            .map(|(text, places)| (memmem::Finder::new(text).into_owned(), places))
            .collect();
        Finder { matchers, texts, digits, words, parts, tokens, numeric, signs, custom }
    }

    /// Whether it looks for nothing.
    pub fn is_empty(&self) -> bool {
        self.matchers.is_empty() && self.custom.is_empty()
    }

    /// Writes the values in a text to `found`, from left to right. `label`: what the text is called, such as the
    /// name of the JSON member it is the value of.
    ///
    /// None overlap: those that do are one value, of the kind among theirs with the lowest number, so that
    /// nothing of either is left over.
    pub fn find(&self, text: &str, label: &str, found: &mut Vec<Finding>) {
        found.clear();
        let nearby = Nearby::new(text, label);
        let signed = text.len() > SHORT_MAX || text.bytes().any(|byte| self.signs[usize::from(byte)]);
        if signed {
            self.find_at_texts(text, &nearby, found);
        }
        if self.tokens.1 <= text.len() {
            self.find_at_tokens(text, &nearby, found);
        }
        if self.numeric && signed {
            self.find_at_digits(text, &nearby, found);
        }
        for (kind, custom) in &self.custom {
            custom.find(text, |range| found.push(Finding { kind: *kind, range }));
        }
        merge(found);
    }

    /// Asks one matcher; the end of what it found.
    fn ask(&self, place: usize, spot: &Spot, found: &mut Vec<Finding>) -> Option<usize> {
        let (kind, matcher) = &self.matchers[place];
        let range = (matcher.at)(spot)?;
        debug_assert!(spot.from <= range.start && range.start < range.end, "{range:?} of {kind}");
        let end = range.end;
        found.push(Finding { kind: *kind, range });
        Some(end)
    }

    fn find_at_texts<'t>(&self, text: &'t str, nearby: &'t Nearby<'t>, found: &mut Vec<Finding>) {
        for (anchor, places) in &self.texts {
            let len = anchor.needle().len();
            // Where the last value of each matcher ended.
            let mut taken = [0; SHARED_MAX];
            for at in anchor.find_iter(text.as_bytes()) {
                for (from, &place) in taken.iter_mut().zip(places) {
                    if at >= *from {
                        let spot = Spot::new(text, nearby, *from, at..at + len);
                        *from = self.ask(place, &spot, found).unwrap_or(*from);
                    }
                }
            }
        }
    }

    /// Goes from one run of a token's characters to the next that is long enough: it looks at the byte where such a run
    /// would have to go on, and most often needs to look at few before.
    fn find_at_tokens<'t>(&self, text: &'t str, nearby: &'t Nearby<'t>, found: &mut Vec<Finding>) {
        let bytes = text.as_bytes();
        let (places, least) = self.tokens;
        let mut start = 0;
        while start + least <= bytes.len() {
            step();
            let last = start + least - 1;
            let gap = bytes[start..=last].iter().rposition(|&byte| !is_token(byte));
            if let Some(gap) = gap {
                start += gap + 1;
                continue;
            }
            let len = bytes[last..].iter().take_while(|&&byte| is_token(byte)).inspect(|_| step()).count();
            let end = last + len;
            let spot = Spot::new(text, nearby, 0, start..end);
            for place in places.ids() {
                self.ask(usize::from(place), &spot, found);
            }
            start = end + 1;
        }
    }

    fn find_at_digits<'t>(&self, text: &'t str, nearby: &'t Nearby<'t>, found: &mut Vec<Finding>) {
        let bytes = text.as_bytes();
        let mut number = Number::default();
        // Where words may begin, where the last value ended, and where the last group of digits did.
        let mut from = 0;
        let mut taken = 0;
        let mut group_end = usize::MAX;
        while let Some(digit) = next_digit(bytes, from) {
            let before = bytes[from..digit].iter().rev().take_while(|byte| byte.is_ascii_alphanumeric());
            let start = digit - before.inspect(|_| step()).count();
            let mut end = digit;
            let mut pure = start == digit;
            while let Some(byte) = bytes.get(end).filter(|byte| byte.is_ascii_alphanumeric()) {
                step();
                pure &= byte.is_ascii_digit();
                end += 1;
            }
            let mut spot = Spot::new(text, nearby, taken, start..end);
            let mut asked = KindSet::NONE;
            if pure {
                let goes_on =
                    group_end < start && start - group_end == 1 && matches!(bytes[group_end], b' ' | b'-');
                number.read(text, start, !goes_on);
                group_end = end;
                spot.number = Some(&number);
                let mut sums = number.sums;
                while sums != 0 {
                    asked = asked.or(self.digits[sums.trailing_zeros() as usize]);
                    sums &= sums - 1;
                }
            } else if end - start <= WORD_MAX {
                asked = self.words[end - start];
            }
            if is_part(bytes, start..end) {
                asked = asked.or(self.parts);
            }
            for place in asked.ids() {
                taken = taken.max(self.ask(usize::from(place), &spot, found).unwrap_or(0));
            }
            from = end.max(taken);
        }
    }
}

/// Whether a word may be a group of an address: as long as one, with a separator beside it.
fn is_part(bytes: &[u8], word: Range<usize>) -> bool {
    let before = word.start.checked_sub(1).map_or(0, |at| bytes[at]);
    let after = bytes.get(word.end).copied().unwrap_or(0);
    match word.len() {
        1 | 3 => before == b':' || after == b':',
        2 => matches!(before, b':' | b'-') || matches!(after, b':' | b'-'),
        4 => matches!(before, b':' | b'.') || matches!(after, b':' | b'.'),
        _ => false,
    }
}

/// The characters that tokens are made of, by byte.
const TOKEN: [bool; 256] = {
    let mut set = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let c = byte as u8;
        set[byte] = c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
        byte += 1;
    }
    set
};

fn is_token(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// Where the next digit stands.
fn next_digit(bytes: &[u8], from: usize) -> Option<usize> {
    const BLOCK: usize = 32;
    let is_digit = |byte: &u8| byte.wrapping_sub(b'0') < 10;
    let mut at = from;
    // A whole block at once, in vectors.
    while let Some(block) = bytes.get(at..at + BLOCK) {
        if block.iter().fold(false, |any, byte| any | is_digit(byte)) {
            let words = block.chunks_exact(8);
            let first = words
                .map(|word| digits_in(word.try_into().unwrap_or_default()))
                .position(|mask| mask != 0)?;
            let word = block[8 * first..8 * first + 8].try_into().unwrap_or_default();
            return Some(at + 8 * first + digits_in(word).trailing_zeros() as usize / 8);
        }
        at += BLOCK;
    }
    bytes.get(at..)?.iter().position(is_digit).map(|skip| at + skip)
}

/// The highest bit of each byte that is a digit.
fn digits_in(word: [u8; 8]) -> u64 {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const ONES: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_le_bytes(word);
    let low = word & !HIGH;
    // Adding carries into the highest bit from '0' on, and from the one behind '9' on.
    let from_zero = low + ONES * (0x80 - b'0' as u64);
    let beyond_nine = low + ONES * (0x80 - b'9' as u64 - 1);
    from_zero & !beyond_nine & !word & HIGH
}

/// Sorts findings and makes one of those that overlap.
fn merge(found: &mut Vec<Finding>) {
    if found.len() < 2 {
        return;
    }
    found.sort_by_key(|finding| finding.range.start);
    found.dedup_by(|next, last| {
        let overlaps = next.range.start < last.range.end;
        if overlaps {
            last.kind = last.kind.min(next.kind);
            last.range.end = last.range.end.max(next.range.end);
        }
        overlaps
    });
}

/// What one matcher finds in a text.
#[cfg(test)]
pub(crate) fn found_by(matcher: Matcher, text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    Finder::new(vec![(0, matcher)], Vec::new()).find(text, "", &mut found);
    found.into_iter().map(|finding| &text[finding.range]).collect()
}
