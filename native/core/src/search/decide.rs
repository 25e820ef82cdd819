//! Whether two questions ask the same.

use crate::search::kernel::dot;
use crate::search::vector::Vector;

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
    /// The same words.
    Equal,
}

/// A verdict and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// What was decided.
    pub verdict: Verdict,
    /// What decided.
    pub reason: Reason,
    /// How likely they ask the same, as the model has it: 0 to 1.
    pub score: f32,
}

/// A question, read for comparisons.
#[derive(Debug)]
pub struct Question {
    vector: Option<Vector>,
}

impl Question {
    /// Reads a text.
    pub fn read(text: &str) -> Question {
        Question { vector: Vector::of_text(text) }
    }
}

/// Decides whether a stored question's answer serves one that is asked. The order doesn't matter.
pub fn decide(cached: &Question, asked: &Question) -> Decision {
    let score = match (&cached.vector, &asked.vector) {
        (Some(a), Some(b)) => dot(&a.parts, &b.parts) as f32 * a.scale * b.scale,
        _ => 0.0,
    };
    let verdict = if score >= 0.97 { Verdict::Same } else { Verdict::Different };
    Decision { verdict, reason: Reason::Model, score }
}

/// Names of the reasons, in their order.
pub const REASONS: [&str; 2] = ["model", "equal"];
