//! The APIs whose requests can be inspected.

/// The API a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// OpenAI's `/v1/chat/completions`.
    Chat,
    /// OpenAI's `/v1/embeddings`.
    Embeddings,
    /// Anthropic's `/v1/messages`.
    Messages,
    /// Anthropic's `/v1/messages/count_tokens`.
    CountTokens,
    /// Gemini's `:generateContent`, `:streamGenerateContent`, `:countTokens`, `:embedContent` and
    /// `:batchEmbedContents`, whose model stands in the path.
    Generate,
    /// OpenAI's `/v1/responses`.
    Responses,
    /// Cohere's `/v2/rerank`.
    Rerank,
    /// Cohere's `/v2/embed`.
    Embed,
    /// OpenAI's auxiliary endpoints: images, speech, moderations, reranking.
    Auxiliary,
}

impl Endpoint {
    /// Whether the API is Cohere's.
    pub fn is_cohere(self) -> bool {
        matches!(self, Endpoint::Rerank | Endpoint::Embed)
    }

    /// Whether the API is Anthropic's.
    pub fn is_anthropic(self) -> bool {
        matches!(self, Endpoint::Messages | Endpoint::CountTokens)
    }
}
