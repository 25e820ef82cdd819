//! Which of the stored questions that are alike ask the same: decided on copies, without the index.

use crate::search::decide::{Decision, Reason, Side, Verdict, glance, look};
use crate::search::model::Effort;

/// Longer questions are neither stored nor looked up.
pub const TEXT_CHARS_MAX: usize = 512;
/// So many candidates are looked at closely: the likeliest by what costs little. A third hardly ever asks the same.
const LOOKS_MAX: usize = 2;
/// Of a candidate that wasn't looked at.
const UNSEEN: Decision = Decision { verdict: Verdict::Different, reason: Reason::Model, score: 0.0 };

/// A stored question that may ask the same, and what was decided on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The caller's number for it.
    pub entry: u64,
    /// How near its vector lies: the cosine, -1 to 1.
    pub similarity: f32,
    /// Whether it asks the same.
    pub decision: Decision,
}

/// A stored question that is alike, on which nothing is decided yet.
#[derive(Clone, Debug)]
pub struct Alike {
    /// The caller's number for it.
    pub(super) entry: u64,
    /// How near its vector lies: the cosine, -1 to 1.
    pub(super) similarity: f32,
    pub(super) text: Box<str>,
}

/// What is decided on each of some questions, the surest first. Only the likeliest are looked at closely, until one asks
/// the same; on the others nothing is decided, so they don't.
pub fn judge(text: &str, alike: &[Alike], effort: Effort) -> Vec<Candidate> {
    if alike.is_empty() || !is_askable(text) {
        return Vec::new();
    }
    let asked = Side::read(text);
    let mut glances: Vec<_> = alike
        .iter()
        .map(|Alike { entry, similarity, text }| {
            let cached = Side::read(text);
            let glance = glance(&cached, &asked);
            (*entry, *similarity, cached, glance)
        })
        .collect();
    glances.sort_by(|a, b| b.3.score().total_cmp(&a.3.score()));
    let mut found: Vec<Candidate> = Vec::with_capacity(glances.len());
    for (at, (entry, similarity, cached, glance)) in glances.into_iter().enumerate() {
        let served = found.iter().any(|candidate| candidate.decision.verdict == Verdict::Same);
        let decision = if served || at >= LOOKS_MAX { UNSEEN } else { look(glance, &cached, &asked, effort) };
        found.push(Candidate { entry, similarity, decision });
    }
    found.sort_by(|a, b| {
        let (x, y) = (&a.decision, &b.decision);
        x.verdict
            .cmp(&y.verdict)
            .then(y.score.total_cmp(&x.score))
            .then(b.similarity.total_cmp(&a.similarity))
    });
    found
}

/// The entry of the first one, if it asks the same, and so is used.
pub fn served(found: &[Candidate]) -> Option<u64> {
    found.first().filter(|first| first.decision.verdict == Verdict::Same).map(|first| first.entry)
}

/// Whether a text may be stored and looked up.
pub fn is_askable(text: &str) -> bool {
    // A character has at most four bytes, so most texts needn't be counted.
    let short = text.len() <= TEXT_CHARS_MAX || text.chars().count() <= TEXT_CHARS_MAX;
    short && !text.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WORDS: [&str; 24] = [
        "how", "do", "I", "can", "my", "the", "change", "update", "cancel", "reset", "password", "order",
        "address", "delivery", "shipping", "refund", "money", "back", "not", "when", "where", "long", "get",
        "account",
    ];

    fn question() -> impl Strategy<Value = String> {
        prop::collection::vec(0..WORDS.len(), 2..8)
            .prop_map(|words| words.into_iter().map(|at| WORDS[at]).collect::<Vec<_>>().join(" "))
    }

    proptest! {
        /// What is served doesn't depend on whether those who are unsure are of use.
        #[test]
        fn less_effort_serves_the_same(asked in question(), stored in prop::collection::vec(question(), 1..5)) {
            let alike: Vec<Alike> = (0..).zip(&stored)
                .map(|(entry, text)| Alike { entry, similarity: 0.5, text: text.as_str().into() })
                .collect();
            let [full, less] = [Effort::Full, Effort::Served].map(|effort| judge(&asked, &alike, effort));
            prop_assert_eq!(served(&full), served(&less));
        }
    }
}
