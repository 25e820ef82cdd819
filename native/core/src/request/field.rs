//! The top-level fields of a request that decide what it is, and their types.

use crate::json::field_names::Key;
use crate::json::walker::Token;
use crate::request::endpoint::Endpoint;

/// A field whose type is checked and which may stand only once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Field {
    #[default]
    Model,
    Messages,
    Stream,
    MaxTokens,
    MaxCompletionTokens,
    N,
    StreamOptions,
    Tools,
    Input,
    System,
    ResponseFormat,
    User,
    Contents,
    SystemInstruction,
    GenerationConfig,
    Query,
    Documents,
    Texts,
    Inputs,
}

/// The names of all fields, in the order of their declaration: as messages have them.
pub const FIELD_NAMES: [&str; Field::Inputs as usize + 1] = [
    "model",
    "messages",
    "stream",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "stream_options",
    "tools",
    "input",
    "system",
    "response_format",
    "user",
    "contents",
    "systemInstruction",
    "generationConfig",
    "query",
    "documents",
    "texts",
    "inputs",
];

impl Field {
    /// The field that a top-level key names, if it belongs to the endpoint.
    pub fn of(endpoint: Endpoint, key: Key) -> Option<Field> {
        let field = match key {
            Key::Model => Field::Model,
            Key::Messages => Field::Messages,
            Key::Stream => Field::Stream,
            Key::MaxTokens if endpoint != Endpoint::Responses => Field::MaxTokens,
            Key::MaxOutputTokens if endpoint == Endpoint::Responses => Field::MaxTokens,
            Key::MaxCompletionTokens => Field::MaxCompletionTokens,
            Key::N => Field::N,
            Key::StreamOptions => Field::StreamOptions,
            Key::Tools => Field::Tools,
            Key::Input => Field::Input,
            Key::System => Field::System,
            Key::ResponseFormat => Field::ResponseFormat,
            Key::User => Field::User,
            Key::Contents => Field::Contents,
            // The API takes both spellings, and one of each is one too many.
            Key::SystemInstruction | Key::SystemInstructionSnake => Field::SystemInstruction,
            Key::GenerationConfig | Key::GenerationConfigSnake => Field::GenerationConfig,
            Key::Query => Field::Query,
            Key::Documents => Field::Documents,
            Key::Texts => Field::Texts,
            Key::Inputs => Field::Inputs,
            _ => return None,
        };
        let belongs = match endpoint {
            Endpoint::Chat => matches!(
                field,
                Field::Model
                    | Field::Messages
                    | Field::Stream
                    | Field::MaxTokens
                    | Field::MaxCompletionTokens
                    | Field::N
                    | Field::StreamOptions
                    | Field::Tools
                    | Field::ResponseFormat
                    | Field::User
            ),
            Endpoint::Generate => matches!(
                field,
                Field::Contents | Field::SystemInstruction | Field::GenerationConfig | Field::Tools
            ),
            Endpoint::Rerank => matches!(field, Field::Model | Field::Query | Field::Documents),
            Endpoint::Embed => matches!(field, Field::Model | Field::Texts | Field::Inputs),
            Endpoint::Embeddings => matches!(field, Field::Model | Field::Input | Field::User),
            Endpoint::Responses => {
                matches!(
                    field,
                    Field::Model
                        | Field::Input
                        | Field::Stream
                        | Field::MaxTokens
                        | Field::Tools
                        | Field::User
                )
            }
            Endpoint::Auxiliary => {
                matches!(field, Field::Model | Field::Input | Field::Stream | Field::N | Field::User)
            }
            Endpoint::Messages | Endpoint::CountTokens => matches!(
                field,
                Field::Model
                    | Field::Messages
                    | Field::Stream
                    | Field::MaxTokens
                    | Field::Tools
                    | Field::System
            ),
        };
        belongs.then_some(field)
    }

    /// Whether a value that begins with `token` has the right type. Numbers are looked at by [`count`].
    pub fn accepts(self, token: Token) -> bool {
        use Token::{ArrayStart, Bool, Null, Number, ObjectStart, String};
        match self {
            Field::Model => matches!(token, String(_)),
            Field::Messages | Field::Contents | Field::Documents => matches!(token, ArrayStart),
            Field::Query => matches!(token, String(_)),
            Field::Stream => matches!(token, Bool(_) | Null),
            Field::MaxTokens | Field::MaxCompletionTokens | Field::N => matches!(token, Number | Null),
            Field::StreamOptions | Field::ResponseFormat | Field::GenerationConfig => {
                matches!(token, ObjectStart | Null)
            }
            Field::SystemInstruction => matches!(token, ObjectStart | String(_) | Null),
            Field::Tools | Field::Texts | Field::Inputs => matches!(token, ArrayStart | Null),
            Field::Input => matches!(token, String(_) | ArrayStart),
            Field::System => matches!(token, String(_) | ArrayStart | Null),
            Field::User => matches!(token, String(_) | Null),
        }
    }
}

/// The largest count reported; larger ones are clamped to it. One more means "absent".
pub const COUNT_MAX: u32 = u32::MAX - 1;

/// A JSON number as a count, read as JavaScript reads it (`1e2` and `5.0` are integers). `None` if it is
/// negative, has a fraction, or is too large for a double.
pub fn count(number: &str) -> Option<u32> {
    let value: f64 = number.parse().ok()?;
    let valid = value >= 0.0 && value.is_finite() && value.fract() == 0.0;
    valid.then(|| (value as u32).min(COUNT_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_the_fields() {
        let endpoints = [Endpoint::Chat, Endpoint::Messages, Endpoint::Generate, Endpoint::Rerank];
        let endpoints = endpoints.into_iter().chain([Endpoint::Embed, Endpoint::Embeddings]);
        let of = |name: &str| {
            endpoints.clone().find_map(|endpoint| Field::of(endpoint, Key::named(name.as_bytes())))
        };
        for (number, name) in FIELD_NAMES.iter().enumerate() {
            assert_eq!(of(name).map(|field| field as usize), Some(number), "{name}");
        }
    }
}
