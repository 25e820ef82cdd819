//! Identity numbers of countries in Europe.

use std::ops::Range;

use super::ids::{digits_at, digits_near, digits_of, shaped};
use crate::pii::checks::{is_month_day, luhn, mod11_10, number, weighted};
use crate::pii::context::Context;
use crate::pii::edges::{is_edge, is_free_before};
use crate::pii::matcher::{Anchor, Matcher, Spot};

/// Spain's NIF of citizens (8 digits and a letter) and NIE of foreigners (a letter, 7 digits and a letter).
pub const ES_NIF: Matcher = Matcher { anchors: &[Anchor::Word(9, 9), Anchor::Digits(1 << 8)], at: nif_at };
/// Portugal's NIF.
pub const PT_NIF: Matcher = Matcher { anchors: &[Anchor::Digits(1 << 9)], at: portugal_at };
/// Italy's codice fiscale of persons.
pub const IT_FISCAL: Matcher = Matcher { anchors: &[Anchor::Word(16, 16)], at: fiscal_at };
/// Poland's PESEL.
pub const PL_PESEL: Matcher = Matcher { anchors: &[Anchor::Digits(1 << 11)], at: pesel_at };
/// Germany's tax number of persons (IdNr).
pub const DE_TAX: Matcher = Matcher { anchors: &[Anchor::Digits(1 << 11)], at: idnr_at };
/// France's NIR; that of a person born in Corsica has a letter.
pub const FR_NIR: Matcher =
    Matcher { anchors: &[Anchor::Digits(1 << 15), Anchor::Word(15, 15), Anchor::Word(2, 2)], at: nir_at };
/// The Netherlands' BSN.
pub const NL_BSN: Matcher = Matcher { anchors: &[Anchor::Digits(1 << 9)], at: bsn_at };
/// Sweden's personal number.
pub const SE_PERSON: Matcher = Matcher { anchors: &[Anchor::Digits(1 << 10 | 1 << 12)], at: sweden_at };
/// Finland's personal code.
pub const FI_HETU: Matcher = Matcher { anchors: &[Anchor::Word(4, 4), Anchor::Digits(1 << 10)], at: hetu_at };
/// Belgium's national number.
pub const BE_NATIONAL: Matcher = Matcher { anchors: &[Anchor::Digits(1 << 11)], at: belgium_at };
/// Switzerland's AHV number.
pub const CH_AHV: Matcher = Matcher { anchors: &[Anchor::Digits(1 << 13)], at: ahv_at };
/// Turkey's identity number.
pub const TR_KIMLIK: Matcher = Matcher { anchors: &[Anchor::Digits(1 << 11)], at: kimlik_at };

fn nif_at(spot: &Spot) -> Option<Range<usize>> {
    let letter = |digits: &[u8]| b"TRWAGMYFPDXBNJZSQVHLCKE"[(number(digits) % 23) as usize];
    if let Some(read) = spot.number {
        // 12345678-Z.
        let taken = read.take(8).filter(|taken| taken.undivided())?;
        let end = taken.end() + 2;
        let [b'-', last] = spot.bytes().get(taken.end()..end)? else { return None };
        let valid =
            last.to_ascii_uppercase() == letter(taken.digits) && is_edge(spot.text[end..].chars().next());
        return valid.then_some(taken.start()..end);
    }
    let word = shaped(spot, "*9999999A")?;
    let mut digits = digits_of(&word);
    if digits.len() == 7 {
        let first = b"XYZ".iter().position(|letter| *letter == word[0])?;
        digits.insert(0, first as u8);
    }
    (letter(&digits) == word[8])
        .then(|| spot.anchor.clone())
        .filter(|_| word_is_upper(spot) || spot.near(Context::Spain))
}

fn word_is_upper(spot: &Spot) -> bool {
    !spot.word().bytes().any(|byte| byte.is_ascii_lowercase())
}

