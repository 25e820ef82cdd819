//! What a reply states that decides its price.

use sidegate_core::reply::read::{Dialect, read};
use sidegate_core::reply::reading::{Service, Usage};

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
fn cumulative_counts_never_fall() {
    let count = |input| Usage { input, ..Usage::default() };
    let mut usage = count(Some(1000));
    for (later, sum) in [(Some(0), 1000), (None, 1000), (Some(1200), 1200)] {
        usage.update(count(later));
        assert_eq!(usage.input, Some(sum));
    }
}
