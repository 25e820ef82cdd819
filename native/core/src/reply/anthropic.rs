//! Reads Anthropic's replies: messages, and the events of their streams.

use crate::json::field_names::Key;
use crate::json::path::Path;
use crate::json::walker::Token;
use crate::reply::reading::{Finish, Reader, Reading, Service, Source, Tokens};

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Outside,
    Root,
    /// The message of `message_start`.
    Message,
    Usage,
    /// What was written to the cache, by how long it lives.
    CacheCreation,
    /// What the reply's tokens were spent on.
    OutputDetails,
    /// The prompts that a request became: to make the conversation shorter, and after calls of the provider's tools.
    Iterations,
    Iteration,
    /// As [`Place::CacheCreation`], of one of them.
    IterationCache,
    Delta,
    Blocks,
    /// A block of a whole message.
    Block,
    /// A block that starts.
    NewBlock,
    /// A tool's input in a whole message.
    Input,
    Other,
}

#[derive(Default)]
pub(crate) struct AnthropicReader {
    path: Path<Place>,
    reading: Reading,
    block: Option<BlockKind>,
    input_start: usize,
    iteration: (Tokens, IterationKind),
}

/// What a prompt was for.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum IterationKind {
    Message,
    Compaction,
    /// It may be another model's, or not billed.
    #[default]
    Other,
}

#[derive(Clone, Copy)]
enum BlockKind {
    Text,
    Tool,
    Other,
}

impl Reader for AnthropicReader {
    fn key(&mut self, key: Key) {
        self.path.set_key(key);
    }

    fn value(&mut self, token: Token, source: &mut Source<'_>) {
        let key = self.path.key();
        let place = self.path.place();
        match place {
            Place::Root => self.root(key, token, source),
            Place::Message => self.message(key, token, source),
            Place::Usage => self.usage(key, token, source),
            Place::CacheCreation if (key, token) == (Key::HourCacheTokens, Token::Number) => {
                self.reading.usage.created_hour = Some(source.count());
            }
            Place::OutputDetails if (key, token) == (Key::ThinkingTokens, Token::Number) => {
                self.reading.usage.reasoning = Some(source.count());
            }
            Place::Iteration => self.iteration(key, token, source),
            Place::IterationCache if (key, token) == (Key::HourCacheTokens, Token::Number) => {
                self.iteration.0.created_hour = source.count();
            }
            Place::Delta => self.delta(key, token, source),
            Place::Block | Place::NewBlock => self.block(key, token, source),
            _ => {}
        }
        match token {
            Token::ObjectStart => self.enter(child(place, key, false), false, source),
            Token::ArrayStart => self.enter(child(place, key, true), true, source),
            _ => {}
        }
    }

    fn close(&mut self, source: &mut Source<'_>) {
        match self.path.leave() {
            Place::Block | Place::NewBlock => match self.block.take() {
                Some(BlockKind::Tool) => {
                    self.reading.tool = true;
                    self.reading.content = true;
                }
                Some(BlockKind::Other) => self.reading.content = true,
                Some(BlockKind::Text) | None => {}
            },
            Place::Iteration => self.iterated(),
            Place::Input => {
                let input = self.input_start..source.end();
                self.reading.add_text(input.len());
                source.keep_raw(input);
            }
            _ => {}
        }
    }

    fn reading(self) -> Reading {
        self.reading
    }
}

impl AnthropicReader {
    fn enter(&mut self, place: Place, array: bool, source: &Source<'_>) {
        match place {
            Place::Input => self.input_start = source.start(),
            Place::Usage => self.reading.usage_seen = true,
            _ => {}
        }
        self.path.enter(place, array);
    }

    fn root(&mut self, key: Key, token: Token, source: &mut Source<'_>) {
        match (key, token) {
            (Key::Error, Token::Null) => {}
            (Key::Error, _) => self.reading.error = true,
            (Key::Type, Token::String(text)) => match source.word(text) {
                "error" => self.reading.error = true,
                "message_stop" => self.reading.end = true,
                "content_block_start" | "content_block_delta" => self.reading.block_open = Some(true),
                "content_block_stop" => self.reading.block_open = Some(false),
                _ => {}
            },
            (Key::Index, Token::Number) => self.reading.index = source.count(),
            _ => self.message(key, token, source),
        }
    }

