//! What two questions say against each other, however the rest of them is put: more or less than a number, before or
//! after a day, there or back, the one or the other of two opposites.

use crate::search::exclusive::kinds_of;
use crate::search::fact_words::{currency_name, said};
use crate::search::phrases::{RELATION, STOP};
use crate::search::word::Word;

/// Before them a word only says what is asked for: "how long".
const MEASURING: &str = "how";
/// Between two places it is as far there as back.
const DISTANCE: [&str; 4] = ["far", "distance", "distant", "away"];

/// On which side of a number, or of a time, something is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Below,
    Above,
    Exactly,
    Within,
}

/// What a question says that another may say the contrary of. Words are given by their places.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// Lines of exclusive words, and of which kinds it has some: bits.
    kinds: Vec<(u8, u16)>,
    /// Numbers, and on which side of them.
    numbers: Vec<(usize, At)>,
    /// What comes before or after, and of what.
    times: Vec<(usize, At)>,
    /// Where something comes from, and where it goes.
    from: Vec<usize>,
    to: Vec<usize>,
    /// Names of one letter: a vitamin, a language.
    letters: Vec<usize>,
    /// What it asks for: a cause, why the asker does something, how something is done, how much there is of something.
    why: bool,
    why_i: bool,
    how: bool,
    amount: bool,
    /// Words that bind another one to what stands before: the one before, its relation, and the one bound.
    bound: Vec<(usize, usize, usize)>,
}

impl Claims {
    /// Reads what a question's words claim.
    pub fn read(words: &[Word]) -> Claims {
        let mut claims = Claims::default();
        let text = |at: usize| words.get(at).map_or("", |word| word.text.as_str());
        for (at, word) in words.iter().enumerate() {
            let before = |steps: usize| at.checked_sub(steps).map_or("", text);
            if before(1) != MEASURING {
                kinds_of(&word.text).iter().for_each(|&(line, bit)| claims.note(line, bit));
            }
            match (word.text.as_str(), text(at + 1), text(at + 2)) {
                ("why", "do" | "would" | "should" | "must" | "can", "i") => {
                    claims.why = true;
                    claims.why_i = true;
                }
                ("why", ..) => claims.why = true,
                ("how", "many" | "much" | "long" | "often" | "old", _) => claims.amount = true,
                ("how", ..) => claims.how = true,
                _ => {}
            }
            if word.digits {
                claims.numbers.extend(side(words, at).map(|side| (at, side)));
            }
            if is_letter(word, at.checked_sub(1).map(|before| &words[before])) {
                claims.letters.push(at);
            }
            let Some(after) = (word.classes & (STOP | RELATION) != 0 || word.text == "following")
                .then(|| argument(words, at))
                .flatten()
            else {
                continue;
            };
            match word.text.as_str() {
                "before" | "until" | "till" => claims.times.push((after, At::Below)),
                "after" | "following" | "since" => claims.times.push((after, At::Above)),
                "in" | "during" if is_date(text(after)) => claims.times.push((after, At::Within)),
                "of" if before(1) == "ahead" => claims.times.push((after, At::Below)),
                "to" if ["up", "prior"].contains(&before(1)) => claims.times.push((after, At::Below)),
                "from" if ["on", "onward", "onwards"].contains(&text(after + 1)) => {
                    claims.times.push((after, At::Above));
                }
                _ => {}
            }
            match word.text.as_str() {
                "from" => claims.from.push(after),
                "to" | "into" => claims.to.push(after),
                _ => {}
            }
            let binds = ["than", "to", "from", "with", "by"].contains(&word.text.as_str());
            if let Some(head) = at.checked_sub(1).filter(|_| binds) {
                claims.bound.push((head, at, after));
            }
        }
        claims
    }

    fn note(&mut self, line: u8, bit: u16) {
        match self.kinds.iter_mut().find(|(known, _)| *known == line) {
            Some((_, bits)) => *bits |= bit,
            None => self.kinds.push((line, bit)),
        }
    }
}

/// Whether a word is a name of one letter, perhaps with signs: C, C++, C#. What is left of a contraction is none.
fn is_letter(word: &Word, before: Option<&Word>) -> bool {
    let name = word.text.trim_end_matches(['+', '#']);
    let is_rest = word.classes & STOP != 0 && before.is_none_or(|before| before.classes & STOP != 0);
    name.len() == 1 && name.bytes().all(|b| b.is_ascii_lowercase()) && !["a", "i"].contains(&name) && !is_rest
}

/// Whether a word behind "in" names a month, a day or a year.
fn is_date(text: &str) -> bool {
    let is_year = text.len() == 4 && text.starts_with(['1', '2']) && text.bytes().all(|b| b.is_ascii_digit());
    is_year || ["march", "may"].contains(&text) || said(text).date.is_some()
}

/// The word that a relation leads to: the next one with content, if there are but small words before it.
fn argument(words: &[Word], at: usize) -> Option<usize> {
    let end = words.len().min(at + 4);
    let next = (at + 1..end).find(|&at| words[at].is_content())?;
    words[at + 1..next].iter().all(|word| word.classes & STOP != 0).then_some(next)
}

