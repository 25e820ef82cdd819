//! Identity numbers of countries in the Americas, Asia, Africa and the Pacific.

use std::ops::Range;

use super::ids::{digits_at, digits_near, digits_of, shaped};
use crate::pii::checks::{is_month_day, luhn, number, verhoeff, weighted};
use crate::pii::context::Context;
use crate::pii::matcher::{Anchor, Matcher, Spot};

/// Brazil's CPF of persons.
pub const BR_CPF: Matcher = Matcher { anchors: &[Anchor::Digits(1 << 11)], at: cpf_at };
/// Brazil's CNPJ of companies and sole traders; since 2026 it may hold letters.
pub const BR_CNPJ: Matcher =
    Matcher { anchors: &[Anchor::Digits(1 << 14), Anchor::Word(14, 14)], at: cnpj_at };
/// India's Aadhaar.
pub const IN_AADHAAR: Matcher = Matcher { anchors: &[Anchor::Digits(1 << 12)], at: aadhaar_at };
/// India's permanent account number of persons.
pub const IN_PAN: Matcher = Matcher { anchors: &[Anchor::Word(10, 10)], at: pan_at };
/// China's resident number.
pub const CN_RESIDENT: Matcher =
    Matcher { anchors: &[Anchor::Digits(1 << 18), Anchor::Word(18, 18)], at: china_at };
/// South Korea's resident number.
pub const KR_RESIDENT: Matcher = Matcher { anchors: &[Anchor::Digits(1 << 13)], at: korea_at };
/// Singapore's NRIC and FIN.
pub const SG_NRIC: Matcher = Matcher { anchors: &[Anchor::Word(9, 9)], at: nric_at };
/// Australia's tax file number.
pub const AU_TFN: Matcher = Matcher { anchors: &[Anchor::Digits(1 << 9)], at: tfn_at };
/// Canada's social insurance number.
pub const CA_SIN: Matcher = Matcher { anchors: &[Anchor::Digits(1 << 9)], at: sin_at };
/// Mexico's CURP.
pub const MX_CURP: Matcher = Matcher { anchors: &[Anchor::Word(18, 18)], at: curp_at };
/// South Africa's identity number.
pub const ZA_ID: Matcher = Matcher { anchors: &[Anchor::Digits(1 << 13)], at: south_africa_at };

fn cpf_at(spot: &Spot) -> Option<Range<usize>> {
    let taken = spot.number?.take(11)?;
    let check = |len: usize| {
        let sum: u32 = (0..len).map(|place| u32::from(taken.digits[place]) * (len + 1 - place) as u32).sum();
        sum * 10 % 11 % 10 == u32::from(taken.digits[len])
    };
    let sizes = taken.groups.iter().map(|group| group.end - group.start);
    let grouped = sizes.eq([3, 3, 3, 2]) && taken.groups[1].gap == b'.' && taken.groups[3].gap == b'-';
    let varied = taken.digits.iter().any(|&digit| digit != taken.digits[0]);
    let valid = (grouped || spot.near(Context::Brazil)) && varied && check(9) && check(10);
    valid.then(|| taken.start()..taken.end())
}

fn cnpj_at(spot: &Spot) -> Option<Range<usize>> {
    let (word, range, grouped) = match spot.number {
        Some(number) => {
            let taken = number.take(14)?;
            let sizes = taken.groups.iter().map(|group| group.end - group.start);
            let gaps = taken.groups.iter().map(|group| group.gap);
            let grouped = sizes.eq([2, 3, 3, 4, 2]) && gaps.eq([0, b'.', b'.', b'/', b'-']);
            let word = taken.digits.iter().map(|digit| digit + b'0').collect();
            (word, taken.start()..taken.end(), grouped)
        }
        None => (shaped(spot, "************99")?, spot.anchor.clone(), false),
    };
    // A letter counts as much more than 0 as it stands behind it in ASCII.
    let check = |len: usize| {
        let weights = (2..=9).cycle();
        let sum: u32 =
            word[..len].iter().rev().zip(weights).map(|(byte, weight)| u32::from(byte - b'0') * weight).sum();
        (11 - sum % 11) % 11 % 10 == u32::from(word[len] - b'0')
    };
    let varied = word.iter().any(|byte| *byte != word[0]);
    ((grouped || spot.near(Context::Brazil)) && varied && check(12) && check(13)).then_some(range)
}

fn aadhaar_at(spot: &Spot) -> Option<Range<usize>> {
    digits_near(spot, 12, Context::Aadhaar, |digits| digits[0] >= 2 && verhoeff(digits))
}

fn pan_at(spot: &Spot) -> Option<Range<usize>> {
    let word = shaped(spot, "AAAAA9999A")?;
    let upper = !spot.word().bytes().any(|byte| byte.is_ascii_lowercase());
    (upper && word[3] == b'P' || spot.near(Context::InPan)).then(|| spot.anchor.clone())
}

