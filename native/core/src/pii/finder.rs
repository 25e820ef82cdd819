//! Finds values of several kinds in one text.

use std::ops::Range;

use memchr::memchr;

use crate::pii::digits::longest_run;
use crate::pii::kinds::{KINDS, KindId, KindSet};
use crate::pii::matcher::Anchor;

/// A value in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: KindId,
    /// Where it is, in bytes.
    pub range: Range<usize>,
}

/// Looks for some kinds. Made once for a configuration, used for every request.
#[derive(Clone, Debug, Default)]
pub struct Finder {
    /// Each byte that is an anchor, and whose.
    bytes: Vec<(u8, KindSet)>,
    /// Each count of digits that is an anchor, rising, and whose.
    digits: Vec<(usize, KindSet)>,
}

impl Finder {
    /// Looks for these kinds.
    pub fn new(kinds: KindSet) -> Self {
        let mut finder = Finder::default();
        for id in kinds.ids() {
            match KINDS[usize::from(id)].matcher.anchor {
                Anchor::Byte(byte) => add(&mut finder.bytes, byte, id),
                Anchor::Digits(digits) => add(&mut finder.digits, digits, id),
            }
        }
        finder.digits.sort_unstable_by_key(|&(digits, _)| digits);
        finder
    }

    /// Whether it looks for nothing.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.digits.is_empty()
    }

    /// The kinds whose anchor is in a text; of others it holds no value.
    #[inline]
    pub fn anchored(&self, text: &[u8]) -> KindSet {
        let mut found = KindSet::NONE;
        for &(byte, kinds) in &self.bytes {
            if memchr(byte, text).is_some() {
                found = found.or(kinds);
            }
        }
        if let (Some(&(least, _)), Some(&(most, _))) = (self.digits.first(), self.digits.last())
            && text.len() >= least
        {
            let longest = longest_run(text, least, most);
            for &(_, kinds) in self.digits.iter().take_while(|&&(digits, _)| digits <= longest) {
                found = found.or(kinds);
            }
        }
        found
    }

    /// Writes the values of these kinds in a text to `found`, from left to right; none overlap. Of those that do, the
    /// one whose kind is listed first in [`KINDS`] stays.
    pub fn find(text: &str, kinds: KindSet, found: &mut Vec<Finding>) {
        found.clear();
        for kind in kinds.ids() {
            let before = found.len();
            let mut others = 0;
            let mut from = 0;
            while let Some(range) = (KINDS[usize::from(kind)].matcher.next)(text, from) {
                from = range.end;
                while others < before && found[others].range.end <= range.start {
                    others += 1;
                }
                if others == before || range.end <= found[others].range.start {
                    found.push(Finding { kind, range });
                }
            }
            if before > 0 && found.len() > before && found[before].range.start < found[before - 1].range.start
            {
                // Two rising parts, which a stable sort merges in linear time.
                found.sort_by_key(|finding| finding.range.start);
            }
        }
    }
}

fn add<A: PartialEq>(anchors: &mut Vec<(A, KindSet)>, anchor: A, id: KindId) {
    match anchors.iter_mut().find(|(known, _)| *known == anchor) {
        Some((_, kinds)) => *kinds = kinds.with(id),
        None => anchors.push((anchor, KindSet::NONE.with(id))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find<'t>(text: &'t str, names: &[&str]) -> Vec<(&'static str, &'t str)> {
        let finder = Finder::new(KindSet::named(names.iter().copied()).unwrap());
        let mut found = Vec::new();
        Finder::find(text, finder.anchored(text.as_bytes()), &mut found);
        let name = |kind| KINDS[usize::from(kind)].name;
        found.into_iter().map(|Finding { kind, range }| (name(kind), &text[range])).collect()
    }

    #[test]
    fn finds_several_kinds_in_order() {
        let text = "4111111111111111 a@b.cc 5555555555554444, c@d.ee";
        let all = [
            ("card", "4111111111111111"),
            ("email", "a@b.cc"),
            ("card", "5555555555554444"),
            ("email", "c@d.ee"),
        ];
        assert_eq!(find(text, &["email", "card"]), all);
        assert_eq!(find(text, &["email"]), [all[1], all[3]]);
        assert_eq!(find(text, &["card"]), [all[0], all[2]]);
        assert_eq!(find(text, &[]), []);
    }

    #[test]
    fn an_address_that_holds_a_card_is_an_address() {
        let both = ["email", "card"].as_slice();
        let text = "4111111111111111@b.cc 5555555555554444";
        assert_eq!(find(text, both), [("email", "4111111111111111@b.cc"), ("card", "5555555555554444")]);
        assert_eq!(find(text, &["card"]), [("card", "4111111111111111"), ("card", "5555555555554444")]);
        let text = "a@4111111111111111.cc, c@d.ee";
        assert_eq!(find(text, both), [("email", "a@4111111111111111.cc"), ("email", "c@d.ee")]);
        // Begun before the address, it overlaps it all the same.
        assert_eq!(find("5555 5555 5555 4444@b.cc", both), [("email", "4444@b.cc")]);
    }

    #[test]
    fn only_kinds_with_their_anchor_are_asked() {
        let both = KindSet::named(["email", "card"]).unwrap();
        let finder = Finder::new(both);
        let anchored = |text: &str| finder.anchored(text.as_bytes());
        assert_eq!(anchored("at 12:30, 42 times"), KindSet::NONE);
        assert_eq!(anchored("@"), KindSet::named(["email"]).unwrap());
        assert_eq!(anchored("4111-1111 1111x @ 4111-1111 1111 1"), both);
        assert!(Finder::default().is_empty() && !finder.is_empty());
    }
}
