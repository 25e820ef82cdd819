//! `inspect`, rule by rule. That it agrees with JavaScript on any document is shown on the other side.

use sidegate_core::pii::policy::{Action, Policy};
use sidegate_core::request::endpoint::Endpoint;
use sidegate_core::request::facts::{Facts, STOPS_MAX, Verdict, flag};
use sidegate_core::request::field::Field;
use sidegate_core::request::inspect::{Inspection, inspect};
use sidegate_core::request::registers::{ABSENT, INSPECT_HEAD, Register, write_inspection};

const ALL: [Endpoint; 4] = [Endpoint::Chat, Endpoint::Embeddings, Endpoint::Messages, Endpoint::CountTokens];

fn look(body: &str, endpoint: Endpoint) -> Inspection {
    inspect(body.as_bytes(), endpoint, &Policy::default(), "", &[], false, b"key", 100)
}

fn facts(body: &str, endpoint: Endpoint) -> Facts {
    let inspection = look(body, endpoint);
    assert_eq!(inspection.verdict, Verdict::Fine, "{body}");
    inspection.facts
}

fn flags(body: &str, endpoint: Endpoint) -> u32 {
    facts(body, endpoint).flags
}

fn verdict(body: &str, endpoint: Endpoint) -> Verdict {
    look(body, endpoint).verdict
}