fn china_at(spot: &Spot) -> Option<Range<usize>> {
    let word = match spot.number {
        Some(read) => {
            let taken = read.take(18).filter(|taken| taken.undivided())?;
            &spot.text[taken.start()..taken.end()]
        }
        None => spot.lone()?,
    };
    let (body, check) = word.as_bytes().split_at_checked(17)?;
    if !body.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = digits_of(body);
    let sum = weighted(&digits, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    let year = number(&digits[6..10]);
    let valid = b"10X98765432"[(sum % 11) as usize] == check[0].to_ascii_uppercase()
        && (1900..2100).contains(&year)
        && is_month_day(number(&digits[10..12]), number(&digits[12..14]));
    valid.then(|| spot.anchor.start..spot.anchor.start + 18)
}

fn korea_at(spot: &Spot) -> Option<Range<usize>> {
    digits_at(spot, 13, (&[6, 7], b"-"), Context::Korea, |digits| {
        let sum = weighted(&digits[..12], &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]);
        is_month_day(number(&digits[2..4]), number(&digits[4..6]))
            && (11 - sum % 11) % 10 == u32::from(digits[12])
    })
}

fn nric_at(spot: &Spot) -> Option<Range<usize>> {
    let word = shaped(spot, "A9999999A")?;
    let (offset, letters) = match word[0] {
        b'S' => (0, b"JZIHGFEDCBA"),
        b'T' => (4, b"JZIHGFEDCBA"),
        b'F' => (0, b"XWUTRQPNMLK"),
        b'G' => (4, b"XWUTRQPNMLK"),
        b'M' => (3, b"KLJNPQRTUWX"),
        _ => return None,
    };
    let sum = offset + weighted(&digits_of(&word), &[2, 7, 6, 5, 4, 3, 2]);
    let place = if word[0] == b'M' { 10 - sum % 11 } else { sum % 11 };
    (letters[place as usize] == word[8]).then(|| spot.anchor.clone())
}

fn tfn_at(spot: &Spot) -> Option<Range<usize>> {
    digits_near(spot, 9, Context::Australia, |digits| {
        weighted(digits, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)
    })
}

fn sin_at(spot: &Spot) -> Option<Range<usize>> {
    digits_near(spot, 9, Context::Canada, |digits| !matches!(digits[0], 0 | 8) && luhn(digits))
}

fn curp_at(spot: &Spot) -> Option<Range<usize>> {
    let word = shaped(spot, "AAAA999999AAAAAA*9")?;
    let value = |byte: u8| match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        // \u{d1} stands between N and O.
        b'A'..=b'N' => u32::from(byte - b'A') + 10,
        _ => u32::from(byte - b'A') + 11,
    };
    let sum: u32 = word[..17].iter().zip((2..=18).rev()).map(|(&byte, weight)| value(byte) * weight).sum();
    let dated = is_month_day(number(&digits_of(&word[6..8])), number(&digits_of(&word[8..10])));
    (dated && (10 - sum % 10) % 10 == value(word[17])).then(|| spot.anchor.clone())
}

fn south_africa_at(spot: &Spot) -> Option<Range<usize>> {
    digits_near(spot, 13, Context::SouthAfrica, |digits| {
        luhn(digits) && is_month_day(number(&digits[2..4]), number(&digits[4..6])) && digits[10] < 2
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::finder::found_by;

    #[test]
    fn finds_numbers() {
        for (matcher, text, value) in [
            (BR_CPF, "390.533.447-05", "390.533.447-05"),
            (BR_CPF, "CPF 39053344705", "39053344705"),
            (BR_CNPJ, "11.222.333/0001-81", "11.222.333/0001-81"),
            (BR_CNPJ, "CNPJ 11222333000181", "11222333000181"),
            (BR_CNPJ, "CNPJ 12ABC34501DE35", "12ABC34501DE35"),
            (IN_AADHAAR, "Aadhaar: 2341 2341 2346", "2341 2341 2346"),
            (CN_RESIDENT, "11010519491231002X", "11010519491231002X"),
            (KR_RESIDENT, "971013-9019902", "971013-9019902"),
            (SG_NRIC, "S1234567D", "S1234567D"),
            (AU_TFN, "TFN 123 456 782", "123 456 782"),
            (CA_SIN, "SIN 123-456-782", "123-456-782"),
            (MX_CURP, "BOXW310820HNERXN09", "BOXW310820HNERXN09"),
            (ZA_ID, "South African ID number 7503305044089", "7503305044089"),
        ] {
            assert_eq!(found_by(matcher, text), [value], "{text}");
            let at = text.find(value).unwrap();
            let last = value.as_bytes()[value.len() - 1];
            let other = if last == b'7' { "8" } else { "7" };
            let wrong = format!("{}{other}", &text[..at + value.len() - 1]);
            assert_eq!(found_by(matcher, &wrong), [""; 0], "{wrong}");
        }
        assert_eq!(found_by(IN_PAN, "ABCPE1234F, ABCDE1234F"), ["ABCPE1234F"]);
    }
}
