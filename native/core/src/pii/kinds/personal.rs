//! Finds dates of birth and postal codes, both only near words that say what they are.

use std::ops::Range;

use super::ids::shaped;
use super::named::name_of;
use crate::pii::checks::is_month_day;
use crate::pii::context::{Context, Nearby};
use crate::pii::edges::{is_edge, is_free_after, is_free_before};
use crate::pii::matcher::{Anchor, Matcher, Spot};
use crate::pii::number::{Group, Number};

/// Dates of birth: `6/24/1991`, `1991-06-24`, `24.6.91`, `June 24, 1991`, `24 June 1991`.
pub const BIRTH: Matcher = Matcher { anchors: &[Anchor::Digits(0x1FE), Anchor::Word(3, 4)], at: birth_at };
/// Postal codes.
pub const POST: Matcher = Matcher { anchors: &[Anchor::Digits(0x3F8), Anchor::Word(2, 7)], at: post_at };

fn birth_at(spot: &Spot) -> Option<Range<usize>> {
    let numeric = spot.number.and_then(|number| numeric(spot, number));
    let worded =
        || if is_day(spot.word().as_bytes()) { day_first(spot).or_else(|| month_first(spot)) } else { None };
    // The words nearby come last: there are far more numbers than dates.
    let date = numeric.or_else(worded)?;
    (spot.near(Context::Birth) && !is_event(spot)).then_some(date)
}

/// What names of dates end with that are of other events: `"dob": null, "created": "2024-01-31"`.
const EVENTS: &[&str] = &[
    "at",
    "created",
    "updated",
    "modified",
    "issued",
    "expires",
    "expiry",
    "joined",
    "registered",
    "hired",
    "since",
    "due",
    "start",
    "end",
    "until",
    "timestamp",
];

/// Whether the name of the date says so, and nothing of a birth.
fn is_event(spot: &Spot) -> bool {
    let of_birth = |name: &[u8]| {
        let name = str::from_utf8(name).unwrap_or("");
        Nearby::new("", name).named().has(Context::Birth)
    };
    name_of(spot).is_some_and(|name| name.ends_with_one_of(EVENTS) && !of_birth(name.text))
}

fn numeric(spot: &Spot, number: &Number) -> Option<Range<usize>> {
    let [first, second, third] = number.groups().get(..3)? else { return None };
    let same = first.gap == 0 && second.gap == third.gap && matches!(second.gap, b'/' | b'-' | b'.');
    let value = |group: &Group| spot.text[group.start..group.end].parse::<u64>().unwrap_or(0);
    let size = |group: &Group| group.end - group.start;
    let (a, b, c) = (value(first), value(second), value(third));
    let valid = match (size(first), size(second), size(third)) {
        (4, 1..=2, 1..=2) => is_year(a) && is_month_day(b, c),
        (1..=2, 1..=2, 4) => is_year(c) && (is_month_day(a, b) || is_month_day(b, a)),
        (1..=2, 1..=2, 2) => is_month_day(a, b) || is_month_day(b, a),
        _ => false,
    };
    let range = first.start..third.end;
    (same && valid && is_free_after(&spot.text[range.end..])).then_some(range)
}

fn is_year(year: u64) -> bool {
    (1900..2100).contains(&year)
}

/// The months in English, German, French, Spanish, Italian, Portuguese and Dutch that begin with a letter.
fn months(first: u8) -> &'static [&'static str] {
    match first | 32 {
        b'a' => &["april", "august", "avril", "ao\u{fb}t", "abril", "agosto", "aprile", "augustus"],
        b'd' => &["december", "dezember", "d\u{e9}cembre", "diciembre", "dicembre", "dezembro"],
        b'e' => &["enero"],
        b'f' => &["february", "februar", "f\u{e9}vrier", "febrero", "febbraio", "fevereiro", "februari"],
        b'g' => &["gennaio", "giugno"],
        b'j' => &[
            "january", "june", "july", "januar", "juni", "juli", "janvier", "juin", "juillet", "junio",
            "julio", "janeiro", "junho", "julho", "januari",
        ],
        b'l' => &["luglio"],
        b'm' => &[
            "march",
            "may",
            "m\u{e4}rz",
            "mai",
            "mars",
            "marzo",
            "mayo",
            "maggio",
            "mar\u{e7}o",
            "maio",
            "maart",
            "mei",
        ],
        b'n' => &["november", "novembre", "noviembre", "novembro"],
        b'o' => &["october", "oktober", "octobre", "octubre", "ottobre", "outubro"],
        b's' => &["september", "septembre", "septiembre", "settembre", "setembro"],
        _ => &[],
    }
}

/// A month's name, or its beginning of three letters or more.
pub fn is_month(word: &str) -> bool {
    let word = word.as_bytes();
    let [first, second, _, ..] = word else { return false };
    let known = |month: &[u8]| {
        month[1] == second.to_ascii_lowercase()
            && month.get(..word.len()).is_some_and(|month| month.eq_ignore_ascii_case(word))
    };
    months(*first).iter().any(|month| known(month.as_bytes()))
}

