//! What a document of Anthropic's holds: text that the model reads as it stands, or Base64.

use crate::json::field_names::Key;

/// What is known of a document's source.
#[derive(Default)]
pub(crate) struct Source {
    /// Its data is text; `None`: it hasn't said so yet, or in an unusual way.
    is_text: Option<bool>,
}

impl Source {
    /// Takes a member's text, as it is written; true: the model reads it.
    pub fn reads(&mut self, key: Key, raw: &str) -> bool {
        match (key, raw) {
            (Key::Type, "text") => self.is_text = Some(true),
            (Key::Type, "base64" | "url" | "file") => self.is_text = Some(false),
            // Its name says that this is a label, whoever says so: none that can be read as text is.
            (Key::Data, _) => return self.is_text.unwrap_or_else(|| !is_base64(raw)),
            _ => {}
        }
        false
    }
}

/// Whether a text is Base64, perhaps in lines, or with slashes that are escaped.
fn is_base64(raw: &str) -> bool {
    raw.bytes().all(|byte| byte.is_ascii_alphanumeric() || br"+/=-_\".contains(&byte))
}
