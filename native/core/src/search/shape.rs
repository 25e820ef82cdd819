//! Features of a pair as a whole: what both share, how long they are, how much of either has a partner.

use crate::search::align::{Alignment, Link};
use crate::search::question::Question;
use crate::search::vector::Vector;
use crate::search::word::Word;

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

/// The share of what two sets have together that is in both.
fn overlap<T: Ord>(a: &[T], b: &[T]) -> f32 {
    let (mut x, mut y, mut both) = (0, 0, 0);
    while x < a.len() && y < b.len() {
        let order = a[x].cmp(&b[y]);
        both += usize::from(order.is_eq());
        x += usize::from(order.is_le());
        y += usize::from(order.is_ge());
    }
    both as f32 / (a.len() + b.len() - both).max(1) as f32
}

/// How much of words and letters both share, and how long they are.
pub fn shape(a: &Question, b: &Question, alignment: &Alignment) -> [f32; 11] {
    let (shared, trigrams) = (overlap(&a.numbers, &b.numbers), overlap(&a.trigrams, &b.trigrams));
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

/// How alike the words are that each question has for itself, and how many the one with fewer has.
pub fn rest(left: &[Vec<&Word>; 2]) -> [f32; 2] {
    let [(x, first), (y, second)] = left.each_ref().map(|words| {
        let mut pieces = Vec::new();
        let count = words.iter().filter(|word| word.add_pieces(&mut pieces)).count();
        (Vector::of_pieces(&pieces), count)
    });
    let similarity = match (x, y) {
        (Some(x), Some(y)) => x.cosine(&y),
        (None, None) => 1.0,
        _ => -1.0,
    };
    [similarity, first.min(second) as f32]
}
