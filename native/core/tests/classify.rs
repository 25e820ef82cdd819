//! The features of requests, as they are read from bodies.

use sidegate_core::request::endpoint::Endpoint;
use sidegate_core::request::inspect;
use sidegate_core::tier::classify::SPANS_MAX;
use sidegate_core::tier::features::{Features, SHAPES};
use sidegate_core::tier::lexicon::LEXICON;
use sidegate_core::tier::measure::log;

fn features(body: &str) -> Features {
    inspect::features(body.as_bytes(), Endpoint::Chat).unwrap().1
}

fn feature(body: &str, name: &str) -> i32 {
    let names = SHAPES.iter().copied().chain(LEXICON.iter().map(|(name, _)| *name));
    features(body)[names.into_iter().position(|each| each == name).unwrap()]
}

fn said(text: &str) -> String {
    format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}]}}"#)
}

#[test]
fn a_role_counts_before_and_after_its_text() {
    let before = r#"{"messages":[{"role":"system","content":"prove"},{"role":"user","content":"x"}]}"#;
    let after = r#"{"messages":[{"content":"prove","role":"system"},{"content":"x","role":"user"}]}"#;
    assert_eq!(features(before), features(after));
    assert_eq!(feature(before, "prove"), 4);
    assert_eq!(feature(&said("prove"), "prove"), 8);
    // What the model said earlier asks for nothing.
    let assistant = r#"{"messages":[{"role":"assistant","content":"prove"},{"role":"user","content":"x"}]}"#;
    assert_eq!(feature(assistant, "prove"), 0);
}

#[test]
fn escapes_are_read_as_what_they_stand_for() {
    let names = ["words", "prove", "translate", "wordLength", "fences"];
    for (escaped, plain) in [
        (r"\u0050rove it", "prove it"),
        (r"\u00fcbersetze es", "übersetze es"),
        (r"\n\u0060\u0060\u0060 x", "``` x"),
    ] {
        for name in names {
            assert_eq!(feature(&said(escaped), name), feature(&said(plain), name), "{escaped} {name}");
        }
    }
}

#[test]
fn any_length_and_any_cut_is_read_in_a_bounded_part() {
    for unit in ["a", r"\\", r"\n", r"\u00e4", "ä", "漢", "😀", r"\ud83d\ude00", "prove "] {
        for count in [1, 341, 342, 512, 683, 1024, 1025, 2048, 2049, 5000] {
            let body = said(&unit.repeat(count));
            assert!(feature(&body, "words") <= 8 * (2 + 12), "{unit} {count}");
        }
    }
    let long = format!("{}{}", "filler text ".repeat(10_000), "Prove it.");
    assert_eq!(feature(&said(&long), "prove"), 8);
}

#[test]
fn strings_of_one_message_have_a_bound() {
    let parts = vec![r#"{"type":"text","text":"prove"}"#; 100].join(",");
    let body = format!(r#"{{"messages":[{{"role":"user","content":[{parts}]}}]}}"#);
    assert_eq!(feature(&body, "words"), log(SPANS_MAX));
}
