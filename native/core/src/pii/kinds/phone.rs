//! Finds telephone numbers: international ones with a known calling code and a possible length, and national ones that
//! are written as such or stand beside a word for telephones.

use std::ops::Range;

use super::named::name_of;
use super::phone_codes::CODES;
use crate::pii::context::Context;
use crate::pii::matcher::{Anchor, Matcher, Spot};
use crate::pii::number::{DIGITS_MAX, Number, Taken};

/// Telephone numbers: 7 to 17 digits.
pub const MATCHER: Matcher = Matcher { anchors: &[Anchor::Digits(DIGITS)], at: phone_at };

/// 7 to 17.
const DIGITS: u32 = 0x3_FF80;

/// Longest extension, in digits.
const EXTENSION_MAX: usize = 6;

fn phone_at(spot: &Spot) -> Option<Range<usize>> {
    let number = spot.number?;
    let bytes = spot.bytes();
    let start = spot.anchor.start;
    let before = |at: usize| start.checked_sub(at).filter(|&at| at >= spot.from).map(|at| bytes[at]);
    let plus = before(1) == Some(b'+');
    let end = if plus { international(number, 0) } else { national(spot, number) }?;
    let open = before(1) == Some(b'(') && number.groups().get(1).is_some_and(|group| group.gap == b')');
    let start = if plus || open { start - 1 } else { start };
    Some(start..extension(bytes, end))
}

/// Where a number in international form ends, whose calling code follows `skip` digits.
fn international(number: &Number, skip: usize) -> Option<usize> {
    number.lengths(DIGITS).find_map(|len| {
        let taken = number.take(len)?;
        let mut digits = [0; DIGITS_MAX];
        let mut count = len - skip;
        digits[..count].copy_from_slice(&taken.digits[skip..]);
        // +41 (0)71 …: the 0 is dialled within the country only.
        if let Some(trunk) = taken.groups.get(1)
            && trunk.gap == b')'
            && trunk.end - trunk.start == 1
        {
            // In 0)0…, the group before it ends among the digits that are skipped.
            let place = (taken.groups[0].end - taken.groups[0].start).checked_sub(skip)?;
            if digits[place] == 0 {
                digits.copy_within(place + 1..count, place);
                count -= 1;
            }
        }
        (is_possible(&digits[..count]) && !taken.groups.iter().any(|group| group.gap == b'/'))
            .then_some(taken.end())
    })
}

/// Whether digits are a calling code and a number of a length that occurs behind it.
pub fn is_possible(digits: &[u8]) -> bool {
    (1..=3.min(digits.len())).any(|len| {
        let code = digits[..len].iter().fold(0, |code, &digit| code * 10 + u16::from(digit));
        CODES
            .binary_search_by_key(&code, |&(code, _)| code)
            .is_ok_and(|at| CODES[at].1 >> (digits.len() - len) & 1 != 0)
    })
}

fn national(spot: &Spot, number: &Number) -> Option<usize> {
    let telephone = || spot.near(Context::Phone) && !is_about(spot);
    let other = || spot.near(Context::Other) && !telephone();
    if let Some(end) = american(spot, number) {
        return Some(end);
    }
    let taken = number.longest(0x1_FF80)?;
    let size = |at: usize| taken.groups[at].end - taken.groups[at].start;
    let date = taken.is_grouped(&[4, 2, 2], b"-./")
        || taken.is_grouped(&[2, 2, 4], b"-./")
        || taken.groups.iter().any(|group| group.gap == b'/');
    if date {
        return None;
    }
    if taken.digits.starts_with(&[0, 0]) && (taken.groups.len() > 1 && !other() || telephone()) {
        return international(number, 2);
    }
    // 0494 92 82 32: with the trunk prefix, in groups.
    let gap = taken.groups.get(1).map_or(0, |group| group.gap);
    let grouped = taken.groups.len() >= 3
        && (9..=11).contains(&taken.digits.len())
        && (2..=5).contains(&size(0))
        && (1..taken.groups.len()).all(|at| (2..=4).contains(&size(at)) && taken.groups[at].gap == gap);
    let trunk = taken.digits[0] == 0 && taken.digits[1] != 0 && matches!(gap, b' ' | b'.') && grouped;
    let long = taken.digits.len() >= 8 || taken.groups.len() > 1;
    (trunk && !other() || long && taken.digits.len() <= 15 && telephone()).then(|| taken.end())
}

/// What names end with of numbers that are something about a call, a cell or a telephone, or about what such a number stands
/// beside: `call_id`, `cellCount`, `"phone": null, "created": 1700000000`.
const ABOUT: &[&str] = &[
    "id",
    "ids",
    "count",
    "counts",
    "total",
    "sum",
    "amount",
    "price",
    "cost",
    "balance",
    "revenue",
    "size",
    "bytes",
    "offset",
    "index",
    "version",
    "duration",
    "ms",
    "ns",
    "ttl",
    "at",
    "time",
    "date",
    "timestamp",
    "epoch",
    "created",
    "updated",
    "modified",
    "expires",
    "expiry",
];

