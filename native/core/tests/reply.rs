//! What replies say, whole ones and the events of streams.

use sidegate_core::reply::facts::{ReplyFacts, state};
use sidegate_core::reply::read::{Dialect, error_message, read, reply_text};
use sidegate_core::reply::reading::{Finish, Reading, TEXT_MAX, Usage};
use sidegate_core::reply::registers::{REGISTERS, Register, write};

fn openai(document: &str) -> Reading {
    let reading = read(document, Dialect::OpenAi).unwrap();
    Reading { object: false, choices: 0, choices_ended: 0, text_at: None, ..reading }
}

fn anthropic(document: &str) -> Reading {
    let reading = read(document, Dialect::Anthropic).unwrap();
    Reading { object: false, choices: 0, choices_ended: 0, text_at: None, ..reading }
}

fn choice(inside: &str) -> Reading {
    openai(&format!(r#"{{"choices":[{{{inside}}}]}}"#))
}

fn text(bytes: u32) -> Reading {
    Reading { content: true, text_bytes: bytes, ..Reading::default() }
}

const NOTHING: fn() -> Reading = Reading::default;

#[test]
fn openai_text_is_counted() {
    for (inside, bytes) in [
        (r#""message":{"content":"h\u00e9\n"}"#, 4),
        (r#""delta":{"content":"ab"}"#, 2),
        (r#""delta":{"reasoning_content":"ab","content":""}"#, 2),
        (r#""delta":{"reasoning":"ab"}"#, 2),
        (r#""text":"ab""#, 2),
        (
            r#""message":{"content":[{"type":"text","text":"ab"},{"type":"thinking","thinking":[{"text":"c"}]}]}"#,
            3,
        ),
    ] {
        assert_eq!(choice(inside), text(bytes), "{inside}");
    }
    for inside in [
        r#""delta":{"role":"assistant","content":""}"#,
        r#""delta":{"content":null,"tool_calls":null,"refusal":null,"audio":null,"function_call":null}"#,
        r#""delta":{"tool_calls":[],"refusal":""},"finish_reason":null"#,
        r#""delta":{},"logprobs":{"content":[{"token":"x"}]}"#,
        r#""delta":{"content":5}"#,
    ] {
        assert_eq!(choice(inside), NOTHING(), "{inside}");
    }
}

#[test]
fn a_total_is_the_prompt_of_embeddings_only() {
    let input = |document: &str| openai(document).usage.input;
    assert_eq!(input(r#"{"data":[],"usage":{"total_tokens":9}}"#), Some(9));
    assert_eq!(input(r#"{"data":[],"usage":{"total_tokens":9,"prompt_tokens":8}}"#), Some(8));
    assert_eq!(input(r#"{"choices":[],"usage":{"total_tokens":9}}"#), None);
    assert_eq!(input(r#"{"choices":[{"text":"a"}],"usage":{"total_tokens":9}}"#), None);
}

#[test]
fn openai_calls_and_refusals_are_seen() {
    let call = |bytes| Reading { tool: true, ..text(bytes) };
    assert_eq!(
        choice(r#""delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]}"#),
        call(2)
    );
    assert_eq!(choice(r#""delta":{"tool_calls":[{"function":{"arguments":""}}]}"#), call(0));
    assert_eq!(choice(r#""message":{"function_call":{"name":"f","arguments":"{ }"}}"#), call(3));
    assert_eq!(choice(r#""message":{"tool_calls":[{"type":"custom","custom":{"input":"ab"}}]}"#), call(2));
    assert_eq!(choice(r#""message":{"refusal":"no"}"#), Reading { refusal: true, ..text(2) });
    assert_eq!(choice(r#""delta":{"audio":{"data":"xx"}}"#), text(0));
}

#[test]
fn openai_finishes_and_the_highest_wins() {
    let finish = |reasons: &[&str]| {
        let choices: Vec<_> =
            reasons.iter().map(|reason| format!(r#"{{"finish_reason":{reason}}}"#)).collect();
        openai(&format!(r#"{{"choices":[{}]}}"#, choices.join(","))).finish
    };
    for (reason, expected) in [
        ("null", Finish::None),
        ("\"stop\"", Finish::Stop),
        ("\"length\"", Finish::Length),
        ("\"tool_calls\"", Finish::Tool),
        ("\"function_call\"", Finish::Tool),
        ("\"content_filter\"", Finish::Filter),
        ("\"\\u0073top\"", Finish::Stop),
        ("\"whatever\"", Finish::Other),
    ] {
        assert_eq!(finish(&[reason]), expected, "{reason}");
    }
    assert_eq!(finish(&["\"length\"", "\"stop\"", "null"]), Finish::Length);
}

#[test]
fn no_reason_yet_is_no_end() {
    let long = format!(r#""finish_reason":"{}""#, "x".repeat(300));
    assert_eq!(choice(&long).finish, Finish::Other);
    for (inside, dialect) in [
        (r#"{"choices":[{"finish_reason":""}]}"#, Dialect::OpenAi),
        (r#"{"type":"message_delta","delta":{"stop_reason":""}}"#, Dialect::Anthropic),
        (r#"{"candidates":[{"finishReason":""}]}"#, Dialect::Gemini),
        (r#"{"candidates":[{"finishReason":"FINISH_REASON_UNSPECIFIED"}]}"#, Dialect::Gemini),
    ] {
        assert_eq!(read(inside, dialect).unwrap().finish, Finish::None, "{inside}");
    }
}

#[test]
fn openai_usage_is_read() {
    let usage = |input, output, cached| Usage { input, output, cached, ..Usage::default() };
    let read = |document: &str| {
        let reading = openai(document);
        (reading.usage_seen, reading.usage)
    };
    assert_eq!(
        read(
            r#"{"usage":{"prompt_tokens":3,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":2}}}"#
        ),
        (true, usage(Some(3), Some(4), Some(2)))
    );
    assert_eq!(read(r#"{"usage":{"prompt_tokens":8,"total_tokens":8}}"#), (true, usage(Some(8), None, None)));
    assert_eq!(read(r#"{"usage":null}"#), (false, Usage::default()));
    assert_eq!(read(r#"{"usage":5,"x":{"usage":{"prompt_tokens":1}}}"#), (false, Usage::default()));
    let odd = r#"{"usage":{"prompt_tokens":"3","completion_tokens":1e99,"prompt_tokens_details":null}}"#;
    assert_eq!(read(odd), (true, usage(None, Some(u32::MAX), None)));
    assert_eq!(
        read(r#"{"usage":{"prompt_tokens":-3,"completion_tokens":2.9}}"#),
        (true, usage(Some(0), Some(2), None))
    );
    // Where reasoning is counted beside the completion the total says so (xAI); elsewhere it is part of it.
    for (total, output) in [(135, 103), (41, 9), (0, 9)] {
        let document = format!(
            r#"{{"usage":{{"prompt_tokens":32,"completion_tokens":9,"total_tokens":{total},
            "completion_tokens_details":{{"reasoning_tokens":94}}}}}}"#
        );
        let stated = Usage { reasoning: Some(94), ..usage(Some(32), Some(output), None) };
        assert_eq!(read(&document), (true, stated));
    }
    assert_eq!(
        read(r#"{"usage":{"prompt_tokens":9,"cached_tokens":7}}"#),
        (true, usage(Some(9), None, Some(7))),
        "as Moonshot tells it"
    );
    let written = read(r#"{"usage":{"prompt_tokens_details":{"cache_write_tokens":6}}}"#);
    assert_eq!(written.1.created, Some(6));
    let reading = openai(r#"{"choices":[],"usage":{"prompt_tokens":1}}"#);
    assert!(reading.choices_empty && reading.usage_seen);
    assert!(!openai(r#"{"choices":[{}],"usage":{}}"#).choices_empty);
    assert!(!openai(r#"{"usage":{}}"#).choices_empty);
}

#[test]
fn errors_are_told_by_their_field() {
    for document in [r#"{"error":{"message":"x"}}"#, r#"{"error":"x"}"#, r#"{"error":false}"#] {
        assert!(openai(document).error && anthropic(document).error, "{document}");
    }
    assert!(anthropic(r#"{"type":"error"}"#).error);
    for document in [r#"{"error":null}"#, r#"{"choices":[{"error":1}]}"#, r#"{"type":"ping"}"#] {
        assert!(!openai(document).error && !anthropic(document).error, "{document}");
    }
}

#[test]
fn anthropic_messages_are_read() {
    let reading = anthropic(
        r#"{"type":"message","stop_reason":"tool_use","content":[{"type":"thinking","thinking":"ab","signature":"x"},
        {"type":"text","text":"cd"},{"type":"tool_use","name":"f","input":{"a": [1]}}],
        "usage":{"input_tokens":1,"output_tokens":2,"cache_read_input_tokens":3,"cache_creation_input_tokens":4,
        "cache_creation":{"input_tokens":9},"server_tool_use":null}}"#,
    );
    let usage =
        Usage { input: Some(1), output: Some(2), cached: Some(3), created: Some(4), ..Usage::default() };
    let expected = Reading { tool: true, usage_seen: true, usage, finish: Finish::Tool, ..text(4 + 10) };
    assert_eq!(reading, expected);
    let refusal = Reading { refusal: true, finish: Finish::Filter, ..NOTHING() };
    assert_eq!(anthropic(r#"{"stop_reason":"refusal"}"#), refusal);
    for (reason, finish) in [
        ("end_turn", Finish::Stop),
        ("stop_sequence", Finish::Stop),
        ("max_tokens", Finish::Length),
        ("model_context_window_exceeded", Finish::Length),
        ("pause_turn", Finish::Other),
    ] {
        assert_eq!(anthropic(&format!(r#"{{"stop_reason":"{reason}"}}"#)).finish, finish);
    }
}

#[test]
fn anthropic_events_are_read() {
    let start = r#"{"type":"message_start","message":{"content":[],"stop_reason":null,"usage":{"input_tokens":5,"output_tokens":1}}}"#;
    let usage = Usage { input: Some(5), output: Some(1), ..Usage::default() };
    assert_eq!(anthropic(start), Reading { usage_seen: true, usage, ..NOTHING() });
    let event = |event: String| {
        let reading = anthropic(&event);
        assert_eq!(reading.block_open, Some(true));
        Reading { block_open: None, ..reading }
    };
    let block = |block: &str| event(format!(r#"{{"type":"content_block_start","content_block":{block}}}"#));
    assert_eq!(block(r#"{"type":"text","text":""}"#), NOTHING());
    assert_eq!(block(r#"{"type":"thinking","thinking":""}"#), NOTHING());
    assert_eq!(block(r#"{"text":"ab","type":"text"}"#), text(2));
    assert_eq!(block(r#"{"input":{"type":"text"},"type":"tool_use"}"#), Reading { tool: true, ..text(0) });
    assert_eq!(block(r#"{"type":"server_tool_use"}"#), Reading { tool: true, ..text(0) });
    assert_eq!(block(r#"{"type":"redacted_thinking","data":"x"}"#), text(0));
    assert_eq!(block(r#"{"type":"web_search_tool_result","content":[{"type":"tool_use"}]}"#), text(0));
    let delta = |delta: &str| event(format!(r#"{{"type":"content_block_delta","delta":{delta}}}"#));
    assert_eq!(delta(r#"{"type":"text_delta","text":"ab"}"#), text(2));
    assert_eq!(delta(r#"{"type":"thinking_delta","thinking":"ab"}"#), text(2));
    assert_eq!(delta(r#"{"type":"input_json_delta","partial_json":"{\""}"#), text(2));
    assert_eq!(delta(r#"{"type":"input_json_delta","partial_json":""}"#), NOTHING());
    assert_eq!(delta(r#"{"type":"signature_delta","signature":"ab"}"#), text(0));
    let end = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7,"input_tokens":null}}"#;
    let usage = Usage { output: Some(7), ..Usage::default() };
    assert_eq!(anthropic(end), Reading { usage_seen: true, usage, finish: Finish::Stop, ..NOTHING() });
    assert_eq!(anthropic(r#"{"type":"message_stop"}"#), Reading { end: true, ..NOTHING() });
    assert_eq!(anthropic(r#"{"type":"ping"}"#), NOTHING());
}

#[test]
fn registers_hold_a_reply() {
    let registers = |document: &str| {
        let mut registers = [9; REGISTERS];
        let reading = read(document, Dialect::OpenAi).ok().filter(|reading| reading.object);
        write(0, &ReplyFacts::of(reading.as_ref()), &mut registers);
        registers
    };
    let state = |state: u32| {
        let mut registers = [0; REGISTERS];
        registers[Register::State as usize] = state;
        registers
    };
    for document in ["", "[]", "1", "{", "null", "[{\"error\":1}]"] {
        assert_eq!(registers(document), state(state::MALFORMED), "{document}");
    }
    let mut empty = state(0);
    empty[Register::Events as usize] = 1;
    assert_eq!(registers("{}"), empty);
    let document = r#"{"error":1,"choices":[{"finish_reason":"length","message":{"refusal":"abc","tool_calls":[1]}}],
        "usage":{"prompt_tokens":4,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":6}}}"#;
    let found = registers(document);
    let bits = state::ERROR | state::TOOL | state::REFUSAL | state::USAGE;
    assert_eq!(found[Register::State as usize] & bits, bits);
    assert_eq!(found[Register::Input as usize..=Register::TextBytes as usize], [4, 5, 6, 0, 2, 3]);
}

#[test]
fn error_messages_are_found() {
    for (document, message) in [
        (r#"{"error":{"type":"x","message":"no\u00e9"}}"#, Some("no\u{e9}")),
        (r#"{"type":"error","error":{"message":"overloaded"}}"#, Some("overloaded")),
        (r#"{"error":"plain","message":"other"}"#, Some("plain")),
        (r#"{"message":"other"}"#, Some("other")),
        (r#"{"error":{"message":"cut off"},"deta"#, Some("cut off")),
        (r#"{"a":{"message":"x"},"error":{"b":{"message":"y"}}}"#, None),
        ("{}", None),
        ("", None),
    ] {
        assert_eq!(error_message(document).as_deref(), message, "{document}");
    }
}

#[test]
fn the_text_of_a_reply_is_kept_wherever_it_is_cut() {
    let openai = r#"{"choices":[{"message":{"role":"assistant","content":"Grüße, \"A\u00e9\"","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}}]}"#;
    let anthropic = r#"{"content":[{"type":"text","text":"Hi\n"},{"type":"tool_use","name":"f","input":{"a":1}}],"stop_reason":"x"}"#;
    for (document, dialect, expected) in
        [(openai, Dialect::OpenAi, "Grüße, \"Aé\"{}"), (anthropic, Dialect::Anthropic, "Hi\n{\"a\":1}")]
    {
        assert_eq!(String::from_utf8(reply_text(document.as_bytes(), dialect)).unwrap(), expected);
        let mut longest = 0;
        for end in 0..document.len() {
            let text = String::from_utf8(reply_text(&document.as_bytes()[..end], dialect)).unwrap();
            assert!(expected.starts_with(&text), "{end}: {text}");
            assert!(text.len() >= longest, "{end}: {text}");
            longest = text.len();
        }
    }
    let long = format!(r#"{{"choices":[{{"text":"{}"}}]}}"#, "é".repeat(TEXT_MAX));
    assert_eq!(reply_text(long.as_bytes(), Dialect::OpenAi).len(), TEXT_MAX);
}

fn gemini(document: &str) -> Reading {
    let reading = read(document, Dialect::Gemini).unwrap();
    Reading { object: false, choices: 0, choices_ended: 0, text_at: None, ..reading }
}

fn part(inside: &str) -> Reading {
    gemini(&format!(r#"{{"candidates":[{{"content":{{"parts":[{inside}],"role":"model"}}}}]}}"#))
}

#[test]
fn gemini_parts_are_seen() {
    assert_eq!(part(r#"{"text":"h\u00e9\n"}"#), text(4));
    assert_eq!(part(r#"{"text":"ab","thought":true},{"text":"c"}"#), text(3));
    assert_eq!(part(r#"{"text":"","thoughtSignature":"xyz="}"#), text(0));
    assert_eq!(part(r#"{"inlineData":{"mimeType":"image/png","data":"eA=="}}"#), text(0));
    let call = |bytes| Reading { tool: true, ..text(bytes) };
    assert_eq!(part(r#"{"functionCall":{"name":"f","args":{"a": [1]}}}"#), call(10));
    assert_eq!(part(r#"{"functionCall":{"name":"f"}}"#), call(0));
    for inside in ["", r#"{"text":""}"#, r#"{"functionCall":null}"#, r#"{"text":5,"other":{"text":"x"}}"#] {
        assert_eq!(part(inside), NOTHING(), "{inside}");
    }
    // Only an answer's own parts count.
    assert_eq!(gemini(r#"{"parts":[{"text":"x"}],"candidates":{"content":{}}}"#), NOTHING());
}

#[test]
fn gemini_finishes() {
    for (reason, expected) in [
        ("null", Finish::None),
        ("\"STOP\"", Finish::Stop),
        ("\"MAX_TOKENS\"", Finish::Length),
        ("\"SAFETY\"", Finish::Filter),
        ("\"RECITATION\"", Finish::Filter),
        ("\"PROHIBITED_CONTENT\"", Finish::Filter),
        ("\"MALFORMED_FUNCTION_CALL\"", Finish::Other),
        ("\"SOMETHING_NEW\"", Finish::Other),
    ] {
        let document = format!(r#"{{"candidates":[{{"finishReason":{reason}}}]}}"#);
        assert_eq!(gemini(&document).finish, expected, "{reason}");
    }
    let blocked = gemini(r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":null}"#);
    assert_eq!(blocked, Reading { finish: Finish::Filter, ..NOTHING() });
}

#[test]
fn gemini_counts_thoughts_with_the_answer() {
    let usage = |inside: &str| gemini(&format!(r#"{{"usageMetadata":{{{inside}}}}}"#)).usage;
    assert_eq!(
        usage(
            r#""promptTokenCount":9,"candidatesTokenCount":4,"thoughtsTokenCount":3,"totalTokenCount":16,
            "cachedContentTokenCount":5,"toolUsePromptTokenCount":2,"promptTokensDetails":[{"tokenCount":99}]"#
        ),
        Usage { reasoning: Some(3), input: Some(11), output: Some(7), cached: Some(5), ..Usage::default() }
    );
    assert_eq!(usage(r#""promptTokenCount":9"#), Usage { input: Some(9), ..Usage::default() });
    assert_eq!(usage(r#""candidatesTokenCount":null"#), Usage::default());
    assert!(gemini(r#"{"error":{"code":500}}"#).error);
    assert!(!gemini(r#"{"error":null}"#).error);
}

#[test]
fn cohere_bills_tokens_or_searches() {
    let read = |document: &str| read(document, Dialect::Cohere).unwrap();
    let reranked = read(
        r#"{"id":"a","results":[{"index":0,"relevance_score":0.9}],
        "meta":{"api_version":{"version":"2"},"billed_units":{"search_units":2},"tokens":{"input_tokens":40}}}"#,
    );
    assert_eq!((reranked.searches, reranked.usage.input, reranked.usage_seen), (Some(2), Some(40), true));
    assert!(!reranked.error);
    let embedded = read(
        r#"{"embeddings":{"float":[[0.1,-0.2]]},"texts":["hello"],
        "meta":{"tokens":{"input_tokens":99},"billed_units":{"input_tokens":5,"search_units":null}}}"#,
    );
    assert_eq!((embedded.searches, embedded.usage.input, embedded.usage_seen), (None, Some(5), true));
    let silent = read(r#"{"results":[],"meta":null}"#);
    assert_eq!((silent.error, silent.usage_seen), (false, false));
    // An error with a success's status.
    for document in ["{}", r#"{"message":"internal server error"}"#, r#"{"results":null}"#, "[]"] {
        assert!(read(document).error, "{document}");
    }
}
