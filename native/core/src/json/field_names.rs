//! The names of JSON members that requests and replies are searched for.

use crate::json::string::Decoded;
use crate::json::walker::Text;

macro_rules! keys {
    ($($key:ident = $name:literal),+ $(,)?) => {
        /// A member's name, if it is known here.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Key {
            /// Any other name, or none.
            #[default]
            Other,
            $(#[allow(missing_docs)] $key,)+
        }

        /// No known name is longer, in bytes.
        const NAME_MAX: usize = 27;

        impl Key {
            /// The key with exactly this decoded name.
            pub fn named(name: &[u8]) -> Key {
                const TABLE: &[(&[u8], Key)] = &[$(($name, Key::$key)),+];
                if name.len() > NAME_MAX {
                    return Key::Other;
                }
                let (from, to) = RANGES[name.len()];
                for (candidate, key) in &TABLE[from as usize..to as usize] {
                    if *candidate == name {
                        return *key;
                    }
                }
                Key::Other
            }
        }

        const NAMES: &[&[u8]] = &[$($name),+];
    };
}

// Ordered by length, so that a lookup compares only names of its own length.
keys! {
    N = b"n",
    Id = b"id",
    Ttl = b"ttl",
    Url = b"url",
    Args = b"args",
    Data = b"data",
    Meta = b"meta",
    Name = b"name",
    Role = b"role",
    Stop = b"stop",
    Text = b"text",
    Type = b"type",
    User = b"user",
    Cost = b"cost",
    Audio = b"audio",
    Delta = b"delta",
    Error = b"error",
    Index = b"index",
    Input = b"input",
    Model = b"model",
    Parts = b"parts",
    Query = b"query",
    Texts = b"texts",
    Tools = b"tools",
    Usage = b"usage",
    Speed = b"speed",
    Custom = b"custom",
    Detail = b"detail",
    Format = b"format",
    Images = b"images",
    Inputs = b"inputs",
    Prompt = b"prompt",
    Source = b"source",
    Stream = b"stream",
    System = b"system",
    Thread = b"thread",
    Tokens = b"tokens",
    FileId = b"file_id",
    FileUri = b"fileUri",
    Choices = b"choices",
    Content = b"content",
    Results = b"results",
    Headers = b"headers",
    Message = b"message",
    Refusal = b"refusal",
    Seconds = b"seconds",
    FileUriSnake = b"file_uri",
    Contents = b"contents",
    GeminiFileData = b"fileData",
    Function = b"function",
    Response = b"response",
    Messages = b"messages",
    Modality = b"modality",
    MimeType = b"mimeType",
    Thinking = b"thinking",
    Requests = b"requests",
    MimeTypeSnake = b"mime_type",
    FileData = b"file_data",
    Arguments = b"arguments",
    Documents = b"documents",
    Functions = b"functions",
    Reasoning = b"reasoning",
    Signature = b"signature",
    Variables = b"variables",
    Background = b"background",
    Candidates = b"candidates",
    Embeddings = b"embeddings",
    Iterations = b"iterations",
    TokenCount = b"tokenCount",
    InlineData = b"inlineData",
    MaxTokens = b"max_tokens",
    MediaType = b"media_type",
    ToolCalls = b"tool_calls",
    InlineDataSnake = b"inline_data",
    ServiceTierCamel = b"serviceTier",
    TrafficType = b"trafficType",
    BlockReason = b"blockReason",
    StopReason = b"stop_reason",
    Temperature = b"temperature",
    ToolUseId = b"tool_use_id",
    McpServers = b"mcp_servers",
    GeminiFinishReason = b"finishReason",
    GeminiFunctionCall = b"functionCall",
    BilledUnits = b"billed_units",
    InputTokens = b"input_tokens",
    PartialJson = b"partial_json",
    SearchUnits = b"search_units",
    Instructions = b"instructions",
    ToolCallId = b"tool_call_id",
    AudioTokens = b"audio_tokens",
    ImageTokens = b"image_tokens",
    TotalTokens = b"total_tokens",
    ModelVersion = b"modelVersion",
    ServiceTier = b"service_tier",
    Conversation = b"conversation",
    CacheControl = b"cache_control",
    Authorization = b"authorization",
    InferenceGeo = b"inference_geo",
    ContentBlock = b"content_block",
    FinishReason = b"finish_reason",
    FunctionCall = b"function_call",
    IncludeUsage = b"include_usage",
    OutputConfig = b"output_config",
    OutputFormat = b"output_format",
    OutputTokens = b"output_tokens",
    PromptTokens = b"prompt_tokens",
    CachedTokens = b"cached_tokens",
    UsageMetadata = b"usageMetadata",
    StreamFormat = b"stream_format",
    StopSequencesCamel = b"stopSequences",
    CachedContent = b"cachedContent",
    CandidateCount = b"candidateCount",
    ExecutableCode = b"executableCode",
    PromptFeedback = b"promptFeedback",
    StreamOptions = b"stream_options",
    StopSequences = b"stop_sequences",
    ResponseSchema = b"responseSchema",
    ThinkingConfig = b"thinkingConfig",
    CacheCreation = b"cache_creation",
    CachedContentSnake = b"cached_content",
    CandidateCountSnake = b"candidate_count",
    ResponseFormat = b"response_format",
    MaxOutputTokensCamel = b"maxOutputTokens",
    ThinkingTokens = b"thinking_tokens",
    GenerationConfig = b"generationConfig",
    FunctionResponse = b"functionResponse",
    PromptTokenCount = b"promptTokenCount",
    ResponseMimeType = b"responseMimeType",
    ThoughtSignature = b"thoughtSignature",
    ReasoningEffort = b"reasoning_effort",
    ReasoningTokens = b"reasoning_tokens",
    MaxOutputTokens = b"max_output_tokens",
    CompletionTokens = b"completion_tokens",
    FunctionResponseSnake = b"function_response",
    EncryptedContent = b"encrypted_content",
    GenerationConfigSnake = b"generation_config",
    SystemInstruction = b"systemInstruction",
    ThoughtSignatureSnake = b"thought_signature",
    ReasoningContent = b"reasoning_content",
    ResponseJsonSchema = b"responseJsonSchema",
    SystemInstructionSnake = b"system_instruction",
    ThoughtsTokenCount = b"thoughtsTokenCount",
    WebSearchOptions = b"web_search_options",
    CacheWriteTokens = b"cache_write_tokens",
    CodeExecutionResult = b"codeExecutionResult",
    InputTokenDetails = b"input_token_details",
    AuthorizationToken = b"authorization_token",
    PromptTokensDetailsCamel = b"promptTokensDetails",
    CandidatesTokenCount = b"candidatesTokenCount",
    FunctionDeclarations = b"functionDeclarations",
    InputTokensDetails = b"input_tokens_details",
    MaxCompletionTokens = b"max_completion_tokens",
    OutputTokensDetails = b"output_tokens_details",
    PromptTokensDetails = b"prompt_tokens_details",
    FunctionDeclarationsSnake = b"function_declarations",
    GenerateContentRequest = b"generateContentRequest",
    CachedContentTokenCount = b"cachedContentTokenCount",
    ToolUsePromptTokenCount = b"toolUsePromptTokenCount",
    CacheReadInputTokens = b"cache_read_input_tokens",
    CandidatesTokensDetails = b"candidatesTokensDetails",
    CompletionTokensDetails = b"completion_tokens_details",
    HourCacheTokens = b"ephemeral_1h_input_tokens",
    CacheCreationInputTokens = b"cache_creation_input_tokens",
}