/// Whether the name of the number says so. Who calls is known by a telephone number, and `phone_at` is one of Austria.
fn is_about(spot: &Spot) -> bool {
    name_of(spot)
        .is_some_and(|name| name.ends_with_one_of(ABOUT) && !is_caller(name.text) && !is_austrian(name.text))
}

/// Whether a text ends so, in any case.
fn ends(text: &[u8], end: &str) -> bool {
    text.len().checked_sub(end.len()).is_some_and(|at| text[at..].eq_ignore_ascii_case(end.as_bytes()))
}

/// A name without its last letters, and without the sign that divides them from others.
fn before_last(name: &[u8], letters: usize) -> &[u8] {
    let first = &name[..name.len().saturating_sub(letters)];
    first.strip_suffix(b"_").or_else(|| first.strip_suffix(b"-")).unwrap_or(first)
}

fn is_caller(name: &[u8]) -> bool {
    ends(name, "id") && ends(before_last(name, 2), "caller")
}

/// Whether a name ends with that of a telephone and the country's code, not with when something was done.
fn is_austrian(name: &[u8]) -> bool {
    let telephones = ["phone", "mobile", "cell", "fax", "tel", "telefon", "handy", "number", "whatsapp"];
    ends(name, "at") && telephones.iter().any(|telephone| ends(before_last(name, 2), telephone))
}

/// The North American form: area code and exchange begin with 2 to 9.
fn american(spot: &Spot, number: &Number) -> Option<usize> {
    let divided = |taken: &Taken, sizes: &[usize]| {
        taken.is_grouped(sizes, b"-.)") || taken.is_grouped(sizes, b"-.) ") && spot.near(Context::Phone)
    };
    let with_code = number.take(11).filter(|taken| taken.digits[0] == 1 && divided(taken, &[1, 3, 3, 4]));
    let taken = with_code.or_else(|| number.take(10).filter(|taken| divided(taken, &[3, 3, 4])))?;
    let local = &taken.digits[taken.digits.len() - 10..];
    (local[0] >= 2 && local[3] >= 2).then(|| taken.end())
}

/// The end of an extension that follows, such as `x123` or ` ext. 123`.
fn extension(bytes: &[u8], end: usize) -> usize {
    let rest = &bytes[end..];
    let begins =
        [" ext. ", " ext ", " ext.", " x", "x"].iter().find(|word| rest.starts_with(word.as_bytes()));
    let Some(word) = begins else { return end };
    let digits = rest[word.len()..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    if (1..=EXTENSION_MAX).contains(&digits) { end + word.len() + digits } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::finder::found_by;

    #[test]
    fn finds_each_form() {
        for phone in [
            "+41 (0)96 471 07 95",
            "+447700 921 916",
            "+1-903-140-4508x769",
            "+12125550123",
            "541-714-1388",
            "(898)666-3621x0135",
            "(602) 272-9781",
            "001-253-366-9781",
            "0494 92 82 32",
            "03.93.92.16.85",
        ] {
            assert_eq!(found_by(MATCHER, &format!("write {phone}, or not")), [phone]);
        }
        for text in
            ["{\"call\": 9498777106}", "phoneNumber: 9498777106", "Caller ID: 9498777106", "cell=9498777106"]
        {
            assert_eq!(found_by(MATCHER, text), ["9498777106"], "{text}");
        }
        // Who calls, and what ends with the code of a country.
        for text in [
            "caller_id: 9498777106",
            "callerId=9498777106",
            "{\"caller_id\": \"9498777106\"}",
            "{\"phone_us\": \"9498777106\"}",
            "phoneUS: 9498777106",
            "{\"call_us\":9498777106}",
            "{\"mobile_at\": 9498777106}",
            "homePhoneAT=9498777106",
            "{\"contact-number-at\": 9498777106}",
        ] {
            assert_eq!(found_by(MATCHER, text), ["9498777106"], "{text}");
        }
        for phone in ["99 577450", "432 03 163", "9498777106", "0341 8387176", "723 813 266"] {
            assert_eq!(found_by(MATCHER, &format!("Mobile: {phone}")), [phone]);
            assert_eq!(found_by(MATCHER, &format!("in all {phone}")), [""; 0]);
        }
    }

    #[test]
    fn passes_over_other_numbers() {
        for text in [
            "call 2024-01-31",
            "+999 123 456 789",
            "+41 12",
            "141-714-1388",
            "541-114-1388",
            "order 0494 92 82 32",
            "12/31/2024 12345",
            "v1.2.345.6789",
            "call 0)0 49 30",
            "{\"call_id\": 1234567890}",
            "{\\\"callId\\\":\\\"1234567890\\\"}",
            "cellCount=12345678",
            "call-duration-ns: 1234567890",
            "{\"phone\": null, \"created\": 1700000000}",
            "{\"phoneLinkedAt\": 1700000000, \"amount\": 12345678}",
        ] {
            assert_eq!(found_by(MATCHER, text), [""; 0], "{text}");
        }
    }
}
