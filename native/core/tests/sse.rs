//! The scanner: what it forwards and learns, and that neither depends on how the bytes come.

use proptest::collection::vec;
use proptest::prelude::*;
use sidegate_core::reply::facts::{ReplyFacts, state};
use sidegate_core::reply::fault::ERROR_TEXT_MAX;
use sidegate_core::reply::read::Dialect;
use sidegate_core::reply::reading::Finish;
use sidegate_core::reply::sse::{Output, Scanner};

#[derive(Debug, PartialEq)]
struct Run {
    output: Vec<u8>,
    facts: ReplyFacts,
    error: String,
    kept: String,
}

impl Run {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.output).unwrap()
    }
}

const MAX: usize = 4096;

fn run_with(mut scanner: Scanner, chunks: &[&[u8]]) -> Run {
    let mut output = Vec::new();
    for chunk in chunks {
        match scanner.push(chunk) {
            Output::Nothing => {}
            Output::Pass => output.extend_from_slice(chunk),
            Output::Bytes(bytes) => {
                assert!(!bytes.is_empty());
                output.extend_from_slice(bytes);
            }
        }
    }
    if let Output::Bytes(bytes) = scanner.finish() {
        output.extend_from_slice(bytes);
    }
    assert_eq!(scanner.finish(), Output::Nothing);
    assert_eq!(scanner.push(b"data: 1\n\n"), Output::Nothing);
    let kept = String::from_utf8(scanner.take_text()).unwrap();
    let facts = scanner.facts();
    let counted = facts.state & state::END != 0 && facts.usage.output.is_some_and(|tokens| tokens > 0);
    assert_eq!(kept.len(), if counted { 0 } else { facts.text_bytes as usize });
    assert!(scanner.take_text().is_empty());
    Run { output, facts: *scanner.facts(), error: scanner.error_text(), kept }
}

fn run(input: &str) -> Run {
    run_with(Scanner::new(Dialect::OpenAi, true, MAX), &[input.as_bytes()])
}

fn state(input: &str) -> u32 {
    run(input).facts.state
}

fn delta(text: &str) -> String {
    format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
}

const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

#[test]
fn passes_whole_events_without_a_copy() {
    let mut scanner = Scanner::new(Dialect::OpenAi, true, MAX);
    for chunk in
        [delta("a"), delta("b") + &delta("c"), ": comment\n\n".into(), "\n".into(), "data:\n\n".into()]
    {
        assert_eq!(scanner.push(chunk.as_bytes()), Output::Pass, "{chunk}");
    }
    assert_eq!((scanner.facts().events, scanner.facts().text_bytes), (4, 3));
    assert_eq!(scanner.push(b""), Output::Nothing);
    assert_eq!(scanner.push(DONE.as_bytes()), Output::Pass);
    assert_eq!(scanner.finish(), Output::Nothing);
    assert_eq!(scanner.facts().state, state::CONTENT | state::END);
}

#[test]
fn holds_back_what_is_incomplete() {
    let mut scanner = Scanner::new(Dialect::OpenAi, true, MAX);
    let event = delta("a");
    let (first, second) = event.split_at(20);
    let chunk = delta("x") + first;
    assert_eq!(scanner.push(chunk.as_bytes()), Output::Bytes(delta("x").as_bytes()));
    assert_eq!(scanner.push(&second.as_bytes()[..5]), Output::Nothing);
    assert_eq!(scanner.push(&second.as_bytes()[5..]), Output::Bytes(event.as_bytes()));
}

#[test]
fn takes_every_line_end() {
    for end in ["\n", "\r\n", "\r"] {
        let input = (delta("a") + ": c\n\n" + &delta("b") + DONE).replace('\n', end);
        let run = run(&input);
        assert_eq!(run.text(), input);
        assert_eq!((run.facts.events, run.facts.text_bytes), (3, 2));
        // Forwarded as soon as the blank line is certain.
        let mut scanner = Scanner::new(Dialect::OpenAi, true, MAX);
        let event = delta("a").replace('\n', end);
        assert_eq!(scanner.push(event.as_bytes()), Output::Pass);
    }
    assert_eq!(run("data: {\"choices\":[{\"text\":\"a\"}]}\r\n\rdata: 1\n\r").facts.events, 2);
}

#[test]
fn drops_a_byte_order_mark_and_no_other() {
    assert_eq!(run(&format!("\u{feff}{}", delta("a"))).text(), delta("a"));
    let twice = run(&format!("\u{feff}\u{feff}{}", delta("a")));
    assert_eq!((twice.text(), twice.facts.events), (format!("\u{feff}{}", delta("a")).as_str(), 0));
    assert_eq!(run_with(Scanner::new(Dialect::OpenAi, true, MAX), &[b"\xef\xbbdata: 1\n\n"]).facts.events, 0);
    assert_eq!(run_with(Scanner::new(Dialect::OpenAi, true, MAX), &[b"\xef"]).output, b"\xef\n\n");
}

