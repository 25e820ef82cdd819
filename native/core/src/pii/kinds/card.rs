//! Finds payment card numbers in text, in linear time.
//!
//! A number has 13 to 19 digits (ISO/IEC 7812-1), passes the Luhn check, and begins as the large issuers' do.
//! Written in groups, a single space or dash apart, it must be grouped as cards are, or digit by digit;
//! otherwise every tenth row of a table of numbers would be a card.

use std::ops::Range;

use crate::pii::digits::{digit_count, goes_on, next_run};
use crate::pii::matcher::{Anchor, Matcher};
use crate::shared::steps::step;
use crate::text::script::is_unspaced;

/// Card numbers.
pub const MATCHER: Matcher = Matcher { anchor: Anchor::Digits(DIGITS_MIN), next: next_card };

/// Fewest digits of a card number.
const DIGITS_MIN: usize = 13;
/// Most digits of a card number.
const DIGITS_MAX: usize = 19;

/// The first card number of `text` that lies at or after the byte offset `from`, as a byte range.
fn next_card(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut search = from;
    while let Some(run) = next_run(bytes, search, DIGITS_MIN) {
        let mut group = run;
        loop {
            if let Some(end) = card_at(text, group, group == run) {
                return Some(group..end);
            }
            search = group + digit_count(&bytes[group..]);
            if !goes_on(bytes, search) {
                break;
            }
            group = search + 1;
        }
    }
    None
}

/// The end of the longest card number that begins with the group of digits at `start`, which is the `first`
/// of its run or not. Looks at no more than `DIGITS_MAX` digits.
fn card_at(text: &str, start: usize, first: bool) -> Option<usize> {
    let bytes = text.as_bytes();
    if joins_before(&text[..start]) {
        return None;
    }
    let mut digits = [0; DIGITS_MAX];
    let mut count = 0;
    let mut groups = Groups::default();
    let mut end = None;
    let mut at = start;
    loop {
        let len = digit_count(&bytes[at..bytes.len().min(at + DIGITS_MAX + 1)]);
        if count + len > DIGITS_MAX {
            return end;
        }
        for (digit, byte) in digits[count..].iter_mut().zip(&bytes[at..at + len]) {
            *digit = byte - b'0';
        }
        count += len;
        at += len;
        groups.add(len);
        let last = !goes_on(bytes, at);
        if groups.plausible(first && last) && !joins_after(&text[at..]) && is_card(&digits[..count]) {
            end = Some(at);
        }
        if last {
            return end;
        }
        at += 1;
    }
}

/// How the digits seen so far are grouped.
#[derive(Default)]
struct Groups {
    count: usize,
    first: usize,
    last: usize,
    /// All but the first and last have four to six digits.
    middle: bool,
    /// All have one digit.
    single: bool,
}

impl Groups {
    fn add(&mut self, len: usize) {
        if self.count == 0 {
            *self = Groups { count: 1, first: len, last: len, middle: true, single: len == 1 };
        } else {
            self.middle &= self.count == 1 || matches!(self.last, 4..=6);
            self.single &= len == 1;
            self.last = len;
            self.count += 1;
        }
    }

    /// 4-4-4-4, 4-6-5 and the like; undivided; or, where the run is nothing else, one digit at a time.
    fn plausible(&self, whole: bool) -> bool {
        self.count == 1 || self.first == 4 && self.middle && self.last <= 6 || self.single && whole
    }
}

fn is_card(digits: &[u8]) -> bool {
    let issued = match digits {
        [3..=6, ..] => true,
        [2, b, c, d, ..] => (221..=720).contains(&(u32::from(*b) * 100 + u32::from(*c) * 10 + u32::from(*d))),
        _ => false,
    };
    issued && digits.len() >= DIGITS_MIN && digits.iter().any(|&digit| digit != digits[0]) && luhn(digits)
}

/// The check of ISO/IEC 7812-1, Annex B: every second digit from the right is doubled, and the digits of all
/// add up to a multiple of ten.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .inspect(|_| step())
        .enumerate()
        .map(|(place, &digit)| match (place % 2, u32::from(digit)) {
            (0, digit) => digit,
            (_, digit) => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Whether a number that follows `before` is part of a longer word or number.
fn joins_before(before: &str) -> bool {
    let mut chars = before.chars().rev();
    chars.next().is_some_and(|c| joins(c, chars.next()))
}

/// Whether a number that `after` follows is part of a longer word or number.
fn joins_after(after: &str) -> bool {
    let mut chars = after.chars();
    chars.next().is_some_and(|c| joins(c, chars.next()))
}

fn joins(beside: char, beyond: Option<char>) -> bool {
    match beside {
        '_' => true,
        '.' | '-' => beyond.is_some_and(|c| c.is_ascii_digit()),
        c => c.is_alphanumeric() && !is_unspaced(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::steps::count;

    fn cards(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(card) = next_card(text, from) {
            from = card.end;
            found.push(&text[card]);
        }
        found
    }

    #[test]
    fn finds_each_layout() {
        for card in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "4111 1111-1111 1111",
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
        for prefix in ["2221", "2300", "2720", "3", "4", "5", "6"] {
            assert_eq!(cards(&number(prefix)), [number(prefix)], "{prefix}");
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
            let expected = if (13..=19).contains(&len) { vec![number.as_str()] } else { Vec::new() };
            assert_eq!(cards(&number), expected);
            // Wherever it stands.
            for before in 0..30 {
                assert_eq!(cards(&format!("{};{number};", "x".repeat(before))), expected);
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
            // Too short, too long.
            "411111111111",
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
