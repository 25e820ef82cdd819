//! What can be read from a reply, and the trait that reads it: a dialect's view of a document's tokens.

use crate::json::field_names::Key;
use crate::json::string::Decoded;
use crate::json::walker::{Fault, Text, Token, Walker};

/// Why generation ended. Of several choices the last one in this order wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finish {
    /// It has not ended, as far as is known.
    #[default]
    None,
    /// The model finished.
    Stop,
    /// A limit of tokens was reached.
    Length,
    /// The model calls a tool.
    Tool,
    /// A filter stopped it, or the model refused.
    Filter,
    /// A reason with no other number.
    Other,
}

impl Finish {
    /// From `finish_reason`, `stop_reason` or `finishReason`.
    pub fn named(reason: &str) -> Finish {
        match reason {
            "stop" | "end_turn" | "stop_sequence" | "STOP" => Finish::Stop,
            "length" | "max_tokens" | "model_length" | "model_context_window_exceeded" | "MAX_TOKENS" => {
                Finish::Length
            }
            "tool_calls" | "function_call" | "tool_use" => Finish::Tool,
            "content_filter"
            | "refusal"
            | "SAFETY"
            | "RECITATION"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION" => Finish::Filter,
            _ => Finish::Other,
        }
    }

    /// Whether a reason says that generation failed, so that the reply is no answer.
    pub fn is_failure(reason: &str) -> bool {
        matches!(
            reason,
            "error"
                | "abort"
                | "insufficient_system_resource"
                | "MALFORMED_FUNCTION_CALL"
                | "UNEXPECTED_TOOL_CALL"
                | "TOO_MANY_TOOL_CALLS"
                | "MALFORMED_RESPONSE"
                | "MISSING_THOUGHT_SIGNATURE"
        )
    }
}

/// The class of service that a reply was given, where that changes its price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Service {
    /// The usual one, or one with the usual price.
    #[default]
    Standard,
    /// Slower, at a lower price (OpenAI, Gemini).
    Flex,
    /// Ahead of others, at a higher price (OpenAI, Gemini).
    Priority,
    /// Faster, at a higher price (Anthropic).
    Fast,
}

impl Service {
    /// From `service_tier`, Anthropic's `speed`, or Vertex's `trafficType`.
    pub fn named(word: &str) -> Service {
        match word {
            "flex" | "ON_DEMAND_FLEX" => Service::Flex,
            "priority" | "ON_DEMAND_PRIORITY" => Service::Priority,
            "fast" => Service::Fast,
            _ => Service::Standard,
        }
    }
}

/// Tokens of one prompt and its reply, as Anthropic counts them: those of caches are not part of the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Neither read from nor written to the cache.
    pub input: u32,
    /// Tokens of the reply.
    pub output: u32,
    /// Read from the provider's prompt cache.
    pub cached: u32,
    /// Written to that cache.
    pub created: u32,
    /// Of those: for an hour.
    pub created_hour: u32,
}

impl Tokens {
    /// Adds those of another prompt.
    pub fn add(&mut self, other: Tokens) {
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.cached = self.cached.saturating_add(other.cached);
        self.created = self.created.saturating_add(other.created);
        self.created_hour = self.created_hour.saturating_add(other.created_hour);
    }

    /// The whole prompt.
    pub fn prompt(self) -> u32 {
        self.input.saturating_add(self.cached).saturating_add(self.created)
    }
}

/// Token counts as stated by the provider; `None` where it stated none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input: Option<u32>,
    /// Tokens of the reply.
    pub output: Option<u32>,
    /// Of those: spent on reasoning.
    pub reasoning: Option<u32>,
    /// Read from the provider's prompt cache.
    pub cached: Option<u32>,
    /// Written to that cache.
    pub created: Option<u32>,
    /// Of those: for an hour.
    pub created_hour: Option<u32>,
    /// Of the prompt's: audio or images.
    pub media_input: Option<u32>,
    /// Of the reply's: images.
    pub media_output: Option<u32>,
    /// Length of the transcribed audio, in ms.
    pub sound_ms: Option<u32>,
    /// What the provider charges, in nano-dollars.
    pub nano_usd: Option<u64>,
    /// What it took to make the conversation shorter first, which the counts above leave out (Anthropic).
    pub compaction: Option<Tokens>,
    /// The longest of the prompts that one request became, where it became several (Anthropic).
    pub longest_prompt: Option<u32>,
}

