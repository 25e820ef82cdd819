//! What is read of documents and descriptions in a request.

use sidegate_core::pii::policy::Policy;
use sidegate_core::request::endpoint::Endpoint;
use sidegate_core::request::inspect::inspect;

fn text_chars(body: &str) -> usize {
    text_chars_of(body, Endpoint::Messages)
}

fn text_chars_of(body: &str, endpoint: Endpoint) -> usize {
    inspect(body.as_bytes(), endpoint, &Policy::default(), "", &[], false, b"key", 100).facts.text_chars
}

#[test]
fn the_text_of_a_document_is_read_and_its_base64_is_not() {
    let chars = |source: &str| {
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"document","source":{source}}}]}}]}}"#
        );
        text_chars(&body)
    };
    assert_eq!(chars(r#"{"type":"text","media_type":"text/plain","data":"one two"}"#), 7);
    assert_eq!(chars(r#"{"data":"one two","media_type":"text/plain","type":"text"}"#), 7);
    assert_eq!(chars(r#"{"type":"\u0074ext","data":"one\ntwo."}"#), 8);
    assert_eq!(chars(r#"{"type":"text","data":"aGVsbG8="}"#), 8);
    assert_eq!(chars(r#"{"type":"base64","media_type":"application/pdf","data":"aGVsbG8="}"#), 0);
    assert_eq!(chars(r#"{"media_type":"image/png","data":"aG\/V\r\nsbG8=","type":"base64"}"#), 0);
    assert_eq!(chars(r#"{"type":"content","content":[{"type":"text","text":"three"}]}"#), 5);
    // What one document says of itself is nothing to the next.
    let two = r#"{"messages":[{"role":"user","content":[
        {"type":"document","source":{"type":"text","data":"abc"}},
        {"type":"image","source":{"data":"aGVsbG8=","type":"base64"}}]}]}"#;
    assert_eq!(text_chars(two), 3);
}

#[test]
fn functions_and_the_schema_of_a_reply_are_read() {
    use Endpoint::{Auxiliary, Chat, Generate, Messages, Responses};
    let schema = r#"{"type":"object","properties":{"city":{"type":"string","description":"abcdef"}}}"#;
    for (endpoint, body) in [
        (Chat, format!(r#"{{"functions":[{{"name":"f","parameters":{schema}}}]}}"#)),
        (
            Chat,
            format!(
                r#"{{"response_format":{{"type":"json_schema","json_schema":{{"name":"a","schema":{schema}}}}}}}"#
            ),
        ),
        (Messages, format!(r#"{{"output_config":{{"format":{{"type":"json_schema","schema":{schema}}}}}}}"#)),
        (Messages, format!(r#"{{"output_format":{{"type":"json_schema","schema":{schema}}}}}"#)),
        (
            Responses,
            format!(r#"{{"text":{{"format":{{"type":"json_schema","name":"a","schema":{schema}}}}}}}"#),
        ),
        (
            Generate,
            format!(
                r#"{{"generationConfig":{{"responseMimeType":"application/json","responseSchema":{schema}}}}}"#
            ),
        ),
    ] {
        assert_eq!(text_chars_of(&body, endpoint), 6, "{body}");
    }
    assert_eq!(text_chars_of(r#"{"response_format":"mp3"}"#, Auxiliary), 0);
}