fn portugal_at(spot: &Spot) -> Option<Range<usize>> {
    digits_near(spot, 9, Context::Portugal, |digits| {
        let check = 11 - weighted(&digits[..8], &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
        digits[0] != 0 && check % 11 % 10 == u32::from(digits[8])
    })
}

fn fiscal_at(spot: &Spot) -> Option<Range<usize>> {
    // Digits may be written as letters, where two persons would have the same code.
    let word = shaped(spot, "AAAAAA**A**A***A")?;
    let is_digit = |byte: u8| byte.is_ascii_digit() || b"LMNPQRSTUV".contains(&byte);
    let shaped =
        [6, 7, 9, 10, 12, 13, 14].iter().all(|&place| is_digit(word[place])) && is_born(word.as_slice());
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let value = |byte: u8| u32::from(if byte.is_ascii_digit() { byte - b'0' } else { byte - b'A' });
    let sum: u32 = word[..15]
        .iter()
        .enumerate()
        .map(|(place, &byte)| if place % 2 == 0 { ODD[value(byte) as usize] } else { value(byte) })
        .sum();
    (shaped && sum % 26 == u32::from(word[15] - b'A')).then(|| spot.anchor.clone())
}

/// Whether a codice fiscale names a day: its month is a letter, and for women its day is 40 later.
fn is_born(word: &[u8]) -> bool {
    let digit = |place: usize| {
        let letters = b"LMNPQRSTUV".iter().position(|letter| *letter == word[place]);
        letters.map_or(u64::from(word[place].wrapping_sub(b'0')), |digit| digit as u64)
    };
    let day = 10 * digit(9) + digit(10);
    let month = b"ABCDEHLMPRST".iter().position(|letter| *letter == word[8]);
    month.is_some_and(|month| is_month_day(month as u64 + 1, if day > 40 { day - 40 } else { day }))
}

fn pesel_at(spot: &Spot) -> Option<Range<usize>> {
    digits_near(spot, 11, Context::Poland, |digits| {
        let sum = weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]);
        // The century is added to the month.
        sum.is_multiple_of(10) && is_month_day(number(&digits[2..4]) % 20, number(&digits[4..6]))
    })
}

fn idnr_at(spot: &Spot) -> Option<Range<usize>> {
    digits_at(spot, 11, (&[2, 3, 3, 3], b" "), Context::Germany, |digits| {
        // Of the first ten, one digit occurs twice or three times, and the others once at most.
        let mut counts = [0; 10];
        digits[..10].iter().for_each(|&digit| counts[usize::from(digit)] += 1);
        let repeated = counts.iter().filter(|&&count| count > 1).count();
        digits[0] != 0 && repeated == 1 && counts.iter().all(|&count| count <= 3) && mod11_10(digits)
    })
    .filter(|_| !spot.near(Context::Phone))
}

fn nir_at(spot: &Spot) -> Option<Range<usize>> {
    if spot.number.is_none() {
        return corsican_at(spot);
    }
    digits_at(spot, 15, (&[1, 2, 2, 2, 3, 3, 2], b" "), Context::France, is_nir)
}

fn is_nir(digits: &[u8]) -> bool {
    matches!(digits[0], 1..=4 | 7 | 8) && 97 - number(&digits[..13]) % 97 == number(&digits[13..])
}

/// Corsica's departments are 2A and 2B, which count as 19 and 18.
fn corsican_at(spot: &Spot) -> Option<Range<usize>> {
    const GROUPED: &str = "9 99 99 2A 999 999 99";
    let grouped = spot.word().len() == 2;
    let range = if grouped {
        let start = spot.anchor.start.checked_sub("9 99 99 ".len())?;
        start..start + GROUPED.len()
    } else {
        spot.anchor.clone()
    };
    let text = spot.text.get(range.clone())?;
    let spaced = |(at, byte): (usize, u8)| (byte == b' ') == (GROUPED.as_bytes()[at] == b' ');
    if range.start < spot.from || grouped && !text.bytes().enumerate().all(spaced) {
        return None;
    }
    let mut word: Vec<u8> = text.bytes().filter(|&byte| byte != b' ').collect();
    let department = match word.get(5..7)?.to_ascii_uppercase().as_slice() {
        b"2A" => *b"19",
        b"2B" => *b"18",
        _ => return None,
    };
    word[5..7].copy_from_slice(&department);
    let alone = is_edge(spot.text[..range.start].chars().next_back())
        && is_edge(spot.text[range.end..].chars().next());
    let digits = digits_of(&word);
    let valid = alone && digits.len() == 15 && word.len() == 15 && is_nir(&digits);
    (valid && (grouped || spot.near(Context::France))).then_some(range)
}

fn bsn_at(spot: &Spot) -> Option<Range<usize>> {
    digits_near(spot, 9, Context::Netherlands, |digits| {
        let sum = weighted(&digits[..8], &[9, 8, 7, 6, 5, 4, 3, 2]);
        (sum + 11 - u32::from(digits[8])).is_multiple_of(11)
    })
}

fn sweden_at(spot: &Spot) -> Option<Range<usize>> {
    let valid = |digits: &[u8]| {
        let digits = &digits[digits.len() - 10..];
        // A coordination number has 60 more days.
        luhn(digits) && is_month_day(number(&digits[2..4]), number(&digits[4..6]) % 60)
    };
    let ten = digits_at(spot, 10, (&[6, 4], b"-"), Context::Sweden, valid);
    ten.or_else(|| digits_at(spot, 12, (&[8, 4], b"-"), Context::Sweden, valid))
        .filter(|_| !spot.near(Context::Other) || spot.near(Context::Sweden))
}

