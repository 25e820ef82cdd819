//! How demanding a request is for a model: features of its text, and the tier a linear model assigns.
//!
//! Deterministic: integers only. Its time is bounded, since only the ends of long texts are searched for
//! words.

use crate::json::field_names::Key;
use crate::json::walker::Text;
use crate::tier::features::{Asked, Features, TIERS};
use crate::tier::measure::Measure;
use crate::tier::weights::{BIASES, WEIGHTS};

/// Strings kept per message; later ones replace the last.
pub const SPANS_MAX: usize = 16;

/// Author of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// The user, or a tool.
    #[default]
    User,
    /// The model.
    Assistant,
    /// The system or the developer.
    System,
}

/// Records where a conversation's texts are while the body is walked.
#[derive(Default)]
pub struct Gatherer {
    current: Vec<Text>,
    role: Role,
    last: Vec<Text>,
    earlier: Vec<Text>,
    system: Vec<Text>,
    messages: usize,
}

impl Gatherer {
    /// Adds a string of prompt text found under this member of the body.
    pub fn text(&mut self, root: Key, text: Text) {
        match root {
            Key::Messages | Key::Contents | Key::Input => push(&mut self.current, text),
            Key::System | Key::Instructions | Key::SystemInstruction | Key::SystemInstructionSnake => {
                push(&mut self.system, text);
            }
            _ => {}
        }
    }

    /// Sets the role of the current message, which may come before or after its text.
    pub fn role(&mut self, name: &str) {
        self.role = match name {
            "assistant" | "model" => Role::Assistant,
            "system" | "developer" => Role::System,
            _ => Role::User,
        };
    }

    /// Ends the current message.
    pub fn end_message(&mut self) {
        let texts = std::mem::take(&mut self.current);
        match std::mem::take(&mut self.role) {
            Role::User => self.earlier = std::mem::replace(&mut self.last, texts),
            Role::System => texts.into_iter().for_each(|text| push(&mut self.system, text)),
            Role::Assistant => {}
        }
        self.messages += 1;
    }

    /// The features of the recorded texts and of what else the request asks for.
    pub fn features(&self, body: &str, asked: &Asked) -> Features {
        let mut measure = Measure::default();
        // An input that is a single string is not a message, so it never ends.
        let last = if self.current.is_empty() { &self.last } else { &self.current };
        let last = measure.ends(body, last);
        let earlier = measure.head(body, &self.earlier, 4);
        let system = measure.head(body, &self.system, 4);
        measure.finish(asked, [self.messages, last, earlier, system])
    }
}

fn push(texts: &mut Vec<Text>, text: Text) {
    if texts.len() == SPANS_MAX {
        texts.pop();
    }
    texts.push(text);
}

/// The tier of the features: 0 simple, 1 moderate, 2 complex. Of equal scores the higher tier wins.
pub fn tier(features: &Features) -> usize {
    let scores = scores(features);
    (0..TIERS).max_by_key(|&tier| scores[tier]).unwrap_or(TIERS - 1)
}

/// The linear model's scores, by tier.
pub fn scores(features: &Features) -> [i64; TIERS] {
    let mut scores = BIASES.map(i64::from);
    for (score, weights) in scores.iter_mut().zip(&WEIGHTS) {
        for (weight, feature) in weights.iter().zip(features) {
            *score += i64::from(*weight) * i64::from(*feature);
        }
    }
    scores
}

/// Whether the text contains code, judged by its shape.
pub fn is_code(features: &Features) -> bool {
    features[11] > 0 || features[10] > 8 * 6
}
