//! Replaces personal data in all strings of a JSON document, whatever it says.

use crate::json::walker::{Token, Walker};
use crate::pii::policy::Policy;
use crate::pii::scrub::{Scrubbed, Scrubber};

/// Replaces the values in a document. One that isn't JSON is searched up to where it goes wrong, and `None` where it isn't
/// text. `scope`: whose values they are.
pub fn scrub_document(body: &[u8], policy: &Policy, scope: &str) -> Option<Scrubbed> {
    let text = simdutf8::basic::from_utf8(body).ok()?;
    let mut scrubber = Scrubber::new(text, policy, scope, usize::MAX);
    let mut walker = Walker::new(body);
    let mut label = None;
    while let Ok(Some(token)) = walker.next_token() {
        match token {
            Token::Key(key) => label = Some(key),
            Token::String(value) => scrubber.look(value, label),
            _ => {}
        }
    }
    Some(scrubber.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::policy::Action;

    #[test]
    fn all_strings_are_searched_but_no_names() {
        let policy = Policy::new(&[("email", Action::Redact)], Vec::new(), &[], b"").unwrap();
        let scrub = |body: &str| {
            let body = scrub_document(body.as_bytes(), &policy, "").unwrap().body;
            body.map(|body| String::from_utf8(body).unwrap())
        };
        assert_eq!(
            scrub(r#"{"a@b.cc":["x a@b.cc",{"y":"a\u0040b.cc"}]}"#).as_deref(),
            Some(r#"{"a@b.cc":["x [EMAIL]",{"y":"[EMAIL]"}]}"#)
        );
        assert_eq!(scrub(r#"{"x":1}"#), None);
    }
}
