//! The APIs whose requests can be inspected.

/// The API a request is for. The number is the one that crosses the boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// OpenAI's `/v1/chat/completions`.
    Chat = 0,
    /// OpenAI's `/v1/embeddings`.
    Embeddings = 1,
    /// Anthropic's `/v1/messages`.
    Messages = 2,
    /// Anthropic's `/v1/messages/count_tokens`.
    CountTokens = 3,
    /// Gemini's `:generateContent`, `:streamGenerateContent`, `:countTokens`, `:embedContent` and
    /// `:batchEmbedContents`, whose model stands in the path.
    Generate = 4,
    /// OpenAI's `/v1/responses`.
    Responses = 5,
    /// Cohere's `/v2/rerank`.
    Rerank = 6,
    /// Cohere's `/v2/embed`.
    Embed = 7,
    /// OpenAI's endpoints beside chat, which are passed through: images, speech, moderations, reranking.
    Passthrough = 10,
}

impl Endpoint {
    /// From its number; `None` if no endpoint has it.
    pub fn from_number(number: u32) -> Option<Endpoint> {
        let all = [
            Endpoint::Chat,
            Endpoint::Embeddings,
            Endpoint::Messages,
            Endpoint::CountTokens,
            Endpoint::Generate,
            Endpoint::Responses,
            Endpoint::Rerank,
            Endpoint::Embed,
            Endpoint::Passthrough,
        ];
        all.into_iter().find(|endpoint| *endpoint as u32 == number)
    }

    /// Whether the API is Cohere's.
    pub fn is_cohere(self) -> bool {
        matches!(self, Endpoint::Rerank | Endpoint::Embed)
    }

    /// Whether the API is Anthropic's.
    pub fn is_anthropic(self) -> bool {
        matches!(self, Endpoint::Messages | Endpoint::CountTokens)
    }
}
