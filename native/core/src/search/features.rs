//! What a pair of questions is judged by. The same whichever comes first.

use crate::search::align::{Alignment, Link, are_opposite};
use crate::search::asks::{KIND_COUNT, names as kind_names};
use crate::search::kernel::add;
use crate::search::lexicon::lexicon;
use crate::search::phrases::{
    CAN, FUTURE, MUST, NEGATION, OTHERS, PAST, RELATION, SCOPE, SELF, TIME, TROUBLE,
};
use crate::search::question::Question;
use crate::search::shape::{covered, flag, ordered, rest, shape, weight};
use crate::search::table::DIMENSIONS;
use crate::search::vector::Vector;
use crate::search::word::Word;

/// Names of the features, in their order; behind them come those of what only one of both asks for.
const OWN_NAMES: [&str; OWN] = [
    "similarity",
    "core similarity",
    "alone, more",
    "alone, fewer",
    "alone weight, more",
    "alone weight, less",
    "alone share, more",
    "alone share, less",
    "heaviest alone, more",
    "heaviest alone, less",
    "related alone, more",
    "related alone, less",
    "last alone, more",
    "last alone, less",
    "alone nearest",
    "alone farthest",
    "alone mean",
    "same",
    "synonyms",
    "typos",
    "alike",
    "same weight",
    "least alike",
    "alike weight",
    "heaviest alike",
    "opposites",
    "opposites anywhere",
    "siblings",
    "names alone, more",
    "names alone, fewer",
    "unknown alone, more",
    "unknown alone, fewer",
    "names linked",
    "negations",
    "negation parity",
    "time",
    "scope, more",
    "scope, fewer",
    "relations, more",
    "relations, fewer",
    "can",
    "must",
    "trouble",
    "self",
    "others",
    "past",
    "future",
    "relation of links",
    "order",
    "words shared",
    "letters shared",
    "length",
    "shorter length",
    "content, more",
    "content, fewer",
    "sentences",
    "first word",
    "spelled numbers",
    "equal content",
    "verbless",
    "covered, more",
    "covered, less",
    "rest similarity",
    "rest, shorter",
    "asked by both",
    "asked by one, more",
    "asked by one, fewer",
    "asked by both nothing",
];

const OWN: usize = 68;

/// How many features there are.
pub const FEATURES: usize = OWN + KIND_COUNT;

/// Names of the features, in their order.
pub fn names() -> Vec<String> {
    let asked = kind_names().map(|kind| format!("one asks {kind}"));
    OWN_NAMES.iter().map(|name| String::from(*name)).chain(asked).collect()
}

/// What each question says that the other doesn't.
struct Left<'a> {
    /// Words in a form that the other lacks, each once.
    forms: [Vec<&'a Word>; 2],
    /// Words that the other lacks in any form.
    words: [Vec<&'a Word>; 2],
}

impl<'a> Left<'a> {
    fn of(a: &'a Question, b: &'a Question) -> Left<'a> {
        let forms = |own: &'a Question, other: &Question| {
            let mut left: Vec<&Word> = Vec::new();
            for word in &own.words {
                let known = |known: &Word| known.equals(word);
                if !other.words.iter().any(known) && !left.iter().any(|word| known(word)) {
                    left.push(word);
                }
            }
            left
        };
        let words = |own: &'a Question, other: &Question| {
            own.words.iter().filter(|word| !other.words.iter().any(|theirs| theirs.is(word))).collect()
        };
        Left { forms: [forms(a, b), forms(b, a)], words: [words(a, b), words(b, a)] }
    }

    /// How many words of a class each question has that the other lacks, the more first.
    fn of_class(&self, class: u16) -> (f32, f32) {
        let [x, y] = self
            .forms
            .each_ref()
            .map(|side| side.iter().filter(|word| word.classes & class != 0).count() as f32);
        ordered(x, y)
    }
}

fn has_class(question: &Question, class: u16) -> bool {
    question.words.iter().any(|word| word.classes & class != 0)
}

