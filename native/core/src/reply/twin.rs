//! Most events of a stream are the one before with another text. Such a twin need not be read: finding that nothing but
//! its text is new takes a tenth of the time.

use crate::reply::reading::Reading;

/// Longest event that is remembered, without its text, in bytes.
const FRAME_MAX: usize = 1024;

/// The data of an event that was read, without its text.
#[derive(Default)]
pub struct Twin {
    /// What stands around the text; empty: none is remembered.
    frame: Vec<u8>,
    /// Where in it the text stood.
    at: usize,
    reading: Reading,
}

impl Twin {
    /// Remembers an event for those that follow, if it has one text that was not escaped.
    pub fn remember(&mut self, data: &[u8], reading: &Reading) {
        let Some((start, end)) = reading.text_at else { return };
        if data.len() - (end - start) > FRAME_MAX {
            return;
        }
        self.frame.clear();
        self.frame.extend_from_slice(&data[..start]);
        self.frame.extend_from_slice(&data[end..]);
        self.at = start;
        self.reading = *reading;
    }

    /// What an event says, and its text, if it is the last one's twin. Its bytes around the text are the same and the text
    /// holds nothing that ends or escapes a JSON string, so a reader would go the same way through it.
    pub fn read<'d>(&self, data: &'d [u8]) -> Option<(Reading, &'d str)> {
        let (head, tail) = self.frame.split_at(self.at);
        let length = data.len().checked_sub(self.frame.len())?;
        if self.frame.is_empty() || length == 0 || !data.ends_with(tail) || !data.starts_with(head) {
            return None;
        }
        let text = &data[self.at..self.at + length];
        if text.iter().any(|&byte| byte < b' ' || byte == b'"' || byte == b'\\') {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        Some((Reading { text_bytes: length as u32, ..self.reading }, text))
    }
}