fn hetu_at(spot: &Spot) -> Option<Range<usize>> {
    // The anchor is what stands behind the sign of the century, or with a digit as check the whole.
    let behind = if spot.number.is_some() { 0 } else { 7 };
    let start = spot.anchor.start.checked_sub(behind).filter(|&at| at >= spot.from)?;
    let end = start + 11;
    let code = spot.text.get(start..end)?.as_bytes();
    let shaped = code[..6].iter().chain(&code[7..10]).all(u8::is_ascii_digit)
        && b"-+ABCDEFUVWXY".contains(&code[6])
        && is_free_before(&spot.text[..start])
        && is_edge(spot.text[end..].chars().next());
    if !shaped {
        return None;
    }
    let digits = digits_of(&[&code[..6], &code[7..10]].concat());
    let valid = is_month_day(number(&digits[2..4]), number(&digits[..2]))
        && b"0123456789ABCDEFHJKLMNPRSTUVWXY"[(number(&digits) % 31) as usize] == code[10];
    valid.then_some(start..end)
}

fn belgium_at(spot: &Spot) -> Option<Range<usize>> {
    let valid = |digits: &[u8]| {
        let body = number(&digits[..9]);
        let check = number(&digits[9..]);
        let dated = number(&digits[2..4]) <= 12 && number(&digits[4..6]) <= 31;
        // Born from 2000 on: a 2 stands before. Nobody is yet who will be born in the second half of that century.
        let since_2000 = digits[0] < 5 && 97 - (body + 2_000_000_000) % 97 == check;
        dated && (97 - body % 97 == check || since_2000)
    };
    let taken = spot.number?.take(11)?;
    let grouped = taken.groups.len() == 5
        && taken.groups.iter().map(|group| group.end - group.start).eq([2, 2, 2, 3, 2])
        && taken.groups[3].gap == b'-';
    ((grouped || spot.near(Context::Belgium)) && valid(taken.digits)).then(|| taken.start()..taken.end())
}

fn ahv_at(spot: &Spot) -> Option<Range<usize>> {
    let taken = spot.number?.take(13)?;
    let valid = taken.digits.starts_with(&[7, 5, 6])
        && weighted(taken.digits, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10);
    (valid && taken.is_grouped(&[3, 4, 4, 2], b".")).then(|| taken.start()..taken.end())
}

fn kimlik_at(spot: &Spot) -> Option<Range<usize>> {
    digits_near(spot, 11, Context::Turkey, |digits| {
        let odd = weighted(&digits[..9], &[1, 0, 1, 0, 1, 0, 1, 0, 1]);
        let even = weighted(&digits[..8], &[0, 1, 0, 1, 0, 1, 0, 1]);
        let sum: u32 = digits[..10].iter().map(|&digit| u32::from(digit)).sum();
        digits[0] != 0
            && (odd * 7 + 100 - even) % 10 == u32::from(digits[9])
            && sum % 10 == u32::from(digits[10])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::finder::found_by;

    #[test]
    fn finds_numbers() {
        for (matcher, text, value) in [
            (ES_NIF, "es 54362315K", "54362315K"),
            (ES_NIF, "es 54362315-K", "54362315-K"),
            (ES_NIF, "es X2482300W", "X2482300W"),
            (PT_NIF, "NIF 501964843", "501964843"),
            (IT_FISCAL, "RCCMNL83S18D969H.", "RCCMNL83S18D969H"),
            (PL_PESEL, "PESEL: 44051401359", "44051401359"),
            (DE_TAX, "Steuer-ID 36574261809", "36574261809"),
            (DE_TAX, "36 574 261 809", "36 574 261 809"),
            (FR_NIR, "2 95 10 99 126 111 93", "2 95 10 99 126 111 93"),
            (FR_NIR, "1 85 05 2A 006 084 35", "1 85 05 2A 006 084 35"),
            (FR_NIR, "NIR 185052A00608435", "185052A00608435"),
            (NL_BSN, "BSN 111222333", "111222333"),
            (SE_PERSON, "880320-0016", "880320-0016"),
            (SE_PERSON, "nationalId: 880320-0016", "880320-0016"),
            (SE_PERSON, "{\"person_id\":\"880320-0016\"}", "880320-0016"),
            (FI_HETU, "131052-308T", "131052-308T"),
            (BE_NATIONAL, "85.07.30-033.28", "85.07.30-033.28"),
            (CH_AHV, "756.9217.0769.85", "756.9217.0769.85"),
            (TR_KIMLIK, "TC Kimlik 17291716060", "17291716060"),
        ] {
            assert_eq!(found_by(matcher, text), [value], "{text}");
            // One digit, or letter, that is another.
            let at = text.find(value).unwrap();
            let last = value.as_bytes()[value.len() - 1];
            let other = if last == b'7' || last == b'H' { "8" } else { "7" };
            let wrong =
                format!("{}{}{other}{}", &text[..at], &value[..value.len() - 1], &text[at + value.len()..]);
            assert_eq!(found_by(matcher, &wrong), [""; 0], "{wrong}");
        }
    }
}
