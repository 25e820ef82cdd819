//! The features that decide a request's tier.

use crate::tier::lexicon::LEXICON;

/// Features other than words; those of [`LEXICON`] follow.
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
/// Number of features.
pub const FEATURES: usize = SHAPES.len() + LEXICON.len();
/// Tiers: simple, moderate, complex.
pub const TIERS: usize = 3;

/// A request's features, in eighths.
pub type Features = [i32; FEATURES];

/// What a request asks for besides its text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// Bytes of all prompt text.
    pub text_bytes: usize,
    /// Limit on the reply, in tokens; 0: none is set.
    pub tokens_max: usize,
    /// Whether tools are offered.
    pub tools: bool,
    /// Whether a format is set for the reply.
    pub structured: bool,
    /// Whether it contains images.
    pub images: bool,
    /// Whether reasoning is switched on.
    pub reasoning: bool,
}