impl Usage {
    /// Adds what `later` states. Counts are cumulative, so a smaller one that comes later is none: some relays end with 0.
    pub fn update(&mut self, later: Usage) {
        self.input = later.input.max(self.input);
        self.output = later.output.max(self.output);
        self.reasoning = later.reasoning.max(self.reasoning);
        self.cached = later.cached.max(self.cached);
        self.created = later.created.max(self.created);
        self.created_hour = later.created_hour.max(self.created_hour);
        self.media_input = later.media_input.max(self.media_input);
        self.media_output = later.media_output.max(self.media_output);
        self.sound_ms = later.sound_ms.max(self.sound_ms);
        self.nano_usd = later.nano_usd.max(self.nano_usd);
        self.compaction = later.compaction.or(self.compaction);
        self.longest_prompt = later.longest_prompt.max(self.longest_prompt);
    }
}

/// What a document says. Values of the wrong type never fail; they are ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Whether it is an object.
    pub object: bool,
    /// Whether it is an error.
    pub error: bool,
    /// Whether it has something the client would show or act on.
    pub content: bool,
    /// Whether it has a tool call.
    pub tool: bool,
    /// Whether it has a refusal.
    pub refusal: bool,
    /// Whether it has a usage object.
    pub usage_seen: bool,
    /// Counts stated there.
    pub usage: Usage,
    /// The model that it says answered: where its name stands in the document, inside the quotes.
    pub model: Option<(usize, usize)>,
    /// The class of service it states.
    pub service: Option<Service>,
    /// It was served in one country, at a surcharge (Anthropic).
    pub resident: bool,
    /// Billed searches, for models that are not billed by token (Cohere).
    pub searches: Option<u32>,
    /// Why generation ended.
    pub finish: Finish,
    /// The choices in it, a bit each by their index.
    pub choices: u128,
    /// Those of them that say why they ended.
    pub choices_ended: u128,
    /// Bytes of reply text: content, reasoning, refusals, tool arguments.
    pub text_bytes: u32,
    /// Where all of that text stands in the document, if it is one string without an escape.
    pub text_at: Option<(usize, usize)>,
    /// Whether it is `message_stop`.
    pub end: bool,
    /// Whether `choices` is an empty array.
    pub choices_empty: bool,
    /// Whether a content block opens or closes here (Anthropic).
    pub block_open: Option<bool>,
    /// Its number.
    pub index: u32,
}

impl Reading {
    /// Adds text that the client would show.
    pub(crate) fn show(&mut self, text: Text, source: &mut Source<'_>) {
        source.keep(text);
        let shown = text.start != text.end;
        self.content |= shown;
        let whole = shown && self.text_bytes == 0 && !text.escaped();
        self.add_text(text.bytes());
        if whole {
            self.text_at = Some((text.start, text.end));
        }
    }

    /// The model that its document says answered; empty: it names none, or none of at most [`MODEL_MAX`] bytes.
    pub(crate) fn named<'d>(&self, document: &'d str) -> &'d str {
        let name = self.model.map_or("", |(start, end)| &document[start..end]);
        if name.len() > MODEL_MAX { "" } else { name }
    }

    /// Adds a choice.
    pub(crate) fn choose(&mut self, index: u32, ended: bool) {
        let bit = 1 << index.min(u128::BITS - 1);
        self.choices |= bit;
        self.choices_ended |= if ended { bit } else { 0 };
    }

    pub(crate) fn add_text(&mut self, bytes: usize) {
        if bytes > 0 {
            self.text_at = None;
        }
        self.text_bytes = self.text_bytes.saturating_add(bytes as u32);
    }
}

/// Longest name of a model that is kept, in bytes.
pub const MODEL_MAX: usize = 128;

/// Longest reply text kept, in bytes; the rest is only counted. More than most models can say.
pub const TEXT_MAX: usize = 128 * 1024;

/// Where a reply's text is kept, and how many bytes of it at most.
pub struct Kept<'k> {
    /// What was kept so far.
    pub text: &'k mut Vec<u8>,
    /// The most bytes of it.
    pub max: usize,
}

