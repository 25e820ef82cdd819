//! Which words of two questions say the same.

use crate::search::lexicon::lexicon;
use crate::search::question::Question;
use crate::search::word::Word;

/// How two words belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The same word, whatever its form.
    Same,
    /// Words that can stand for one another.
    Synonym,
    /// The same word with a letter off.
    Typo,
    /// Words of like meaning, as their vectors have it.
    Like,
}

/// Vectors of words this near are of like meaning.
const LIKE_MIN: f32 = 0.5;
/// Questions with more words of content than this are compared by their first ones.
const CONTENT_MAX: usize = 40;

/// The content words of two questions, and how they belong together.
pub struct Alignment<'a> {
    /// Content of one, and of the other.
    pub sides: [Vec<&'a Word>; 2],
    /// Words of the first and second side that belong together, how, and how near they are.
    pub links: Vec<(usize, usize, Link, f32)>,
    /// Words without a partner: of either side, with how near the nearest word of the other side is.
    pub alone: [Vec<(usize, f32)>; 2],
    likeness: Vec<f32>,
}

impl<'a> Alignment<'a> {
    /// Aligns two questions.
    pub fn of(a: &'a Question, b: &'a Question) -> Alignment<'a> {
        let content = |question: &'a Question| question.content().take(CONTENT_MAX).collect::<Vec<_>>();
        let sides = [content(a), content(b)];
        let likeness: Vec<f32> =
            sides[0].iter().flat_map(|a| sides[1].iter().map(move |b| likeness(a, b))).collect();
        let mut alignment = Alignment { sides, links: Vec::new(), alone: [Vec::new(), Vec::new()], likeness };
        let mut open = [0, 1].map(|side| vec![true; alignment.sides[side].len()]);
        alignment.link_words(&mut open, |a, b| a.is(b).then_some(Link::Same));
        alignment.link_words(&mut open, related);
        alignment.link_like(&mut open);
        for (side, open) in open.iter().enumerate() {
            let alone = (0..open.len()).filter(|&at| open[at]);
            alignment.alone[side] = alone.map(|at| (at, alignment.nearest(side, at))).collect();
        }
        alignment
    }

    /// How near the words of the two sides are, -1 to 1.
    pub fn likeness(&self, a: usize, b: usize) -> f32 {
        self.likeness[a * self.sides[1].len() + b]
    }

    fn nearest(&self, side: usize, at: usize) -> f32 {
        let others = 0..self.sides[1 - side].len();
        let like = |other| if side == 0 { self.likeness(at, other) } else { self.likeness(other, at) };
        others.map(like).fold(0.0, f32::max)
    }

    fn link_words(&mut self, open: &mut [Vec<bool>; 2], kind: impl Fn(&Word, &Word) -> Option<Link>) {
        for a in 0..self.sides[0].len() {
            // Where a word occurs twice, the one whose place is like its own.
            let others = (0..self.sides[1].len()).filter(|&b| open[0][a] && open[1][b]);
            let fits = others.filter_map(|b| Some((b, kind(self.sides[0][a], self.sides[1][b])?)));
            let found = fits.min_by_key(|(b, _)| a.abs_diff(*b));
            if let Some((b, link)) = found {
                self.links.push((a, b, link, self.likeness(a, b)));
                (open[0][a], open[1][b]) = (false, false);
            }
        }
    }

    /// Links what is left, the likest first. Opposites are alike, but are never linked.
    fn link_like(&mut self, open: &mut [Vec<bool>; 2]) {
        let left = (0..open[0].len()).filter(|&at| open[0][at]);
        let right: Vec<usize> = (0..open[1].len()).filter(|&at| open[1][at]).collect();
        let mut pairs: Vec<(f32, usize, usize)> = left
            .flat_map(|a| right.iter().map(move |&b| (a, b)))
            .map(|(a, b)| (self.likeness(a, b), a, b))
            .filter(|&(like, a, b)| like >= LIKE_MIN && !excludes(self.sides[0][a], self.sides[1][b]))
            .collect();
        pairs.sort_by(|x, y| y.0.total_cmp(&x.0).then((x.1, x.2).cmp(&(y.1, y.2))));
        for (like, a, b) in pairs {
            if open[0][a] && open[1][b] {
                self.links.push((a, b, Link::Like, like));
                (open[0][a], open[1][b]) = (false, false);
            }
        }
    }
}

fn likeness(a: &Word, b: &Word) -> f32 {
    match (&a.vector, &b.vector) {
        (Some(x), Some(y)) => x.cosine(y),
        _ => f32::from(u8::from(a.equals(b))),
    }
}

/// Whether the words can't both be meant: opposites, two names, or a number and something else.
pub fn excludes(a: &Word, b: &Word) -> bool {
    a.digits || b.digits || a.name && b.name || are_opposite(a, b)
}

/// Whether the words say the opposite, by the lexicon or by a prefix.
pub fn are_opposite(a: &Word, b: &Word) -> bool {
    let listed = a.base.zip(b.base).is_some_and(|(x, y)| lexicon().are_antonyms(x, y));
    listed || denies(&a.text, &b.text) || denies(&b.text, &a.text)
}

/// Whether a word is another, of more than three letters, with a prefix that denies.
fn denies(long: &str, short: &str) -> bool {
    short.len() > 3
        && (2..=3).contains(&long.len().saturating_sub(short.len()))
        && long
            .strip_suffix(short)
            .is_some_and(|prefix| ["un", "in", "im", "il", "ir", "dis", "non", "de"].contains(&prefix))
}

fn related(a: &Word, b: &Word) -> Option<Link> {
    if excludes(a, b) {
        return None;
    }
    if let Some((x, y)) = a.base.zip(b.base) {
        let one = lexicon().are_synonyms(x, y) || lexicon().are_derived(x, y);
        return one.then_some(Link::Synonym);
    }
    is_typo(a.text.as_bytes(), b.text.as_bytes()).then_some(Link::Typo)
}

/// Whether one letter is missing, added, another, or changed places with its neighbour.
fn is_typo(a: &[u8], b: &[u8]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if short.len() < 4 || long.len() - short.len() > 1 {
        return false;
    }
    let same = short.iter().zip(long).take_while(|(x, y)| x == y).count();
    let swapped = |a: &[u8], b: &[u8]| a.len() > 1 && a[0] == b[1] && a[1] == b[0] && a[2..] == b[2..];
    if short.len() < long.len() {
        return short[same..] == long[same + 1..];
    }
    same == short.len() || short[same + 1..] == long[same + 1..] || swapped(&short[same..], &long[same..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_find_their_partners() {
        let [a, b] = ["Cancel my paid subscription in Paris", "terminate a membership in Lyon, unpaid"]
            .map(Question::read);
        let alignment = Alignment::of(&a, &b);
        let of = |a: &str| {
            alignment.links.iter().find(|link| alignment.sides[0][link.0].text == a).map(|link| link.2)
        };
        assert_eq!(of("cancel"), Some(Link::Synonym));
        assert_eq!(of("subscription"), Some(Link::Synonym));
        assert_ne!(of("paid"), Some(Link::Same));
        assert!(alignment.alone[0].len() <= 2);
    }

    #[test]
    fn typos_are_one_letter() {
        assert!(
            is_typo(b"pasword", b"password")
                && is_typo(b"passwrod", b"password")
                && is_typo(b"passwort", b"password")
        );
        assert!(!is_typo(b"cat", b"car") && !is_typo(b"pasword", b"passwords"));
        assert!(!is_typo(b"abcd", b"dcba"));
    }
}
