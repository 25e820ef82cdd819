//! Events that differ from the one before by their text alone: they count as if each had been read for itself.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use sidegate_core::reply::facts::{ReplyFacts, state};
use sidegate_core::reply::read::{Dialect, read_keeping};
use sidegate_core::reply::reading::{Kept, TEXT_MAX};
use sidegate_core::reply::sse::{Output, Scanner};

const DIALECTS: [Dialect; 3] = [Dialect::OpenAi, Dialect::Anthropic, Dialect::Gemini];

/// Documents with a place for a text, `@`; some have several, or none.
const FRAMES: [&str; 18] = [
    r#"{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"@"},"finish_reason":null}]}"#,
    r#"{"id":"a","choices":[{"index":1,"delta":{"content":"@"}}]}"#,
    r#"{"id":"a","choices":[{"index":0,"delta":{"content":"@","refusal":""}}]}"#,
    r#"{"id":"a","choices":[{"index":0,"delta":{"content":"@","reasoning":"b"}}]}"#,
    r#"{"id":"a","choices":[{"index":0,"delta":{"refusal":"@"}}]}"#,
    r#"{"choices":[{"delta":{"content":"@"}},{"index":1,"delta":{"content":"@"}}]}"#,
    r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"@"}}]}}]}"#,
    r#"{"choices":[{"delta":{"content":"@"},"finish_reason":"stop"}],"usage":{"completion_tokens":7}}"#,
    r#"{"choices":[{"delta":{"content":"é"},"finish_reason":"@"}]}"#,
    r#"{"model":"@","choices":[{"delta":{"content":"c"}}]}"#,
    r#"{"choices":[{"delta":{"content":"@"}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"@"}}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"thinking_delta","thinking":"@"}}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"@"}}"#,
    r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":"@"}}"#,
    r#"{"candidates":[{"content":{"parts":[{"text":"@"}]}}],"usageMetadata":{"promptTokenCount":3}}"#,
    r#"{"candidates":[{"content":{"parts":[{"text":"@"},{"text":"@"}]}}]}"#,
    r#"{"candidates":[{"content":{"parts":[{"functionCall":{"args":{"a":"@"}}}]}}]}"#,
];

/// Raw parts of texts: some escape, end or break the string they stand in.
const TEXTS: [&str; 16] = [
    "",
    "a",
    "two words",
    "é",
    "\u{2028}",
    "\u{10ffff}",
    "\u{7f}",
    r"\n",
    r"\u00e9",
    r#"\""#,
    r"\",
    r#"""#,
    "\t",
    "\u{1}",
    r#"b","refusal":"c"#,
    r#"b"}}],"error":{"message":"c"#,
];

/// What the events say, each read for itself: facts and text, up to the first that can't be read.
fn read_each(documents: &[String], dialect: Dialect) -> (ReplyFacts, Vec<u8>) {
    let (mut facts, mut text) = (ReplyFacts::default(), Vec::new());
    for document in documents {
        let before = text.len();
        match read_keeping(document, dialect, Kept { text: &mut text, max: TEXT_MAX }) {
            Ok(reading) if !reading.error => facts.add(&reading),
            other => {
                facts.state |= if other.is_err() { state::MALFORMED } else { state::ERROR };
                text.truncate(before);
                break;
            }
        }
        facts.model = None;
    }
    (facts, text)
}

fn follow(documents: &[String], dialect: Dialect) -> (ReplyFacts, Vec<u8>, usize) {
    let mut scanner = Scanner::new(dialect, false, 64 * 1024);
    let mut passed = 0;
    for document in documents {
        passed += usize::from(scanner.push(format!("data: {document}\n\n").as_bytes()) == Output::Pass);
    }
    scanner.finish();
    (*scanner.facts(), scanner.take_text(), passed)
}

fn documents() -> impl Strategy<Value = Vec<String>> {
    let text = prop_oneof![3 => select(&TEXTS[1..7]).prop_map(str::to_owned), 1 => select(&TEXTS[..]).prop_map(str::to_owned),
        1 => "[a-zé😀 ]{0,40}"];
    // Few frames at a time, so that most events have the frame of the one before.
    (vec(select(&FRAMES[..]), 1..3), vec((0..8_usize, text), 1..12)).prop_map(|(frames, events)| {
        events.iter().map(|(at, text)| frames[at / 7 % frames.len()].replace('@', text)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn each_counts_as_if_read_for_itself(documents in documents(), dialect in select(&DIALECTS[..])) {
        let (facts, text) = read_each(&documents, dialect);
        let found = follow(&documents, dialect);
        prop_assert_eq!(found.0, facts);
        // Text isn't needed where the provider has counted it.
        let counted = facts.state & state::END != 0 && facts.usage.output.is_some_and(|tokens| tokens > 0);
        prop_assert_eq!(found.1, if counted { Vec::new() } else { text });
        prop_assert_eq!(found.2, facts.events as usize);
    }
}

#[test]
fn an_event_that_is_too_long_to_remember_is_read_each_time() {
    let long = |text: &str| {
        let padding = "x".repeat(5000);
        format!(r#"{{"padding":"{padding}","choices":[{{"delta":{{"content":"{text}"}}}}]}}"#)
    };
    let documents = [long("a"), long("bc"), long("")];
    let (facts, text, passed) = follow(&documents, Dialect::OpenAi);
    assert_eq!((facts.text_bytes, text.as_slice(), passed), (3, &b"abc"[..], 3));
}
