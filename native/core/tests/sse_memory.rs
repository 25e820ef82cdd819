//! What a scanner of streams keeps: no more of a reply than is wanted, and nothing of a large read.

use sidegate_core::reply::read::Dialect;
use sidegate_core::reply::sse::{Output, Scanner};

const MAX: usize = 4096;

#[test]
fn text_is_kept_up_to_a_bound() {
    let event = |text: &str| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    let mut scanner = Scanner::new(Dialect::OpenAi, true, MAX).keeping(10);
    for text in ["Hello, ", "w\u{f6}rld", "!"] {
        scanner.push(event(text).as_bytes());
        scanner.rest();
    }
    // What is beyond is only counted.
    assert_eq!(String::from_utf8(scanner.take_text()).unwrap(), "Hello, w\u{f6}");
    assert_eq!(scanner.facts().text_bytes, 14);
}

#[test]
fn resting_changes_nothing() {
    let events = "data: {\"a\":\ndata: 1}\n\n: x\n\n".repeat(1000);
    let mut scanner = Scanner::new(Dialect::OpenAi, true, MAX);
    let mut output = Vec::new();
    for chunk in events.as_bytes().chunks(10_007) {
        match scanner.push(chunk) {
            Output::Nothing => {}
            Output::Pass => output.extend_from_slice(chunk),
            Output::Bytes(bytes) => output.extend_from_slice(bytes),
        }
        scanner.rest();
    }
    assert_eq!(String::from_utf8(output).unwrap(), events);
}
