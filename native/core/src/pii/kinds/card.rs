//! Finds payment card numbers in text, in linear time.
//!
//! A number has 12 to 19 digits (ISO/IEC 7812-1), passes the Luhn check, and begins and is as long as the issuers' are.
//! Written in groups, a single space, dash or point apart, it must be grouped as cards are, or digit by digit;
//! otherwise every tenth row of a table of numbers would be a card.

use std::ops::Range;

use crate::pii::checks::{luhn, number};
use crate::pii::context::Context;
use crate::pii::matcher::{Anchor, Matcher, Spot};
use crate::pii::number::Taken;

/// Card numbers.
pub const MATCHER: Matcher = Matcher { anchors: &[Anchor::Digits(DIGITS)], at: card_at };

/// 12 to 19.
const DIGITS: u32 = 0xF_F000;

/// The longest card number that begins with a group.
fn card_at(spot: &Spot) -> Option<Range<usize>> {
    let number = spot.number?;
    let card = number.lengths(DIGITS).find_map(|len| {
        let taken = number.take(len)?;
        let whole = number.first && number.groups().len() == taken.groups.len();
        (is_plausible(&taken, whole) && is_card(&taken, spot)).then_some(taken)
    })?;
    Some(card.start()..card.end())
}

/// 4-4-4-4, 4-6-5 and the like; undivided; or, where the number is nothing else, one digit at a time.
fn is_plausible(taken: &Taken, whole: bool) -> bool {
    let size = |at: usize| taken.groups[at].end - taken.groups[at].start;
    let last = taken.groups.len() - 1;
    let gaps = || taken.groups[1..].iter().map(|group| group.gap);
    let apart = gaps().all(|gap| matches!(gap, b' ' | b'-')) || gaps().all(|gap| gap == b'.');
    let grouped = size(0) == 4 && (1..last).all(|at| (4..=6).contains(&size(at))) && size(last) <= 6;
    let single = whole && (0..=last).all(|at| size(at) == 1);
    taken.undivided() || apart && (grouped || single)
}

fn is_card(taken: &Taken, spot: &Spot) -> bool {
    let digits = taken.digits;
    let varied = digits.iter().any(|&digit| digit != digits[0]);
    let plausible = varied && luhn(digits);
    plausible
        && match issued(digits) {
            Issued::Usual => !taken.undivided() || !is_other(taken, spot) || spot.near(Context::Card),
            // A number of another kind in nine cases out of ten, unless it is called a card.
            Issued::Rarely => spot.near(Context::Card),
            Issued::Never => false,
        }
}

/// Whether words before it call it something else, or the name of what holds nothing but it.
fn is_other(taken: &Taken, spot: &Spot) -> bool {
    let all = taken.start() == 0 && taken.end() == spot.text.len();
    spot.after(Context::Other) || all && spot.near(Context::Other)
}

#[derive(PartialEq, Eq)]
enum Issued {
    Usual,
    Rarely,
    Never,
}

