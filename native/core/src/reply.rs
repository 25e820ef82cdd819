//! What a provider's reply says: a whole one, or the data of one event of a stream.

use crate::anthropic::AnthropicReader;
use crate::gemini::GeminiReader;
use crate::json::{Fault, Text, Token, Walker};
use crate::key::Key;
use crate::openai::OpenAiReader;
use crate::text::Decoded;

/// The form of a reply. The number is the one that crosses the boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Chat completions and embeddings.
    OpenAi = 0,
    /// Messages.
    Anthropic = 1,
    /// JSON of which only an error at its top is known.
    Any = 2,
    /// Gemini's `GenerateContentResponse`, whole or one of a stream.
    Gemini = 3,
}

impl Dialect {
    /// From its number; `None` above 3.
    pub fn from_number(number: u32) -> Option<Dialect> {
        [Dialect::OpenAi, Dialect::Anthropic, Dialect::Any, Dialect::Gemini].get(number as usize).copied()
    }
}

/// Why generation ended. The number is the one that crosses the boundary; of several choices the highest
/// wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finish {
    /// It has not, as far as is known.
    #[default]
    None = 0,
    /// The model was done.
    Stop = 1,
    /// A limit of tokens was reached.
    Length = 2,
    /// The model calls a tool.
    Tool = 3,
    /// A filter stopped it, or the model refused.
    Filter = 4,
    /// A reason with no other number.
    Other = 5,
}

impl Finish {
    /// From `finish_reason`, `stop_reason` or `finishReason`.
    pub fn named(reason: &str) -> Finish {
        match reason {
            "stop" | "end_turn" | "stop_sequence" | "STOP" => Finish::Stop,
            "length" | "max_tokens" | "model_context_window_exceeded" | "MAX_TOKENS" => Finish::Length,
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
}

/// Token counts as the provider stated them; `None` where it did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The prompt's.
    pub input: Option<u32>,
    /// The reply's.
    pub output: Option<u32>,
    /// Read from the provider's prompt cache.
    pub cached: Option<u32>,
    /// Written to it.
    pub created: Option<u32>,
}

impl Usage {
    /// Takes over each count that `later` states.
    pub fn update(&mut self, later: Usage) {
        self.input = later.input.or(self.input);
        self.output = later.output.or(self.output);
        self.cached = later.cached.or(self.cached);
        self.created = later.created.or(self.created);
    }
}

/// What a document says. Wrong types inside never fail, they just say nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// It is an object.
    pub object: bool,
    /// It is an error.
    pub error: bool,
    /// Something the client would show or act on.
    pub content: bool,
    /// A tool call.
    pub tool: bool,
    /// A refusal.
    pub refusal: bool,
    /// A usage object.
    pub usage_seen: bool,
    /// What it states.
    pub usage: Usage,
    /// Why generation ended.
    pub finish: Finish,
    /// Bytes of reply text: content, reasoning, refusals, tool arguments.
    pub text_bytes: u32,
    /// `message_stop`.
    pub end: bool,
    /// `choices` is an empty array.
    pub choices_empty: bool,
    /// A content block is open from here on, or it is closed (Anthropic).
    pub block_open: Option<bool>,
    /// Its number.
    pub index: u32,
}

impl Reading {
    /// Text that the client would show.
    pub(crate) fn say(&mut self, text: Text, source: &mut Source<'_>) {
        source.keep(text);
        self.content |= text.start != text.end;
        self.add_text(text.bytes());
    }

    pub(crate) fn add_text(&mut self, bytes: usize) {
        self.text_bytes = self.text_bytes.saturating_add(bytes as u32);
    }
}

/// Reply text is kept up to here, in bytes; what is beyond is counted only.
pub const TEXT_MAX: usize = 1024 * 1024;

/// Reads a document.
///
/// # Errors
/// Where it is not JSON, or nested too deeply.
pub fn read(document: &str, dialect: Dialect) -> Result<Reading, Fault> {
    run(document, dialect, None)
}

/// Reads a document, and adds its reply text to `kept`, decoded, up to [`TEXT_MAX`].
///
/// # Errors
/// As [`read`]; what stood before the fault is kept.
pub fn read_keeping(document: &str, dialect: Dialect, kept: &mut Vec<u8>) -> Result<Reading, Fault> {
    run(document, dialect, Some(kept))
}

/// The reply text of a document that may be cut anywhere, decoded, up to [`TEXT_MAX`].
pub fn reply_text(body: &[u8], dialect: Dialect) -> Vec<u8> {
    let valid = std::str::from_utf8(body).map_or_else(|error| error.valid_up_to(), str::len);
    let document = std::str::from_utf8(&body[..valid]).unwrap_or_default();
    let mut kept = Vec::new();
    if read_keeping(document, dialect, &mut kept).is_ok() {
        return kept;
    }
    // A string that was cut is taken up to the cut, without an escape that was cut itself.
    let tail = document.len().saturating_sub(5);
    let escape = document.as_bytes()[tail..].iter().rposition(|&byte| byte == b'\\').map(|at| tail + at);
    let end = escape.filter(|&at| is_cut_escape(&document.as_bytes()[at..])).unwrap_or(document.len());
    kept.clear();
    read_keeping(&format!("{}\"", &document[..end]), dialect, &mut kept).ok();
    kept
}

