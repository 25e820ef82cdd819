//! The question a conversation ends with: the one text that may be worded otherwise and still ask the same.

use crate::json::field_names::Key;
use crate::json::walker::Text;
use crate::request::endpoint::Endpoint;
use crate::request::facts::{Facts, flag};
use crate::request::place::Place;
use crate::shared::digest::digest_of;

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
    /// A part of the prompt is kept by the provider.
    pub kept: bool,
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

    /// What is to be known of the question, as bits of [`flag`]. `personal`: there is personal data in it. `facts`: of all
    /// of the body.
    pub fn flags(&self, question: Text, personal: bool, facts: &Facts) -> u32 {
        let alone = facts.text_spans == 1 && facts.flags & flag::STRUCTURED == 0 && !self.kept;
        [
            (question.escaped(), flag::QUESTION_ESCAPED),
            (personal, flag::QUESTION_PERSONAL),
            (alone, flag::QUESTION_ALONE),
        ]
        .into_iter()
        .map(|(is, bit)| if is { bit } else { 0 })
        .sum()
    }
}

/// A digest of all of `body` but the question between `start` and `end`, and of where it stands. `None`: it doesn't stand
/// there.
pub fn rest(body: &[u8], start: usize, end: usize) -> Option<[u8; 32]> {
    let (before, after) = (body.get(..start)?, body.get(end..)?);
    (start <= end).then(|| digest_of(&[before, &(start as u64).to_le_bytes(), after]))
}
