//! Features of a pair as a whole: what both share, how long they are, how much of either has a partner.

use std::collections::BTreeSet;

use crate::search::align::{Alignment, Link};
use crate::search::kernel::dot;
use crate::search::question::{Question, Word};
use crate::search::table::table;
use crate::search::vector::{Vector, sum};

/// The greater of two numbers first.
pub fn ordered(a: f32, b: f32) -> (f32, f32) {
    if a >= b { (a, b) } else { (b, a) }
}

/// 1 or 0.
pub fn flag(is: bool) -> f32 {
    f32::from(u8::from(is))
}

/// What words weigh together.
pub fn weight<'a>(words: impl Iterator<Item = &'a &'a Word>) -> f32 {
    words.map(|word| word.weight).sum()
}

/// How much of words and letters both share, and how long they are.
pub fn shape(a: &Question, b: &Question, alignment: &Alignment) -> [f32; 11] {
    let bases = |question: &Question| -> BTreeSet<(Option<u16>, String)> {
        let key =
            |word: &Word| (word.base, if word.base.is_some() { String::new() } else { word.text.clone() });
        question.words.iter().map(key).collect()
    };
    let (x, y) = (bases(a), bases(b));
    let shared = x.intersection(&y).count() as f32 / x.union(&y).count().max(1) as f32;
    let letters = |question: &Question| -> BTreeSet<[u8; 3]> {
        let text: Vec<u8> = question.words.iter().flat_map(|word| word.text.bytes().chain([b' '])).collect();
        text.windows(3).map(|three| [three[0], three[1], three[2]]).collect()
    };
    let (s, t) = (letters(a), letters(b));
    let trigrams = s.intersection(&t).count() as f32 / s.union(&t).count().max(1) as f32;
    let (long, short) = ordered(a.words.len() as f32, b.words.len() as f32);
    let (more, fewer) = ordered(alignment.sides[0].len() as f32, alignment.sides[1].len() as f32);
    let first = match alignment.sides.each_ref().map(|side| side.first()) {
        [Some(_), Some(_)] => alignment.likeness(0, 0),
        _ => 0.0,
    };
    let spelled = flag(a.facts.spelled != b.facts.spelled);
    let none_alone = alignment.alone.iter().all(Vec::is_empty);
    let equal = none_alone && alignment.links.iter().all(|link| link.2 == Link::Same);
    let frames = a.words.len() + b.words.len() - alignment.sides[0].len() - alignment.sides[1].len();
    [
        shared,
        trigrams,
        short / long.max(1.0),
        short,
        more,
        fewer,
        a.sentences.abs_diff(b.sentences) as f32,
        first,
        spelled,
        flag(equal),
        frames as f32,
    ]
}

/// The share of each side's weight that has a partner, words of mere likeness counting by it.
pub fn covered(alignment: &Alignment) -> [f32; 2] {
    let share = |side: usize| {
        let of = |link: &(usize, usize, Link, f32)| if side == 0 { link.0 } else { link.1 };
        let worth = |link: &(usize, usize, Link, f32)| if link.2 == Link::Like { link.3 } else { 1.0 };
        let linked: f32 =
            alignment.links.iter().map(|link| alignment.sides[side][of(link)].weight * worth(link)).sum();
        linked / weight(alignment.sides[side].iter()).max(0.01)
    };
    let (more, less) = ordered(share(0), share(1));
    [more, less]
}

/// How alike the questions are without the words that both have, and how many words are left to the one with fewer.
pub fn rest(a: &Question, b: &Question) -> [f32; 2] {
    let left = |own: &Question, other: &Question| {
        let mut pieces = Vec::new();
        let alone = own.words.iter().filter(|word| !other.words.iter().any(|theirs| theirs.is(word)));
        let count = alone.filter(|word| table().pieces(&word.text, &mut pieces)).count();
        (Vector::from_numbers(&sum(&pieces)), count)
    };
    let ((x, first), (y, second)) = (left(a, b), left(b, a));
    let similarity = match (x, y) {
        (Some(x), Some(y)) => dot(&x.parts, &y.parts) as f32 * x.scale * y.scale,
        (None, None) => 1.0,
        _ => -1.0,
    };
    [similarity, first.min(second) as f32]
}
