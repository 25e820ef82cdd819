//! Replaces personal data in all strings of a JSON document, whatever it says, and in the numbers that tools are called with.

use crate::json::walker::{Token, Walker};
use crate::pii::policy::Policy;
use crate::pii::scrub::{Scrubbed, Scrubber};

/// Replaces the values in a document. One that isn't JSON is text from where it goes wrong, and `None` where it isn't text
/// either. `scope`: whose values they are.
pub fn scrub_document(body: &[u8], policy: &Policy, scope: &str) -> Option<Scrubbed> {
    let text = simdutf8::basic::from_utf8(body).ok()?;
    let mut scrubber = Scrubber::new(text, policy, scope, usize::MAX);
    let mut walker = Walker::new(body);
    let mut label = None;
    // How deep the arguments of a tool call are, while they are open.
    let mut arguments = None;
    // Where that begins which isn't searched yet.
    let mut rest = 0;
    let mut plain = false;
    loop {
        match walker.next_token() {
            Ok(Some(Token::Key(key))) => {
                label = Some(key);
                rest = walker.end();
            }
            Ok(Some(Token::String(value))) => {
                scrubber.look(value, label, arguments.is_some());
                rest = walker.end();
            }
            Ok(Some(Token::Number)) if arguments.is_some() => {
                scrubber.look_at_number(walker.start()..walker.end(), label);
                rest = walker.end();
            }
            // A number and nothing else is text as well.
            Ok(Some(Token::Number)) => plain |= walker.depth() == 0,
            Ok(Some(Token::ObjectStart)) if arguments.is_none() => {
                let name = label.map_or("", |label| &text[label.start..label.end]);
                arguments = matches!(name, "input" | "args").then(|| walker.depth());
            }
            Ok(Some(Token::ObjectEnd)) if arguments.is_some_and(|depth| walker.depth() < depth) => {
                arguments = None;
            }
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(_) => {
                plain = true;
                break;
            }
        }
    }
    if plain {
        scrubber.look_at_text(rest);
    }
    Some(scrubber.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::custom::Custom;
    use crate::pii::kinds::KINDS;
    use crate::pii::policy::{Action, CustomKind};

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

    #[test]
    fn what_is_no_json_is_searched_as_text() {
        let policy =
            Policy::new(&[("email", Action::Redact), ("card", Action::Redact)], Vec::new(), &[], b"")
                .unwrap();
        for (text, scrubbed) in [
            ("Write to a@b.cc, or not", "Write to [EMAIL], or not"),
            (
                "WEBVTT\n\n00:01.000 --> 00:02.000\n\"a@b.cc\"\n",
                "WEBVTT\n\n00:01.000 --> 00:02.000\n\"[EMAIL]\"\n",
            ),
            // Several documents, one behind the other, stay what they are.
            (
                "{\"to\":\"a@b.cc\"}\n{\"to\":\"a@b.cc\",\"card\":4111111111111111}\n",
                "{\"to\":\"[EMAIL]\"}\n{\"to\":\"[EMAIL]\",\"card\":\"[CARD]\"}\n",
            ),
            // Cut off, in a string and beside one.
            (r#"{"to":"a@b.cc","cc":"a@b.cc and"#, r#"{"to":"[EMAIL]","cc":"[EMAIL] and"#),
            (r#"{"to":"a@b.cc", a@b.cc"#, r#"{"to":"[EMAIL]", [EMAIL]"#),
            (r#"{"to":"\x a@b.cc"}"#, r#"{"to":"\x [EMAIL]"}"#),
            ("4111111111111111", "[CARD]"),
            ("4111 1111 1111 1111 it is", "[CARD] it is"),
            ("[00:01] 4111 1111 1111 1111", "[00:01] [CARD]"),
            (
                r#"{"input":{"card":4111111111111111,"all":[4111111111111111, 4111111111111111"#,
                r#"{"input":{"card":"[CARD]","all":["[CARD]", "[CARD]""#,
            ),
        ] {
            let body = scrub_document(text.as_bytes(), &policy, "").unwrap().body;
            let body = body.map_or(text.into(), |body| String::from_utf8(body).unwrap());
            assert_eq!(body, scrubbed, "{text}");
        }
        assert!(scrub_document(b"RIFF\xff a@b.cc", &policy, "").is_none());
    }

    #[test]
    fn numbers_are_searched_in_arguments_only() {
        let policy = Policy::new(&[("card", Action::Redact)], Vec::new(), &[], b"").unwrap();
        let scrub = |body: &str| {
            let body = scrub_document(body.as_bytes(), &policy, "").unwrap().body;
            body.map(|body| String::from_utf8(body).unwrap())
        };
        let body = r#"{"id":N,"content":[{"input":{"a":{"card":N},"list":[N, 1]},"n":N}],"args":{"x":-N,"y":N.5,"z":N}}"#;
        let number = "4111111111111111";
        let cut =
            body.replacen("\"card\":N", "\"card\":\"[CARD]\"", 1).replacen("[N, 1]", "[\"[CARD]\", 1]", 1);
        let cut = cut.replacen("\"z\":N", "\"z\":\"[CARD]\"", 1);
        assert_eq!(scrub(&body.replace('N', number)), Some(cut.replace('N', number)));
    }

    #[test]
    fn what_is_only_reported_keeps_nothing_that_it_touches() {
        let project = |action| {
            let custom = Custom::words(["Falcon"]).unwrap();
            vec![CustomKind { name: "project".into(), custom, action }]
        };
        let policy = |action| Policy::new(&[("domain", Action::Report)], project(action), &[], b"").unwrap();
        let scrub = |body: &str, action| scrub_document(body.as_bytes(), &policy(action), "").unwrap();
        let link = r#"["https://falcon.example.com/x and https://example.com/y"]"#;
        let redacted = scrub(link, Action::Redact);
        let body = String::from_utf8(redacted.body.unwrap()).unwrap();
        assert_eq!(body, r#"["https://[PROJECT]/x and https://example.com/y"]"#);
        let count = |counts: &[u32], kind: usize| counts[kind];
        let domain = KINDS.iter().position(|kind| kind.name == "domain").unwrap();
        for action in [Action::Redact, Action::Block] {
            let counts = scrub(link, action).counts;
            assert_eq!((count(&counts, domain), count(&counts, KINDS.len())), (1, 1), "{action:?}");
        }
        // Where both are only reported, they are counted as ever.
        let counts = scrub(link, Action::Report).counts;
        assert_eq!((count(&counts, domain), count(&counts, KINDS.len())), (2, 0));
    }

    #[test]
    fn a_long_name_is_read_once_for_a_list_however_many_texts_it_has() {
        let all: Vec<_> = KINDS.iter().map(|kind| (kind.name, Action::Redact)).collect();
        let policy = Policy::new(&all, Vec::new(), &[], b"").unwrap();
        let steps = |len: usize| {
            let name = "member ".repeat(len / 14);
            let texts = vec![r#""12345""#; len / 16].join(",");
            let body = format!(r#"{{"{name}":[{texts}]}}"#);
            crate::shared::steps::count(|| {
                scrub_document(body.as_bytes(), &policy, "");
            })
        };
        let (short, long) = (steps(20_000), steps(40_000));
        assert!(long <= 2 * short + short / 10 + 1000, "{short} and {long} steps");
    }
}
