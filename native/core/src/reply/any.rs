//! Reads a document of an unknown form, of which only an error at the top is recognised.

use crate::json::field_names::Key;
use crate::json::walker::Token;
use crate::reply::reading::{Reader, Reading, Source};

/// Looks only for an error at the top of a document.
#[derive(Default)]
pub(crate) struct AnyReader {
    depth: usize,
    key: Key,
    error: bool,
}

impl Reader for AnyReader {
    fn key(&mut self, key: Key) {
        self.key = key;
    }

    fn value(&mut self, token: Token, _: &mut Source<'_>) {
        self.error |= self.depth == 1 && self.key == Key::Error && token != Token::Null;
        self.depth += usize::from(matches!(token, Token::ObjectStart | Token::ArrayStart));
    }

    fn close(&mut self, _: &mut Source<'_>) {
        self.depth -= 1;
    }

    fn reading(self) -> Reading {
        Reading { error: self.error, ..Reading::default() }
    }
}
