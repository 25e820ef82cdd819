//! What replies of OpenAI's endpoints beside chat say.

use sidegate_core::reply::read::{Dialect, read};
use sidegate_core::reply::reading::{Finish, Usage};

#[test]
fn endpoints_beside_chat_state_their_usage_in_many_ways() {
    let usage = |document: &str| read(document, Dialect::Auxiliary).unwrap().usage;
    let image = usage(
        r#"{"created":1,"data":[{"b64_json":"AA=="}],"usage":{"input_tokens":50,"output_tokens":60,"total_tokens":110,
        "input_tokens_details":{"text_tokens":10,"image_tokens":40},"output_tokens_details":{"image_tokens":55}}}"#,
    );
    assert_eq!((image.input, image.output), (Some(50), Some(60)));
    assert_eq!((image.media_input, image.media_output), (Some(40), Some(55)));
    for drawn in [
        r#"{"type":"image_edit.completed","usage":{"input_tokens":5,"output_tokens":60}}"#,
        r#"{"usage":{"input_tokens":5,"output_tokens":60},"type":"image_generation.completed"}"#,
        r#"{"created":1,"data":[],"usage":{"input_tokens":5,"output_tokens":60}}"#,
    ] {
        assert_eq!(usage(drawn).media_output, Some(60), "{drawn}");
    }
    let said = usage(r#"{"type":"speech.audio.done","usage":{"input_tokens":5,"output_tokens":60}}"#);
    assert_eq!((said.output, said.media_output), (Some(60), None));
    let heard = usage(r#"{"text":"a","usage":{"type":"duration","seconds":9.4701}}"#);
    assert_eq!((heard.sound_ms, heard.input), (Some(9471), None));
    let spoken =
        usage(r#"{"usage":{"type":"tokens","input_tokens":14,"input_token_details":{"audio_tokens":9}}}"#);
    assert_eq!((spoken.input, spoken.media_input), (Some(14), Some(9)));
    assert_eq!(usage(r#"{"usage":{"total_tokens":7}}"#).input, Some(7));
    assert_eq!(usage(r#"{"usage":{"total_tokens":7,"completion_tokens":2}}"#).input, Some(5));
    assert_eq!(usage(r#"{"data":{"usage":{"total_tokens":7}}}"#), Usage::default());
}

#[test]
fn the_last_event_of_an_endpoint_beside_chat_ends_it() {
    let reading = |document: &str| read(document, Dialect::Auxiliary).unwrap();
    for last in
        ["image_generation.completed", "image_edit.completed", "transcript.text.done", "speech.audio.done"]
    {
        assert_eq!(reading(&format!(r#"{{"type":"{last}"}}"#)).finish, Finish::Stop, "{last}");
    }
    let delta = reading(r#"{"type":"transcript.text.delta","delta":"h\u00e9"}"#);
    assert_eq!((delta.finish, delta.content, delta.text_bytes), (Finish::None, true, 3));
    let error = reading(r#"{"error":{"message":"no"}}"#);
    assert!(error.error && !error.content);
    assert!(!reading(r#"{"error":null}"#).error);
}
