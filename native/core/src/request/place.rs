//! What the containers and keys of a request mean.

use crate::json::field_names::Key;
use crate::request::endpoint::Endpoint;

/// What a container means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    #[default]
    Outside,
    Root,
    Messages,
    Message,
    Content,
    Part,
    StreamOptions,
    ResponseFormat,
    OutputConfig,
    TextConfig,
    Thinking,
    Tools,
    Tool,
    /// Servers of tools that the provider calls, and one of them.
    Servers,
    Server,
    /// What goes with such calls.
    ServerHeaders,
    /// Gemini's `generationConfig`.
    Generation,
    /// Gemini's `inlineData` and `fileData`.
    Blob,
    /// Where Anthropic's documents and images come from.
    Source,
    /// The texts that end a reply.
    Stops,
    /// What is to be written to the provider's cache, and for how long.
    CacheControl,
    /// What a tool is called with or gave, and what it is called, as Gemini has them; and a prompt that the provider keeps.
    Call,
    /// What tools are given and give, and the values of such a prompt: their members' names say nothing of the request.
    Given,
    Other,
}

impl Place {
    /// Whether it has a reply's schema, and beside it only options, such as how much is said: none is text that a model reads.
    pub fn is_options(self) -> bool {
        matches!(self, Place::TextConfig | Place::OutputConfig | Place::Generation)
    }

    /// What a container inside this one means, by its key.
    pub fn child(self, endpoint: Endpoint, key: Key, array: bool) -> Place {
        let chat = endpoint == Endpoint::Chat;
        let anthropic = endpoint.is_anthropic();
        let gemini = endpoint == Endpoint::Generate;
        let responses = endpoint == Endpoint::Responses;
        match (self, key, array) {
            (Place::Outside, _, false) => Place::Root,
            (Place::Root, Key::Contents, true) if gemini => Place::Messages,
            (Place::Root, Key::Tools, true) if gemini => Place::Tools,
            (Place::Root, Key::GenerationConfig | Key::GenerationConfigSnake, false) if gemini => {
                Place::Generation
            }
            (Place::Root, Key::Stop | Key::StopSequences, true) => Place::Stops,
            (Place::Generation, Key::StopSequencesCamel | Key::StopSequences, true) => Place::Stops,
            (Place::Message, Key::Parts, true) if gemini => Place::Content,
            (
                Place::Part,
                Key::InlineData | Key::InlineDataSnake | Key::GeminiFileData | Key::FileData,
                false,
            ) if gemini => Place::Blob,
            (Place::Root, Key::Messages, true) if chat || anthropic => Place::Messages,
            (Place::Root, Key::Input, true) if responses => Place::Messages,
            (Place::Root, Key::Inputs, true) if endpoint == Endpoint::Embed => Place::Messages,
            (Place::Root, Key::Text, false) if responses => Place::TextConfig,
            (Place::TextConfig, Key::Format, false) => Place::ResponseFormat,
            (Place::Root, Key::Tools, true) if chat || anthropic || responses => Place::Tools,
            (Place::Root, Key::Functions, true) if chat => Place::Tools,
            (Place::Root, Key::StreamOptions, false) if chat => Place::StreamOptions,
            (Place::Root, Key::ResponseFormat, false) if chat => Place::ResponseFormat,
            (Place::Root, Key::OutputConfig, false) if anthropic => Place::OutputConfig,
            (Place::Root, Key::Thinking, false) => Place::Thinking,
            (Place::Messages, _, false) => Place::Message,
            (Place::Message | Place::Part, Key::Content, true) => Place::Content,
            (Place::Content, _, false) => Place::Part,
            (Place::Tools, _, false) if anthropic || gemini || responses => Place::Tool,
            (Place::Tool, Key::Headers, false) if responses => Place::ServerHeaders,
            (Place::Root, Key::McpServers, true) if anthropic => Place::Servers,
            (Place::Servers, _, false) => Place::Server,
            (Place::Given, ..) => Place::Given,
            (Place::Part, Key::Input, false) if anthropic => Place::Given,
            (Place::Part, Key::Source, false) if anthropic => Place::Source,
            (
                Place::Part,
                Key::GeminiFunctionCall
                | Key::FunctionCall
                | Key::FunctionResponse
                | Key::FunctionResponseSnake,
                false,
            ) if gemini => Place::Call,
            (Place::Root, Key::Prompt, false) if responses => Place::Call,
            (Place::Call, Key::Args | Key::Response | Key::Variables, false) => Place::Given,
            (_, Key::CacheControl, false) => Place::CacheControl,
            _ => Place::Other,
        }
    }
}

/// Whether a top-level field holds prompt text.
pub(crate) fn is_prompt(endpoint: Endpoint, key: Key) -> bool {
    matches!(
        key,
        Key::Messages
            | Key::System
            | Key::Input
            | Key::Instructions
            | Key::Prompt
            | Key::Tools
            | Key::Functions
            | Key::Contents
            | Key::SystemInstruction
            | Key::SystemInstructionSnake
    ) || endpoint != Endpoint::Auxiliary && has_schema(endpoint, key)
        || endpoint == Endpoint::Generate
            && matches!(key, Key::Content | Key::Requests | Key::GenerateContentRequest)
        || endpoint == Endpoint::Auxiliary && matches!(key, Key::Query | Key::Documents)
        || endpoint.is_cohere() && matches!(key, Key::Query | Key::Documents | Key::Texts | Key::Inputs)
}

/// Whether a top-level field has the JSON Schema of the reply and little else.
fn has_schema(endpoint: Endpoint, key: Key) -> bool {
    matches!(key, Key::ResponseFormat | Key::OutputFormat | Key::OutputConfig)
        || endpoint == Endpoint::Responses && key == Key::Text
}

/// Whether a top-level field says which tools there are, or what form the reply has.
pub(crate) fn describes(endpoint: Endpoint, root: Key) -> bool {
    matches!(root, Key::Tools | Key::Functions | Key::GenerationConfig | Key::GenerationConfigSnake)
        || has_schema(endpoint, root)
}

/// Whether strings under this key are labels, links and blobs, not text that a model reads as such.
pub(crate) fn is_label(key: Key) -> bool {
    matches!(
        key,
        Key::Type
            | Key::Role
            | Key::Id
            | Key::ToolCallId
            | Key::ToolUseId
            | Key::Name
            | Key::Data
            | Key::Url
            | Key::FileData
            | Key::FileId
            | Key::Signature
            | Key::EncryptedContent
            | Key::MediaType
            | Key::MimeType
            | Key::MimeTypeSnake
            | Key::FileUri
            | Key::FileUriSnake
            | Key::ThoughtSignature
            | Key::ThoughtSignatureSnake
            | Key::Detail
            | Key::Format
            | Key::CacheControl
    )
}

/// Whether strings there stay as they are: signed or encrypted by the provider, so that a changed byte would make them
/// worthless, or what it shows to a server of tools in the caller's name.
pub(crate) fn stays(place: Place, key: Key) -> bool {
    match place {
        Place::Given => false,
        Place::ServerHeaders => true,
        Place::Tool if key == Key::Authorization => true,
        Place::Server if key == Key::AuthorizationToken => true,
        _ => matches!(
            key,
            Key::Signature | Key::EncryptedContent | Key::ThoughtSignature | Key::ThoughtSignatureSnake
        ),
    }
}