#[test]
fn joins_lines_of_data() {
    let event = "event: x\ndata:{\"choices\":[{\"delta\":\nid: 1\ndata: {\"content\":\ndata:\"abc\"}}]}\n\n";
    let run = run(event);
    assert_eq!((run.text(), run.facts.text_bytes, run.facts.events), (event, 3, 1));
    // A line end inside a string makes it no JSON.
    assert_eq!(state("data: {\"a\":\"\ndata: \"}\n\n"), state::MALFORMED);
    assert_eq!(run_error("data: {\"a\":\"\ndata: \"}\n\n"), "{\"a\":\"\n\"}");
}

fn run_error(input: &str) -> String {
    run(input).error
}

#[test]
fn strips_usage_only_where_asked() {
    let input = delta("a") + USAGE + DONE;
    let stripped = run(&input);
    assert_eq!(stripped.text(), delta("a") + DONE);
    assert_eq!((stripped.facts.events, stripped.facts.stripped, stripped.facts.usage.input), (3, 1, Some(3)));
    assert_eq!(stripped.facts.state, state::CONTENT | state::USAGE | state::END);
    let crlf = run(&input.replace('\n', "\r\n"));
    assert_eq!(crlf.text(), (delta("a") + DONE).replace('\n', "\r\n"));
    let kept = run_with(Scanner::new(Dialect::OpenAi, false, MAX), &[input.as_bytes()]);
    assert_eq!((kept.text(), kept.facts.stripped), (input.as_str(), 0));
    // Azure's first event has no choices either, but no usage.
    let azure = "data: {\"choices\":[],\"prompt_filter_results\":[],\"usage\":null}\n\n";
    assert_eq!(run(azure).text(), azure);
    let last = "data: {\"choices\":[{\"finish_reason\":\"stop\"}],\"usage\":{}}\n\n";
    assert_eq!(run(last).text(), last);
    assert_eq!(run(last).facts.finish, Finish::Stop);
}

#[test]
fn stops_at_the_end() {
    let run = run(&(delta("a") + DONE + &delta("b")));
    assert_eq!((run.text(), run.facts.events), ((delta("a") + DONE).as_str(), 2));
    let spaced = "data:  [DONE] \r\n\r\n";
    assert_eq!(state(spaced), state::END);
    let stop = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let anthropic = run_with(
        Scanner::new(Dialect::Anthropic, true, MAX),
        &[stop.as_bytes(), b"event: ping\ndata: {\"type\":\"ping\"}\n\n"],
    );
    assert_eq!((anthropic.text(), anthropic.facts.state), (stop, state::END));
}

#[test]
fn stops_at_an_error() {
    for event in [
        "data: {\"error\":{\"message\":\"broken\"}}\n\n",
        "event: error\ndata: {\"message\":\"broken\"}\n\n",
        "data: broken\nevent: error\n\n",
    ] {
        let run = run(&(delta("a") + event + &delta("b")));
        assert_eq!((run.text(), run.error.as_str()), (delta("a").as_str(), "broken"), "{event}");
        assert_eq!((run.facts.state, run.facts.events), (state::CONTENT | state::ERROR, 1));
    }
    assert_eq!(state("event: error\n\n"), state::ERROR);
    assert_eq!(state("event: errors\ndata: {}\n\n"), 0);
    let overloaded = "event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"Overloaded\"}}\n\n";
    let run = run_with(Scanner::new(Dialect::Anthropic, true, MAX), &[overloaded.as_bytes()]);
    assert_eq!((run.text(), run.facts.state, run.error.as_str()), ("", state::ERROR, "Overloaded"));
}

