//! Reads a provider's reply: a whole one, or the data of one event of a stream.

use crate::json::field_names::Key;
use crate::json::string::Decoded;
use crate::json::walker::{Fault, Text, Token, Walker};
use crate::reply::anthropic::AnthropicReader;
use crate::reply::any::AnyReader;
use crate::reply::auxiliary::AuxiliaryReader;
use crate::reply::cohere::CohereReader;
use crate::reply::gemini::GeminiReader;
use crate::reply::openai::OpenAiReader;
use crate::reply::reading::{Kept, Reading, Source, TEXT_MAX};

/// The form of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Chat completions and embeddings.
    OpenAi,
    /// Messages.
    Anthropic,
    /// JSON of an unknown form: only an error at the top is recognised.
    Any,
    /// Gemini's `GenerateContentResponse`, whole or a chunk of a stream.
    Gemini,
    /// Cohere's rerank and embed.
    Cohere,
    /// OpenAI's auxiliary endpoints: images, audio, moderations, reranking.
    Auxiliary,
}

/// Reads a document.
///
/// # Errors
/// If it is not JSON, or nested too deeply.
pub fn read(document: &str, dialect: Dialect) -> Result<Reading, Fault> {
    run(document, dialect, None)
}

/// Reads a document, and adds its reply text to what is `kept`, decoded.
///
/// # Errors
/// As for [`read`]; text before the fault is kept.
pub fn read_keeping(document: &str, dialect: Dialect, kept: Kept<'_>) -> Result<Reading, Fault> {
    run(document, dialect, Some(kept))
}

/// The reply text of a document that may be truncated anywhere, decoded, up to [`TEXT_MAX`].
pub fn reply_text(body: &[u8], dialect: Dialect) -> Vec<u8> {
    let valid = std::str::from_utf8(body).map_or_else(|error| error.valid_up_to(), str::len);
    let document = std::str::from_utf8(&body[..valid]).unwrap_or_default();
    let mut text = Vec::new();
    if read_keeping(document, dialect, Kept { text: &mut text, max: TEXT_MAX }).is_ok() {
        return text;
    }
    // A truncated string is taken up to its end, without an escape that was itself truncated.
    let tail = document.len().saturating_sub(5);
    let escape = document.as_bytes()[tail..].iter().rposition(|&byte| byte == b'\\').map(|at| tail + at);
    let end = escape.filter(|&at| is_cut_escape(&document.as_bytes()[at..])).unwrap_or(document.len());
    text.clear();
    let whole = format!("{}\"", &document[..end]);
    read_keeping(&whole, dialect, Kept { text: &mut text, max: TEXT_MAX }).ok();
    text
}

fn is_cut_escape(escape: &[u8]) -> bool {
    escape.len() < 2 || (escape[1] == b'u' && escape.len() < 6)
}

fn run(document: &str, dialect: Dialect, kept: Option<Kept<'_>>) -> Result<Reading, Fault> {
    let source = Source::new(document, kept);
    match dialect {
        Dialect::OpenAi => source.read(OpenAiReader::default()),
        Dialect::Anthropic => source.read(AnthropicReader::default()),
        Dialect::Gemini => source.read(GeminiReader::default()),
        Dialect::Cohere => source.read(CohereReader::default()),
        Dialect::Any => source.read(AnyReader::default()),
        Dialect::Auxiliary => source.read(AuxiliaryReader::default()),
    }
}

/// The message of an error document: `error.message`, or `error` or `message` if they are text.
pub fn error_message(document: &str) -> Option<String> {
    let mut walker = Walker::new(document.as_bytes());
    let mut scratch = Decoded::default();
    let mut found: [Option<Text>; 2] = [None; 2];
    let mut in_error = false;
    let mut key = Key::Other;
    // What comes before a fault is still worth reading.
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