/// On which side of a number something is, as the words around it have it.
fn side(words: &[Word], at: usize) -> Option<At> {
    let text = |at: usize| words.get(at).map_or("", |word| word.text.as_str());
    match (text(at + 1), text(at + 2)) {
        ("or" | "and", "more" | "up" | "above" | "over" | "older" | "higher" | "longer") => {
            return Some(At::Above);
        }
        ("or" | "and", "less" | "fewer" | "under" | "below" | "younger" | "lower" | "shorter") => {
            return Some(At::Below);
        }
        _ => {}
    }
    // A currency's sign stands before its number.
    let is_sign = |at: usize| said(text(at)).currency.and_then(currency_name).is_some();
    let end = if at > 0 && is_sign(at - 1) { at - 1 } else { at };
    let before = |steps: usize| end.checked_sub(steps).map_or("", text);
    match before(1) {
        "over" | "above" | "beyond" | "exceeding" | "minimum" => Some(At::Above),
        "under" | "below" | "maximum" => Some(At::Below),
        "exactly" | "precisely" => Some(At::Exactly),
        "to" if before(2) == "up" => Some(At::Below),
        "than" => match before(2) {
            "more" | "greater" | "higher" | "larger" | "bigger" | "longer" | "older" | "later" => {
                Some(At::Above)
            }
            "less" | "fewer" | "lower" | "smaller" | "shorter" | "younger" | "cheaper" | "earlier" => {
                Some(At::Below)
            }
            _ => None,
        },
        _ => None,
    }
}

/// A question's words and what they claim.
pub type Claiming<'a> = (&'a [Word], &'a Claims);

/// Whether two questions say the contrary of each other. The order doesn't matter.
pub fn contrary(a: Claiming, b: Claiming) -> bool {
    let excludes = |&(line, bits): &(u8, u16)| {
        b.1.kinds.iter().any(|&(other, others)| other == line && bits & others == 0)
    };
    a.1.kinds.iter().any(excludes)
        || on_other_sides(a.0, &a.1.numbers, b.0, &b.1.numbers)
        || on_other_sides(a.0, &a.1.times, b.0, &b.1.times)
        || is_no_cause(a.1, b.1)
        || is_no_cause(b.1, a.1)
        || differ(a, &a.1.letters, b, &b.1.letters)
        || goes_back(a, b)
        || goes_back(b, a)
        || trade_places(a, b)
}

/// Whether the same number or time is in both, and on no side that they share.
fn on_other_sides(a: &[Word], left: &[(usize, At)], b: &[Word], right: &[(usize, At)]) -> bool {
    left.iter().any(|&(x, _)| {
        let sides = |words: &'_ [Word], all: &'_ [(usize, At)]| -> Vec<At> {
            all.iter().filter(|(at, _)| words[*at].is(&a[x])).map(|(_, side)| *side).collect()
        };
        let (mine, theirs) = (sides(a, left), sides(b, right));
        !theirs.is_empty() && !mine.iter().any(|side| theirs.contains(side))
    })
}

/// Whether `a` asks why, and `b` how much, or how to do what `a` does.
fn is_no_cause(a: &Claims, b: &Claims) -> bool {
    a.why && !b.why && (b.amount || a.why_i && b.how)
}

/// Whether both have some such words, and none in common.
fn differ(a: Claiming, mine: &[usize], b: Claiming, theirs: &[usize]) -> bool {
    let shared = |&at: &usize| theirs.iter().any(|&other| a.0[at].equals(&b.0[other]));
    !mine.is_empty() && !theirs.is_empty() && !mine.iter().any(shared)
}

/// Whether `b` goes where `a` comes from.
fn goes_back(a: Claiming, b: Claiming) -> bool {
    let among =
        |word: &Word, (words, _): Claiming, places: &[usize]| places.iter().any(|&at| words[at].is(word));
    let turns =
        a.1.from
            .iter()
            .map(|&at| &a.0[at])
            .any(|word| among(word, b, &b.1.to) && !among(word, b, &b.1.from) && !among(word, a, &a.1.to));
    let is_far = |words: &[Word]| words.iter().any(|word| DISTANCE.contains(&word.text.as_str()));
    turns && !is_far(a.0) && !is_far(b.0)
}

/// Whether what is bound by the same words to what stands before has changed places with it: "is A older than B".
fn trade_places(a: Claiming, b: Claiming) -> bool {
    let stands_before =
        |words: &[Word], end: usize, word: &Word| words[..end].iter().any(|other| other.is(word));
    a.1.bound.iter().any(|&(head, relation, bound)| {
        let (x, words) = (&a.0[bound], b.0);
        b.1.bound.iter().any(|&(other_head, other_relation, other_bound)| {
            let y = &words[other_bound];
            a.0[relation].equals(&words[other_relation])
                && a.0[head].is_content()
                && a.0[head].is(&words[other_head])
                && !x.is(y)
                && stands_before(a.0, head, y)
                && stands_before(words, other_head, x)
        })
    })
}
