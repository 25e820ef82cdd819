//! When a stream of several choices has ended.

use sidegate_core::reply::facts::{ReplyFacts, state};
use sidegate_core::reply::read::Dialect;
use sidegate_core::reply::reading::Finish;
use sidegate_core::reply::sse::Scanner;

fn facts_of(mut scanner: Scanner, input: &str) -> ReplyFacts {
    scanner.push(input.as_bytes());
    scanner.finish();
    *scanner.facts()
}

#[test]
fn several_choices_end_with_the_last_of_them() {
    let done = "data: [DONE]\n\n";
    let ends = |index: u32, reason: &str| {
        format!("data: {{\"choices\":[{{\"index\":{index},\"finish_reason\":\"{reason}\"}}]}}\n\n")
    };
    let of = |dialect: Dialect, asked: u32, events: &[&str]| {
        let facts = facts_of(Scanner::new(dialect, false, 4096).awaiting(asked), &events.concat());
        (facts.state & state::FINISH != 0, facts.finish)
    };
    let openai = |asked: u32, events: &[&str]| of(Dialect::OpenAi, asked, events);
    let (first, again, second) = (ends(0, "stop"), ends(0, "length"), ends(1, "tool_calls"));
    assert_eq!(openai(1, &[&first]), (true, Finish::Stop));
    let begun =
        "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
    assert_eq!(openai(2, &[begun, &first]), (false, Finish::None));
    assert_eq!(openai(2, &[&first, &second]), (true, Finish::Tool));
    // The server ignores how many were asked for.
    assert_eq!(openai(2, &[&first, &again]), (true, Finish::Length));
    assert_eq!(openai(3, &[&first, &second]), (true, Finish::Tool));
    assert_eq!(openai(3, &[&first, begun, &second]), (true, Finish::Tool));
    assert_eq!(openai(3, &[&first, done]), (true, Finish::Stop));
    assert_eq!(openai(1_000_000, &[begun, &first]), (false, Finish::None));
    let gemini = |inside: &str| format!("data: {{{inside}}}\n\n");
    let open = gemini(r#""candidates":[{"index":1,"content":{"parts":[{"text":"a"}]}}]"#);
    let ended = gemini(r#""candidates":[{"finishReason":"STOP"}]"#);
    let blocked = gemini(r#""promptFeedback":{"blockReason":"SAFETY"}"#);
    let other = gemini(r#""candidates":[{"index":1,"finishReason":"MAX_TOKENS"}]"#);
    assert_eq!(of(Dialect::Gemini, 2, &[&open, &ended]), (false, Finish::None));
    assert_eq!(of(Dialect::Gemini, 2, &[&open, &ended, &other]), (true, Finish::Length));
    // It gave one only, as it may.
    assert_eq!(of(Dialect::Gemini, 2, &[&ended]), (true, Finish::Stop));
    assert_eq!(of(Dialect::Gemini, 2, &[&blocked]), (true, Finish::Filter));
}
