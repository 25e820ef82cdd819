//! The question a conversation ends with: the one text that may be worded otherwise and still ask the same.

use crate::json::field_names::Key;
use crate::json::walker::Text;
use crate::request::endpoint::Endpoint;
use crate::request::place::Place;
use crate::shared::digest::sha256_of;

/// Depth of the members of a message: in the document, the list of messages, the message.
const MESSAGE_DEPTH: usize = 3;
/// Depth of the members of a message's part. Deeper texts are what tools gave.
const PART_DEPTH: usize = 5;

/// Looks for the last text of the last message, if that is the user's, while a body is walked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asking {
    /// The message at hand says that it is somebody else's, or nothing.
    other: bool,
    /// Its last text.
    text: Option<Text>,
    /// The last text of the last message, if that is the user's.
    pub question: Option<Text>,
}

impl Asking {
    /// A message begins.
    pub fn begin(&mut self, endpoint: Endpoint) {
        // Gemini's messages need no role.
        (self.other, self.text) = (endpoint != Endpoint::Generate, None);
    }

    /// A string stands in a request.
    #[inline]
    pub fn string(
        &mut self,
        (endpoint, body): (Endpoint, &str),
        place: Place,
        key: Key,
        depth: usize,
        text: Text,
    ) {
        match (place, key) {
            (Place::Message, Key::Role) => self.other = &body[text.start..text.end] != "user",
            (Place::Message, Key::Content) if depth == MESSAGE_DEPTH => self.text = Some(text),
            (Place::Part, Key::Text) if depth == PART_DEPTH => self.text = Some(text),
            (Place::Root, Key::Input) if endpoint == Endpoint::Responses => self.question = Some(text),
            _ => {}
        }
    }

    /// A message ends.
    pub fn end(&mut self) {
        self.question = self.text.filter(|_| !self.other);
    }
}

/// SHA-256 of all of `body` but the question between `start` and `end`, and of where it stands. `None`: it doesn't stand
/// there.
pub fn rest(body: &[u8], start: usize, end: usize) -> Option<[u8; 32]> {
    let (before, after) = (body.get(..start)?, body.get(end..)?);
    (start <= end).then(|| sha256_of(&[before, &(start as u64).to_le_bytes(), after]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::policy::Policy;
    use crate::request::facts::{Facts, flag};
    use crate::request::inspect::inspect;

    fn facts(endpoint: Endpoint, body: &str) -> Facts {
        inspect(body.as_bytes(), endpoint, &Policy::default(), "", false, b"", 0).facts
    }

    fn asked(endpoint: Endpoint, body: &str) -> Option<&str> {
        facts(endpoint, body).question.map(|(start, end)| &body[start..end])
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
            assert_eq!(facts(Endpoint::Chat, &chat(text)).flags & flag::SAMPLED != 0, sampled, "{text}");
        }
        let gemini = r#"{"generationConfig":{"temperature":1},"contents":[{"parts":[{"text":"q"}]}]}"#;
        assert!(facts(Endpoint::Generate, gemini).flags & flag::SAMPLED != 0);
    }

    #[test]
    fn an_escaped_one_is_known() {
        let escaped = |body: &str| facts(Endpoint::Responses, body).flags & flag::QUESTION_ESCAPED != 0;
        assert!(escaped(r#"{"input":"a\nb"}"#) && !escaped(r#"{"input":"a b","x":"\n"}"#));
    }

    #[test]
    fn the_rest_is_all_but_the_question() {
        let of = |body: &str| {
            let (start, end) = facts(Endpoint::Chat, body).question.unwrap();
            rest(body.as_bytes(), start, end).unwrap()
        };
        let body = |system: &str, text: &str| {
            format!(
                r#"{{"messages":[{{"role":"system","content":"{system}"}},{{"role":"user","content":"{text}"}}]}}"#
            )
        };
        assert_eq!(of(&body("s", "one")), of(&body("s", "another")));
        assert_ne!(of(&body("s", "one")), of(&body("t", "one")));
    }

    #[test]
    fn what_stands_nowhere_has_no_rest() {
        assert!(rest(b"abc", 2, 1).is_none() && rest(b"abc", 1, 4).is_none() && rest(b"abc", 4, 4).is_none());
    }
}