#[test]
fn a_conversation_that_the_provider_keeps_is_seen() {
    assert_ne!(flags(r#"{"input":"a","conversation":{"id":"a"}}"#, Endpoint::Responses) & flag::CONTINUED, 0);
    assert_eq!(flags(r#"{"input":"a","conversation":null}"#, Endpoint::Responses) & flag::CONTINUED, 0);
}

#[test]
fn reads_a_request() {
    let body = r#" {"model":"gpt-4o", "stream":true,"stream_options" : {"include_usage":true} ,"n":2,"max_tokens":1e2,
        "messages":[{"role":"user","content":"hé\n"},{"role":"user","content":[{"type":"text","text":"x"}]}]}"#;
    let facts = facts(body, Endpoint::Chat);
    let part = |span: Option<(usize, usize)>| span.map(|(start, end)| &body[start..end]);
    assert_eq!(part(facts.model), Some("gpt-4o"));
    assert_eq!(part(facts.stream_options), Some(r#"{"include_usage":true}"#));
    assert_eq!(facts.flags, flag::STREAM | flag::INCLUDE_USAGE | flag::STREAM_OPTIONS);
    assert_eq!((facts.n, facts.max_tokens, facts.max_completion_tokens), (Some(2), Some(100), None));
    assert_eq!((facts.text_bytes, facts.text_chars, facts.text_spans), (5, 4, 2));
    assert_eq!((facts.insert_at, facts.fields), (2, 6));
}

#[test]
fn types_are_checked_where_the_field_belongs() {
    use Endpoint::{Chat, CountTokens, Embeddings, Messages};
    let chat = [Chat].as_slice();
    let anthropic = [Messages, CountTokens].as_slice();
    let both = [Chat, Messages, CountTokens].as_slice();
    let count = (
        ["0", "1", "1e2", "5.0", "-0", "1e30", "null"].as_slice(),
        ["-1", "1.5", "1e400", "\"1\"", "[]", "true"].as_slice(),
    );
    let object = (["{}", "null"].as_slice(), ["[]", "\"\"", "1", "true"].as_slice());
    type Row<'a> = (&'a str, Field, &'a [Endpoint], (&'a [&'a str], &'a [&'a str]));
    let table: [Row; 12] = [
        ("model", Field::Model, &ALL, (&["\"m\""], &["null", "1", "{}", "[]"])),
        ("messages", Field::Messages, both, (&["[]"], &["null", "{}", "\"\""])),
        ("stream", Field::Stream, both, (&["true", "false", "null"], &["1", "\"true\"", "{}"])),
        ("max_tokens", Field::MaxTokens, both, count),
        ("max_completion_tokens", Field::MaxCompletionTokens, chat, count),
        ("n", Field::N, chat, count),
        ("stream_options", Field::StreamOptions, chat, object),
        ("tools", Field::Tools, both, (&["[]", "null"], &["{}", "\"\"", "1"])),
        ("input", Field::Input, &[Embeddings], (&["\"x\"", "[]"], &["null", "{}", "1"])),
        ("system", Field::System, anthropic, (&["\"x\"", "[]", "null"], &["{}", "1"])),
        ("response_format", Field::ResponseFormat, chat, object),
        ("user", Field::User, &[Chat, Embeddings], (&["\"x\"", "null"], &["1", "{}"])),
    ];
    for (name, field, endpoints, (good, bad)) in table {
        for endpoint in ALL {
            for value in good {
                assert_eq!(
                    verdict(&format!("{{\"{name}\":{value}}}"), endpoint),
                    Verdict::Fine,
                    "{name} {value}"
                );
            }
            for value in bad {
                let belongs = endpoints.contains(&endpoint);
                let expected =
                    if belongs { Verdict::WrongType(field, name.len() + 4) } else { Verdict::Fine };
                assert_eq!(
                    verdict(&format!("{{\"{name}\":{value}}}"), endpoint),
                    expected,
                    "{name} {value} {endpoint:?}"
                );
            }
            let belongs = endpoints.contains(&endpoint);
            let twice =
                format!("{{\"{name}\":{0},\"\\u{1:04x}{2}\":{0}}}", good[0], name.as_bytes()[0], &name[1..]);
            let expected = if belongs {
                Verdict::Duplicate(field, 5 + name.len() + good[0].len())
            } else {
                Verdict::Fine
            };
            assert_eq!(verdict(&twice, endpoint), expected, "{twice} {endpoint:?}");
        }
    }
}

#[test]
fn the_first_fault_counts_but_grammar_before_all() {
    let chat = |body: &str| verdict(body, Endpoint::Chat);
    assert_eq!(chat(r#"{"n":"x","model":1}"#), Verdict::WrongType(Field::N, 5));
    assert_eq!(chat(r#"{"n":null,"n":1}"#), Verdict::Duplicate(Field::N, 10));
    assert_eq!(chat(r#"{"n":"x","model":1"#), Verdict::Invalid(18));
    assert_eq!(chat(&format!(r#"{{"n":"x","a":{}"#, "[".repeat(300))), Verdict::TooDeep(13 + 255));
    assert_eq!(chat("[1]"), Verdict::NotAnObject(0));
    assert_eq!(chat(" 1"), Verdict::NotAnObject(1));
    assert_eq!(chat("\"a@b.cc\" x"), Verdict::Invalid(9));
    assert_eq!(
        inspect(b"{\"a\":\"\xff\"", Endpoint::Chat, &Policy::default(), "", &[], false, b"", 0).verdict,
        Verdict::NotUtf8(6)
    );
    assert_eq!(
        chat(r#"{"stream_options":{"include_usage":true,"x":1,"include_us\u0061ge":false}}"#),
        Verdict::Duplicate(Field::StreamOptions, 46)
    );
    // Any other field may stand twice, also where it would not be allowed elsewhere.
    assert_eq!(
        chat(r#"{"a":1,"a":2,"messages":[{"model":1,"model":2,"include_usage":1,"include_usage":2}]}"#),
        Verdict::Fine
    );
}

#[test]
fn stop_sequences_are_bounded_in_every_dialect() {
    let list = |count: u32| vec!["\"s\""; count as usize].join(",");
    let [most, more] = [list(STOPS_MAX), list(STOPS_MAX + 1)];
    for (endpoint, before, after) in [
        (Endpoint::Chat, r#"{"stop":["#, "]}"),
        (Endpoint::Chat, r#"{"st\u006fp":["#, "]}"),
        (Endpoint::Messages, r#"{"stop_sequences":["#, "]}"),
        (Endpoint::CountTokens, r#"{"stop_sequences":["#, "]}"),
        (Endpoint::Auxiliary, r#"{"stop":["#, "]}"),
        (Endpoint::Generate, r#"{"generationConfig":{"stopSequences":["#, "]}}"),
        (Endpoint::Generate, r#"{"generation_config":{"stop_sequences":["#, "]}}"),
    ] {
        let of = |stops: &str| verdict(&format!("{before}{stops}{after}"), endpoint);
        assert_eq!(of(&most), Verdict::Fine, "{before}");
        assert_eq!(of(&more), Verdict::TooManyStops(before.len() + more.len() - 3), "{before}");
    }
    // Elsewhere such a list is nobody's stop sequences.
    assert_eq!(verdict(&format!(r#"{{"x":{{"stop":[{more}]}}}}"#), Endpoint::Chat), Verdict::Fine);
}

#[test]
fn counts_are_clamped_and_the_larger_limit_wins() {
    let limit = |body: &str| {
        let mut registers = [0; INSPECT_HEAD];
        write_inspection(&look(body, Endpoint::Chat), &mut registers);
        (registers[Register::TokensMax as usize], registers[Register::Choices as usize])
    };
    assert_eq!(limit("{}"), (ABSENT, 1));
    assert_eq!(limit(r#"{"max_tokens":null,"max_completion_tokens":null,"n":null}"#), (ABSENT, 1));
    assert_eq!(limit(r#"{"max_tokens":1e300,"n":99999999999}"#), (ABSENT - 1, ABSENT - 1));
    assert_eq!(limit(r#"{"max_tokens":4294967295}"#), (ABSENT - 1, 1));
    assert_eq!(limit(r#"{"max_completion_tokens":7,"max_tokens":8}"#), (8, 1));
    assert_eq!(limit(r#"{"max_completion_tokens":null,"max_tokens":8,"n":0}"#), (8, 1));
}

#[test]
fn sets_flags() {
    use Endpoint::{Chat, Embeddings, Messages};
    let content = |part: &str| format!(r#"{{"messages":[{{"content":[{part}]}}]}}"#);
    let table: [(Endpoint, u32, &[&str]); 15] = [
        (Chat, flag::STREAM, &[r#"{"stream":true}"#]),
        (Embeddings, 0, &[r#"{"stream":true,"tools":[1],"stream_options":{"include_usage":true}}"#]),
        (
            Chat,
            flag::STREAM_OPTIONS,
            &[r#"{"stream_options":{"include_usage":false}}"#, r#"{"stream_options":{}}"#],
        ),
        (Chat, flag::STREAM_OPTIONS, &[r#"{"stream_options":{"x":{"include_usage":true}}}"#]),
        (
            Chat,
            flag::TOOLS,
            &[r#"{"tools":[{"type":"web_search"}]}"#, r#"{"functions":[{}]}"#, r#"{"tools":[0]}"#],
        ),
        (
            Messages,
            flag::TOOLS,
            &[
                r#"{"tools":[{"name":"a"}]}"#,
                r#"{"tools":[{"type":"custom"}]}"#,
                r#"{"tools":[{"type":null},{"type":"functi\u006fn"}]}"#,
            ],
        ),
        (
            Messages,
            flag::TOOLS | flag::SERVER_TOOLS,
            &[r#"{"tools":[{"type":"web_search_20250305"}]}"#, r#"{"tools":[{"type":"custom"},{"type":5}]}"#],
        ),
        (Chat, flag::SERVER_TOOLS, &[r#"{"web_search_options":{}}"#]),
        (
            Chat,
            flag::STRUCTURED,
            &[
                r#"{"response_format":{"type":"json_schema"}}"#,
                r#"{"response_format":{"a":[{}],"type":"json_\u006fbject"}}"#,
            ],
        ),
        (Messages, flag::STRUCTURED, &[r#"{"output_config":{"format":{}}}"#, r#"{"output_format":{}}"#]),
        (Chat, flag::REASONING, &[r#"{"reasoning_effort":"low"}"#, r#"{"reasoning":{}}"#]),
        (
            Messages,
            flag::REASONING,
            &[
                r#"{"thinking":{"type":"enabled"}}"#,
                r#"{"thinking":{}}"#,
                r#"{"thinking":{"a":{"type":"disabled"}}}"#,
                r#"{"thinking":{"type":"disabled","type":"enabled"}}"#,
            ],
        ),
        (
            Chat,
            0,
            &[
                r#"{"stream":false,"stream_options":null,"tools":[],"functions":[],"response_format":{"type":"text"}}"#,
                r#"{"response_format":{"json_schema":{"type":"json_object"}},"reasoning_effort":"none","reasoning":null}"#,
                r#"{"thinking":{"type":"disabled"},"output_format":{},"output_config":{"format":1},"web_search_options":null}"#,
                r#"{"metadata":{"stream":true,"tools":[1],"reasoning":1},"messages":[{"type":"image"},{"content":{"type":"image"}}]}"#,
            ],
        ),
        (Chat, flag::MODEL_ESCAPED, &[r#"{"model":"gpt\u002d4"}"#]),
        (
            Messages,
            0,
            &[
                r#"{"thinking":{"type":"disabled"}}"#,
                r#"{"output_config":{"effort":"low"}}"#,
                r#"{"thinking":null,"output_format":null}"#,
            ],
        ),
    ];
    for (endpoint, expected, bodies) in table {
        for body in bodies {
            assert_eq!(flags(body, endpoint), expected, "{body}");
        }
    }
    for (expected, types) in [
        (flag::IMAGE, ["image_url", "image", "input_image"]),
        (flag::FILE | flag::AUDIO, ["input_audio", "input_audio", "input_audio"]),
        (flag::FILE, ["document", "file", "document"]),
        (0, ["text", "imag", "tool_use"]),
    ] {
        for name in types {
            let part = format!(r#"{{"a":[{{}}],"type":"{name}"}}"#);
            assert_eq!(flags(&content(&part), Chat), expected, "{name}");
            let nested = format!(r#"{{"type":"tool_result","content":[{{}},{part}]}}"#);
            assert_eq!(flags(&content(&nested), Messages), expected, "{name}");
            // What a tool was called with is no content.
            assert_eq!(flags(&content(&format!(r#"{{"type":"tool_use","input":{part}}}"#)), Messages), 0);
        }
    }
}

#[test]
fn prompt_text_is_what_a_model_reads() {
    let text = |body: &str| {
        let facts = facts(body, Endpoint::Messages);
        (facts.text_bytes, facts.text_spans)
    };
    assert_eq!(text(r#"{"messages":[{"role":"user","content":"abc"}]}"#), (3, 1));
    assert_eq!(
        text(
            r#"{"system":"ab","prompt":"cd","input":["ef","gh"],"tools":[{"name":"x","description":"ij"}]}"#
        ),
        (10, 5)
    );
    assert_eq!(text(r#"{"model":"ab","user":"cd","metadata":{"messages":["ef"]},"stop":["gh"]}"#), (0, 0));
    assert_eq!(text(r#"{"messages":[{"content":[["ab"],{"x":["c",{"y":["d"]}]}]}]}"#), (4, 3));
    for key in [
        "type",
        "role",
        "id",
        "tool_call_id",
        "tool_use_id",
        "name",
        "data",
        "url",
        "file_data",
        "file_id",
        "signature",
        "encrypted_content",
        "media_type",
        "detail",
        "format",
        "cache_control",
    ] {
        assert_eq!(
            text(&format!(
                r#"{{"messages":[{{"{key}":"ab","x":"c"}},{{"{key}":["d",["e"],{{"y":"f"}}]}}]}}"#
            )),
            (2, 2)
        );
    }
}

#[test]
fn reads_a_gemini_request() {
    let body = r#"{"contents":[{"role":"user","parts":[{"text":"hé\n"},{"inlineData":{"mimeType":"image/png",
        "data":"eA=="}}]},{"role":"model","parts":[{"functionCall":{"name":"f","args":{"to":"a@b.com"}},
        "thoughtSignature":"4242424242424242"}]}],"systemInstruction":{"parts":[{"text":"be brief"}]},
        "tools":[{"functionDeclarations":[{"name":"f","description":"does"}]}],
        "generationConfig":{"maxOutputTokens":50,"candidateCount":2,"responseMimeType":"application/json"}}"#;
    let policy = Policy::new(&[("email", Action::Redact), ("card", Action::Redact)], Vec::new(), &[], b"");
    let found = inspect(body.as_bytes(), Endpoint::Generate, &policy.unwrap(), "", &[], false, b"key", 100);
    assert_eq!(found.verdict, Verdict::Fine);
    assert_eq!(found.facts.flags, flag::IMAGE | flag::TOOLS | flag::STRUCTURED);
    assert_eq!((found.facts.max_tokens, found.facts.n, found.facts.model), (Some(50), Some(2), None));
    // hé, the address, the system text and the description; neither names nor bytes nor signatures.
    assert_eq!(found.facts.text_bytes, 4 + 7 + 8 + 4);
    let scrubbed = String::from_utf8(found.scrubbed.body.unwrap()).unwrap();
    assert!(scrubbed.contains(r#""to":"[EMAIL]""#) && scrubbed.contains("4242424242424242"));

    let snake = r#"{"system_instruction":{"parts":[]},"generation_config":{"max_output_tokens":7}}"#;
    assert_eq!(facts(snake, Endpoint::Generate).max_tokens, Some(7));
    assert_eq!(
        flags(r#"{"tools":[{"googleSearch":{}}]}"#, Endpoint::Generate),
        flag::TOOLS | flag::SERVER_TOOLS
    );
    assert_eq!(flags(r#"{"generationConfig":{"thinkingConfig":{}}}"#, Endpoint::Generate), flag::REASONING);
    assert_eq!(
        flags(
            r#"{"contents":[{"parts":[{"fileData":{"mimeType":"application/pdf"}}]}]}"#,
            Endpoint::Generate
        ),
        flag::FILE
    );
}

#[test]
fn gemini_fields_have_types_and_stand_once() {
    let twice = r#"{"systemInstruction":{},"system_instruction":{}}"#;
    assert_eq!(verdict(twice, Endpoint::Generate), Verdict::Duplicate(Field::SystemInstruction, 24));
    assert_eq!(verdict(r#"{"contents":{}}"#, Endpoint::Generate), Verdict::WrongType(Field::Contents, 12));
    let negative = r#"{"generationConfig":{"maxOutputTokens":-1}}"#;
    assert_eq!(verdict(negative, Endpoint::Generate), Verdict::WrongType(Field::GenerationConfig, 39));
    // In another dialect these are no fields.
    assert_eq!(verdict(r#"{"contents":{},"contents":1}"#, Endpoint::Chat), Verdict::Fine);
}

#[test]
fn texts_to_be_embedded_are_counted_without_the_models_that_stand_beside_them() {
    let one = r#"{"content":{"parts":[{"text":"abc"}]},"taskType":"RETRIEVAL_QUERY"}"#;
    assert_eq!(facts(one, Endpoint::Generate).text_bytes, 3);
    let batch = r#"{"requests":[{"model":"models/x","content":{"parts":[{"text":"abc"}]}},{"content":{"parts":[{"text":"de"}]}}]}"#;
    assert_eq!(facts(batch, Endpoint::Generate).text_bytes, 5);
    let counted = r#"{"generateContentRequest":{"model":"models/x","contents":[{"role":"user","parts":[{"text":"abc"}]}]}}"#;
    assert_eq!(facts(counted, Endpoint::Generate).text_bytes, 3);
    // Other endpoints have no such fields.
    assert_eq!(facts(r#"{"model":"m","requests":["abc"]}"#, Endpoint::Chat).text_bytes, 0);
}

#[test]
fn endpoints_beside_chat_tell_their_text_and_whether_they_stream() {
    let facts = |body: &str| {
        let found = inspect(body.as_bytes(), Endpoint::Auxiliary, &Policy::default(), "", &[], false, b"", 0);
        assert_eq!(found.verdict, Verdict::Fine, "{body}");
        found.facts
    };
    assert_eq!(facts(r#"{"model":"m","query":"abc","documents":["de",{"text":"f"}]}"#).text_bytes, 6);
    assert_eq!(facts(r#"{"model":"m","prompt":"abc","n":2,"size":"auto"}"#).n, Some(2));
    assert_eq!(facts(r#"{"input":"a","stream_format":"sse"}"#).flags, flag::STREAM);
    assert_eq!(facts(r#"{"input":"a","stream_format":"audio"}"#).flags, 0);
    // Speech names the form of its sound where chat has an object.
    assert_eq!(facts(r#"{"input":"a","response_format":"mp3"}"#).text_bytes, 1);
}

#[test]
fn cohere_requests_are_read() {
    let rerank = r#"{"model":"rerank-v3.5","query":"caf\u00e9","documents":["one",{"text":"two","id":"x"}],"top_n":1}"#;
    let found = facts(rerank, Endpoint::Rerank);
    assert_eq!(found.model.map(|(start, end)| &rerank[start..end]), Some("rerank-v3.5"));
    assert_eq!((found.text_bytes, found.text_chars, found.text_spans), (11, 10, 3));
    let embed = r#"{"model":"embed-v4.0","input_type":"image","texts":["abc"],"embedding_types":["float"],
        "inputs":[{"content":[{"type":"text","text":"de"},{"type":"image_url","image_url":{"url":"data:x"}}]}]}"#;
    let found = facts(embed, Endpoint::Embed);
    assert_eq!((found.text_bytes, found.text_spans, found.flags), (5, 2, flag::IMAGE));
    assert_eq!(flags(r#"{"model":"m","images":["data:x"]}"#, Endpoint::Embed), flag::IMAGE);
    let wrong = |body: &str, endpoint| matches!(verdict(body, endpoint), Verdict::WrongType(..));
    assert!(wrong(r#"{"model":"m","query":7}"#, Endpoint::Rerank));
    assert!(wrong(r#"{"model":"m","documents":{}}"#, Endpoint::Rerank));
    assert!(wrong(r#"{"model":"m","texts":"a"}"#, Endpoint::Embed));
    assert!(!wrong(r#"{"model":"m","texts":null,"inputs":null}"#, Endpoint::Embed));
    assert!(matches!(
        verdict(r#"{"query":"a","query":"b"}"#, Endpoint::Rerank),
        Verdict::Duplicate(Field::Query, _)
    ));
    // Elsewhere these names mean nothing.
    assert_eq!(facts(r#"{"model":"m","query":7,"documents":"a"}"#, Endpoint::Chat).text_spans, 0);
}