/// Whether issuers make numbers that begin so and are as long.
fn issued(digits: &[u8]) -> Issued {
    let usual = matches!(
        (number(&digits[..4]), digits.len()),
        (4000..=4999, 13 | 16 | 19)
            | (5100..=5599 | 2221..=2720 | 3528..=3589 | 6011 | 6440..=6599 | 6200..=6299, 16)
            | (3400..=3499 | 3700..=3799, 15)
            | (3000..=3059 | 3095..=3099 | 3600..=3699 | 3800..=3999, 14)
    );
    match (digits[0], digits.len()) {
        _ if usual => Issued::Usual,
        (3..=6, _) => Issued::Rarely,
        (1..=2, 15 | 16) if matches!(number(&digits[..4]), 1800 | 2131 | 2221..=2720) => Issued::Rarely,
        _ => Issued::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::finder::found_by;
    use crate::shared::steps::count;

    fn cards(text: &str) -> Vec<&str> {
        found_by(MATCHER, text)
    }

    #[test]
    fn finds_each_layout() {
        for card in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "4111 1111-1111 1111",
            "4111.1111.1111.1111",
            "3782 822463 10005",
            "378282246310005",
            "3056 930902 5904",
            "4222222222222",
            "5555555555554444",
            "6011000990139424",
            "2223003122003222",
            "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        ] {
            assert_eq!(cards(card), [card], "{card}");
            assert_eq!(cards(&format!("pay with {card}, please.")), [card], "{card}");
        }
    }

    #[test]
    fn knows_the_issuers() {
        let number = |prefix: &str| valid(prefix, 16);
        for prefix in ["2221", "2300", "2720", "3528", "4", "55", "50", "6"] {
            assert_eq!(cards(&format!("card {}", number(prefix))), [number(prefix)], "{prefix}");
        }
        for prefix in ["0", "1", "2220", "2721", "21", "28", "7", "8", "9"] {
            assert_eq!(cards(&number(prefix)), [""; 0], "{prefix}");
        }
    }

    /// The prefix, ones, and the check digit that makes it pass.
    fn valid(prefix: &str, len: usize) -> String {
        let body = format!("{prefix:1<width$}", width = len - 1);
        (0..10).map(|check| format!("{body}{check}")).find(|number| luhn(&digits(number))).unwrap()
    }

    #[test]
    fn keeps_to_the_lengths() {
        for len in 10..=25 {
            let number = valid("4", len);
            let expected = if (12..=19).contains(&len) { vec![number.as_str()] } else { Vec::new() };
            assert_eq!(cards(&format!("card {number}")), expected);
            // Wherever it stands.
            for before in 0..30 {
                assert_eq!(cards(&format!("{}; card {number};", "x".repeat(before))), expected);
            }
        }
    }

    fn digits(number: &str) -> Vec<u8> {
        number.bytes().map(|byte| byte - b'0').collect()
    }

    #[test]
    fn the_check_catches_each_wrong_digit() {
        let number = digits("4111111111111111");
        for place in 0..number.len() {
            for digit in 0..10 {
                let mut other = number.clone();
                other[place] = digit;
                assert_eq!(luhn(&other), digit == number[place]);
            }
        }
    }

    #[test]
    fn passes_over_what_is_no_card() {
        for text in [
            "4111111111111112",
            // All the same digit.
            "4444444444444444444",
            "0000000000000000",
            // Too short, too long, and of a length that its issuer doesn't use.
            "41111111111",
            "41111111111114",
            "41111111111111111111111111111111",
            // In a word.
            "x4111111111111111",
            "4111111111111111x",
            "_4111111111111111",
            "4111111111111111_",
            "\u{e9}4111111111111111",
            "4111111111111111\u{e9}",
            // In a number.
            "1.4111111111111111",
            "4111111111111111.5",
            "1-4111111111111111",
            "4111111111111111-1",
            // Grouped as no card is.
            "4111  1111  1111  1111",
            "41 11 11 11 11 11 11 11",
            "4111 11 1111 111111",
            "4111 1111111 11111",
            "4111 11111 1111111",
            "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 22",
        ] {
            assert_eq!(cards(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn finds_cards_beside_other_things() {
        assert_eq!(cards("4111111111111111."), ["4111111111111111"]);
        assert_eq!(cards("-4111111111111111-"), ["4111111111111111"]);
        assert_eq!(cards("12 4111111111111111 12"), ["4111111111111111"]);
        assert_eq!(cards("exp 12 4111 1111 1111 1111"), ["4111 1111 1111 1111"]);
        assert_eq!(cards("4111111111111111 5555555555554444"), ["4111111111111111", "5555555555554444"]);
        assert_eq!(cards("\u{5361}\u{53f7}4111111111111111\u{3002}"), ["4111111111111111"]);
    }

    #[test]
    fn finds_a_card_at_every_offset() {
        for before in 0..60 {
            for filler in ["x", "\u{e4}", "1 ", "7-"] {
                let text = format!("{}; 4111111111111111 ;", filler.repeat(before));
                assert_eq!(cards(&text), ["4111111111111111"], "{text}");
            }
        }
    }

    #[test]
    fn takes_linear_time() {
        for text in [
            "4",
            "4 ",
            "4-",
            "4111 ",
            "41 ",
            "4111111111111111 ",
            "4111111111111111-",
            "4111111111111112 ",
            "4444 ",
            "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 \u{e4}",
        ] {
            let text = text.repeat(100_000 / text.len());
            let steps = count(|| {
                cards(&text);
            });
            assert!(steps <= 60 * text.len(), "{steps} steps for {} bytes of {:?}", text.len(), &text[..16]);
        }
    }
}
