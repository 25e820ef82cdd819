//! The question a conversation ends with: the one text that may be worded otherwise and still ask the same.

use crate::json::field_names::Key;
use crate::json::path::Path;
use crate::json::string::Decoded;
use crate::json::walker::{Text, Token, Walker};
use crate::request::endpoint::Endpoint;
use crate::request::place::Place;
use crate::shared::digest::sha256_of;
use crate::text::chars::char_count;

/// The last text of the last message, which is the user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Byte offset just after the opening quote.
    pub start: usize,
    /// Byte offset of the closing quote.
    pub end: usize,
    /// Its raw bytes hold an escape.
    pub escaped: bool,
    /// The request states a temperature above 0.
    pub sampled: bool,
}

impl Question {
    /// SHA-256 of all of `body` but the question, and of where it stands.
    pub fn rest(&self, body: &[u8]) -> [u8; 32] {
        let (before, after) = (&body[..self.start], &body[self.end..]);
        sha256_of(&[before, &(self.start as u64).to_le_bytes(), after])
    }
}

/// Depth of the members of a message: in the document, the list of messages, the message.
const MESSAGE_DEPTH: usize = 3;
/// Depth of the members of a message's part. Deeper texts are what tools gave.
const PART_DEPTH: usize = 5;

struct Reader<'b> {
    body: &'b str,
    endpoint: Endpoint,
    scratch: Decoded,
    /// Whether the message at hand is the user's.
    by_user: bool,
    /// Its last text.
    text: Option<Text>,
    /// The last text of the last message, if that is the user's.
    last: Option<Text>,
    sampled: bool,
}

impl Reader<'_> {
    fn string(&mut self, place: Place, key: Key, depth: usize, text: Text) {
        match (place, key) {
            (Place::Root, Key::Input) if self.endpoint == Endpoint::Responses => self.last = Some(text),
            (Place::Message, Key::Role) => self.by_user = &self.body[text.start..text.end] == "user",
            (Place::Message, Key::Content) if depth == MESSAGE_DEPTH => self.text = Some(text),
            (Place::Part, Key::Text) if depth == PART_DEPTH => self.text = Some(text),
            _ => {}
        }
    }

    fn close(&mut self, place: Place) {
        if place == Place::Message {
            self.last = self.text.filter(|_| self.by_user);
        }
    }

    fn number(&mut self, place: Place, key: Key, raw: &str) {
        let own = matches!(place, Place::Root | Place::Generation) && key == Key::Temperature;
        self.sampled |= own && raw.parse::<f64>().is_ok_and(|value| value > 0.0);
    }
}

