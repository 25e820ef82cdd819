//! How much a request asks of a model: features of its text, and the tier that a linear model puts it in.
//!
//! Deterministic: integers only. Its time has a bound, since only the ends of long texts are looked at for words.

use crate::json::field_names::Key;
use crate::json::walker::Text;
use crate::tier::features::{Asked, Features, TIERS};
use crate::tier::measure::Measure;
use crate::tier::weights::{BIASES, WEIGHTS};

/// Strings kept of one message; later ones take the place of the last.
pub const SPANS_MAX: usize = 16;

/// Who says a message.
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

/// Gathers where a conversation's texts are, while the body is walked.
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
    /// A string of prompt text under this member of the body.
    pub fn text(&mut self, root: Key, text: Text) {
        match root {
            Key::Messages | Key::Contents | Key::Input => push(&mut self.current, text),
            Key::System | Key::Instructions | Key::SystemInstruction | Key::SystemInstructionSnake => {
                push(&mut self.system, text);
            }
            _ => {}
        }
    }

    /// The role of the message at hand, which may stand before or after its text.
    pub fn role(&mut self, name: &str) {
        self.role = match name {
            "assistant" | "model" => Role::Assistant,
            "system" | "developer" => Role::System,
            _ => Role::User,
        };
    }

    /// The message at hand is over.
    pub fn end_message(&mut self) {
        let texts = std::mem::take(&mut self.current);
        match std::mem::take(&mut self.role) {
            Role::User => self.earlier = std::mem::replace(&mut self.last, texts),
            Role::System => texts.into_iter().for_each(|text| push(&mut self.system, text)),
            Role::Assistant => {}
        }
        self.messages += 1;
    }

    /// The features of what was gathered, and of what else the request asks for.
    pub fn features(&self, body: &str, asked: &Asked) -> Features {
        let mut measure = Measure::default();
        // An input that is one string is no message that ends.
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

/// Puts features in a tier: 0 simple, 1 moderate, 2 complex. Equal scores: the higher one.
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

/// Whether the text holds code, by its shape.
pub fn is_code(features: &Features) -> bool {
    features[11] > 0 || features[10] > 8 * 6
}