fn is_of_month(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, '\u{e4}' | '\u{e7}' | '\u{e9}' | '\u{fb}')
}

/// Whether a word is a day, with its ending or without.
fn is_day(word: &[u8]) -> bool {
    let value = |tens: u8, ones: u8| if ones.is_ascii_digit() { tens * 10 + (ones - b'0') } else { 0 };
    let (day, ending) = match word {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9', ending @ ..] => (value(tens - b'0', *ones), ending),
        [ones, ending @ ..] => (value(0, *ones), ending),
        [] => return false,
    };
    let ordinal = |known: &&[u8]| ending.eq_ignore_ascii_case(known);
    (1..=31).contains(&day)
        && (ending.is_empty()
            || ending.len() == 2
                && [b"st", b"nd", b"rd", b"th"].map(|known| known.as_slice()).iter().any(ordinal))
}

/// `24 June 1991`.
fn day_first(spot: &Spot) -> Option<Range<usize>> {
    let rest = &spot.text[spot.anchor.end..];
    let next = |at: usize| rest.as_bytes().get(at).copied().unwrap_or(0);
    let begins = !months(next(1)).is_empty() || matches!(next(1), b' ' | b'.');
    if !matches!(next(0), b' ' | b'.') || !begins {
        return None;
    }
    let gap = rest.bytes().take_while(|byte| matches!(byte, b' ' | b'.')).count();
    let trimmed = &rest[gap..];
    let trimmed = ["of ", "de "].iter().find_map(|word| trimmed.strip_prefix(word)).unwrap_or(trimmed);
    let month: usize = trimmed.chars().take(10).take_while(|&c| is_of_month(c)).map(char::len_utf8).sum();
    if !is_month(&trimmed[..month]) {
        return None;
    }
    let after = spot.text.len() - trimmed.len() + month;
    Some(spot.anchor.start..year_end(spot.text, after).unwrap_or(after))
}

/// Most spaces and points between a month and its day.
const GAP_MAX: usize = 3;

/// `June 24, 1991`.
fn month_first(spot: &Spot) -> Option<Range<usize>> {
    let before = &spot.bytes()[spot.from..spot.anchor.start];
    if before.last() != Some(&b' ') {
        return None;
    }
    let gap = before.iter().rev().take(GAP_MAX).take_while(|byte| matches!(byte, b' ' | b'.')).count();
    let words = &spot.text[spot.from..spot.anchor.start - gap];
    let letters: usize =
        words.chars().rev().take(10).take_while(|&c| is_of_month(c)).map(char::len_utf8).sum();
    if !is_month(&words[words.len() - letters..]) {
        return None;
    }
    let end = year_end(spot.text, spot.anchor.end).unwrap_or(spot.anchor.end);
    Some(spot.from + words.len() - letters..end)
}

fn year_end(text: &str, from: usize) -> Option<usize> {
    let from = if text[from..].starts_with(" de ") { from + " de".len() } else { from };
    let at =
        from + text[from..].bytes().take(3).take_while(|byte| matches!(byte, b',' | b' ' | b'.')).count();
    let year = text.get(at..at + 4)?;
    let valid = at > from && year.parse().is_ok_and(is_year) && is_free_after(&text[at + 4..]);
    valid.then_some(at + 4)
}

fn post_at(spot: &Spot) -> Option<Range<usize>> {
    let range = match spot.number {
        Some(number) => digits(spot, number),
        None => letters(spot),
    }?;
    let named = spot.near(Context::Post) || is_italian(spot, &range);
    (named || spot.near(Context::Address) && ends_address(spot.text, &range)).then_some(range)
}

/// Whether it is a code of five digits that a `CAP` stands right before: in capitals, or as the name of a member that is text.
/// Any other cap is a limit.
fn is_italian(spot: &Spot, range: &Range<usize>) -> bool {
    if range.len() != 5 || !spot.bytes()[range.clone()].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let before = &spot.text[..range.start];
    let named = before.trim_end_matches([' ', ':', '.', '"', '\\']);
    let word = match named.len().checked_sub(3).and_then(|at| named.split_at_checked(at)) {
        Some((outside, word)) if is_edge(outside.chars().next_back()) => word,
        _ if before.is_empty() && range.end == spot.text.len() => str::from_utf8(spot.label()).unwrap_or(""),
        _ => return false,
    };
    word == "CAP" || (before.is_empty() || before.ends_with('"')) && word.eq_ignore_ascii_case("cap")
}