impl Kept<'_> {
    pub(crate) fn add(&mut self, text: &str) {
        let room = self.max.saturating_sub(self.text.len());
        self.text.extend_from_slice(&text.as_bytes()[..text.floor_char_boundary(room)]);
    }
}

/// A dialect's view of a document's tokens.
pub(crate) trait Reader {
    /// Called with a member's name.
    fn key(&mut self, key: Key);
    /// Called with a value, or the start of a container.
    fn value(&mut self, token: Token, source: &mut Source<'_>);
    /// Called at the end of a container.
    fn close(&mut self, source: &mut Source<'_>);
    /// What was read.
    fn reading(self) -> Reading;
}

/// The document behind the tokens.
pub(crate) struct Source<'d> {
    document: &'d str,
    walker: Walker<'d>,
    scratch: Decoded,
    kept: Option<Kept<'d>>,
}

/// No known finish reason or type is longer, in raw bytes with every character escaped.
const WORD_MAX: usize = 256;

impl<'d> Source<'d> {
    /// `kept`: receives the reply's text, if wanted.
    pub fn new(document: &'d str, kept: Option<Kept<'d>>) -> Self {
        Source { document, walker: Walker::new(document.as_bytes()), scratch: Decoded::default(), kept }
    }

    /// Shows the document to a reader, token by token.
    pub fn read(mut self, mut reader: impl Reader) -> Result<Reading, Fault> {
        let mut first = true;
        let mut object = false;
        while let Some(token) = self.walker.next_token()? {
            object |= std::mem::take(&mut first) && token == Token::ObjectStart;
            match token {
                Token::Key(text) => reader.key(Key::of(self.document, text, &mut self.scratch)),
                Token::ObjectEnd | Token::ArrayEnd => reader.close(&mut self),
                _ => reader.value(token, &mut self),
            }
        }
        Ok(Reading { object, ..reader.reading() })
    }

    /// The string as a word to compare; empty if it is far too long.
    pub fn word(&mut self, text: Text) -> &str {
        let raw = &self.document[text.start..text.end];
        match text.escaped() {
            _ if raw.len() > WORD_MAX => "",
            true => self.scratch.decode(raw),
            false => raw,
        }
    }

    /// Why generation ended, as a word to compare; `None` where it says that it goes on: LocalAI and older versions
    /// of Ollama put an empty reason into every chunk.
    pub fn reason(&mut self, text: Text) -> Option<&str> {
        if text.start == text.end {
            return None;
        }
        Some(self.word(text)).filter(|&word| word != "FINISH_REASON_UNSPECIFIED")
    }

    /// Keeps a string of the reply's text, if it is wanted.
    pub fn keep(&mut self, text: Text) {
        let Some(kept) = &mut self.kept else { return };
        let raw = &self.document[text.start..text.end];
        kept.add(if text.escaped() { self.scratch.decode(raw) } else { raw });
    }

    /// The same for a raw part of the document.
    pub fn keep_raw(&mut self, range: std::ops::Range<usize>) {
        if let Some(kept) = &mut self.kept {
            kept.add(&self.document[range]);
        }
    }

    /// The last token's number as a count of tokens: without its fraction, clamped to 32 bits.
    pub fn count(&self) -> u32 {
        let number = &self.document[self.walker.start()..self.walker.end()];
        // A cast to an integer saturates.
        number.parse::<f64>().map_or(0, |value| value as u32)
    }

    /// The last token's number of seconds, in ms, rounded up, clamped to 32 bits.
    pub fn millis(&self) -> u32 {
        let number = &self.document[self.walker.start()..self.walker.end()];
        number.parse::<f64>().map_or(0, |seconds| (seconds * 1000.0).ceil() as u32)
    }

    /// The last token's number of dollars, in nano-dollars.
    pub fn nano_usd(&self) -> u64 {
        let number = &self.document[self.walker.start()..self.walker.end()];
        number.parse::<f64>().map_or(0, |dollars| (dollars * 1e9).round() as u64)
    }

    /// Where the last token starts.
    pub fn start(&self) -> usize {
        self.walker.start()
    }

    /// Where the last token ends.
    pub fn end(&self) -> usize {
        self.walker.end()
    }
}
