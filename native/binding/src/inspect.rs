//! `inspect`.

use napi::bindgen_prelude::{BufferSlice, Uint8ArraySlice, Uint32ArraySlice};
use napi::{Env, Result};
use napi_derive::napi;
use sidegate_core::json::size::parts;
use sidegate_core::request::facts::Verdict;
use sidegate_core::request::field::FIELD_NAMES;
use sidegate_core::request::inspect::{features, inspect as look};
use sidegate_core::request::question::rest;
use sidegate_core::request::registers::{INSPECT_HEAD, values_max, write_inspection};
use sidegate_core::text::numerals;
use sidegate_core::tier::classify::scores;
use sidegate_core::tier::features::{FEATURES, SHAPES, TIERS};
use sidegate_core::tier::lexicon::LEXICON;

use crate::numbers::Endpoint;
use crate::pii::{PiiPolicy, recognised_from};
use crate::{invalid, require_room};

/// Looks a request body through in one pass, and replaces personal data by placeholders.
///
/// `policy`: what is replaced, and by what. `scope`: whose values they are, UTF-8; another's have other
/// placeholders. `recognised`: what a recogniser found in its texts, in their order; for each value the number of its
/// string, its kind's number, start and end in the bytes of its text. `classify`: put it in a tier.
/// `key`: of the HMAC over the body that leaves.
/// `regs`: at least `bodySize.INSPECT_HEAD` registers, and `bodySize.VALUE` for each distinct value that may be found;
/// see `BodyRegister`.
/// `digests`: 64 bytes, written only when the status is `Fine`: a digest of the body, then HMAC-SHA-256 of
/// that of the body that leaves.
///
/// Returns the edited body if something was replaced. Throws on an unknown endpoint, a recognised value without a kind,
/// or arrays that are too short.
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments)]
pub fn inspect<'env>(
    env: &'env Env,
    body: &[u8],
    endpoint: Endpoint,
    policy: &PiiPolicy,
    scope: &[u8],
    classify: bool,
    key: &[u8],
    mut regs: Uint32ArraySlice,
    mut digests: Uint8ArraySlice,
    recognised: Option<Uint32ArraySlice>,
) -> Result<Option<BufferSlice<'env>>> {
    let policy = policy.inner();
    let scope = std::str::from_utf8(scope).map_err(|_| invalid("scope must be UTF-8"))?;
    require_room(regs.len(), INSPECT_HEAD)?;
    require_room(digests.len(), 64)?;
    let values_max = values_max(regs.len());
    let recognised = recognised_from(recognised.as_deref())?;
    let inspection = look(body, endpoint.into(), policy, scope, &recognised, classify, key, values_max);
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

/// `digest`, 32 bytes, gets a digest of all of a body but the question that stands from `start` to `end`.
///
/// Throws if it doesn't stand in the body, or on an array that is too short.
#[napi(catch_unwind)]
pub fn question_rest(body: &[u8], start: u32, end: u32, mut digest: Uint8ArraySlice) -> Result<()> {
    require_room(digest.len(), 32)?;
    let rest = rest(body, start as usize, end as usize);
    let rest = rest.ok_or_else(|| invalid("the question stands outside the body"))?;
    // SAFETY: the body is not looked at any more, so this is the only view even of memory they share.
    let digest = unsafe { digest.as_mut() };
    digest[..32].copy_from_slice(&rest);
    Ok(())
}

/// Names of the fields whose faults are reported, by number.
#[napi(catch_unwind)]
pub fn field_names() -> Vec<&'static str> {
    FIELD_NAMES.to_vec()
}

/// Names of the features that requests are put in tiers by, in the order of `classify`.
#[napi(catch_unwind)]
pub fn feature_names() -> Vec<String> {
    SHAPES.iter().copied().chain(LEXICON.iter().map(|(name, _)| *name)).map(String::from).collect()
}

/// The features of a body, in eighths, and behind them the scores of the tiers simple, moderate and complex; the
/// greatest decides. Empty: the body has a fault. Throws on an unknown endpoint.
#[napi(catch_unwind)]
pub fn classify(body: &[u8], endpoint: Endpoint) -> Vec<i64> {
    let Some((_, features)) = features(body, endpoint.into()) else { return Vec::new() };
    let mut all = Vec::with_capacity(FEATURES + TIERS);
    all.extend(features.iter().map(|&feature| i64::from(feature)));
    all.extend(scores(&features));
    all
}

/// The number of objects, lists and members of a JSON document, and a quarter of its lists' elements.
///
/// `strings`: those of JSON in strings count too.
#[napi(catch_unwind)]
pub fn json_parts(document: &[u8], strings: bool) -> u32 {
    u32::try_from(parts(document, strings)).unwrap_or(u32::MAX)
}

/// How many bytes of a text are ASCII digits; `beyond`: or none of ASCII at all, where other digits are.
#[napi(catch_unwind)]
pub fn numeral_bytes(text: &[u8], beyond: bool) -> u32 {
    u32::try_from(numerals::numeral_bytes(text, beyond)).unwrap_or(u32::MAX)
}
