//! `inspect`.

use napi::bindgen_prelude::{BufferSlice, Uint8ArraySlice, Uint32ArraySlice};
use napi::{Env, Result};
use napi_derive::napi;
use sidegate_core::pii::findings::Kinds;
use sidegate_core::request::endpoint::Endpoint;
use sidegate_core::request::facts::Verdict;
use sidegate_core::request::inspect::CLASSIFY;
use sidegate_core::request::inspect::{features, inspect as look};
use sidegate_core::request::registers::{INSPECT_HEAD, values_max, write_inspection};
use sidegate_core::tier::classify::scores;
use sidegate_core::tier::features::{FEATURES, SHAPES, TIERS};
use sidegate_core::tier::lexicon::LEXICON;

use crate::{invalid, require_room};

/// Looks a request body through in one pass, and replaces personal data by placeholders.
///
/// `endpoint`: 0 OpenAI chat completions, 1 OpenAI embeddings, 2 Anthropic messages, 3 Anthropic
/// count_tokens, 4 Gemini generateContent, 5 OpenAI responses, 6 Cohere rerank, 7 Cohere embed, 10 OpenAI's
/// endpoints beside chat.
/// `scrub`: bits of what is replaced, 1 e-mail addresses, 2 card numbers; 2^24: put it in a tier.
/// `key`: of the HMAC over the body that leaves.
/// `regs`: at least 18 registers, and three for each distinct value that may be found; the layout is
/// documented at `write_inspection` in `native/core/src/request/registers.rs`.
/// `digests`: 64 bytes, written only when status (register 0) is 0: SHA-256 of the body, then HMAC-SHA-256 of
/// the SHA-256 of the body that leaves.
///
/// Returns the edited body if something was replaced. Throws on an unknown endpoint or arrays that are too
/// short.
#[napi]
pub fn inspect<'env>(
    env: &'env Env,
    body: &[u8],
    endpoint: u32,
    scrub: u32,
    key: &[u8],
    mut regs: Uint32ArraySlice,
    mut digests: Uint8ArraySlice,
) -> Result<Option<BufferSlice<'env>>> {
    let endpoint = Endpoint::from_number(endpoint).ok_or_else(|| invalid("no such endpoint"))?;
    require_room(regs.len(), INSPECT_HEAD)?;
    require_room(digests.len(), 64)?;
    let classify = scrub & CLASSIFY != 0;
    let inspection = look(body, endpoint, Kinds::from_bits(scrub), classify, key, values_max(regs.len()));
    // SAFETY: the body and the key are not looked at any more, so these are the only views even of memory
    // they share.
    write_inspection(&inspection, unsafe { regs.as_mut() });
    if inspection.verdict == Verdict::Fine {
        // SAFETY: as above; the registers' borrow has ended.
        let digests = unsafe { digests.as_mut() };
        digests[..32].copy_from_slice(&inspection.digests[0]);
        digests[32..64].copy_from_slice(&inspection.digests[1]);
    }
    inspection.scrubbed.body.map(|edited| BufferSlice::from_data(env, edited)).transpose()
}

/// Names of the features that requests are put in tiers by, in the order of `classify`.
#[napi]
pub fn feature_names() -> Vec<String> {
    SHAPES.iter().copied().chain(LEXICON.iter().map(|(name, _)| *name)).map(String::from).collect()
}

/// The features of a body, in eighths, and behind them the scores of the tiers simple, moderate and complex; the
/// greatest decides. Empty: the body has a fault. Throws on an unknown endpoint.
#[napi]
pub fn classify(body: &[u8], endpoint: u32) -> Result<Vec<i64>> {
    let endpoint = Endpoint::from_number(endpoint).ok_or_else(|| invalid("no such endpoint"))?;
    let Some((_, features)) = features(body, endpoint) else { return Ok(Vec::new()) };
    let mut all = Vec::with_capacity(FEATURES + TIERS);
    all.extend(features.iter().map(|&feature| i64::from(feature)));
    all.extend(scores(&features));
    Ok(all)
}
