//! What a request's body says, and why it may be refused.

use crate::request::field::Field;
use crate::tier::features::Asked;

/// The most stop sequences of a request: no provider that states a bound takes more (Anthropic's models on Bedrock
/// take as many). Each is looked for in all of a reply, and there is no reason to read a million of them.
pub const STOPS_MAX: u32 = 8191;

/// Why a body is refused, or that it is not. Offsets are bytes of the original body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// It may go on.
    #[default]
    Fine,
    /// Not JSON (RFC 8259).
    Invalid(usize),
    /// Not UTF-8.
    NotUtf8(usize),
    /// Arrays and objects nested more than 256 deep.
    TooDeep(usize),
    /// A field that stands twice. Parsers differ on which one wins, so a request could be judged as one thing
    /// and executed as another.
    Duplicate(Field, usize),
    /// JSON, but no object.
    NotAnObject(usize),
    /// A field's value has the wrong type.
    WrongType(Field, usize),
    /// More distinct personal values than there is room for.
    TooManyValues(usize),
    /// More than [`STOPS_MAX`] stop sequences.
    TooManyStops(usize),
}

/// Bits of [`Facts::flags`].
#[allow(missing_docs)]
pub mod flag {
    pub const STREAM: u32 = 1;
    pub const INCLUDE_USAGE: u32 = 2;
    pub const TOOLS: u32 = 4;
    pub const IMAGE: u32 = 8;
    pub const STRUCTURED: u32 = 16;
    pub const REASONING: u32 = 32;
    pub const FILE: u32 = 64;
    pub const MODEL_ESCAPED: u32 = 128;
    pub const SERVER_TOOLS: u32 = 256;
    pub const STREAM_OPTIONS: u32 = 512;
    /// It states a temperature above 0.
    pub const SAMPLED: u32 = 1024;
    /// The question's raw bytes hold an escape.
    pub const QUESTION_ESCAPED: u32 = 2048;
    /// It asks for the `priority` service of OpenAI or Gemini.
    pub const PRIORITY: u32 = 4096;
    /// It asks for Anthropic's fast mode.
    pub const FAST: u32 = 8192;
    /// Some of it is to be written to the provider's cache.
    pub const CACHE_WRITE: u32 = 1 << 14;
    /// It is to be kept there for an hour.
    pub const CACHE_HOUR: u32 = 1 << 15;
    /// It is answered in the background, and billed whoever waits for the answer.
    pub const BACKGROUND: u32 = 1 << 16;
    /// It is to be served in one country, at a surcharge (Anthropic).
    pub const RESIDENT: u32 = 1 << 17;
    /// There is personal data in the question.
    pub const QUESTION_PERSONAL: u32 = 1 << 18;
    /// The provider remembers what was said before, so that the same words may be answered otherwise.
    pub const CONTINUED: u32 = 1 << 19;
    /// Nothing else tells what is to be done with the question's words: no other text, schema, or prompt that the provider
    /// keeps.
    pub const QUESTION_ALONE: u32 = 1 << 20;
    pub const AUDIO: u32 = 1 << 26;
    /// Only where the request was classified.
    pub const CODE: u32 = 1 << 27;
    /// Above here, 1 + the tier; 0: the request was not classified.
    pub const TIER_SHIFT: u32 = 28;

    /// What a blob of this media type is.
    pub(crate) fn of_media(media_type: &str) -> u32 {
        match media_type.split('/').next() {
            Some("image") => IMAGE,
            Some("audio") => FILE | AUDIO,
            _ => FILE,
        }
    }
}

/// What a body says. Offsets are bytes of the original body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Bits of [`flag`].
    pub flags: u32,
    /// The model's raw bytes inside the quotes.
    pub model: Option<(usize, usize)>,
    /// `max_tokens`.
    pub max_tokens: Option<u32>,
    /// `max_completion_tokens`.
    pub max_completion_tokens: Option<u32>,
    /// `n`.
    pub n: Option<u32>,
    /// Images in the prompt.
    pub images: usize,
    /// Bytes of the decoded prompt text.
    pub text_bytes: usize,
    /// Code points of it.
    pub text_chars: usize,
    /// Strings of it.
    pub text_spans: usize,
    /// The value of `stream_options`, null too.
    pub stream_options: Option<(usize, usize)>,
    /// The last text of the last message, if that is the user's: its raw bytes inside the quotes.
    pub question: Option<(usize, usize)>,
    /// Just after the first `{`.
    pub insert_at: usize,
    /// How many top-level members there are.
    pub fields: usize,
}

impl Facts {
    /// What a tier is decided by, besides the texts.
    pub(crate) fn asked(&self) -> Asked {
        let tokens_max = self.max_completion_tokens.max(self.max_tokens);
        let has = |flag: u32| self.flags & flag != 0;
        Asked {
            text_bytes: self.text_bytes,
            tokens_max: tokens_max.map_or(0, |tokens| tokens as usize),
            tools: has(flag::TOOLS),
            structured: has(flag::STRUCTURED),
            images: has(flag::IMAGE),
            reasoning: has(flag::REASONING),
        }
    }
}
