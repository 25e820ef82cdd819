//! What the pipeline must know about a request's body, found in one pass over its bytes.

use crate::json::walker::Fault;
use crate::pii::policy::Policy;
use crate::pii::recognised::{PromptText, Recognised, Texts};
use crate::pii::scrub::{Scrubbed, Scrubber};
use crate::request::endpoint::Endpoint;
use crate::request::facts::{Facts, Verdict};
use crate::request::inspector::Inspector;
use crate::shared::digest::{digest_of, hmac_sha256};
use crate::tier::classify::Gatherer;
use crate::tier::features::Features;

/// The outcome of [`inspect`].
#[derive(Default)]
pub struct Inspection {
    /// Whether the body may go on. Unless it is `Fine`, the rest is empty.
    pub verdict: Verdict,
    /// What the body says.
    pub facts: Facts,
    /// The personal data in it, and the body without.
    pub scrubbed: Scrubbed,
    /// A digest of the original body, then HMAC-SHA-256 of that of the body that leaves.
    pub digests: [[u8; 32]; 2],
}

/// The features that a body's tier is decided by; `None`: it has a fault.
pub fn features(body: &[u8], endpoint: Endpoint) -> Option<(Facts, Features)> {
    let body = simdutf8::basic::from_utf8(body).ok()?;
    let nothing = Policy::default();
    let mut inspector = Inspector::new(body, endpoint, Scrubber::new(body, &nothing, "", 0));
    inspector.gatherer = Some(Gatherer::default());
    inspector.walk().ok()?;
    let features = inspector.classify()?;
    (inspector.refusal == Verdict::Fine).then_some((inspector.facts, features))
}

/// The texts of a body that a recogniser is asked about, in their order: what a model reads of messages, system text,
/// and the arguments and results of tools. None if the body has a fault.
pub fn texts(body: &[u8], endpoint: Endpoint) -> Vec<PromptText> {
    let Ok(body) = simdutf8::basic::from_utf8(body) else { return Vec::new() };
    let nothing = Policy::default();
    let mut inspector = Inspector::new(body, endpoint, Scrubber::new(body, &nothing, "", 0));
    inspector.texts = Some(Texts::default());
    let walked = inspector.walk();
    walked.ok().and(inspector.texts).map_or(Vec::new(), |texts| texts.found)
}

/// Inspects `body`: checks it, reads what it says, and replaces the personal data that `policy` is about, of which
/// there may be at most `values_max` distinct values to restore. `scope`: whose they are. `recognised`: what a recogniser found
/// in its texts. `classify`: puts it in a tier too. `key` is for the digest of the body that leaves.
#[allow(clippy::too_many_arguments)]
pub fn inspect(
    body: &[u8],
    endpoint: Endpoint,
    policy: &Policy,
    scope: &str,
    recognised: &[Recognised],
    classify: bool,
    key: &[u8],
    values_max: usize,
) -> Inspection {
    match examine(body, endpoint, policy, scope, recognised, classify, values_max) {
        Ok((facts, scrubbed)) => {
            let plain = digest_of(&[body]);
            // Keyed over the digest: hashing a long body a second time would cost as much as all else together.
            let leaving = scrubbed.body.as_deref().map_or(plain, |body| digest_of(&[body]));
            let digests = [plain, hmac_sha256(key, &leaving)];
            Inspection { verdict: Verdict::Fine, facts, scrubbed, digests }
        }
        Err(verdict) => Inspection { verdict, ..Inspection::default() },
    }
}

fn examine(
    body: &[u8],
    endpoint: Endpoint,
    policy: &Policy,
    scope: &str,
    recognised: &[Recognised],
    classify: bool,
    values_max: usize,
) -> Result<(Facts, Scrubbed), Verdict> {
    if u32::try_from(body.len()).is_err() {
        return Err(Verdict::Invalid(u32::MAX as usize));
    }
    let body = simdutf8::compat::from_utf8(body).map_err(|error| Verdict::NotUtf8(error.valid_up_to()))?;
    let scrubber = Scrubber::new(body, policy, scope, values_max).with(recognised);
    let mut inspector = Inspector::new(body, endpoint, scrubber);
    inspector.gatherer = classify.then(Gatherer::default);
    inspector.walk().map_err(|fault| match fault {
        Fault::Grammar(at) => Verdict::Invalid(at),
        Fault::Depth(at) => Verdict::TooDeep(at),
    })?;
    if inspector.refusal != Verdict::Fine {
        return Err(inspector.refusal);
    }
    if let Some(at) = inspector.scrubber.excess() {
        return Err(Verdict::TooManyValues(at));
    }
    inspector.classify();
    inspector.note_question();
    Ok((inspector.facts, inspector.scrubber.finish()))
}
