//! What a stream holds in place of its next event: an error, or data that is malformed.

use crate::reply::read::error_message;

/// Longest error text, in bytes.
pub const ERROR_TEXT_MAX: usize = 2048;
/// Bytes of faulty data kept, in which the error's message is looked for.
const FAULT_MAX: usize = 16 * 1024;

/// Faulty data.
#[derive(Default)]
pub struct Fault {
    data: Vec<u8>,
    /// Whether it extends to the end of the stream.
    pub open: bool,
}

impl Fault {
    /// Adds data.
    pub fn add(&mut self, data: &[u8]) {
        let room = FAULT_MAX - self.data.len();
        self.data.extend_from_slice(&data[..data.len().min(room)]);
    }

    /// Adds what comes behind it, if it belongs to it.
    pub fn go_on(&mut self, rest: &[u8]) {
        if self.open {
            self.add(rest);
        }
    }

    /// The provider's error message, or the faulty data itself; at most [`ERROR_TEXT_MAX`] bytes.
    pub fn text(&self) -> String {
        let document = String::from_utf8_lossy(&self.data);
        let mut text = error_message(&document).unwrap_or_else(|| document.trim().to_owned());
        text.truncate(text.floor_char_boundary(ERROR_TEXT_MAX));
        text
    }
}
