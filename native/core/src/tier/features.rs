//! What a request's tier is decided by.

use crate::tier::lexicon::LEXICON;

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

/// A request's features, in eighths.
pub type Features = [i32; FEATURES];

/// What a request asks for beside its text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// Bytes of all prompt text.
    pub text_bytes: usize,
    /// Tokens the reply may have at most; 0: no limit is set.
    pub tokens_max: usize,
    /// Tools are offered.
    pub tools: bool,
    /// The reply has to be of a given form.
    pub structured: bool,
    /// Images are to be looked at.
    pub images: bool,
    /// Reasoning is switched on.
    pub reasoning: bool,
}
