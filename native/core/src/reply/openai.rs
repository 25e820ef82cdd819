//! Reads OpenAI's replies: chat completions, their chunks, and embeddings.

use crate::json::field_names::Key;
use crate::json::path::Path;
use crate::json::walker::{Text, Token};
use crate::reply::reading::{Finish, Reader, Reading, Service, Source, Usage};

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Outside,
    Root,
    Usage,
    /// What the tokens of the prompt, and those of the reply, are of.
    PromptDetails,
    ReplyDetails,
    Choices,
    Choice,
    /// A choice's `message` or `delta`.
    Reply,
    /// Content as parts, which some providers use for thinking.
    Parts,
    Part,
    ToolCalls,
    ToolCall,
    Function,
    Other,
}

#[derive(Default)]
pub(crate) struct OpenAiReader {
    path: Path<Place>,
    reading: Reading,
    /// Of the choice that is open: its number, and whether it says why it ended.
    choice: (u32, bool),
    total: Option<u32>,
}

impl Reader for OpenAiReader {
    fn key(&mut self, key: Key) {
        self.path.set_key(key);
    }

    fn value(&mut self, token: Token, source: &mut Source<'_>) {
        let key = self.path.key();
        let place = self.path.place();
        match (place, token) {
            (Place::Outside | Place::Other, _) => {}
            (Place::Root, _) => self.root(key, token, source),
            (Place::Usage, Token::Number) if key == Key::Cost => {
                self.reading.usage.nano_usd = Some(source.nano_usd());
            }
            (Place::Usage | Place::PromptDetails | Place::ReplyDetails, Token::Number) => {
                self.count(place, key, source.count());
            }
            (Place::Choices, _) => self.reading.choices_empty = false,
            (Place::Choice, Token::Number) if key == Key::Index => self.choice.0 = source.count(),
            (Place::Choice, Token::String(text)) => self.choice(key, text, source),
            (Place::Reply, _) => self.reply(key, token, source),
            (Place::Part, Token::String(text)) if matches!(key, Key::Text | Key::Thinking) => {
                self.reading.show(text, source);
            }
            (Place::ToolCalls, _) => self.call(),
            (Place::Function, Token::String(text)) if matches!(key, Key::Arguments | Key::Input) => {
                self.reading.show(text, source);
            }
            _ => {}
        }
        match token {
            Token::ObjectStart => self.path.enter(child(place, key, false), false),
            Token::ArrayStart => self.path.enter(child(place, key, true), true),
            _ => {}
        }
    }

    fn close(&mut self, _: &mut Source<'_>) {
        if self.path.leave() == Place::Choice {
            let (index, ended) = std::mem::take(&mut self.choice);
            self.reading.choose(index, ended);
        }
    }

    fn reading(self) -> Reading {
        let mut reading = self.reading;
        let Usage { input, output, reasoning, .. } = reading.usage;
        let reasoning = reasoning.unwrap_or_default();
        // xAI doesn't count reasoning as part of the completion, and only the total includes it.
        let beside = output.unwrap_or_default().saturating_add(reasoning);
        if reasoning > 0 && self.total == Some(input.unwrap_or_default().saturating_add(beside)) {
            reading.usage.output = Some(beside);
        }
        // Voyage states nothing else of embeddings, which are all prompt.
        if input.is_none() && output.is_none() && reading.choices == 0 && !reading.choices_empty {
            reading.usage.input = self.total;
        }
        reading
    }
}

impl OpenAiReader {
    fn root(&mut self, key: Key, token: Token, source: &mut Source<'_>) {
        match (key, token) {
            (Key::Error, Token::Null) => {}
            (Key::Error, _) => self.reading.error = true,
            (Key::Choices, Token::ArrayStart) => self.reading.choices_empty = true,
            (Key::Usage, Token::ObjectStart) => self.reading.usage_seen = true,
            (Key::Model, Token::String(text)) => self.reading.model = Some((text.start, text.end)),
            (Key::ServiceTier, Token::String(text)) => {
                self.reading.service = Some(Service::named(source.word(text)));
            }
            _ => {}
        }
    }

    fn count(&mut self, place: Place, key: Key, count: u32) {
        let usage = &mut self.reading.usage;
        match (place, key) {
            (Place::Usage, Key::PromptTokens) => usage.input = Some(count),
            (Place::Usage, Key::CompletionTokens) => usage.output = Some(count),
            // Moonshot puts it one level up.
            (Place::PromptDetails | Place::Usage, Key::CachedTokens) => usage.cached = Some(count),
            (Place::PromptDetails, Key::CacheWriteTokens) => usage.created = Some(count),
            (Place::PromptDetails, Key::AudioTokens) => usage.media_input = Some(count),
            (Place::ReplyDetails, Key::AudioTokens) => usage.media_output = Some(count),
            (Place::ReplyDetails, Key::ReasoningTokens) => usage.reasoning = Some(count),
            (Place::Usage, Key::TotalTokens) => self.total = Some(count),
            _ => {}
        }
    }

    fn choice(&mut self, key: Key, text: Text, source: &mut Source<'_>) {
        match key {
            Key::FinishReason => {
                let Some(word) = source.reason(text) else { return };
                self.reading.error |= Finish::is_failure(word);
                let finish = Finish::named(word);
                self.choice.1 = true;
                self.reading.finish = self.reading.finish.max(finish);
            }
            // The legacy text completions.
            Key::Text => self.reading.show(text, source),
            _ => {}
        }
    }

    fn reply(&mut self, key: Key, token: Token, source: &mut Source<'_>) {
        match (key, token) {
            (Key::Content | Key::Reasoning | Key::ReasoningContent, Token::String(text)) => {
                self.reading.show(text, source);
            }
            (Key::Refusal, Token::String(text)) => {
                self.reading.refusal |= text.start != text.end;
                self.reading.show(text, source);
            }
            (Key::FunctionCall, Token::ObjectStart) => self.call(),
            (Key::Audio, Token::ObjectStart) => self.reading.content = true,
            _ => {}
        }
    }

    fn call(&mut self) {
        self.reading.tool = true;
        self.reading.content = true;
    }
}

fn child(place: Place, key: Key, array: bool) -> Place {
    match (place, key, array) {
        (Place::Outside, _, false) => Place::Root,
        (Place::Root, Key::Usage, false) => Place::Usage,
        (Place::Root, Key::Choices, true) => Place::Choices,
        (Place::Usage, Key::PromptTokensDetails, false) => Place::PromptDetails,
        (Place::Usage, Key::CompletionTokensDetails, false) => Place::ReplyDetails,
        (Place::Choices, _, false) => Place::Choice,
        (Place::Choice, Key::Message | Key::Delta, false) => Place::Reply,
        (Place::Reply, Key::Content, true) | (Place::Part, Key::Thinking, true) => Place::Parts,
        (Place::Reply, Key::FunctionCall, false) => Place::Function,
        (Place::Reply, Key::ToolCalls, true) => Place::ToolCalls,
        (Place::Parts, _, false) => Place::Part,
        (Place::ToolCalls, _, false) => Place::ToolCall,
        (Place::ToolCall, Key::Function | Key::Custom, false) => Place::Function,
        _ => Place::Other,
    }
}
