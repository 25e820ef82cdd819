//! The question that a conversation ends with, and the digest of all the rest.

use sidegate_core::pii::policy::Policy;
use sidegate_core::request::endpoint::Endpoint;
use sidegate_core::request::facts::{Facts, flag};
use sidegate_core::request::inspect::inspect;
use sidegate_core::request::question::rest;

fn facts(endpoint: Endpoint, body: &str) -> Facts {
    inspect(body.as_bytes(), endpoint, &Policy::default(), "", &[], false, b"", 0).facts
}

fn asked(endpoint: Endpoint, body: &str) -> Option<&str> {
    facts(endpoint, body).question.map(|(start, end)| &body[start..end])
}

#[test]
fn the_last_text_of_the_last_message_of_the_user() {
    use Endpoint::{Chat, Generate, Messages, Responses};
    let cases = [
        (Chat, r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"q"}]}"#, Some("q")),
        (Chat, r#"{"messages":[{"content":"q","role":"user"}],"model":"m"}"#, Some("q")),
        (Chat, r#"{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}"#, None),
        (
            Chat,
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}"#,
            Some("b"),
        ),
        (
            Chat,
            r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}]}"#,
            None,
        ),
        (Chat, r#"{"messages":[{"role":"tool","content":"q"}]}"#, None),
        (Chat, r#"{"messages":[]}"#, None),
        (Chat, r#"{"prompt":"q"}"#, None),
        (Messages, r#"{"messages":[{"role":"user","content":[{"type":"text","text":"q"}]}]}"#, Some("q")),
        (
            Messages,
            r#"{"messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"text","text":"r"}]}]}]}"#,
            None,
        ),
        (
            Messages,
            r#"{"messages":[{"role":"user","content":[{"type":"tool_result","content":"r"}]}]}"#,
            None,
        ),
        (Responses, r#"{"input":"q"}"#, Some("q")),
        (Responses, r#"{"input":[{"role":"user","content":[{"type":"input_text","text":"q"}]}]}"#, Some("q")),
        (
            Responses,
            r#"{"input":[{"role":"user","content":"q"},{"type":"function_call_output","output":"r"}]}"#,
            None,
        ),
        (Generate, r#"{"contents":[{"parts":[{"text":"q"}]}]}"#, Some("q")),
        (
            Generate,
            r#"{"contents":[{"role":"user","parts":[{"text":"q"}]},{"role":"model","parts":[{"text":"a"}]}]}"#,
            None,
        ),
        (Endpoint::Embeddings, r#"{"input":"q"}"#, None),
    ];
    for (endpoint, body, expected) in cases {
        assert_eq!(asked(endpoint, body), expected, "{body}");
    }
}

#[test]
fn temperature_above_zero_is_sampled() {
    let chat = |t: &str| format!(r#"{{"temperature":{t},"messages":[{{"role":"user","content":"q"}}]}}"#);
    for (text, sampled) in [("0", false), ("0.0", false), ("0.1", true), ("1e-3", true), ("null", false)] {
        assert_eq!(facts(Endpoint::Chat, &chat(text)).flags & flag::SAMPLED != 0, sampled, "{text}");
    }
    let gemini = r#"{"generationConfig":{"temperature":1},"contents":[{"parts":[{"text":"q"}]}]}"#;
    assert!(facts(Endpoint::Generate, gemini).flags & flag::SAMPLED != 0);
}

#[test]
fn an_escaped_one_is_known() {
    let escaped = |body: &str| facts(Endpoint::Responses, body).flags & flag::QUESTION_ESCAPED != 0;
    assert!(escaped(r#"{"input":"a\nb"}"#) && !escaped(r#"{"input":"a b","x":"\n"}"#));
}

#[test]
fn the_rest_is_all_but_the_question() {
    let of = |body: &str| {
        let (start, end) = facts(Endpoint::Chat, body).question.unwrap();
        rest(body.as_bytes(), start, end).unwrap()
    };
    let body = |system: &str, text: &str| {
        format!(
            r#"{{"messages":[{{"role":"system","content":"{system}"}},{{"role":"user","content":"{text}"}}]}}"#
        )
    };
    assert_eq!(of(&body("s", "one")), of(&body("s", "another")));
    assert_ne!(of(&body("s", "one")), of(&body("t", "one")));
}

#[test]
fn what_stands_nowhere_has_no_rest() {
    assert!(rest(b"abc", 2, 1).is_none() && rest(b"abc", 1, 4).is_none() && rest(b"abc", 4, 4).is_none());
}

#[test]
fn alone_is_one_that_nothing_else_says_what_to_do_with() {
    use Endpoint::{Chat, Generate, Messages, Responses};
    let user = r#"{"role":"user","content":"q"}"#;
    let format = r#"{"type":"json_schema","json_schema":{"name":"n","schema":{}}}"#;
    for (endpoint, body, alone) in [
        (Chat, format!(r#"{{"model":"m","user":"u","messages":[{user}]}}"#), true),
        (Chat, format!(r#"{{"messages":[{{"role":"system","content":"s"}},{user}]}}"#), false),
        (Chat, format!(r#"{{"messages":[{user},{{"role":"assistant","content":"a"}},{user}]}}"#), false),
        (
            Chat,
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}"#
                .into(),
            false,
        ),
        (Chat, format!(r#"{{"response_format":{format},"messages":[{user}]}}"#), false),
        (Messages, format!(r#"{{"messages":[{user}],"system":"s"}}"#), false),
        // How much is said is no text of the prompt.
        (Messages, format!(r#"{{"messages":[{user}],"output_config":{{"effort":"low"}}}}"#), true),
        (Responses, r#"{"input":"q","text":{"verbosity":"low","format":{"type":"text"}}}"#.into(), true),
        (Responses, r#"{"input":"q","text":{"format":{"type":"json_schema","name":"n","schema":{}}}}"#.into(), false),
        (Messages, format!(r#"{{"messages":[{user}],"output_config":{{"format":{{"type":"json_schema","schema":{{}}}}}}}}"#), false),
        (Messages, format!(r#"{{"messages":[{user}]}}"#), true),
        (Responses, r#"{"input":"q"}"#.into(), true),
        (Responses, r#"{"input":"q","instructions":"s"}"#.into(), false),
        (Responses, r#"{"input":"q","prompt":{"id":"pmpt_1"}}"#.into(), false),
        (Generate, r#"{"contents":[{"parts":[{"text":"q"}]}]}"#.into(), true),
        (
            Generate,
            r#"{"contents":[{"parts":[{"text":"q"}]}],"systemInstruction":{"parts":[{"text":"s"}]}}"#.into(),
            false,
        ),
        (Generate, r#"{"contents":[{"parts":[{"text":"q"}]}],"cachedContent":"cachedContents/1"}"#.into(), false),
        (Generate, r#"{"contents":[{"parts":[{"text":"q"}]}],"cached_content":"cachedContents/1"}"#.into(), false),
    ] {
        let facts = facts(endpoint, &body);
        assert!(facts.question.is_some(), "{body}");
        assert_eq!(facts.flags & flag::QUESTION_ALONE != 0, alone, "{body}");
    }
}
