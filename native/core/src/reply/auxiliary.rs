//! Reads the replies of OpenAI's auxiliary endpoints: images, audio, moderations, reranking.

use crate::json::field_names::Key;
use crate::json::path::Path;
use crate::json::walker::Token;
use crate::reply::reading::{Finish, Reader, Reading, Source};

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Outside,
    Root,
    Usage,
    InputDetails,
    OutputDetails,
    Other,
}

#[derive(Default)]
pub(crate) struct AuxiliaryReader {
    path: Path<Place>,
    reading: Reading,
    /// Used if nothing more specific is stated.
    total: Option<u32>,
    /// It brings drawn images, or is the event that ends one.
    draws: bool,
}

impl Reader for AuxiliaryReader {
    fn key(&mut self, key: Key) {
        self.path.set_key(key);
    }

    fn value(&mut self, token: Token, source: &mut Source<'_>) {
        let key = self.path.key();
        let place = self.path.place();
        match (place, token) {
            (Place::Root, _) => self.root(key, token, source),
            (Place::Usage | Place::InputDetails | Place::OutputDetails, Token::Number) => {
                self.count(place, key, source);
            }
            _ => {}
        }
        match token {
            Token::ObjectStart => self.path.enter(child(place, key), false),
            Token::ArrayStart => self.path.enter(Place::Other, true),
            _ => {}
        }
    }

    fn close(&mut self, _: &mut Source<'_>) {
        self.path.leave();
    }

    fn reading(self) -> Reading {
        let mut reading = self.reading;
        // Whatever an event says, a client may act on it.
        reading.content = !reading.error;
        if reading.usage.input.is_none() {
            reading.usage.input = self.total.map(|all| all.saturating_sub(reading.usage.output.unwrap_or(0)));
        }
        // What doesn't tell kinds of tokens apart, as no event does, has drawn nothing but images.
        if self.draws && reading.usage.media_output.is_none() {
            reading.usage.media_output = reading.usage.output;
        }
        reading
    }
}

impl AuxiliaryReader {
    fn root(&mut self, key: Key, token: Token, source: &mut Source<'_>) {
        match (key, token) {
            (Key::Error, Token::Null) => {}
            (Key::Error, _) => self.reading.error = true,
            (Key::Usage, Token::ObjectStart) => self.reading.usage_seen = true,
            (Key::Data, Token::ArrayStart) => self.draws = true,
            // The last event of each stream: `image_generation.completed`, `transcript.text.done`,
            // `speech.audio.done`.
            (Key::Type, Token::String(text)) => {
                let word = source.word(text);
                if word.ends_with(".completed") || word.ends_with(".done") {
                    self.reading.finish = Finish::Stop;
                    self.draws = word.starts_with("image_");
                }
            }
            // The pieces of a transcript; the whole text, repeated at the end, is not counted again.
            (Key::Delta, Token::String(text)) => {
                source.keep(text);
                self.reading.text_bytes = self.reading.text_bytes.saturating_add(text.bytes() as u32);
            }
            _ => {}
        }
    }

    fn count(&mut self, place: Place, key: Key, source: &Source<'_>) {
        let usage = &mut self.reading.usage;
        match (place, key) {
            (Place::Usage, Key::InputTokens | Key::PromptTokens) => usage.input = Some(source.count()),
            (Place::Usage, Key::OutputTokens | Key::CompletionTokens) => usage.output = Some(source.count()),
            (Place::Usage, Key::TotalTokens) => self.total = Some(source.count()),
            (Place::Usage, Key::Seconds) => usage.sound_ms = Some(source.millis()),
            (Place::InputDetails, Key::CachedTokens) => usage.cached = Some(source.count()),
            (Place::InputDetails, Key::AudioTokens | Key::ImageTokens) => {
                usage.media_input = Some(source.count());
            }
            (Place::OutputDetails, Key::ImageTokens) => usage.media_output = Some(source.count()),
            _ => {}
        }
    }
}

fn child(place: Place, key: Key) -> Place {
    match (place, key) {
        (Place::Outside, _) => Place::Root,
        (Place::Root, Key::Usage) => Place::Usage,
        // The API itself uses two spellings.
        (Place::Usage, Key::InputTokensDetails | Key::InputTokenDetails | Key::PromptTokensDetails) => {
            Place::InputDetails
        }
        (Place::Usage, Key::OutputTokensDetails) => Place::OutputDetails,
        _ => Place::Other,
    }
}
