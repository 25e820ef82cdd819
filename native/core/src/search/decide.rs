//! Whether two questions ask the same.

use std::cell::OnceCell;

use crate::search::contrary::contrary;
use crate::search::facts::Conflict;
use crate::search::features::{FEATURES, features};
use crate::search::model::{Effort, Model, model};
use crate::search::network::Seen;
use crate::search::question::Question;
use crate::search::turns::turned;

/// What was decided, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// They ask the same: one's answer serves the other.
    Same,
    /// They may ask the same; a closer look is worth its time, and without one they don't.
    Unsure,
    /// They ask something else.
    Different,
}

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The model's score.
    Model,
    /// The same words, apart from courtesy.
    Equal,
    /// One is too long to be compared.
    Long,
    /// They are in a language that the model doesn't know.
    Foreign,
    /// One has no words to compare.
    Empty,
    /// They must not be the same.
    Conflict(Conflict),
    /// The same content, of which something else is asked.
    Turned,
}

/// Names of the reasons, by [`Reason::number`].
pub const REASONS: [&str; 14] = [
    "model", "equal", "long", "foreign", "empty", "number", "unit", "currency", "date", "code", "quote",
    "form", "language", "turned",
];

impl Reason {
    /// Its place in [`REASONS`].
    pub fn number(self) -> usize {
        match self {
            Reason::Model => 0,
            Reason::Equal => 1,
            Reason::Long => 2,
            Reason::Foreign => 3,
            Reason::Empty => 4,
            Reason::Conflict(conflict) => 5 + conflict as usize,
            Reason::Turned => REASONS.len() - 1,
        }
    }
}

/// A verdict and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// What was decided.
    pub verdict: Verdict,
    /// What decided.
    pub reason: Reason,
    /// How likely they ask the same, as the model has it: 0 to 1; 0 where it wasn't asked and they differ.
    pub score: f32,
}

/// A question that is to be compared, perhaps with several.
#[derive(Debug)]
pub struct Side {
    question: Question,
    /// What the model's network sees of it, once it was asked.
    seen: OnceCell<Seen>,
}

impl Side {
    /// Reads a text.
    pub fn read(text: &str) -> Side {
        Side { question: Question::read(text), seen: OnceCell::new() }
    }

    /// Its tokens.
    pub fn tokens(&self) -> &[u16] {
        &self.question.pieces
    }

    fn seen(&self, model: &Model) -> &Seen {
        self.seen.get_or_init(|| model.see(&self.question.pieces))
    }
}

/// What can be said without the model, if anything.
pub fn decide_exactly(cached: &Side, asked: &Side) -> Option<Decision> {
    let (cached, asked) = (&cached.question, &asked.question);
    let different = |reason| Some(Decision { verdict: Verdict::Different, reason, score: 0.0 });
    if let Some(conflict) = cached.facts.conflict(&asked.facts) {
        return different(Reason::Conflict(conflict));
    }
    if asks_about_others(&cached.courtesy, &asked.courtesy) {
        return different(Reason::Conflict(Conflict::Quote));
    }
    if cached.long || asked.long {
        return different(Reason::Long);
    }
    if cached.words.is_empty() || asked.words.is_empty() {
        return different(Reason::Empty);
    }
    if is_equal(cached, asked) {
        if !cached.facts.same_units(&asked.facts) {
            return different(Reason::Conflict(Conflict::Unit));
        }
        return Some(Decision { verdict: Verdict::Same, reason: Reason::Equal, score: 1.0 });
    }
    if cached.facts.language != 0 {
        return different(Reason::Foreign);
    }
    let [one, other] = [cached, asked].map(|question| (question.words.as_slice(), &question.claims));
    if turned(cached, asked) || contrary(one, other) { different(Reason::Turned) } else { None }
}

/// What the model judges a pair by.
pub fn features_of(cached: &Side, asked: &Side) -> [f32; FEATURES] {
    features(&cached.question, &asked.question)
}

/// What a pair looks like before the network is asked, which costs most.
#[derive(Debug)]
pub enum Glance {
    /// It is decided.
    Decided(Decision),
    /// The trees' score, and what it rests on.
    Open(f32, Box<[f32; FEATURES]>),
}

impl Glance {
    /// How much speaks for the same so far: the greater, the more.
    pub fn score(&self) -> f32 {
        match self {
            Glance::Decided(decision) if decision.verdict == Verdict::Same => f32::INFINITY,
            Glance::Decided(_) => f32::NEG_INFINITY,
            Glance::Open(score, _) => *score,
        }
    }
}

/// Glances at a pair.
pub fn glance(cached: &Side, asked: &Side) -> Glance {
    if let Some(decision) = decide_exactly(cached, asked) {
        return Glance::Decided(decision);
    }
    let Some(model) = model() else { return Glance::Decided(NO_MODEL) };
    let features = features_of(cached, asked);
    Glance::Open(model.glance(&features), Box::new(features))
}

const NO_MODEL: Decision = Decision { verdict: Verdict::Different, reason: Reason::Model, score: 0.0 };

