//! Reads Gemini's replies: `GenerateContentResponse`, whole or one chunk of a stream.

use crate::json::field_names::Key;
use crate::json::path::Path;
use crate::json::walker::{Text, Token};
use crate::reply::reading::{Finish, Reader, Reading, Service, Source};

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Outside,
    Root,
    Candidates,
    Candidate,
    Content,
    Parts,
    Part,
    Call,
    /// A call's arguments.
    Args,
    Usage,
    /// What the tokens of the prompt, and those of the answer, are of.
    PromptDetails,
    AnswerDetails,
    PromptDetail,
    AnswerDetail,
    Feedback,
    Other,
}

#[derive(Default)]
pub(crate) struct GeminiReader {
    path: Path<Place>,
    reading: Reading,
    /// Of the candidate that is open: its number, and whether it says why it ended.
    candidate: (u32, bool),
    args_start: usize,
    /// Tokens of the answer itself and of thinking, which the API counts separately.
    answer: Option<u32>,
    thoughts: Option<u32>,
    /// Tokens of the prompt, and of what the provider's own tools added to it.
    prompt: Option<u32>,
    tool_prompt: Option<u32>,
    /// Of the detail that is open: whether its price is another than that of text, and its tokens.
    detail: (bool, u32),
}

impl Reader for GeminiReader {
    fn key(&mut self, key: Key) {
        self.path.set_key(key);
    }

    fn value(&mut self, token: Token, source: &mut Source<'_>) {
        let key = self.path.key();
        let place = self.path.place();
        match (place, token) {
            (Place::Root, Token::Null) => {}
            (Place::Root, _) if key == Key::Error => self.reading.error = true,
            (Place::Root, Token::String(text)) if key == Key::ModelVersion => {
                self.reading.model = Some((text.start, text.end));
            }
            (Place::Usage, Token::Number) => self.count(key, source.count()),
            (Place::Usage, Token::String(text))
                if matches!(key, Key::ServiceTierCamel | Key::TrafficType) =>
            {
                self.reading.service = Some(Service::named(source.word(text)));
            }
            (Place::Candidate, Token::Number) if key == Key::Index => self.candidate.0 = source.count(),
            (Place::Candidate, Token::String(text)) if key == Key::GeminiFinishReason => {
                if let Some(word) = source.reason(text) {
                    self.reading.error |= Finish::is_failure(word);
                    self.candidate.1 = true;
                    self.finish(Finish::named(word));
                }
            }
            // A blocked prompt has no candidates and no other finish reason.
            (Place::Feedback, Token::String(_)) if key == Key::BlockReason => self.finish(Finish::Filter),
            (Place::PromptDetail, Token::String(text)) if key == Key::Modality => {
                self.detail.0 = source.word(text) == "AUDIO";
            }
            (Place::AnswerDetail, Token::String(text)) if key == Key::Modality => {
                self.detail.0 = matches!(source.word(text), "AUDIO" | "IMAGE");
            }
            (Place::PromptDetail | Place::AnswerDetail, Token::Number) if key == Key::TokenCount => {
                self.detail.1 = source.count();
            }
            (Place::Part, _) => self.part(key, token, source),
            _ => {}
        }
        match token {
            Token::ObjectStart => self.enter(child(place, key, false), false, source),
            Token::ArrayStart => self.enter(child(place, key, true), true, source),
            _ => {}
        }
    }

    fn close(&mut self, source: &mut Source<'_>) {
        let place = self.path.leave();
        match place {
            Place::PromptDetail | Place::AnswerDetail => {
                let (is_media, tokens) = std::mem::take(&mut self.detail);
                let usage = &mut self.reading.usage;
                let sum = if place == Place::PromptDetail {
                    &mut usage.media_input
                } else {
                    &mut usage.media_output
                };
                if is_media {
                    *sum = Some(sum.unwrap_or_default().saturating_add(tokens));
                }
            }
            Place::Args => {
                let args = self.args_start..source.end();
                self.reading.add_text(args.len());
                source.keep_raw(args);
            }
            Place::Candidate => {
                let (index, ended) = std::mem::take(&mut self.candidate);
                self.reading.choose(index, ended);
            }
            _ => {}
        }
    }

    fn reading(self) -> Reading {
        let mut reading = self.reading;
        let sum = |one: Option<u32>, other: Option<u32>| match (one, other) {
            (None, None) => None,
            _ => Some(one.unwrap_or_default().saturating_add(other.unwrap_or_default())),
        };
        reading.usage.output = sum(self.answer, self.thoughts);
        reading.usage.reasoning = self.thoughts;
        reading.usage.input = sum(self.prompt, self.tool_prompt);
        reading
    }
}

impl GeminiReader {
    fn enter(&mut self, place: Place, array: bool, source: &Source<'_>) {
        match place {
            Place::Args => self.args_start = source.start(),
            Place::Usage => self.reading.usage_seen = true,
            _ => {}
        }
        self.path.enter(place, array);
    }

    fn finish(&mut self, finish: Finish) {
        self.reading.finish = self.reading.finish.max(finish);
    }

    fn count(&mut self, key: Key, count: u32) {
        match key {
            Key::PromptTokenCount => self.prompt = Some(count),
            Key::ToolUsePromptTokenCount => self.tool_prompt = Some(count),
            Key::CandidatesTokenCount => self.answer = Some(count),
            Key::ThoughtsTokenCount => self.thoughts = Some(count),
            Key::CachedContentTokenCount => self.reading.usage.cached = Some(count),
            _ => {}
        }
    }

    fn part(&mut self, key: Key, token: Token, source: &mut Source<'_>) {
        match (key, token) {
            (Key::Text, Token::String(text)) => self.reading.show(text, source),
            (Key::ThoughtSignature, Token::String(Text { start, end, .. })) => {
                self.reading.content |= start != end;
            }
            (Key::GeminiFunctionCall, Token::ObjectStart) => {
                self.reading.tool = true;
                self.reading.content = true;
            }
            // Images, and results of the provider's own tools.
            (Key::InlineData | Key::ExecutableCode | Key::CodeExecutionResult, Token::ObjectStart) => {
                self.reading.content = true;
            }
            _ => {}
        }
    }
}

fn child(place: Place, key: Key, array: bool) -> Place {
    match (place, key, array) {
        (Place::Outside, _, false) => Place::Root,
        (Place::Root, Key::Candidates, true) => Place::Candidates,
        (Place::Root, Key::UsageMetadata, false) => Place::Usage,
        (Place::Root, Key::PromptFeedback, false) => Place::Feedback,
        (Place::Usage, Key::PromptTokensDetailsCamel, true) => Place::PromptDetails,
        (Place::Usage, Key::CandidatesTokensDetails, true) => Place::AnswerDetails,
        (Place::PromptDetails, _, false) => Place::PromptDetail,
        (Place::AnswerDetails, _, false) => Place::AnswerDetail,
        (Place::Candidates, _, false) => Place::Candidate,
        (Place::Candidate, Key::Content, false) => Place::Content,
        (Place::Content, Key::Parts, true) => Place::Parts,
        (Place::Parts, _, false) => Place::Part,
        (Place::Part, Key::GeminiFunctionCall, false) => Place::Call,
        (Place::Call, Key::Args, false) => Place::Args,
        _ => Place::Other,
    }
}
