//! Finds values of several kinds in one text.

use std::ops::Range;

use memchr::memmem;

use crate::pii::context::Nearby;
use crate::pii::custom::Custom;
use crate::pii::edges::is_free_before;
use crate::pii::kind_set::{KindId, KindSet};
use crate::pii::marks::{Class, Marks, RUN_MIN, SIGNS};
use crate::pii::matcher::{Anchor, Matcher, Spot};
use crate::pii::number::{Number, next_group};
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
/// Most matchers that share a text as their anchor.
const SHARED_MAX: usize = 4;

/// What a search found, and memory that the next one uses again.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// The values, from left to right.
    pub found: Vec<Finding>,
    marks: Marks,
}

/// Looks for some kinds. Made once for a configuration, used for every request.
#[derive(Clone, Debug)]
pub struct Finder {
    matchers: Vec<(KindId, Matcher)>,
    /// Texts of one byte, each at the place that it has in [`SIGNS`].
    signs: [Vec<usize>; SIGNS.len()],
    /// Longer ones.
    texts: Vec<(memmem::Finder<'static>, Vec<usize>)>,
    /// For each count of digits, the matchers that want to see it.
    digits: [KindSet; 32],
    /// For each length of a word with digits in it.
    words: Vec<KindSet>,
    /// Those of groups of an address.
    parts: KindSet,
    /// Those of members.
    members: KindSet,
    /// Those of tokens, and how long the shortest is that one wants to see.
    tokens: (KindSet, usize),
    /// Whether anything is anchored at digits.
    numeric: bool,
    /// Those that a value isn't of where it is of another one too.
    last: KindSet,
    /// What the configuration defines.
    custom: Vec<(KindId, Custom)>,
    /// Longest value of these, in bytes.
    pub custom_max: usize,
    /// Longest value of these that has a space in it, in bytes; 0: none has.
    pub spaced_max: usize,
}

impl Default for Finder {
    fn default() -> Self {
        Finder::new(Vec::new(), Vec::new())
    }
}

impl Finder {
    /// Looks for what these matchers find, and for what the configuration defines.
    pub fn new(matchers: Vec<(KindId, Matcher)>, custom: Vec<(KindId, Custom)>) -> Self {
        let mut signs = [const { Vec::new() }; SIGNS.len()];
        let mut texts: Vec<(&str, Vec<usize>)> = Vec::new();
        let mut digits = [KindSet::NONE; 32];
        let mut words = vec![KindSet::NONE; WORD_MAX + 1];
        let mut parts = KindSet::NONE;
        let mut members = KindSet::NONE;
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
                    Anchor::Member => members = members.with(place),
                    Anchor::Token(least) => tokens = (tokens.0.with(place), least.min(tokens.1)),
                    Anchor::Text(text) => {
                        let sign = SIGNS.iter().position(|&sign| text.as_bytes() == [sign]);
                        let known = texts.iter().position(|(known, _)| *known == text);
                        match (sign, known) {
                            (Some(sign), _) => signs[sign].push(at),
                            (None, Some(known)) => texts[known].1.push(at),
                            (None, None) => texts.push((text, vec![at])),
                        }
                    }
                }
            }
        }
        let shared = texts.iter().map(|(_, matchers)| matchers).chain(&signs).map(Vec::len);
        assert!(shared.max() <= Some(SHARED_MAX), "too many matchers share an anchor");
        assert!(tokens.1 >= RUN_MIN, "a token has {RUN_MIN} characters or more");
        let texts = texts
            .into_iter()
            .map(|(text, matchers)| (memmem::Finder::new(text).into_owned(), matchers))
            .collect();
        let numeric = digits.iter().chain(&words).chain([&parts]).any(|kinds| !kinds.is_empty());
        let most =
            |length: fn(&Custom) -> usize| custom.iter().map(|(_, custom)| length(custom)).max().unwrap_or(0);
        let (custom_max, spaced_max) = (most(|custom| custom.longest), most(|custom| custom.spaced_max));
        Finder {
            matchers,
            signs,
            texts,
            digits,
            words,
            parts,
            members,
            tokens,
            numeric,
            last: KindSet::NONE,
            custom,
            custom_max,
            spaced_max,
        }
    }

    /// The same where values of these kinds stay as they are: they mustn't keep another that they touch from being replaced.
    #[must_use]
    pub fn with_last(self, last: KindSet) -> Self {
        Finder { last, ..self }
    }

    /// Whether it looks for nothing.
    pub fn is_empty(&self) -> bool {
        self.matchers.is_empty() && self.custom.is_empty()
    }

    /// Looks for the values in a text. `label`: what the text is called, such as the name of the JSON member it is the
    /// value of.
    ///
    /// None overlap, as [`Finder::merge`] has it.
    pub fn find(&self, text: &str, label: &str, search: &mut Search) {
        let Search { found, marks } = search;
        found.clear();
        marks.read(text.as_bytes());
        self.find_at_signs(text, label, marks, found);
        self.find_at_texts(text, label, found);
        if self.tokens.1 <= text.len() {
            self.find_at_tokens(text, label, marks, found);
        }
        if self.numeric {
            self.find_at_digits(text, label, marks, found);
        }
        for (kind, custom) in &self.custom {
            custom.find(text, |range| found.push(Finding { kind: *kind, range }));
        }
        self.merge(found);
    }

    /// Looks again at a text in which values were looked for: it is what a tool is given or gives as the member `label`.
    pub fn find_member(&self, text: &str, label: &str, found: &mut Vec<Finding>) {
        let nearby = Nearby::new(text, label);
        let spot = Spot::new(text, &nearby, 0, 0..text.len());
        let before = found.len();
        for place in self.members.ids() {
            self.ask(usize::from(place), &spot, found);
        }
        if found.len() > before {
            self.merge(found);
        }
    }

    /// Sorts findings and makes one of those that overlap, of the kind among theirs with the lowest number, so that nothing
    /// of either is left over.
    pub(crate) fn merge(&self, found: &mut Vec<Finding>) {
        if found.len() < 2 {
            return;
        }
        let rank = |kind: KindId| (self.last.has(kind), kind);
        found.sort_by_key(|finding| finding.range.start);
        found.dedup_by(|next, last| {
            let overlaps = next.range.start < last.range.end;
            if overlaps {
                if rank(next.kind) < rank(last.kind) {
                    last.kind = next.kind;
                }
                last.range.end = last.range.end.max(next.range.end);
            }
            overlaps
        });
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

    fn find_at_signs(&self, text: &str, label: &str, marks: &Marks, found: &mut Vec<Finding>) {
        let nearby = Nearby::new(text, label);
        // Where the last value of each matcher ended.
        let mut taken = [[0; SHARED_MAX]; SIGNS.len()];
        let signs = marks.of(Class::Signs);
        let mut next = 0;
        while let Some(at) = signs.next(next) {
            next = at + 1;
            let Some(sign) = SIGNS.iter().position(|&sign| sign == text.as_bytes()[at]) else { continue };
            for (from, &matcher) in taken[sign].iter_mut().zip(&self.signs[sign]) {
                if at >= *from {
                    let spot = Spot::new(text, &nearby, *from, at..next);
                    *from = self.ask(matcher, &spot, found).unwrap_or(*from);
                }
            }
        }
    }

    fn find_at_texts(&self, text: &str, label: &str, found: &mut Vec<Finding>) {
        for (anchor, matchers) in &self.texts {
            let nearby = Nearby::new(text, label);
            let len = anchor.needle().len();
            let mut taken = [0; SHARED_MAX];
            for at in anchor.find_iter(text.as_bytes()) {
                for (from, &matcher) in taken.iter_mut().zip(matchers) {
                    if at >= *from {
                        let spot = Spot::new(text, &nearby, *from, at..at + len);
                        *from = self.ask(matcher, &spot, found).unwrap_or(*from);
                    }
                }
            }
        }
    }

    fn find_at_tokens(&self, text: &str, label: &str, marks: &Marks, found: &mut Vec<Finding>) {
        let nearby = Nearby::new(text, label);
        let (places, least) = self.tokens;
        let tokens = marks.of(Class::Tokens);
        let mut from = 0;
        while let Some(token) = tokens.next_run(from, least) {
            from = token.end;
            let spot = Spot::new(text, &nearby, 0, token);
            for place in places.ids() {
                self.ask(usize::from(place), &spot, found);
            }
        }
    }

    fn find_at_digits(&self, text: &str, label: &str, marks: &Marks, found: &mut Vec<Finding>) {
        let bytes = text.as_bytes();
        let nearby = Nearby::new(text, label);
        let mut number = Number::default();
        // Where words may begin, where the last value ended, the last group of digits, and the last address that is none.
        let mut from = 0;
        let mut taken = 0;
        let mut group_end = usize::MAX;
        let mut parts_end = 0;
        let (digits, words) = (marks.of(Class::Digits), marks.of(Class::Words));
        while let Some(digit) = digits.next(from) {
            let start = words.run_start(digit, from);
            let end = words.run_end(digit);
            let mut spot = Spot::new(text, &nearby, taken, start..end);
            let mut asked = KindSet::NONE;
            if start == digit && digits.run_end(digit) >= end {
                let goes_on =
                    group_end < start && next_group(bytes, group_end).is_some_and(|(at, _)| at == start);
                group_end = end;
                if goes_on && is_spelled(bytes, start) {
                    from = end;
                    continue;
                }
                // What belongs to something before it is no number by itself.
                if is_free_before(&text[..start]) {
                    number.read(text, start..end, !goes_on);
                    spot.number = Some(&number);
                    let mut sums = number.sums;
                    while sums != 0 {
                        asked = asked.or(self.digits[sums.trailing_zeros() as usize]);
                        sums &= sums - 1;
                    }
                }
            } else if end - start <= WORD_MAX {
                asked = self.words[end - start];
            }
            if start >= parts_end && is_part(bytes, start..end) {
                asked = asked.or(self.parts);
                parts_end = address_end(bytes, end);
            }
            for place in asked.ids() {
                taken = taken.max(self.ask(usize::from(place), &spot, found).unwrap_or(0));
            }
            from = end.max(taken);
        }
    }
}

/// Whether digits stand one by one here. A number that is spelled so is asked about at its first digit only: each of the
/// others would cost as much, and begins none.
fn is_spelled(bytes: &[u8], at: usize) -> bool {
    let single = |at: usize| {
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        digit(at) && !digit(at + 1)
    };
    let spells = |&(next, gap): &(usize, u8)| matches!(gap, b' ' | b'-' | b')') && single(next);
    single(at) && next_group(bytes, at + 1).as_ref().is_some_and(spells)
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

/// Where what may be one address with a group that ends there has ended: whether it is one is asked about at its first group
/// only.
fn address_end(bytes: &[u8], group_end: usize) -> usize {
    let belongs = |byte: &&u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    group_end + bytes[group_end..].iter().inspect(|_| step()).take_while(belongs).count()
}

/// What one matcher finds in a text.
#[cfg(test)]
pub(crate) fn found_by(matcher: Matcher, text: &str) -> Vec<&str> {
    let mut search = Search::default();
    Finder::new(vec![(0, matcher)], Vec::new()).find(text, "", &mut search);
    search.found.into_iter().map(|finding| &text[finding.range]).collect()
}
