//! Identity numbers of the United States.

use std::ops::Range;

use super::ids::{digits_at, digits_near};
use crate::pii::checks::number;
use crate::pii::context::Context;
use crate::pii::edges::{is_free_after, is_free_before};
use crate::pii::matcher::{Anchor, Matcher, Spot};

/// Social security numbers, `123-45-6789` or near a word for them.
pub const SSN: Matcher = Matcher { anchors: &[Anchor::Digits(1 << 9)], at: ssn_at };
/// Individual taxpayer numbers, whose form is that of social security numbers.
pub const ITIN: Matcher = Matcher { anchors: &[Anchor::Digits(1 << 9)], at: itin_at };
/// Passports of any country, near a word for them.
pub const PASSPORT: Matcher =
    Matcher { anchors: &[Anchor::Digits(0x3C0), Anchor::Word(7, 9)], at: passport_at };
/// Driver's licences, near a word for them.
pub const LICENCE: Matcher =
    Matcher { anchors: &[Anchor::Digits(0x7FC0), Anchor::Word(4, 16)], at: licence_at };

const GROUPS: (&[usize], &[u8]) = (&[3, 2, 4], b"-");

fn ssn_at(spot: &Spot) -> Option<Range<usize>> {
    digits_at(spot, 9, GROUPS, Context::Ssn, |digits| {
        let area = number(&digits[..3]);
        !matches!(area, 0 | 666 | 900..) && digits[3..5] != [0, 0] && digits[5..] != [0; 4]
    })
}

fn itin_at(spot: &Spot) -> Option<Range<usize>> {
    digits_at(spot, 9, GROUPS, Context::Itin, |digits| {
        let group = digits[3] * 10 + digits[4];
        digits[0] == 9 && matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99)
    })
}

fn passport_at(spot: &Spot) -> Option<Range<usize>> {
    if let Some(number) = spot.number {
        return number.lengths(0x380).find_map(|len| digits_near(spot, len, Context::Passport, |_| true));
    }
    near(spot, Context::Passport, 6)
}

fn licence_at(spot: &Spot) -> Option<Range<usize>> {
    if let Some(number) = spot.number {
        return number.lengths(0x7FC0).find_map(|len| digits_near(spot, len, Context::Licence, |_| true));
    }
    grouped_licence(spot).or_else(|| near(spot, Context::Licence, 4))
}

/// A letter and groups of digits, as some states write them: `D123-456-78-901-0`, `D123-4567-8901`.
fn grouped_licence(spot: &Spot) -> Option<Range<usize>> {
    let [letter, first @ ..] = spot.word().as_bytes() else { return None };
    if !letter.is_ascii_alphabetic() || first.len() != 3 || !first.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let rest = spot.bytes()[spot.anchor.end..].iter().take(GROUPED_MAX);
    let tail: Vec<u8> = rest.take_while(|byte| byte.is_ascii_digit() || **byte == b'-').copied().collect();
    let digits = tail.iter().filter(|byte| byte.is_ascii_digit()).count();
    let dashed = tail.first() == Some(&b'-') && tail.last().is_some_and(u8::is_ascii_digit);
    let end = spot.anchor.end + tail.len();
    let alone = is_free_before(&spot.text[..spot.anchor.start]) && is_free_after(&spot.text[end..]);
    (dashed && (8..=10).contains(&digits) && alone && spot.near(Context::Licence))
        .then_some(spot.anchor.start..end)
}

/// Longest tail of such a licence.
const GROUPED_MAX: usize = 16;

/// A word with so many digits near the context's words.
fn near(spot: &Spot, context: Context, digits_min: usize) -> Option<Range<usize>> {
    let word = spot.lone()?;
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    (digits >= digits_min && !word.starts_with("0x") && spot.near(context)).then(|| spot.anchor.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::finder::found_by;

    #[test]
    fn finds_numbers() {
        assert_eq!(found_by(SSN, "it is 536-22-8726."), ["536-22-8726"]);
        assert_eq!(found_by(SSN, "SSN: 536228726 or 536 22 8726"), ["536228726", "536 22 8726"]);
        for text in [
            "666-22-8726",
            "900-22-8726",
            "536-00-8726",
            "536-22-0000",
            "536228726",
            "1536-22-8726",
            "SSN: 536-22-87261",
        ] {
            assert_eq!(found_by(SSN, text), [""; 0], "{text}");
        }
        assert_eq!(found_by(ITIN, "912-78-3456 and 912-13-3456"), ["912-78-3456"]);
        assert_eq!(found_by(PASSPORT, "Passport No. C01234567, 512345678"), ["C01234567", "512345678"]);
        assert_eq!(found_by(LICENCE, "driver's license: D1234567"), ["D1234567"]);
        assert_eq!(
            found_by(LICENCE, "DL D123-456-78-901-0, D123-4567-8901."),
            ["D123-456-78-901-0", "D123-4567-8901"]
        );
        assert_eq!(found_by(LICENCE, "in D1234567 or D123-4567-8901, DL D123-"), [""; 0]);
    }
}
