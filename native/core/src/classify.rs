//! How much a request asks of a model: features of its text, and the tier that a linear model puts it in.
//!
//! Deterministic: integers only. Its time has a bound, since only the ends of long texts are looked at for words.

use crate::facts::Facts;
use crate::json::Text;
use crate::key::Key;
use crate::lexicon::LEXICON;
use crate::reader::Reader;
use crate::weights::{BIASES, WEIGHTS};

/// Features that are no words; those of [`LEXICON`] follow.
pub const SHAPES: [&str; 22] = [
    "lastLength",
    "promptLength",
    "messages",
    "earlierLength",
    "systemLength",
    "words",
    "sentences",
    "questions",
    "lines",
    "items",
    "code",
    "fences",
    "numbers",
    "math",
    "commas",
    "wordLength",
    "tools",
    "schema",
    "images",
    "reasoning",
    "maxTokens",
    "kinds",
];
/// How many features there are.
pub const FEATURES: usize = SHAPES.len() + LEXICON.len();
/// Tiers: simple, moderate, complex.
pub const TIERS: usize = 3;

/// Bit beside those of the kinds of personal data: put the request in a tier.
pub const CLASSIFY: u32 = 1 << 24;

/// A request's features, in eighths.
pub type Features = [i32; FEATURES];

/// Strings kept of one message; later ones take the place of the last.
const SPANS_MAX: usize = 16;

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

    /// The features of what was gathered.
    pub fn features(&self, body: &str, facts: &Facts) -> Features {
        let mut reader = Reader::default();
        // An input that is one string is no message that ends.
        let last = if self.current.is_empty() { &self.last } else { &self.current };
        let last = reader.ends(body, last);
        let earlier = reader.head(body, &self.earlier, 4);
        let system = reader.head(body, &self.system, 4);
        reader.finish(facts, [self.messages, last, earlier, system])
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Endpoint;
    use crate::inspect;
    use crate::reader::log;

    fn features(body: &str) -> Features {
        inspect::features(body.as_bytes(), Endpoint::Chat).unwrap().1
    }

    fn feature(body: &str, name: &str) -> i32 {
        let names = SHAPES.iter().copied().chain(LEXICON.iter().map(|(name, _)| *name));
        features(body)[names.into_iter().position(|each| each == name).unwrap()]
    }

    fn said(text: &str) -> String {
        format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}]}}"#)
    }

    #[test]
    fn a_role_counts_before_and_after_its_text() {
        let before = r#"{"messages":[{"role":"system","content":"prove"},{"role":"user","content":"x"}]}"#;
        let after = r#"{"messages":[{"content":"prove","role":"system"},{"content":"x","role":"user"}]}"#;
        assert_eq!(features(before), features(after));
        assert_eq!(feature(before, "prove"), 4);
        assert_eq!(feature(&said("prove"), "prove"), 8);
        // What the model said earlier asks for nothing.
        let assistant =
            r#"{"messages":[{"role":"assistant","content":"prove"},{"role":"user","content":"x"}]}"#;
        assert_eq!(feature(assistant, "prove"), 0);
    }

    #[test]
    fn escapes_are_read_as_what_they_stand_for() {
        let names = ["words", "prove", "translate", "wordLength", "fences"];
        for (escaped, plain) in [
            (r"\u0050rove it", "prove it"),
            (r"\u00fcbersetze es", "übersetze es"),
            (r"\n\u0060\u0060\u0060 x", "``` x"),
        ] {
            for name in names {
                assert_eq!(feature(&said(escaped), name), feature(&said(plain), name), "{escaped} {name}");
            }
        }
    }

    #[test]
    fn any_length_and_any_cut_is_read_in_a_bounded_part() {
        for unit in ["a", r"\\", r"\n", r"\u00e4", "ä", "漢", "😀", r"\ud83d\ude00", "prove "] {
            for count in [1, 341, 342, 512, 683, 1024, 1025, 2048, 2049, 5000] {
                let body = said(&unit.repeat(count));
                assert!(feature(&body, "words") <= 8 * (2 + 12), "{unit} {count}");
            }
        }
        let long = format!("{}{}", "filler text ".repeat(10_000), "Prove it.");
        assert_eq!(feature(&said(&long), "prove"), 8);
    }

    #[test]
    fn strings_of_one_message_have_a_bound() {
        let parts = vec![r#"{"type":"text","text":"prove"}"#; 100].join(",");
        let body = format!(r#"{{"messages":[{{"role":"user","content":[{parts}]}}]}}"#);
        assert_eq!(feature(&body, "words"), log(SPANS_MAX));
    }
}
