//! What turns a question though its words of content stay the same: whether one may or must, what was or will be, who
//! does it to whom, how much of it, in which unit, and which way.

use crate::search::fact_words::said;
use crate::search::phrases::{FRAME, RELATION, SCOPE};
use crate::search::question::Question;
use crate::search::word::Word;

/// How the first auxiliary puts a question.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    /// Whether it is possible or allowed.
    May,
    /// Whether it is a duty.
    Must,
    /// Of what has been.
    Past,
    /// Of what will be.
    Future,
}

/// Words of which one excludes the others, where all else is the same.
const EXCLUSIVE: [&[&[&str]]; 8] = [
    &[&["all", "every", "each"], &["most"]],
    &[&["both"], &["either"]],
    &[&["in", "into", "inside"], &["out", "outside"]],
    &[&["on"], &["off"]],
    &[&["up"], &["down"]],
    &[&["with"], &["without"]],
    &[&["before"], &["after"]],
    &[&["above", "over"], &["below", "under"]],
];

/// What two words that are the same behind it can't both begin with.
const OPPOSITES: [(&str, &str); 8] = [
    ("hyper", "hypo"),
    ("macro", "micro"),
    ("inter", "intra"),
    ("over", "under"),
    ("up", "down"),
    ("in", "out"),
    ("pre", "post"),
    ("maxi", "mini"),
];

/// Whether two questions that share their content ask something else.
pub fn turned(a: &Question, b: &Question) -> bool {
    let (left, right) = (only(a, b), only(b, a));
    if let ([x], [y]) = (left.as_slice(), right.as_slice()) {
        return units_differ(x, y) || begin_oppositely(&x.text, &y.text);
    }
    if !left.is_empty() || !right.is_empty() {
        return false;
    }
    let (x, y) = (mood(a), mood(b));
    let are = |one, other| x == Some(one) && y == Some(other) || x == Some(other) && y == Some(one);
    let asks_how = |question: &Question| has(question, "how");
    are(Mood::May, Mood::Must) && !asks_how(a) && !asks_how(b)
        || are(Mood::Past, Mood::Future)
        || asks_differ(a, b)
        || roles_swap(a, b)
        || roles_swap(b, a)
        || EXCLUSIVE.iter().any(|kinds| exclude(kinds, a, b))
}

/// Whether one asks why, when or who, and the other one of the others, or how or where.
fn asks_differ(a: &Question, b: &Question) -> bool {
    let asked = |question: &Question| {
        let kinds = ["why", "when", "who", "where", "how"].iter().enumerate();
        kinds.filter(|(_, word)| has(question, word)).fold(0u8, |all, (at, _)| all | 1 << at)
    };
    let (left, right) = (asked(a), asked(b));
    // "Who do I ask" and "where do I ask" are put for one another, as are "how" and "where".
    left & right == 0 && left != 0 && right != 0 && (left | right) & 0b11 != 0
}

/// Words of content that the other question lacks in any form; amounts and relations apart.
fn only<'a>(a: &'a Question, b: &Question) -> Vec<&'a Word> {
    let content = |word: &&Word| word.classes & (SCOPE | RELATION) == 0;
    a.content().filter(content).filter(|word| !b.content().any(|other| word.is(other))).collect()
}

fn has(question: &Question, text: &str) -> bool {
    question.words.iter().any(|word| word.text == text)
}

fn units_differ(x: &Word, y: &Word) -> bool {
    said(&x.text).unit.zip(said(&y.text).unit).is_some_and(|(x, y)| x != y)
}

fn begin_oppositely(x: &str, y: &str) -> bool {
    let same =
        |x: Option<&str>, y: Option<&str>| x.is_some() && x == y && x.is_some_and(|rest| rest.len() > 3);
    OPPOSITES.iter().any(|&(one, other)| {
        same(x.strip_prefix(one), y.strip_prefix(other)) || same(x.strip_prefix(other), y.strip_prefix(one))
    })
}

/// `None`: the question is put in another way, or it can't be told.
fn mood(question: &Question) -> Option<Mood> {
    let words = &question.words[question.sentence.clone()];
    let text = |at: usize| words.get(at).map_or("", |word| word.text.as_str());
    let is_question = ["who", "whose", "what", "which", "when", "where", "why", "how"].contains(&text(0));
    for at in 0..words.len().min(if is_question { 4 } else { 1 }) {
        let rest = || (at + 1..at + 5).map(text);
        let follows =
            |one: &str, two: &str| (at + 1..at + 5).any(|at| text(at) == one && text(at + 1) == two);
        match text(at) {
            // "Can you" asks for a service.
            "can" | "could" | "may" | "might" => {
                return (!["you", "not"].contains(&text(at + 1))).then_some(Mood::May);
            }
            "must" => return Some(Mood::Must),
            "should" => return (at == 0).then_some(Mood::Must),
            "do" | "does" => {
                return (follows("have", "to") || follows("need", "to")).then_some(Mood::Must);
            }
            "am" | "is" | "are" if follows("going", "to") => return Some(Mood::Future),
            "am" | "is" | "are" => {
                return rest()
                    .any(|word| ["allowed", "permitted", "possible"].contains(&word))
                    .then_some(Mood::May);
            }
            // "I was wondering" is no past of what is asked.
            "was" | "were" => {
                return words.get(at + 1).filter(|next| next.classes & FRAME == 0).map(|_| Mood::Past);
            }
            "did" => return Some(Mood::Past),
            "has" | "have" | "had" if at < 2 => return Some(Mood::Past),
            "will" | "shall" => return Some(Mood::Future),
            _ => {}
        }
    }
    None
}