/// Finds the question of a body that was inspected. `None`: there is none, or it has more than `chars_max` characters.
pub fn question(body: &[u8], endpoint: Endpoint, chars_max: usize) -> Option<Question> {
    let body = std::str::from_utf8(body).ok()?;
    let mut walker = Walker::new(body.as_bytes());
    let mut path: Path<Place> = Path::default();
    // Gemini's messages need no role.
    let unsaid = endpoint == Endpoint::Generate;
    let (scratch, text, last) = (Decoded::default(), None, None);
    let mut reader = Reader { body, endpoint, scratch, by_user: unsaid, text, last, sampled: false };
    while let Some(token) = walker.next_token().ok()? {
        let (place, key) = (path.place(), path.key());
        match token {
            Token::Key(text) => path.set_key(Key::of(body, text, &mut reader.scratch)),
            Token::String(text) => reader.string(place, key, walker.depth(), text),
            Token::Number => reader.number(place, key, &body[walker.start()..walker.end()]),
            Token::ObjectStart => {
                let child = place.child(endpoint, key, false);
                if child == Place::Message {
                    (reader.by_user, reader.text) = (unsaid, None);
                }
                path.enter(child, false);
            }
            Token::ArrayStart => path.enter(place.child(endpoint, key, true), true),
            Token::ObjectEnd | Token::ArrayEnd => reader.close(path.leave()),
            _ => {}
        }
    }
    let Reader { last, sampled, .. } = reader;
    let text = last.filter(|text| {
        // A character has at most four bytes, so most texts needn't be counted.
        text.end - text.start <= chars_max
            || text.bytes() <= 4 * chars_max
                && char_count(&body.as_bytes()[text.start..text.end]) - text.saved_chars <= chars_max
    })?;
    Some(Question { start: text.start, end: text.end, escaped: text.escaped(), sampled })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(endpoint: Endpoint, body: &str) -> Option<&str> {
        question(body.as_bytes(), endpoint, 512).map(|found| &body[found.start..found.end])
    }

    #[test]
    fn the_last_text_of_the_last_message_of_the_user() {
        use Endpoint::{Chat, Generate, Messages, Responses};
        let cases = [
            (
                Chat,
                r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"q"}]}"#,
                Some("q"),
            ),
            (Chat, r#"{"messages":[{"content":"q","role":"user"}],"model":"m"}"#, Some("q")),
            (
                Chat,
                r#"{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}"#,
                None,
            ),
            (
                Chat,
                r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}"#,
                Some("b"),
            ),
            (
                Chat,
                r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}]}"#,
                None,
            ),
            (Chat, r#"{"messages":[{"role":"tool","content":"q"}]}"#, None),
            (Chat, r#"{"messages":[]}"#, None),
            (Chat, r#"{"prompt":"q"}"#, None),
            (Messages, r#"{"messages":[{"role":"user","content":[{"type":"text","text":"q"}]}]}"#, Some("q")),
            (
                Messages,
                r#"{"messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"text","text":"r"}]}]}]}"#,
                None,
            ),
            (
                Messages,
                r#"{"messages":[{"role":"user","content":[{"type":"tool_result","content":"r"}]}]}"#,
                None,
            ),
            (Responses, r#"{"input":"q"}"#, Some("q")),
            (
                Responses,
                r#"{"input":[{"role":"user","content":[{"type":"input_text","text":"q"}]}]}"#,
                Some("q"),
            ),
            (
                Responses,
                r#"{"input":[{"role":"user","content":"q"},{"type":"function_call_output","output":"r"}]}"#,
                None,
            ),
            (Generate, r#"{"contents":[{"parts":[{"text":"q"}]}]}"#, Some("q")),
            (
                Generate,
                r#"{"contents":[{"role":"user","parts":[{"text":"q"}]},{"role":"model","parts":[{"text":"a"}]}]}"#,
                None,
            ),
            (Endpoint::Embeddings, r#"{"input":"q"}"#, None),
        ];
        for (endpoint, body, expected) in cases {
            assert_eq!(asked(endpoint, body), expected, "{body}");
        }
    }

    #[test]
    fn temperature_above_zero_is_sampled() {
        let chat = |t: &str| format!(r#"{{"temperature":{t},"messages":[{{"role":"user","content":"q"}}]}}"#);
        for (text, sampled) in [("0", false), ("0.0", false), ("0.1", true), ("1e-3", true), ("null", false)]
        {
            let found = question(chat(text).as_bytes(), Endpoint::Chat, 512).unwrap();
            assert_eq!(found.sampled, sampled, "{text}");
        }
        let gemini = r#"{"generationConfig":{"temperature":1},"contents":[{"parts":[{"text":"q"}]}]}"#;
        assert!(question(gemini.as_bytes(), Endpoint::Generate, 512).unwrap().sampled);
    }

    #[test]
    fn a_long_one_is_none() {
        let found = |text: &str| {
            let body = format!(r#"{{"input":"{text}"}}"#);
            question(body.as_bytes(), Endpoint::Responses, 4).is_some()
        };
        assert!(
            found("abcd")
                && found("\u{20ac}\u{20ac}\u{20ac}\u{20ac}")
                && found(r"\u20ac\u20ac\ud83d\ude00\n")
        );
        assert!(
            !found("abcde") && !found("\u{20ac}\u{20ac}\u{20ac}\u{20ac}\u{20ac}") && !found(r"\u20acabcd")
        );
    }

    #[test]
    fn the_rest_is_all_but_the_question() {
        let rest = |body: &str| question(body.as_bytes(), Endpoint::Chat, 512).unwrap().rest(body.as_bytes());
        let body = |system: &str, text: &str| {
            format!(
                r#"{{"messages":[{{"role":"system","content":"{system}"}},{{"role":"user","content":"{text}"}}]}}"#
            )
        };
        assert_eq!(rest(&body("s", "one")), rest(&body("s", "another")));
        assert_ne!(rest(&body("s", "one")), rest(&body("t", "one")));
    }
}