/// The features of a pair.
pub fn features(a: &Question, b: &Question) -> [f32; FEATURES] {
    // Alignment is greedy; a fixed order makes it the same both ways.
    let (a, b) = if a.pieces <= b.pieces { (a, b) } else { (b, a) };
    let alignment = Alignment::of(a, b);
    let left = Left::of(a, b);
    let mut all = Vec::with_capacity(FEATURES);
    all.extend(likeness(a, b, &alignment));
    all.extend(alone(&alignment));
    all.extend(links(&alignment));
    all.extend(opposites(&left, &alignment));
    all.extend(of_names(&alignment));
    all.extend(classes(a, b, &left));
    all.extend(order(&alignment));
    all.extend(shape(a, b, &alignment));
    all.extend(covered(&alignment));
    all.extend(rest(&left.words));
    let (x, y) = (a.asks, b.asks);
    let (more, fewer) = ordered((x & !y).count_ones() as f32, (y & !x).count_ones() as f32);
    all.extend([(x & y).count_ones() as f32, more, fewer, flag(x & y == 0)]);
    all.extend((0..KIND_COUNT).map(|at| flag((x ^ y) >> at & 1 == 1)));
    let mut features = [0.0; FEATURES];
    features.iter_mut().zip(all).for_each(|(feature, value)| *feature = value);
    features
}

fn likeness(a: &Question, b: &Question, alignment: &Alignment) -> [f32; 2] {
    let whole = match (&a.vector, &b.vector) {
        (Some(x), Some(y)) => x.cosine(y),
        _ => 0.0,
    };
    [whole, core(alignment)]
}

/// Cosine of the weighted sums of the content words' directions.
fn core(alignment: &Alignment) -> f32 {
    let sides = [0, 1].map(|side| {
        let mut sum = [0f32; DIMENSIONS];
        for word in &alignment.sides[side] {
            let Some(vector) = &word.vector else { continue };
            add(&mut sum, vector.parts.iter().map(|&part| f32::from(part) * vector.scale), word.weight);
        }
        Vector::from_numbers(&sum)
    });
    match &sides {
        [Some(x), Some(y)] => x.cosine(y),
        _ => 0.0,
    }
}

/// Words without a partner: how many, how heavy, how far from all others.
fn alone(alignment: &Alignment) -> [f32; 15] {
    let side = |side: usize| {
        let alone = &alignment.alone[side];
        let words = || alone.iter().map(|(at, _)| &alignment.sides[side][*at]);
        let all = weight(alignment.sides[side].iter()).max(0.01);
        let heaviest = words().map(|word| word.weight).fold(0.0, f32::max);
        let weight = weight(words());
        let related = words().filter(|word| word.relation != 0).count() as f32;
        let last = alone.last().is_some_and(|(at, _)| at + 1 == alignment.sides[side].len());
        [alone.len() as f32, weight, weight / all, heaviest, related, flag(last)]
    };
    let (x, y) = (side(0), side(1));
    let mut out = [0.0; 15];
    for at in 0..6 {
        (out[2 * at], out[2 * at + 1]) = ordered(x[at], y[at]);
    }
    let near: Vec<f32> = alignment.alone.iter().flatten().map(|(_, near)| *near).collect();
    let count = near.len().max(1) as f32;
    out[12] = near.iter().copied().fold(0.0, f32::max);
    out[13] = near.iter().copied().fold(1.0, f32::min);
    out[14] = if near.is_empty() { 1.0 } else { near.iter().sum::<f32>() / count };
    out
}

fn links(alignment: &Alignment) -> [f32; 8] {
    let of = |kind: Link| alignment.links.iter().filter(move |link| link.2 == kind);
    let weights = |kind: Link| of(kind).map(|link| alignment.sides[0][link.0].weight).sum::<f32>();
    let all = weight(alignment.sides[0].iter()).max(weight(alignment.sides[1].iter())).max(0.01);
    let least = of(Link::Like).map(|link| link.3).fold(1.0, f32::min);
    [
        of(Link::Same).count() as f32,
        of(Link::Synonym).count() as f32,
        of(Link::Typo).count() as f32,
        of(Link::Like).count() as f32,
        weights(Link::Same) / all,
        least,
        weights(Link::Like) / all,
        of(Link::Like).map(|link| alignment.sides[0][link.0].weight).fold(0.0, f32::max),
    ]
}

/// Opposites among words without a partner, among all words, and words of a kind.
fn opposites(left: &Left, alignment: &Alignment) -> [f32; 3] {
    let mut among_alone = 0.0;
    let mut siblings = 0.0;
    let is_sibling = |x: &Word, y: &Word| {
        x.base.zip(y.base).is_some_and(|(x, y)| lexicon().are_siblings(x, y) && !lexicon().are_synonyms(x, y))
    };
    for (x, _) in &alignment.alone[0] {
        for (y, _) in &alignment.alone[1] {
            let (x, y) = (alignment.sides[0][*x], alignment.sides[1][*y]);
            among_alone += flag(are_opposite(x, y));
            siblings += flag(is_sibling(x, y));
        }
    }
    for link in alignment.links.iter().filter(|link| link.2 == Link::Like) {
        siblings += flag(is_sibling(alignment.sides[0][link.0], alignment.sides[1][link.1]));
    }
    let of = |x: &&Word| left.words[1].iter().filter(|y| are_opposite(x, y)).count() as f32;
    let anywhere = left.words[0].iter().map(of).sum();
    [among_alone, anywhere, siblings]
}