/// For every length, the part of the table with names of that length. The table must be ordered by length.
const RANGES: [(u8, u8); NAME_MAX + 1] = {
    let mut ranges = [(0, 0); NAME_MAX + 1];
    let mut at = 0;
    while at < NAMES.len() {
        let len = NAMES[at].len();
        assert!(at == 0 || NAMES[at - 1].len() <= len, "names must be ordered by length");
        if ranges[len].1 == 0 {
            ranges[len].0 = at as u8;
        }
        ranges[len].1 = at as u8 + 1;
        at += 1;
    }
    ranges
};

impl Key {
    /// The key written by a string or member name of `body`, with or without escapes.
    pub fn of(body: &str, text: Text, scratch: &mut Decoded) -> Key {
        // An escape takes at most six bytes for one byte of a known name, as those are all ASCII.
        if text.end - text.start > 6 * NAME_MAX {
            return Key::Other;
        }
        let raw = &body[text.start..text.end];
        if text.escaped() { Key::named(scratch.decode(raw).as_bytes()) } else { Key::named(raw.as_bytes()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::walker::{Token, Walker};

    fn of(raw: &str) -> Key {
        let document = format!("{{\"{raw}\":0}}");
        let mut walker = Walker::new(document.as_bytes());
        assert_eq!(walker.next_token(), Ok(Some(Token::ObjectStart)));
        let Ok(Some(Token::Key(text))) = walker.next_token() else { panic!("{raw}") };
        Key::of(&document, text, &mut Decoded::default())
    }

    #[test]
    fn knows_each_name_however_it_is_spelled() {
        for name in NAMES {
            let name = std::str::from_utf8(name).unwrap();
            assert_ne!(of(name), Key::Other, "{name}");
            let escaped: String = name.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
            assert_eq!(of(&escaped), of(name));
            assert_eq!(of(&format!("{name}x")), Key::Other);
            assert_eq!(of(&name.to_uppercase()), Key::Other);
        }
        assert_eq!(of(r"mod\u0065l"), Key::Model);
        assert_eq!(of(""), Key::Other);
        assert_eq!(of(&"x".repeat(200)), Key::Other);
        assert_eq!(NAMES.iter().map(|name| name.len()).max(), Some(NAME_MAX));
    }
}
