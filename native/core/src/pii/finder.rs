//! Finds values of several kinds in one text.

use std::ops::Range;

use memchr::memmem;

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
    /// Those of tokens, and how long the shortest is that one wants to see.
    tokens: (KindSet, usize),
    /// Whether anything is anchored at digits.
    numeric: bool,
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
                    Anchor::Token(least) => tokens = (tokens.0.with(place), least.min(tokens.1)),
                    Anchor::Text(text) => match texts.iter_mut().find(|(known, _)| *known == text) {
                        Some((_, places)) => places.push(at),
                        None => texts.push((text, vec![at])),
                    },
                }
            }
        }
        let numeric = digits.iter().chain(&words).any(|kinds| !kinds.is_empty());
        let texts = texts
            .into_iter()
            .map(|(text, places)| (memmem::Finder::new(text).into_owned(), places))
            .collect();
        Finder { matchers, texts, digits, words, tokens, numeric, custom }
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
        self.find_at_texts(text, label, found);
        if self.tokens.1 <= text.len() {
            self.find_at_tokens(text, label, found);
        }
        if self.numeric {
            self.find_at_digits(text, label, found);
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

    fn find_at_texts(&self, text: &str, label: &str, found: &mut Vec<Finding>) {
        for (anchor, places) in &self.texts {
            let len = anchor.needle().len();
            for &place in places {
                let mut from = 0;
                let mut search = 0;
                while let Some(skip) = anchor.find(&text.as_bytes()[search..]) {
                    let at = search + skip;
                    let end = self.ask(place, &Spot::new(text, label, from, at..at + len), found);
                    from = end.unwrap_or(from);
                    search = from.max(at + len);
                }
            }
        }
    }

    /// Goes from one run of a token's characters to the next that is long enough: it looks at the byte where such a run
    /// would have to go on, and most often needs to look at few before.
    fn find_at_tokens(&self, text: &str, label: &str, found: &mut Vec<Finding>) {
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
            let spot = Spot::new(text, label, 0, start..end);
            for place in places.ids() {
                self.ask(usize::from(place), &spot, found);
            }
            start = end + 1;
        }
    }

    fn find_at_digits(&self, text: &str, label: &str, found: &mut Vec<Finding>) {
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
            let mut spot = Spot::new(text, label, taken, start..end);
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
            for place in asked.ids() {
                taken = taken.max(self.ask(usize::from(place), &spot, found).unwrap_or(0));
            }
            from = end.max(taken);
        }
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
            break;
        }
        at += BLOCK;
    }
    bytes[at..].iter().position(is_digit).map(|skip| at + skip)
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
