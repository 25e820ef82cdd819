//! Reads Cohere's replies to rerank and embed requests, mainly what they bill.

use crate::json::field_names::Key;
use crate::json::path::Path;
use crate::json::walker::Token;
use crate::reply::reading::{Reader, Reading, Source};

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Outside,
    Root,
    Meta,
    Billed,
    /// Tokens the model saw, which count if the reply doesn't say what is billed.
    Tokens,
    Other,
}

#[derive(Default)]
pub(crate) struct CohereReader {
    path: Path<Place>,
    reading: Reading,
    /// Whether results or embeddings were seen.
    answer: bool,
    seen: Option<u32>,
}

impl Reader for CohereReader {
    fn key(&mut self, key: Key) {
        self.path.set_key(key);
    }

    fn value(&mut self, token: Token, source: &mut Source<'_>) {
        let key = self.path.key();
        let place = self.path.place();
        match (place, token) {
            (Place::Root, Token::ObjectStart | Token::ArrayStart) => {
                self.answer |= matches!(key, Key::Results | Key::Embeddings);
            }
            (Place::Billed, Token::Number) => self.count(key, source.count()),
            (Place::Tokens, Token::Number) if key == Key::InputTokens => self.seen = Some(source.count()),
            _ => {}
        }
        match token {
            Token::ObjectStart => self.path.enter(child(place, key, false), false),
            Token::ArrayStart => self.path.enter(child(place, key, true), true),
            _ => {}
        }
    }

    fn close(&mut self, _: &mut Source<'_>) {
        self.path.leave();
    }

    fn reading(self) -> Reading {
        let mut reading = self.reading;
        reading.usage.input = reading.usage.input.or(self.seen);
        reading.usage_seen = reading.usage.input.is_some() || reading.searches.is_some();
        // An error has an error status, or otherwise only the missing answer as a sign.
        reading.error = !self.answer;
        reading
    }
}

impl CohereReader {
    fn count(&mut self, key: Key, count: u32) {
        match key {
            Key::InputTokens => self.reading.usage.input = Some(count),
            Key::SearchUnits => self.reading.searches = Some(count),
            _ => {}
        }
    }
}

fn child(place: Place, key: Key, array: bool) -> Place {
    match (place, key, array) {
        (Place::Outside, _, false) => Place::Root,
        (Place::Root, Key::Meta, false) => Place::Meta,
        (Place::Meta, Key::BilledUnits, false) => Place::Billed,
        (Place::Meta, Key::Tokens, false) => Place::Tokens,
        _ => Place::Other,
    }
}