/// Names and words that no vocabulary has: without a partner, and linked to others by likeness alone.
fn of_names(alignment: &Alignment) -> [f32; 5] {
    let count = |side: usize, is: fn(&Word) -> bool| {
        let words = alignment.alone[side].iter().map(|(at, _)| alignment.sides[side][*at]);
        words.filter(|word| is(word)).count() as f32
    };
    let (more, fewer) = ordered(count(0, |word| word.name), count(1, |word| word.name));
    let unknown = |word: &Word| word.base.is_none();
    let (unknown_more, unknown_fewer) = ordered(count(0, unknown), count(1, unknown));
    let linked = alignment.links.iter().filter(|link| {
        link.2 == Link::Like && (alignment.sides[0][link.0].name || alignment.sides[1][link.1].name)
    });
    [more, fewer, unknown_more, unknown_fewer, linked.count() as f32]
}

fn classes(a: &Question, b: &Question, left: &Left) -> [f32; 14] {
    let negations = |question: &Question| question.words.iter().filter(|w| w.classes & NEGATION != 0).count();
    let (x, y) = (negations(a), negations(b));
    let (time, _) = left.of_class(TIME);
    let (scope, scope_fewer) = left.of_class(SCOPE);
    let (relations, relations_fewer) = left.of_class(RELATION);
    let xor = |class: u16| flag(has_class(a, class) != has_class(b, class));
    [
        x.abs_diff(y) as f32,
        flag(x % 2 != y % 2),
        time,
        scope,
        scope_fewer,
        relations,
        relations_fewer,
        xor(CAN),
        xor(MUST),
        xor(TROUBLE),
        xor(SELF),
        xor(OTHERS),
        xor(PAST),
        xor(FUTURE),
    ]
}

/// Linked words that stand in other relations, and links that cross.
fn order(alignment: &Alignment) -> [f32; 2] {
    let pairs: Vec<(usize, usize)> = alignment.links.iter().map(|link| (link.0, link.1)).collect();
    let relation = pairs.iter().filter(|(x, y)| {
        let (x, y) = (alignment.sides[0][*x].relation, alignment.sides[1][*y].relation);
        x != 0 && y != 0 && x != y
    });
    let crossed = |x: &(usize, usize)| pairs.iter().filter(|y| (x.0 < y.0) != (x.1 < y.1) && x != *y).count();
    let possible = (pairs.len() * pairs.len().saturating_sub(1)).max(1);
    [relation.count() as f32, pairs.iter().map(crossed).sum::<usize>() as f32 / possible as f32]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(a: &str, b: &str) -> [f32; FEATURES] {
        features(&Question::read(a), &Question::read(b))
    }

    fn named(all: &[f32; FEATURES], name: &str) -> f32 {
        all[names().iter().position(|known| *known == name).unwrap()]
    }

    #[test]
    fn differences_are_seen() {
        for (name, a, b) in [
            ("negation parity", "is it safe", "is it not safe"),
            ("opposites anywhere", "enable alerts", "disable alerts"),
            ("siblings", "is the red one left", "is the blue one left"),
            ("names alone, more", "ship to Germany", "ship to France"),
            ("relation of links", "a train from Paris to Lyon", "a train from Lyon to Paris"),
            ("time", "weather today", "weather tomorrow"),
            ("scope, more", "the first train", "the last train"),
            ("one asks why", "why is it blue", "when is it blue"),
        ] {
            assert!(named(&of(a, b), name) > 0.0, "{name}: {a} | {b}");
            assert_eq!(named(&of(a, a), name), 0.0, "{name}");
        }
        assert_eq!(named(&of("reset my password", "password reset please"), "equal content"), 1.0);
    }

    proptest! {
        #[test]
        fn the_order_of_the_pair_does_not_matter(
            a in prop::collection::vec("(how|not|from|cat|dog|Paris|pay|payment|2|zzz|all)", 0..9),
            b in prop::collection::vec("(how|no|to|cat|cats|Lyon|pay|refund|two|zzx|any)", 0..9),
        ) {
            let (x, y) = (of(&a.join(" "), &b.join(" ")), of(&b.join(" "), &a.join(" ")));
            for (name, (x, y)) in names().iter().zip(x.iter().zip(&y)) {
                prop_assert!(x.is_finite() && x == y, "{} {} {}", name, x, y);
            }
        }
    }
}
