//! Personal data in text: e-mail addresses and payment card numbers.

use std::ops::Range;

use crate::pii::card::next_card;
use crate::pii::email::next_email;

/// What a finding is. The number is the one that crosses the boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An e-mail address.
    Email = 1,
    /// A payment card number.
    Card = 2,
}

/// Which kinds are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    /// E-mail addresses.
    pub email: bool,
    /// Payment card numbers.
    pub card: bool,
}

impl Kinds {
    /// From bits: 1 e-mail, 2 card numbers. Others mean nothing.
    pub fn from_bits(bits: u32) -> Kinds {
        Kinds { email: bits & 1 != 0, card: bits & 2 != 0 }
    }

    /// Whether nothing is looked for.
    pub fn is_empty(self) -> bool {
        !self.email && !self.card
    }
}

/// Walks the findings of one text from left to right. They never overlap: an address that holds a card number
/// is an address.
pub struct Findings<'t> {
    text: &'t str,
    email: Option<Range<usize>>,
    card: Option<Range<usize>>,
}

impl<'t> Findings<'t> {
    /// Looks for `kinds` in `text`.
    pub fn new(text: &'t str, kinds: Kinds) -> Self {
        let email = if kinds.email { next_email(text, 0) } else { None };
        let card = if kinds.card { next_card(text, 0) } else { None };
        Findings { text, email, card }
    }
}

impl Iterator for Findings<'_> {
    type Item = (Kind, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(card) = self.card.clone() {
            let before = self.email.as_ref().is_none_or(|email| card.end <= email.start);
            if !before && self.email.as_ref().is_some_and(|email| email.end <= card.start) {
                break;
            }
            self.card = next_card(self.text, card.end);
            if before {
                return Some((Kind::Card, card));
            }
        }
        let email = self.email.take()?;
        self.email = next_email(self.text, email.end);
        Some((Kind::Email, email))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str, bits: u32) -> Vec<(Kind, &str)> {
        Findings::new(text, Kinds::from_bits(bits)).map(|(kind, range)| (kind, &text[range])).collect()
    }

    #[test]
    fn finds_both_kinds_in_order() {
        let text = "4111111111111111 a@b.cc 5555555555554444, c@d.ee";
        let all = [
            (Kind::Card, "4111111111111111"),
            (Kind::Email, "a@b.cc"),
            (Kind::Card, "5555555555554444"),
            (Kind::Email, "c@d.ee"),
        ];
        assert_eq!(find(text, 3), all);
        assert_eq!(find(text, 1), [all[1], all[3]]);
        assert_eq!(find(text, 2), [all[0], all[2]]);
        assert_eq!(find(text, 0), []);
    }

    #[test]
    fn an_address_that_holds_a_card_is_an_address() {
        let text = "4111111111111111@b.cc 5555555555554444";
        let address = (Kind::Email, "4111111111111111@b.cc");
        assert_eq!(find(text, 3), [address, (Kind::Card, "5555555555554444")]);
        assert_eq!(find(text, 2), [(Kind::Card, "4111111111111111"), (Kind::Card, "5555555555554444")]);
        let text = "a@4111111111111111.cc, c@d.ee";
        assert_eq!(find(text, 3), [(Kind::Email, "a@4111111111111111.cc"), (Kind::Email, "c@d.ee")]);
    }
}