#[test]
fn stops_at_what_is_no_event_stream() {
    for (rest, error) in [
        ("{\"error\":{\"message\":\"raw\"}}\n", "raw"),
        ("{\n \"error\": {\n  \"message\": \"raw\"\n }\n}\n\n", "raw"),
        ("<html>\n<body>Bad Gateway", "<html>\n<body>Bad Gateway"),
        ("[1]\n\n", "[1]"),
        ("data: {}\n{\"message\":\"raw\"}", "raw"),
        ("data: nonsense\n\ndata: 1\n\n", "nonsense"),
        ("data: {\"a\":1\n\n", "{\"a\":1"),
        (
            "data: {\"choices\":[{\"delta\":{\"content\":\"b\"}}]}}\n\n",
            "{\"choices\":[{\"delta\":{\"content\":\"b\"}}]}}",
        ),
    ] {
        let run = run(&(delta("a") + rest));
        assert_eq!((run.text(), run.error.as_str()), (delta("a").as_str(), error), "{rest}");
        // What the faulty event said does not count.
        assert_eq!((run.facts.state, run.facts.text_bytes), (state::CONTENT | state::MALFORMED, 1));
    }
    let utf8 = run_with(Scanner::new(Dialect::OpenAi, true, MAX), &[b"data: {\"a\":\"\xff\"}\n\n"]);
    assert_eq!((utf8.facts.state, utf8.error.as_str()), (state::MALFORMED, "{\"a\":\"\u{fffd}\"}"));
    let comment = run_with(Scanner::new(Dialect::OpenAi, true, MAX), &[b": \xff\n\n"]);
    assert_eq!((comment.facts.state, comment.output.as_slice()), (0, b": \xff\n\n".as_slice()));
    let long = run_error(&format!("<{}", "\u{e4}".repeat(20_000)));
    assert_eq!((long.len(), long.chars().count()), (ERROR_TEXT_MAX - 1, ERROR_TEXT_MAX / 2));
}

#[test]
fn bounds_an_event() {
    let event = delta("abc");
    let scan = |max: usize| run_with(Scanner::new(Dialect::OpenAi, true, max), &[event.as_bytes()]);
    assert_eq!(scan(event.len()).text(), event);
    let over = scan(event.len() - 1);
    assert_eq!((over.text(), over.facts.state, over.error.as_str()), ("", state::OVERFLOW, ""));
    let mut scanner = Scanner::new(Dialect::OpenAi, true, 100);
    assert_eq!(scanner.push(&[b'x'; 100]), Output::Nothing);
    assert_eq!(scanner.facts().state, 0);
    assert_eq!(scanner.push(b"x"), Output::Nothing);
    assert_eq!(scanner.facts().state, state::OVERFLOW);
}

#[test]
fn what_is_too_large_is_not_looked_at() {
    let event = "data: 1\n{\"message\":1}\n\n";
    let state_with =
        |max| run_with(Scanner::new(Dialect::OpenAi, true, max), &[event.as_bytes()]).facts.state;
    assert_eq!((state_with(8), state_with(9)), (state::OVERFLOW, state::MALFORMED));
    let late = format!("{{\"pad\":\"{}\",\"message\":\"late\"}}", "x".repeat(16 * 1024));
    assert_eq!(run_error(&late).len(), ERROR_TEXT_MAX);
}

#[test]
fn the_last_usage_stated_counts() {
    let start = r#"{"type":"message_start","message":{"usage":{"input_tokens":9,"cache_read_input_tokens":8,"output_tokens":1}}}"#;
    let end = r#"{"type":"message_delta","usage":{"output_tokens":7,"cache_creation_input_tokens":2}}"#;
    let input = format!("data: {start}\n\ndata: {end}\n\n");
    let usage = run_with(Scanner::new(Dialect::Anthropic, true, MAX), &[input.as_bytes()]).facts.usage;
    assert_eq!(
        (usage.input, usage.output, usage.cached, usage.created),
        (Some(9), Some(7), Some(8), Some(2))
    );
}

#[test]
fn completes_a_last_event() {
    let event = delta("a");
    for cut in [1, 2] {
        let run = run(&event[..event.len() - cut]);
        assert_eq!((run.text(), run.facts.text_bytes), (event.as_str(), 1));
    }
    assert_eq!(run("data: [DONE]\r").text(), "data: [DONE]\r\n\n");
    assert_eq!(run("data: [DONE]\r").facts.state, state::END);
    assert_eq!(run(": bye").text(), ": bye\n\n");
    assert_eq!(run(&event[..30]).facts.state, state::MALFORMED);
    assert_eq!(run(USAGE.trim()).text(), "");
    assert_eq!(run("").text(), "");
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let text = |text: &str| Just(text.as_bytes().to_vec());
    prop_oneof![
        4 => Just(delta("a\u{e4}\u{1f600}").into_bytes()),
        1 => text(USAGE),
        1 => text(DONE),
        1 => text("data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":\"{}\"}}]}}]}\n\n"),
        1 => text("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"b\"}}\n\n"),
        1 => text("event: error\ndata: {\"error\":{\"message\":\"m\"}}\n\n"),
        1 => text("data: {\"choices\":\ndata: []}\n\n"),
        1 => text("data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\r\r"),
        2 => text(": keep-alive\r\n\r\n"),
        1 => text("data: nonsense\n"),
        1 => text("{\"error\":\"raw\"}"),
        1 => text("\u{feff}"),
        3 => text("\n"),
        3 => text("\r"),
        3 => text("\r\n"),
        2 => text("data"),
        1 => text("data: 1"),
        1 => text(":"),
        1 => text(" "),
        1 => vec(any::<u8>(), 0..4),
    ]
}

