//! The kinds of personal data: a row for each, in the order of the numbers that cross the boundary.

mod card;
mod email;

use crate::pii::matcher::Matcher;

/// A kind of personal data. Everything that is said of kinds, here and in JavaScript, is said from its row.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// In the configuration and in metrics: lower case letters, digits and `_`.
    pub name: &'static str,
    /// The name of its count in log lines.
    pub counted: &'static str,
    /// What stands in a value's place: `EMAIL` for `[EMAIL_1]`. Upper case letters, digits and `_`, with a letter first.
    pub placeholder: &'static str,
    /// One of it, within a sentence: `an e-mail address`.
    pub one: &'static str,
    /// Several, at a sentence's beginning: `E-mail addresses`.
    pub several: &'static str,
    /// Masked unless configured otherwise.
    pub on: bool,
    /// What finds it.
    pub matcher: Matcher,
}

/// All kinds. Where values of two overlap, the kind listed first has it: an address that holds a card number is an
/// address.
pub const KINDS: [Kind; 2] = [
    Kind {
        name: "email",
        counted: "emails",
        placeholder: "EMAIL",
        one: "an e-mail address",
        several: "E-mail addresses",
        on: true,
        matcher: email::MATCHER,
    },
    Kind {
        name: "card",
        counted: "cards",
        placeholder: "CARD",
        one: "a payment card number",
        several: "Payment card numbers",
        on: true,
        matcher: card::MATCHER,
    },
];

/// How long a placeholder's name may be, in bytes.
pub const PLACEHOLDER_MAX: usize = 24;

/// A kind's number: its place in [`KINDS`].
pub type KindId = u8;

/// Some of the kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindSet(u128);

const _: () = assert!(KINDS.len() <= u128::BITS as usize);

impl KindSet {
    /// None.
    pub const NONE: KindSet = KindSet(0);
    /// All.
    pub const ALL: KindSet = KindSet(u128::MAX >> (u128::BITS as usize - KINDS.len()));

    /// The kinds of these names; `None`: one is no kind's.
    pub fn named<'n>(names: impl IntoIterator<Item = &'n str>) -> Option<KindSet> {
        names.into_iter().try_fold(KindSet::NONE, |set, name| {
            let id = KINDS.iter().position(|kind| kind.name == name)?;
            Some(set.with(id as KindId))
        })
    }

    /// These and one more.
    #[must_use]
    pub fn with(self, id: KindId) -> KindSet {
        KindSet(self.0 | 1 << id)
    }

    /// The kinds of either.
    #[must_use]
    pub fn or(self, other: KindSet) -> KindSet {
        KindSet(self.0 | other.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Their numbers, rising.
    pub fn ids(self) -> impl Iterator<Item = KindId> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let id = left.trailing_zeros();
            // Takes the lowest one away.
            left &= left.wrapping_sub(1);
            (id < u128::BITS).then_some(id as KindId)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::matcher::Anchor;

    #[test]
    fn rows_are_well_formed() {
        for (at, kind) in KINDS.iter().enumerate() {
            let plain = |text: &str, letter: fn(&u8) -> bool| {
                text.bytes().all(|byte| letter(&byte) || byte.is_ascii_digit() || byte == b'_')
                    && text.as_bytes().first().is_some_and(letter)
            };
            assert!(plain(kind.name, u8::is_ascii_lowercase), "{}", kind.name);
            assert!(plain(kind.placeholder, u8::is_ascii_uppercase), "{}", kind.placeholder);
            assert!(kind.placeholder.len() <= PLACEHOLDER_MAX, "{}", kind.placeholder);
            for other in &KINDS[..at] {
                assert_ne!(kind.name, other.name);
                assert_ne!(kind.counted, other.counted);
                assert_ne!(kind.placeholder, other.placeholder);
            }
            match kind.matcher.anchor {
                Anchor::Byte(byte) => assert!(byte.is_ascii()),
                Anchor::Digits(digits) => assert!(digits >= 2),
            }
        }
    }

    #[test]
    fn sets_are_made_of_names() {
        assert_eq!(KindSet::named(KINDS.iter().map(|kind| kind.name)), Some(KindSet::ALL));
        assert_eq!(KindSet::named(["card", "email"]), KindSet::named(["email", "card"]));
        assert_eq!(KindSet::named(["card"]).unwrap().ids().collect::<Vec<_>>(), [1]);
        assert_eq!(KindSet::named([]), Some(KindSet::NONE));
        assert_eq!(KindSet::named(["email", "shoe size"]), None);
        assert_eq!(KindSet::ALL.ids().count(), KINDS.len());
        assert!(KindSet::NONE.is_empty() && KindSet::NONE.ids().next().is_none());
    }
}
