//! The check digits of card, account and identity numbers. Digits are values from 0 to 9.

use crate::shared::steps::step;

/// ISO/IEC 7812-1, Annex B (Luhn): every second digit from the right is doubled, and the digits of all add up to a
/// multiple of ten.
pub fn luhn(digits: &[u8]) -> bool {
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

/// The sum of the digits, each times its weight. Digits without a weight don't count.
pub fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(&digit, &weight)| u32::from(digit) * weight).sum()
}

/// The number that the digits spell; at most 19 digits.
pub fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number, &digit| number * 10 + u64::from(digit))
}

/// ISO 7064 MOD 97-10 over letters and digits, a letter standing for 10 to 35: the remainder, 1 if valid.
pub fn mod97(characters: impl Iterator<Item = u8>) -> u32 {
    characters.fold(0, |rest, character| match char::from(character).to_digit(36) {
        Some(value @ 0..=9) => (rest * 10 + value) % 97,
        Some(value) => (rest * 100 + value) % 97,
        None => rest,
    })
}

/// ISO 7064 MOD 11,10, as German tax numbers have it.
pub fn mod11_10(digits: &[u8]) -> bool {
    let Some((&check, body)) = digits.split_last() else { return false };
    let product = body.iter().fold(10, |product, &digit| {
        let sum = (u32::from(digit) + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == u32::from(check)
}

/// J. Verhoeff's check over the dihedral group of order ten.
pub fn verhoeff(digits: &[u8]) -> bool {
    let times = |a: u8, b: u8| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a - 5 + 5 - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    };
    const PERMUTATION: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let check = digits.iter().rev().enumerate().fold(0, |check, (place, &digit)| {
        let permuted = (0..place % 8).fold(digit, |digit, _| PERMUTATION[usize::from(digit)]);
        times(check, permuted)
    });
    check == 0
}

/// Whether these are a month and a day of it; February has 29 days.
pub fn is_month_day(month: u64, day: u64) -> bool {
    let days = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Vec<u8> {
        text.bytes().map(|byte| byte - b'0').collect()
    }

    /// Numbers that each check accepts, with any one digit changed: none is accepted.
    #[test]
    fn each_check_catches_a_wrong_digit() {
        let mod97_valid = |digits: &[u8]| mod97(digits.iter().map(|digit| digit + b'0')) == 1;
        type Check = fn(&[u8]) -> bool;
        let cases: [(Check, &str); 4] = [
            (luhn, "4111111111111111"),
            (verhoeff, "234123412346"),
            (mod11_10, "86095742719"),
            (mod97_valid, "3214282912345698765432161182"),
        ];
        for (check, valid) in cases {
            let number = digits(valid);
            for place in 0..number.len() {
                for digit in 0..10 {
                    let mut other = number.clone();
                    other[place] = digit;
                    assert_eq!(check(&other), digit == number[place], "{valid} {place} {digit}");
                }
            }
        }
    }

    #[test]
    fn letters_count_from_ten() {
        // WEST 1234 5698 7654 32 GB 82, ISO 13616.
        assert_eq!(mod97("WEST12345698765432GB82".bytes()), 1);
        assert_eq!(mod97("west12345698765432gb82".bytes()), 1);
        assert_eq!(mod97("WEST12345698765432GB28".bytes()), 44);
    }
}
