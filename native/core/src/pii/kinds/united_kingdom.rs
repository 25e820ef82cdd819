//! Identity numbers of the United Kingdom and Ireland.

use std::ops::Range;

use super::ids::{digits_at, digits_of, shaped};
use crate::pii::checks::weighted;
use crate::pii::context::Context;
use crate::pii::edges::is_edge;
use crate::pii::matcher::{Anchor, Matcher, Spot};

/// Numbers of the National Health Service.
pub const NHS: Matcher = Matcher { anchors: &[Anchor::Digits(1 << 10)], at: nhs_at };
/// National insurance numbers, `AB123456C` or `AB 12 34 56 C`.
pub const NINO: Matcher = Matcher { anchors: &[Anchor::Word(9, 9), Anchor::Digits(1 << 6)], at: nino_at };
/// Personal public service numbers of Ireland.
pub const PPS: Matcher = Matcher { anchors: &[Anchor::Word(8, 9)], at: pps_at };

fn nhs_at(spot: &Spot) -> Option<Range<usize>> {
    digits_at(spot, 10, (&[3, 3, 4], b" "), Context::Nhs, |digits| {
        let check = 11 - weighted(&digits[..9], &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
        check % 11 == u32::from(digits[9]) && check != 10
    })
    .filter(|_| !spot.near(Context::Phone) || spot.near(Context::Nhs))
}

fn nino_at(spot: &Spot) -> Option<Range<usize>> {
    if spot.number.is_none() {
        let word = shaped(spot, "AA999999A")?;
        return is_nino(word[0], word[1], word[8]).then(|| spot.anchor.clone());
    }
    // Its first letters stand before the first of three pairs, its last behind them.
    let taken = spot.number?.take(6).filter(|taken| taken.is_grouped(&[2, 2, 2], b" "))?;
    let start =
        taken.start().checked_sub(3).filter(|&at| at >= spot.from && spot.text.is_char_boundary(at))?;
    let end = taken.end() + 2;
    let [first, second, b' '] = spot.bytes().get(start..start + 3)? else { return None };
    let [b' ', last] = spot.bytes().get(taken.end()..end)? else { return None };
    // Letters of ASCII first: what begins or ends within a character is none.
    let known = is_nino(*first, *second, *last);
    let alone =
        || is_edge(spot.text[..start].chars().next_back()) && is_edge(spot.text[end..].chars().next());
    (known && alone()).then_some(start..end)
}

/// What letters are given out; there is no check digit.
fn is_nino(first: u8, second: u8, last: u8) -> bool {
    first.is_ascii_uppercase()
        && second.is_ascii_uppercase()
        && !b"DFIQUV".contains(&first)
        && !b"DFIOQUV".contains(&second)
        && ![*b"BG", *b"GB", *b"KN", *b"NK", *b"NT", *b"TN", *b"ZZ"].contains(&[first, second])
        && (b'A'..=b'D').contains(&last)
}

fn pps_at(spot: &Spot) -> Option<Range<usize>> {
    let word = shaped(spot, "9999999A").or_else(|| shaped(spot, "9999999AA"))?;
    let second = word.get(8).map_or(0, |letter| if *letter == b'W' { 0 } else { u32::from(letter - b'@') });
    let sum = weighted(&digits_of(&word), &[8, 7, 6, 5, 4, 3, 2]) + 9 * second;
    let check = u32::from(word[7] - b'@');
    (sum % 23 == check % 23 && check <= 23 && spot.near(Context::Ireland)).then(|| spot.anchor.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::finder::found_by;

    #[test]
    fn finds_numbers() {
        assert_eq!(found_by(NHS, "943 476 5919"), ["943 476 5919"]);
        assert_eq!(found_by(NHS, "NHS number 9434765919"), ["9434765919"]);
        assert_eq!(found_by(NHS, "9434765919, 943 476 5918"), [""; 0]);
        assert_eq!(found_by(NINO, "AB123456C or JG 10 37 59 A."), ["AB123456C", "JG 10 37 59 A"]);
        assert_eq!(found_by(NINO, "QQ123456C AB123456E GB123456A xAB123456C"), [""; 0]);
        assert_eq!(found_by(NINO, "AB 11 11 11 \u{e9}, \u{e9} 11 11 11 A, 11 11 11 \u{4e2d}"), [""; 0]);
        assert_eq!(found_by(PPS, "PPS 6433435F, 6433435E"), ["6433435F"]);
    }
}
