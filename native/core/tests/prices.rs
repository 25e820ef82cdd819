//! What a request asks for, and a reply states, that decides the price.

use sidegate_core::pii::policy::Policy;
use sidegate_core::reply::read::{Dialect, read};
use sidegate_core::reply::reading::{Service, Tokens, Usage};
use sidegate_core::request::endpoint::Endpoint;
use sidegate_core::request::facts::flag;
use sidegate_core::request::inspect::inspect;

#[test]
fn what_decides_the_price_is_read() {
    let openai = |document: &str| read(document, Dialect::OpenAi).unwrap();
    let anthropic = |document: &str| read(document, Dialect::Anthropic).unwrap();
    for (word, service) in
        [("flex", Service::Flex), ("priority", Service::Priority), ("default", Service::Standard)]
    {
        let reading = openai(&format!(r#"{{"service_tier":"{word}","choices":[]}}"#));
        assert_eq!(reading.service, Some(service));
    }
    assert_eq!(openai(r#"{"service_tier":null}"#).service, None);
    assert_eq!(openai(r#"{"usage":{"cost":0.0123}}"#).usage.nano_usd, Some(12_300_000));
    assert_eq!(openai(r#"{"usage":{"cost":7.5}}"#).usage.nano_usd, Some(7_500_000_000));
    assert_eq!(openai(r#"{"usage":{"cost":{"total_cost":1}},"cost":2}"#).usage.nano_usd, None);
    let usage = anthropic(
        r#"{"usage":{"cache_creation_input_tokens":9,"speed":"fast",
            "cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":7}}}"#,
    );
    assert_eq!((usage.usage.created, usage.usage.created_hour), (Some(9), Some(7)));
    assert_eq!(usage.service, Some(Service::Fast));
    assert_eq!(anthropic(r#"{"usage":{"speed":"standard"}}"#).service, Some(Service::Standard));
}

#[test]
fn the_tiers_of_gemini_and_the_country_of_claude_are_read() {
    let gemini = |usage: &str| {
        let body = format!(r#"{{"usageMetadata":{{"promptTokenCount":1,{usage}}}}}"#);
        read(&body, Dialect::Gemini).unwrap().service
    };
    for (usage, service) in [
        (r#""serviceTier":"flex""#, Service::Flex),
        (r#""serviceTier":"priority""#, Service::Priority),
        (r#""serviceTier":"standard""#, Service::Standard),
        (r#""trafficType":"ON_DEMAND_FLEX""#, Service::Flex),
        (r#""trafficType":"ON_DEMAND_PRIORITY""#, Service::Priority),
        (r#""trafficType":"PROVISIONED_THROUGHPUT""#, Service::Standard),
    ] {
        assert_eq!(gemini(usage), Some(service), "{usage}");
    }
    let anthropic = |document: &str| read(document, Dialect::Anthropic).unwrap();
    assert!(anthropic(r#"{"usage":{"inference_geo":"us"}}"#).resident);
    assert!(!anthropic(r#"{"usage":{"inference_geo":"not_available"}}"#).resident);
}

#[test]
fn sound_and_pictures_are_told_apart() {
    let openai = read(
        r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":8,
            "prompt_tokens_details":{"audio_tokens":5,"cached_tokens":1},
            "completion_tokens_details":{"audio_tokens":6,"reasoning_tokens":1}}}"#,
        Dialect::OpenAi,
    );
    let gemini = read(
        r#"{"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":8,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":4},{"tokenCount":5,"modality":"AUDIO"},null],
            "candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":4},{"modality":"AUDIO","tokenCount":2},
                {"modality":"TEXT","tokenCount":2}],
            "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":1}]}}"#,
        Dialect::Gemini,
    );
    for reading in [openai.unwrap(), gemini.unwrap()] {
        assert_eq!((reading.usage.media_input, reading.usage.media_output), (Some(5), Some(6)));
        assert_eq!((reading.usage.input, reading.usage.output), (Some(9), Some(8)));
    }
}

#[test]
fn prompts_that_a_request_became_are_told_apart() {
    let usage = |iterations: &str| {
        let body = format!(r#"{{"usage":{{"input_tokens":5,"iterations":{iterations},"output_tokens":6}}}}"#);
        read(&body, Dialect::Anthropic).unwrap().usage
    };
    let compacted = usage(
        r#"[{"type":"compaction","input_tokens":10,"output_tokens":3,"cache_read_input_tokens":20,
             "cache_creation_input_tokens":9,"cache_creation":{"ephemeral_1h_input_tokens":7}},
            {"output_tokens":1,"input_tokens":1,"type":"compaction"},
            {"type":"message","input_tokens":5,"output_tokens":6},
            {"type":"advisor_message","input_tokens":999,"output_tokens":999}]"#,
    );
    let sum = Tokens { input: 11, output: 4, cached: 20, created: 9, created_hour: 7 };
    assert_eq!((compacted.compaction, compacted.longest_prompt), (Some(sum), Some(39)));
    assert_eq!((compacted.input, compacted.output, compacted.created_hour), (Some(5), Some(6), None));
    for none in ["null", "[]", "[null,1]", r#"[{"type":"fallback","input_tokens":9}]"#] {
        assert_eq!((usage(none).compaction, usage(none).longest_prompt), (None, None), "{none}");
    }
}

#[test]
fn cumulative_counts_never_fall() {
    let count = |input| Usage { input, ..Usage::default() };
    let mut usage = count(Some(1000));
    for (later, sum) in [(Some(0), 1000), (None, 1000), (Some(1200), 1200)] {
        usage.update(count(later));
        assert_eq!(usage.input, Some(sum));
    }
}

#[test]
fn what_a_request_asks_for_that_costs_more_is_read() {
    let priced = flag::PRIORITY | flag::FAST | flag::RESIDENT | flag::CACHE_WRITE | flag::CACHE_HOUR;
    let cases = [
        (Endpoint::Chat, r#"{"service_tier":"priority"}"#, flag::PRIORITY),
        (Endpoint::Responses, r#"{"service_tier":"\u0070riority"}"#, flag::PRIORITY),
        (Endpoint::Chat, r#"{"service_tier":"default"}"#, 0),
        (Endpoint::Chat, r#"{"service_tier":null}"#, 0),
        (Endpoint::Messages, r#"{"speed":"fast"}"#, flag::FAST),
        (Endpoint::Messages, r#"{"metadata":{"speed":"fast"}}"#, 0),
        (Endpoint::Messages, r#"{"inference_geo":"us"}"#, flag::RESIDENT),
        (Endpoint::Messages, r#"{"inference_geo":"global"}"#, 0),
        (Endpoint::Generate, r#"{"serviceTier":"priority"}"#, flag::PRIORITY),
        (Endpoint::Generate, r#"{"service_tier":"flex"}"#, 0),
        (Endpoint::Messages, r#"{"cache_control":{"type":"ephemeral"}}"#, flag::CACHE_WRITE),
        (Endpoint::Messages, r#"{"cache_control":null}"#, 0),
        (
            Endpoint::Messages,
            r#"{"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral","ttl":"1h"}}]}"#,
            flag::CACHE_WRITE | flag::CACHE_HOUR,
        ),
        (
            Endpoint::Chat,
            r#"{"messages":[{"role":"user","content":[{"text":"t","cache_control":{"ttl":"5m"}}]}]}"#,
            flag::CACHE_WRITE,
        ),
        (
            Endpoint::Messages,
            r#"{"tools":[{"name":"t","cache_control":{"ttl":"1h"}}]}"#,
            flag::CACHE_WRITE | flag::CACHE_HOUR,
        ),
    ];
    for (endpoint, body, flags) in cases {
        let found = inspect(body.as_bytes(), endpoint, &Policy::default(), "", &[], false, b"", 0).facts;
        assert_eq!(found.flags & priced, flags, "{body}");
    }
}

#[test]
fn the_model_that_answered_and_its_reasoning_are_read() {
    let cases = [
        (
            Dialect::OpenAi,
            r#"{"model":"m-1","choices":[{"model":"no"}],"usage":{"completion_tokens_details":{"reasoning_tokens":7}}}"#,
        ),
        (
            Dialect::Anthropic,
            r#"{"type":"message_start","message":{"model":"m-1","usage":{"output_tokens_details":{"thinking_tokens":7}}}}"#,
        ),
        (Dialect::Anthropic, r#"{"model":"m-1","usage":{"output_tokens_details":{"thinking_tokens":7}}}"#),
        (Dialect::Gemini, r#"{"modelVersion":"m-1","usageMetadata":{"thoughtsTokenCount":7}}"#),
    ];
    for (dialect, document) in cases {
        let reading = read(document, dialect).unwrap();
        assert_eq!(reading.model.map(|(start, end)| &document[start..end]), Some("m-1"), "{document}");
        assert_eq!(reading.usage.reasoning, Some(7), "{document}");
    }
    assert_eq!(read(r#"{"model":null}"#, Dialect::OpenAi).unwrap().model, None);
}
