//! Finds bank accounts (IBAN, ISO 13616) and routing numbers.

use std::ops::Range;

use crate::pii::checks::{mod97, weighted};
use crate::pii::context::Context;
use crate::pii::edges::is_edge;
use crate::pii::matcher::{Anchor, Matcher, Spot};

/// IBANs, undivided or in groups of four.
pub const IBAN: Matcher = Matcher { anchors: &[Anchor::Word(4, 34)], at: iban_at };
/// Routing numbers of the American Bankers Association, where something says so.
pub const ROUTING: Matcher = Matcher { anchors: &[Anchor::Digits(1 << 9)], at: routing_at };

/// How long the IBANs of each country are.
const LENGTHS: &[(usize, &str)] = &[
    (15, "NO"),
    (16, "BE"),
    (18, "AX DK FI FK FO GL NL SD"),
    (19, "MK SI"),
    (20, "AT BA EE KZ LT LU MN XK"),
    (21, "CH HR LI LV"),
    (22, "BG BH CR DE GB GE IE ME RS VA"),
    (23, "AE GI IL IQ OM SO TL"),
    (24, "AD CZ ES MD PK RO SA SE SK TN VG"),
    (25, "AO CV GW LY MZ PT ST"),
    (26, "DZ IR IS TR"),
    (27, "BI BL CF CG CM DJ FR GA GF GP GQ GR IT KM MC MF MG MQ MR NC PF PM RE SM TD TF WF YT"),
    (28, "AL AZ BF BJ BY CI CY DO GT HN HU LB MA ML NE NI PL SN SV TG"),
    (29, "BR EG PS QA UA"),
    (30, "JO KW MU YE"),
    (31, "MT SC"),
    (32, "LC"),
    (33, "RU"),
];

const LENGTH_MAX: usize = 34;

/// How long IBANs are that begin with these letters.
fn length_of(country: &[u8]) -> Option<usize> {
    let upper = [country[0].to_ascii_uppercase(), country[1].to_ascii_uppercase()];
    let has = |names: &str| names.as_bytes().chunks(3).any(|name| name[..2] == upper);
    LENGTHS.iter().find(|(_, names)| has(names)).map(|&(length, _)| length)
}

fn iban_at(spot: &Spot) -> Option<Range<usize>> {
    let bytes = spot.bytes();
    let start = spot.anchor.start;
    let head = &spot.word().as_bytes()[..4];
    let [first, second, third, fourth] = head else { return None };
    let shaped = [first, second].iter().all(|letter| letter.is_ascii_alphabetic())
        && [third, fourth].iter().all(|digit| digit.is_ascii_digit());
    if !shaped || !is_edge(spot.text[..start].chars().next_back()) {
        return None;
    }
    let length = length_of(head)?;
    let mut characters = [0; LENGTH_MAX];
    let mut count = 0;
    let mut at = start;
    while count < length {
        let byte = *bytes.get(at)?;
        if byte.is_ascii_alphanumeric() {
            characters[count] = byte;
            count += 1;
        } else if !matches!(byte, b' ' | b'-')
            || !count.is_multiple_of(4)
            || matches!(bytes[at - 1], b' ' | b'-')
        {
            return None;
        }
        at += 1;
    }
    let (front, rear) = characters[..length].split_at(4);
    let valid = is_edge(spot.text[at..].chars().next()) && mod97(rear.iter().chain(front).copied()) == 1;
    valid.then_some(start..at)
}

fn routing_at(spot: &Spot) -> Option<Range<usize>> {
    if !spot.near(Context::Routing) {
        return None;
    }
    let taken = spot.number?.take(9)?;
    let district = taken.digits[0] * 10 + taken.digits[1];
    let assigned = matches!(district, 0..=12 | 21..=32 | 61..=72 | 80);
    let valid = assigned
        && taken.digits.iter().any(|&digit| digit != 0)
        && weighted(taken.digits, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10);
    valid.then(|| taken.start()..taken.end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::finder::found_by;

    #[test]
    fn finds_accounts() {
        for iban in [
            "GB82WEST12345698765432",
            "gb82west12345698765432",
            "GB82 WEST 1234 5698 7654 32",
            "DE89370400440532013000",
            "NO93 8601 1117 947",
            "MT84MALT011000012345MTLCAST001S",
        ] {
            assert_eq!(found_by(IBAN, &format!("to {iban}, now")), [iban]);
        }
        for text in
            ["GB82WEST12345698765433", "GB82WEST1234569876543", "xGB82WEST12345698765432", "GB82 WEST"]
        {
            assert_eq!(found_by(IBAN, text), [""; 0], "{text}");
        }
    }

    #[test]
    fn finds_routing_numbers_in_context() {
        assert_eq!(found_by(ROUTING, "routing number 021000021"), ["021000021"]);
        assert_eq!(found_by(ROUTING, "routing number 021000022"), [""; 0]);
        assert_eq!(found_by(ROUTING, "about 021000021"), [""; 0]);
    }
}