/// `90210`, `90210-1234`, `340 12`, `53-320`.
fn digits(spot: &Spot, number: &Number) -> Option<Range<usize>> {
    let groups = number.groups();
    let size = |at: usize| groups.get(at).map_or(0, |group| group.end - group.start);
    let gap = groups.get(1).map_or(0, |group| group.gap);
    let count = match (size(0), size(1), gap) {
        (5, 4, b'-') | (5, 3, b'-') | (2, 3, b'-') | (4, 3, b'-') | (3, 2, b' ' | b'-') | (3, 3, b' ') => 2,
        (3..=7, ..) => 1,
        _ => return None,
    };
    let range = groups[0].start..groups[count - 1].end;
    is_free_after(&spot.text[range.end..]).then_some(range)
}

/// The British and Canadian forms, and the Dutch: `SW1A 1AA`, `K1A 0B1`, `1234 AB`.
fn letters(spot: &Spot) -> Option<Range<usize>> {
    let start = spot.anchor.start;
    if !is_free_before(&spot.text[..start]) {
        return None;
    }
    if let Some(word) = spot.lone()
        && word.len() >= 6
        && (shaped(spot, "A9A9A9").is_some() || is_british(&word[..word.len() - 3], &word[word.len() - 3..]))
    {
        return Some(spot.anchor.clone());
    }
    let end = spot.anchor.end + 4;
    let inward = spot.text.get(spot.anchor.end + 1..end)?;
    let spaced = spot.bytes()[spot.anchor.end] == b' ' && is_edge(spot.text[end..].chars().next());
    let canadian = shaped(spot, "A9A").is_some() && is_shaped(inward, "9A9");
    (spaced && (canadian || is_british(spot.word(), inward))).then_some(start..end)
}

fn is_british(outward: &str, inward: &str) -> bool {
    let shapes = ["A9", "A99", "AA9", "AA99", "A9A", "AA9A"];
    is_shaped(inward, "9AA") && shapes.iter().any(|shape| is_shaped(outward, shape))
}

fn is_shaped(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, shape)| match shape {
            b'A' => byte.is_ascii_uppercase(),
            _ => byte.is_ascii_digit(),
        })
}

/// Whether a postal address may end so: on a line of its own.
fn ends_address(text: &str, range: &Range<usize>) -> bool {
    let before = text[..range.start].trim_end_matches(' ');
    let after = text[range.end..].trim_start_matches(' ');
    before.ends_with('\n') && (after.is_empty() || after.starts_with('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::finder::found_by;

    #[test]
    fn finds_dates_of_birth() {
        for date in [
            "6/24/1991",
            "1991-06-24",
            "24.6.91",
            "June 24, 1991",
            "24 June 1991",
            "24th of June 1991",
            "Mar. 3, 2001",
        ] {
            assert_eq!(found_by(BIRTH, &format!("My date of birth is {date}.")), [date]);
            assert_eq!(found_by(BIRTH, &format!("It was on {date}.")), [""; 0]);
        }
        for (before, date) in [
            ("geboren am", "24. M\u{e4}rz 1991"),
            ("n\u{e9} le", "24 f\u{e9}vrier 1991"),
            ("nacido el", "24 de junio de 1991"),
            ("nato il", "24 giugno 1991"),
        ] {
            assert_eq!(found_by(BIRTH, &format!("{before} {date}, oder so")), [date]);
        }
        for text in [
            "{\"dob\": null, \"created\": \"2024-01-31\"}",
            "born: unknown, updated_at: 2024-01-31",
            "{\"birthDate\":\"\",\"expiresAt\":\"2031-01-31\"}",
        ] {
            assert_eq!(found_by(BIRTH, text), [""; 0], "{text}");
        }
        for text in ["{\"dob\": \"1991-06-24\"}", "born_at: 1991-06-24", "Born at: 1991-06-24"] {
            assert_eq!(found_by(BIRTH, text), ["1991-06-24"], "{text}");
        }
        assert_eq!(found_by(BIRTH, "born 24 marble 1991, 24 de1991"), [""; 0]);
        assert_eq!(found_by(BIRTH, "born 2024-13-01, 45/45/1999"), [""; 0]);
    }

    #[test]
    fn finds_postal_codes() {
        for code in ["90210", "90210-1234", "880", "340 12", "53-320", "SW1A 1AA", "K1A 0B1", "M1 1AE"] {
            assert_eq!(found_by(POST, &format!("my zip code is {code}")), [code]);
            assert_eq!(found_by(POST, &format!("it is {code} now")), [""; 0]);
        }
        assert_eq!(found_by(POST, "Address: A\n 31 Main St 2\n City\n 7188"), ["7188"]);
        for text in ["CAP 20121 Milano", "CAP: 20121", "{\"cap\": \"20121\"}", "{\\\"cap\\\":\\\"20121\\\"}"]
        {
            assert_eq!(found_by(POST, text), ["20121"], "{text}");
        }
        for text in
            ["the cap is 10000 tokens", "{\"cap\": 50000}", "a cap of 5000", "ASAP 20121", "cap: 1000000"]
        {
            assert_eq!(found_by(POST, text), [""; 0], "{text}");
        }
    }
}