/// Whether the asker does in `a` what is done to the asker in `b`.
fn roles_swap(a: &Question, b: &Question) -> bool {
    let place = |question: &Question, text: &str| question.words.iter().position(|word| word.text == text);
    let (Some(i), Some(me)) = (place(a, "i"), place(b, "me")) else { return false };
    // "Explain it to me" asks for an answer.
    if b.words[0].classes & FRAME != 0 {
        return false;
    }
    if has(a, "me") || has(b, "i") || has(b, "you") && !has(a, "you") || has(a, "by") {
        return false;
    }
    // What happens to somebody can be said so, too: "am I charged".
    let passive = ["am", "was", "were", "be", "been", "get", "got"];
    let near = |at: Option<usize>| {
        at.and_then(|at| a.words.get(at)).is_some_and(|word| passive.contains(&word.text.as_str()))
    };
    if near(i.checked_sub(1)) || near(Some(i + 1)) {
        return false;
    }
    let before = |steps: usize| me.checked_sub(steps).map(|at| &b.words[at]);
    let related = before(1).is_some_and(|word| ["to", "from"].contains(&word.text.as_str()));
    before(if related { 2 } else { 1 }).is_some_and(Word::is_content)
}

/// Whether each has words of some kinds, and none of a kind of the other's.
fn exclude(kinds: &[&[&str]], a: &Question, b: &Question) -> bool {
    let said = |question: &Question, words: &&[&str]| words.iter().any(|word| has(question, word));
    let any = |question| kinds.iter().any(|words| said(question, words));
    any(a) && any(b) && !kinds.iter().any(|words| said(a, words) && said(b, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(a: &str, b: &str) -> bool {
        let [a, b] = [a, b].map(Question::read);
        assert_eq!(turned(&a, &b), turned(&b, &a));
        turned(&a, &b)
    }

    #[test]
    fn the_same_content_may_ask_something_else() {
        for (a, b) in [
            ("Can I wear shoes inside?", "Must I wear shoes inside?"),
            ("Who can vote?", "Who must vote?"),
            ("May employees work at home?", "Do employees have to work at home?"),
            ("Should I file online?", "Am I allowed to file online?"),
            ("When did it open?", "When will it open?"),
            ("Is it going to rain?", "Did it rain?"),
            ("Has my order shipped?", "Will my order ship?"),
            ("Why do I restart the service?", "How do I restart the service?"),
            ("Who is the president of Brazil?", "When is the president in Brazil?"),
            ("Can my employer fire me?", "Can I fire my employer?"),
            ("Who follows me?", "Who do I follow?"),
            ("What do I owe you?", "What do you owe me?"),
            ("Who do I report a bug to?", "Who reports a bug to me?"),
            ("Do most birds fly?", "Do all birds fly?"),
            ("Do both parents have to sign?", "Does either parent have to sign?"),
            ("How many seconds are in a day?", "How many minutes are in a day?"),
            ("How do I zoom in?", "How do I zoom out?"),
            ("How do I make coffee with milk?", "How do I make coffee without milk?"),
            ("What is macroeconomics?", "What is microeconomics?"),
        ] {
            assert!(of(a, b), "{a} | {b}");
        }
        for (a, b) in [
            ("How can I clean a pan?", "How should I clean a pan?"),
            ("I was wondering how much it is", "How much will it be?"),
            ("Help me reset my password", "How do I reset my password?"),
            ("Can you unsubscribe me?", "How do I unsubscribe?"),
            ("Why did they charge me twice?", "Why was I charged twice?"),
            ("Do I need a visa?", "Is a visa needed?"),
            ("How do I work out in the gym?", "How do I work out at the gym?"),
            ("Can I return the car dirty?", "Must the car be clean when I bring it back?"),
            ("Can I get a refund?", "Will I get a refund?"),
            ("Where do I report a bug?", "Who do I report a bug to?"),
            ("I must not fall asleep, what can I do?", "What can I do to not fall asleep?"),
            ("I don't get what a left join is for", "Explain a left join to me"),
        ] {
            assert!(!of(a, b), "{a} | {b}");
        }
    }
}