    fn message(&mut self, key: Key, token: Token, source: &mut Source<'_>) {
        match (key, token) {
            (Key::Model, Token::String(text)) => self.reading.model = Some((text.start, text.end)),
            _ => self.stop_reason(key, token, source),
        }
    }

    fn stop_reason(&mut self, key: Key, token: Token, source: &mut Source<'_>) {
        if let (Key::StopReason, Token::String(text)) = (key, token) {
            let Some(reason) = source.reason(text) else { return };
            self.reading.refusal |= reason == "refusal";
            self.reading.finish = Finish::named(reason);
        }
    }

    fn usage(&mut self, key: Key, token: Token, source: &mut Source<'_>) {
        let usage = &mut self.reading.usage;
        match (key, token) {
            (Key::InputTokens, Token::Number) => usage.input = Some(source.count()),
            (Key::OutputTokens, Token::Number) => usage.output = Some(source.count()),
            (Key::CacheReadInputTokens, Token::Number) => usage.cached = Some(source.count()),
            (Key::CacheCreationInputTokens, Token::Number) => usage.created = Some(source.count()),
            (Key::Speed, Token::String(text)) => {
                self.reading.service = Some(Service::named(source.word(text)));
            }
            (Key::InferenceGeo, Token::String(text)) => self.reading.resident |= source.word(text) == "us",
            _ => {}
        }
    }

    fn iteration(&mut self, key: Key, token: Token, source: &mut Source<'_>) {
        let (tokens, kind) = &mut self.iteration;
        match (key, token) {
            (Key::Type, Token::String(text)) => {
                *kind = match source.word(text) {
                    "message" => IterationKind::Message,
                    "compaction" => IterationKind::Compaction,
                    _ => IterationKind::Other,
                };
            }
            (Key::InputTokens, Token::Number) => tokens.input = source.count(),
            (Key::OutputTokens, Token::Number) => tokens.output = source.count(),
            (Key::CacheReadInputTokens, Token::Number) => tokens.cached = source.count(),
            (Key::CacheCreationInputTokens, Token::Number) => tokens.created = source.count(),
            _ => {}
        }
    }

    fn iterated(&mut self) {
        let (tokens, kind) = std::mem::take(&mut self.iteration);
        let usage = &mut self.reading.usage;
        if kind != IterationKind::Other {
            usage.longest_prompt = usage.longest_prompt.max(Some(tokens.prompt()));
        }
        if kind == IterationKind::Compaction {
            usage.compaction.get_or_insert_default().add(tokens);
        }
    }

    fn delta(&mut self, key: Key, token: Token, source: &mut Source<'_>) {
        match (key, token) {
            (Key::Text | Key::Thinking | Key::PartialJson, Token::String(text)) => {
                self.reading.show(text, source)
            }
            (Key::Signature, Token::String(text)) => self.reading.content |= text.start != text.end,
            _ => self.stop_reason(key, token, source),
        }
    }

    fn block(&mut self, key: Key, token: Token, source: &mut Source<'_>) {
        match (key, token) {
            (Key::Type, Token::String(text)) => {
                self.block = Some(match source.word(text) {
                    "text" | "thinking" => BlockKind::Text,
                    name if name.ends_with("tool_use") => BlockKind::Tool,
                    _ => BlockKind::Other,
                });
            }
            (Key::Text | Key::Thinking, Token::String(text)) => self.reading.show(text, source),
            _ => {}
        }
    }
}

fn child(place: Place, key: Key, array: bool) -> Place {
    match (place, key, array) {
        (Place::Outside, _, false) => Place::Root,
        (Place::Root, Key::Message, false) => Place::Message,
        (Place::Root | Place::Message, Key::Usage, false) => Place::Usage,
        (Place::Usage, Key::CacheCreation, false) => Place::CacheCreation,
        (Place::Usage, Key::OutputTokensDetails, false) => Place::OutputDetails,
        (Place::Usage, Key::Iterations, true) => Place::Iterations,
        (Place::Iterations, _, false) => Place::Iteration,
        (Place::Iteration, Key::CacheCreation, false) => Place::IterationCache,
        (Place::Root | Place::Message, Key::Content, true) => Place::Blocks,
        (Place::Root, Key::Delta, false) => Place::Delta,
        (Place::Root, Key::ContentBlock, false) => Place::NewBlock,
        (Place::Blocks, _, false) => Place::Block,
        (Place::Block, Key::Input, false) => Place::Input,
        _ => Place::Other,
    }
}