/// Decides on a pair that was glanced at.
pub fn look(glance: Glance, cached: &Side, asked: &Side, effort: Effort) -> Decision {
    let (score, features) = match glance {
        Glance::Decided(decision) => return decision,
        Glance::Open(score, features) => (score, features),
    };
    let Some(model) = model() else { return NO_MODEL };
    let score = model.score(score, &features, effort, || [cached.seen(model), asked.seen(model)]);
    let [same, unsure] = model.thresholds();
    let verdict = match score {
        score if score >= same => Verdict::Same,
        score if score >= unsure => Verdict::Unsure,
        _ => Verdict::Different,
    };
    Decision { verdict, reason: Reason::Model, score: 1.0 / (1.0 + (-score).exp()) }
}

/// Decides whether a stored question's answer serves one that is asked. The order doesn't matter.
pub fn decide(cached: &Side, asked: &Side) -> Decision {
    look(glance(cached, asked), cached, asked, Effort::Full)
}

/// Whether both have courtesy in the same part of the sentence, and not the same one: it may be what is asked about, as in
/// "the German word for please", and to the model it says nothing.
fn asks_about_others(a: &(Option<usize>, Vec<usize>), b: &(Option<usize>, Vec<usize>)) -> bool {
    let first = a.0.is_some() && b.0.is_some() && a.0 != b.0;
    first || !a.1.is_empty() && !b.1.is_empty() && a.1 != b.1
}

fn is_equal(a: &Question, b: &Question) -> bool {
    fn words(question: &Question) -> impl Iterator<Item = &str> {
        question.words[question.sentence.clone()].iter().map(|word| word.text.as_str())
    }
    words(a).next().is_some() && words(a).eq(words(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(a: &str, b: &str) -> Decision {
        decide(&Side::read(a), &Side::read(b))
    }

    #[test]
    fn the_plain_cases_are_right() {
        for (a, b, verdict) in [
            ("How do I reset my password?", "how do i reset my password", Verdict::Same),
            ("How do I reset my password?", "Hi, how do I reset my password please?", Verdict::Same),
            // What people try first.
            ("What are your business hours?", "When are you open?", Verdict::Same),
            ("How do I get a refund?", "Can I get my money back?", Verdict::Same),
            ("How long does shipping take?", "What is the delivery time?", Verdict::Same),
            ("How long does shipping take?", "How much is shipping?", Verdict::Different),
            ("How do I cancel my subscription?", "How do I cancel my order?", Verdict::Different),
            ("Track order 48213", "Track order 48231", Verdict::Different),
            (
                "Wie kann ich mein Passwort \u{E4}ndern?",
                "Wie kann ich mein Passwort l\u{F6}schen?",
                Verdict::Different,
            ),
            ("", "", Verdict::Different),
            ("?", "!", Verdict::Different),
            ("Where is my order? Please.", "hello, where is my order, thanks", Verdict::Same),
            // The same words, but for what isn't one.
            ("What is 12 * 4?", "What is 12 / 4?", Verdict::Different),
            ("Is -5 less than 3?", "Is 5 less than 3?", Verdict::Different),
            ("What is .5 times 8?", "What is 5 times 8?", Verdict::Different),
            ("What is 20% of 50?", "What is 20 of 50?", Verdict::Different),
            ("Can I withdraw 5k a day?", "Can I withdraw 5 a day?", Verdict::Different),
            ("Is 5kg allowed?", "Is 5 allowed?", Verdict::Different),
            ("Open from 7am to 7pm?", "Open from 7pm to 7am?", Verdict::Different),
            ("Open from 9 am to 9 pm?", "Open from 9 pm to 9 am?", Verdict::Different),
            ("Can my dog eat \u{1F347}?", "Can my dog eat \u{1F34C}?", Verdict::Different),
            ("Was hei\u{DF}t sch\u{F6}n?", "Was hei\u{DF}t schon?", Verdict::Different),
            ("How do I make caf\u{E9} latte?", "how do i make cafe latte", Verdict::Same),
            ("Can I file online?", "Do I have to file online?", Verdict::Different),
            // Courtesy that is asked about.
            (
                "What is the German word for please?",
                "What is the German word for thanks?",
                Verdict::Different,
            ),
            ("What is the German word for hello?", "What is the German word for hi?", Verdict::Different),
            ("Thanks in French", "Hello in French", Verdict::Different),
            ("Hello, how are you in Spanish?", "How are you in Spanish?", Verdict::Different),
            ("How do you say fine, thanks?", "How do you say fine?", Verdict::Different),
            (
                "Hello! How do you say fine in French? Thanks!",
                "How do you say fine in French?",
                Verdict::Same,
            ),
            ("hi how do I reset my password", "Hello how do I reset my password please", Verdict::Same),
            ("Please tell me how to get a refund.", "tell me how to get a refund thanks", Verdict::Same),
        ] {
            assert_eq!(of(a, b).verdict, verdict, "{a} | {b}");
        }
        let long = "word ".repeat(70);
        assert_eq!(of(&long, &long).reason, Reason::Long);
    }

    #[test]
    fn reasons_have_names() {
        let conflict = of("Track order 48213", "Track order 48231").reason;
        assert_eq!(REASONS[conflict.number()], "number");
        assert_eq!(REASONS[Reason::Conflict(Conflict::Language).number()], "language");
        assert_eq!(REASONS[Reason::Foreign.number()], "foreign");
        assert_eq!(REASONS[Reason::Turned.number()], "turned");
    }

    proptest! {
        /// Any text can be compared with any other, and which is stored makes no difference.
        #[test]
        fn the_order_does_not_matter(a in "\\PC{0,80}", b in "\\PC{0,80}") {
            prop_assert_eq!(of(&a, &b), of(&b, &a));
        }
    }
}
