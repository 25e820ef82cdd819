//! What the matchers of identity numbers share.

use std::ops::Range;

use crate::pii::context::Context;
use crate::pii::matcher::Spot;
use crate::pii::number::Taken;

/// A number of `len` digits that passes `valid`, where it is written in groups of these `sizes` with one of `gaps`
/// between any two, or stands near the context's words.
pub fn digits_at(
    spot: &Spot,
    len: usize,
    (sizes, gaps): (&[usize], &[u8]),
    context: Context,
    valid: fn(&[u8]) -> bool,
) -> Option<Range<usize>> {
    let taken = spot.number?.take(len)?;
    let known = taken.is_grouped(sizes, gaps) || spot.near(context);
    (known && varied(&taken) && valid(taken.digits)).then(|| taken.start()..taken.end())
}

/// A number of `len` digits that passes `valid`, near the context's words only.
pub fn digits_near(
    spot: &Spot,
    len: usize,
    context: Context,
    valid: fn(&[u8]) -> bool,
) -> Option<Range<usize>> {
    // First of all, as there are many numbers and few such words.
    if !spot.near(context) {
        return None;
    }
    let taken = spot.number?.take(len)?;
    (varied(&taken) && valid(taken.digits)).then(|| taken.start()..taken.end())
}

/// Not one digit over and over, which many checks accept.
fn varied(taken: &Taken) -> bool {
    taken.digits.iter().any(|&digit| digit != taken.digits[0])
}

/// The anchor's word in upper case, where it is one of its own and shaped so: `A` stands for a letter, `9` for a digit,
/// `*` for either.
pub fn shaped(spot: &Spot, shape: &str) -> Option<Vec<u8>> {
    let word = spot.word();
    let fits = word.len() == shape.len()
        && word.bytes().zip(shape.bytes()).all(|(byte, shape)| match shape {
            b'A' => byte.is_ascii_alphabetic(),
            b'9' => byte.is_ascii_digit(),
            _ => true,
        });
    (fits && spot.lone().is_some()).then(|| word.bytes().map(|byte| byte.to_ascii_uppercase()).collect())
}

/// The values of the digits among these characters.
pub fn digits_of(characters: &[u8]) -> Vec<u8> {
    characters.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0').collect()
}