fn is_cut_escape(escape: &[u8]) -> bool {
    escape.len() < 2 || (escape[1] == b'u' && escape.len() < 6)
}

/// A dialect's view of a document's tokens.
pub(crate) trait Reader {
    /// A member's name.
    fn key(&mut self, key: Key);
    /// A value, or the beginning of a container.
    fn value(&mut self, token: Token, source: &mut Source<'_>);
    /// The end of a container.
    fn close(&mut self, source: &mut Source<'_>);
    /// What was read.
    fn reading(self) -> Reading;
}

/// Looks for an error at the top of a document, and for nothing else.
#[derive(Default)]
struct AnyReader {
    depth: usize,
    key: Key,
    error: bool,
}

impl Reader for AnyReader {
    fn key(&mut self, key: Key) {
        self.key = key;
    }

    fn value(&mut self, token: Token, _: &mut Source<'_>) {
        self.error |= self.depth == 1 && self.key == Key::Error && token != Token::Null;
        self.depth += usize::from(matches!(token, Token::ObjectStart | Token::ArrayStart));
    }

    fn close(&mut self, _: &mut Source<'_>) {
        self.depth -= 1;
    }

    fn reading(self) -> Reading {
        Reading { error: self.error, ..Reading::default() }
    }
}

/// The document behind the tokens.
pub(crate) struct Source<'d> {
    document: &'d str,
    walker: Walker<'d>,
    scratch: Decoded,
    kept: Option<&'d mut Vec<u8>>,
}

/// No finish reason or type that means something is longer, in raw bytes with every character escaped.
const WORD_MAX: usize = 256;

impl Source<'_> {
    /// The string as a word to compare; the empty one if it is far too long.
    pub fn word(&mut self, text: Text) -> &str {
        let raw = &self.document[text.start..text.end];
        match text.escaped() {
            _ if raw.len() > WORD_MAX => "",
            true => self.scratch.decode(raw),
            false => raw,
        }
    }

    /// Keeps a string of the reply's text, where that is asked for.
    pub fn keep(&mut self, text: Text) {
        let Some(kept) = self.kept.as_deref_mut() else { return };
        let raw = &self.document[text.start..text.end];
        let decoded = if text.escaped() { self.scratch.decode(raw) } else { raw };
        let room = TEXT_MAX - kept.len();
        kept.extend_from_slice(&decoded.as_bytes()[..decoded.floor_char_boundary(room)]);
    }

    /// The same for a part of the document as it stands.
    pub fn keep_raw(&mut self, range: std::ops::Range<usize>) {
        let Some(kept) = self.kept.as_deref_mut() else { return };
        let raw = &self.document[range];
        let room = TEXT_MAX - kept.len();
        kept.extend_from_slice(&raw.as_bytes()[..raw.floor_char_boundary(room)]);
    }

    /// The number of the last token as a count of tokens: without its fraction, within 32 bits.
    pub fn count(&self) -> u32 {
        let number = &self.document[self.walker.start()..self.walker.end()];
        // A cast to an integer saturates.
        number.parse::<f64>().map_or(0, |value| value as u32)
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

fn run(document: &str, dialect: Dialect, kept: Option<&mut Vec<u8>>) -> Result<Reading, Fault> {
    let walker = Walker::new(document.as_bytes());
    let source = Source { document, walker, scratch: Decoded::default(), kept };
    match dialect {
        Dialect::OpenAi => walk(source, OpenAiReader::default()),
        Dialect::Anthropic => walk(source, AnthropicReader::default()),
        Dialect::Gemini => walk(source, GeminiReader::default()),
        Dialect::Any => walk(source, AnyReader::default()),
    }
}

fn walk(mut source: Source<'_>, mut reader: impl Reader) -> Result<Reading, Fault> {
    let document = source.document;
    let mut first = true;
    let mut object = false;
    while let Some(token) = source.walker.next_token()? {
        object |= std::mem::take(&mut first) && token == Token::ObjectStart;
        match token {
            Token::Key(text) => reader.key(Key::of(document, text, &mut source.scratch)),
            Token::ObjectEnd | Token::ArrayEnd => reader.close(&mut source),
            _ => reader.value(token, &mut source),
        }
    }
    Ok(Reading { object, ..reader.reading() })
}

/// The message of an error document: `error.message`, or `error` or `message` themselves where they are text.
pub fn error_message(document: &str) -> Option<String> {
    let mut walker = Walker::new(document.as_bytes());
    let mut scratch = Decoded::default();
    let mut found: [Option<Text>; 2] = [None; 2];
    let mut in_error = false;
    let mut key = Key::Other;
    // What stands before a fault is still worth reading.
    while let Ok(Some(token)) = walker.next_token() {
        match (token, walker.depth()) {
            (Token::Key(text), depth) => {
                key = Key::of(document, text, &mut scratch);
                in_error = if depth == 1 { key == Key::Error } else { in_error };
            }
            (Token::String(text), 1) if key == Key::Error => found[0] = Some(text),
            (Token::String(text), 2) if in_error && key == Key::Message => found[0] = Some(text),
            (Token::String(text), 1) if key == Key::Message => found[1] = Some(text),
            _ => {}
        }
    }
    let text = found[0].or(found[1])?;
    Some(scratch.decode(&document[text.start..text.end]).to_owned())
}