fn scanner(dialect: bool, strip: bool, max: usize) -> Scanner {
    Scanner::new(if dialect { Dialect::OpenAi } else { Dialect::Anthropic }, strip, max)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_split_changes_nothing(
        pieces in vec(piece(), 0..10),
        cuts in vec(any::<prop::sample::Index>(), 0..8),
        openai: bool,
        strip: bool,
        max in prop_oneof![Just(MAX), 1usize..200],
    ) {
        let input = pieces.concat();
        let whole = run_with(scanner(openai, strip, max), &[&input]);
        for at in 0..=input.len() {
            let (first, second) = input.split_at(at);
            prop_assert_eq!(&run_with(scanner(openai, strip, max), &[first, second]), &whole, "split at {}", at);
        }
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        prop_assert_eq!(&run_with(scanner(openai, strip, max), &bytes), &whole);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let parts: Vec<&[u8]> = cuts.windows(2).map(|cut| &input[cut[0]..cut[1]]).collect();
        prop_assert_eq!(&run_with(scanner(openai, strip, max), &parts), &whole);
    }

    #[test]
    fn good_streams_pass_unchanged(texts in vec("[a-z\u{e4}\u{1f600}]{0,9}", 0..9), end in 0usize..3, step in 1usize..50) {
        let mut input: String = texts.iter().map(|text| delta(text)).collect();
        input.push_str(DONE);
        let input = input.replace('\n', ["\n", "\r\n", "\r"][end]);
        let chunks: Vec<&[u8]> = input.as_bytes().chunks(step).collect();
        let run = run_with(scanner(true, true, MAX), &chunks);
        prop_assert_eq!(run.text(), &input);
        prop_assert_eq!(run.facts.events as usize, texts.len() + 1);
        prop_assert_eq!(run.facts.text_bytes as usize, texts.concat().len());
    }
}

#[test]
fn the_open_block_and_the_text_are_known() {
    let block = |kind: &str, index: u32| {
        format!(
            "data: {{\"type\":\"content_block_{kind}\",\"index\":{index},\"delta\":{{\"text\":\"t{index}\"}}}}\n\n"
        )
    };
    let open = |events: &str| {
        let run = run_with(Scanner::new(Dialect::Anthropic, true, MAX), &[events.as_bytes()]);
        (run.facts.open_block, run.kept)
    };
    assert_eq!(open("data: {\"type\":\"message_start\"}\n\n"), (None, String::new()));
    assert_eq!(open(&(block("start", 0) + &block("delta", 0))), (Some(0), "t0t0".to_owned()));
    assert_eq!(open(&(block("delta", 0) + &block("stop", 0))), (None, "t0t0".to_owned()));
    let second = block("start", 0) + &block("stop", 0) + &block("start", 1) + "data: {\"type\":\"ping\"}\n\n";
    assert_eq!(open(&second).0, Some(1));
}

#[test]
fn a_gemini_stream_says_the_same_however_it_is_split() {
    let input = concat!(
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Thinking é\",\"thought\":true}]}}]}\r\n\r\n",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Grüße 🎉\"}],\"role\":\"model\"},\"index\":0}],",
        "\"usageMetadata\":{\"promptTokenCount\":3,\"thoughtsTokenCount\":2}}\n\n",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":{\"a\":1}}}]},",
        "\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":5,",
        "\"thoughtsTokenCount\":2}}\r\n\r\n",
    )
    .as_bytes();
    let scanner = || Scanner::new(Dialect::Gemini, false, MAX);
    let whole = run_with(scanner(), &[input]);
    assert_eq!(whole.output, input);
    let known = whole.facts;
    assert_eq!(known.state, state::CONTENT | state::FINISH | state::USAGE | state::TOOL);
    assert_eq!((known.usage.input, known.usage.output, known.finish), (Some(3), Some(7), Finish::Stop));
    for at in 0..=input.len() {
        let (first, second) = input.split_at(at);
        assert_eq!(run_with(scanner(), &[first, second]), whole, "split at {at}");
    }
    let bytes: Vec<_> = input.chunks(1).collect();
    assert_eq!(run_with(scanner(), &bytes), whole);

    let failed = run_with(scanner(), &[b"data: {\"error\":{\"code\":503,\"message\":\"no\"}}\n\n"]);
    assert_eq!((failed.facts.state, failed.error.as_str()), (state::ERROR, "no"));
}
