//! Personal data: its kinds, and what a configuration does with them.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use napi::bindgen_prelude::{BufferSlice, Uint32ArraySlice};
use napi::{Env, Result};
use napi_derive::napi;
use sidegate_core::pii::custom::Custom;
use sidegate_core::pii::document::scrub_document as scrub;
use sidegate_core::pii::finder::Finding;
use sidegate_core::pii::kinds::KINDS;
use sidegate_core::pii::policy::{Action, CustomKind, KINDS_MAX, Policy};
use sidegate_core::pii::recognised::Recognised;
use sidegate_core::pii::scrub::values_in;
use sidegate_core::pii::stream::Stream;
use sidegate_core::request::inspect::texts;

use crate::numbers::{Endpoint, PiiAction};
use crate::{invalid, require_room};

/// A kind of personal data.
#[napi(object)]
pub struct PiiKind {
    /// In the configuration, logs and metrics, and in capitals in placeholders.
    pub name: String,
    /// One of it, within a sentence.
    pub one: String,
    /// Several, at a sentence's beginning.
    pub several: String,
    /// A credential, which is never restored.
    pub secret: bool,
    /// Replaced unless configured otherwise.
    pub on: bool,
    /// Found by an external recogniser only.
    pub recognised: bool,
}

/// All kinds of personal data, by number.
#[napi(catch_unwind)]
pub fn pii_kinds() -> Vec<PiiKind> {
    let text = String::from;
    KINDS
        .iter()
        .map(|kind| PiiKind {
            name: text(kind.name),
            one: text(kind.one),
            several: text(kind.several),
            secret: kind.secret,
            on: kind.on,
            recognised: kind.recognised,
        })
        .collect()
}

/// What is done with the values of a kind.
#[napi(object)]
pub struct PiiRule {
    /// The kind's name.
    pub name: String,
    /// What becomes of its values.
    pub action: PiiAction,
    /// A regular expression that defines a kind of the configuration's own.
    pub pattern: Option<String>,
    /// Words that define one.
    pub words: Option<Vec<String>>,
}

/// Policies in use by their numbers, so that another thread can ask for one.
static NUMBERED: LazyLock<Mutex<Numbered>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Numbered {
    last: u32,
    policies: HashMap<u32, Weak<Policy>>,
}

impl Numbered {
    fn add(&mut self, policy: &Arc<Policy>) -> u32 {
        self.policies.retain(|_, policy| policy.strong_count() > 0);
        self.last = self.last.wrapping_add(1);
        self.policies.insert(self.last, Arc::downgrade(policy));
        self.last
    }
}

fn numbered<T>(work: impl FnOnce(&mut Numbered) -> T) -> T {
    work(&mut NUMBERED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What is looked for, and what becomes of it. Freed with its last user: an object in JavaScript, or a stream.
#[napi]
pub struct PiiPolicy {
    policy: Arc<Policy>,
    number: u32,
}

#[napi]
impl PiiPolicy {
    /// `rules`: kinds that are not named are off. `allowed`: values that stay as they are, in any case. `key`: of what
    /// placeholders are made of. Throws where a kind is unknown or a pattern can't be searched for in linear time.
    #[napi(constructor, catch_unwind)]
    pub fn new(rules: Vec<PiiRule>, allowed: Vec<String>, key: &[u8]) -> Result<Self> {
        let mut actions = Vec::new();
        let mut custom = Vec::new();
        for PiiRule { name, action, pattern, words } in rules {
            let action = Action::from(action);
            let found = match (pattern, words) {
                (Some(pattern), _) => Custom::pattern(&pattern),
                (None, Some(words)) => Custom::words(words.iter().map(String::as_str)),
                (None, None) => {
                    actions.push((name, action));
                    continue;
                }
            };
            let found = found.map_err(|why| invalid(&format!("{name}: {why}")))?;
            custom.push(CustomKind { name, custom: found, action });
        }
        let actions: Vec<_> = actions.iter().map(|(name, action)| (name.as_str(), *action)).collect();
        let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
        let policy = Policy::new(&actions, custom, &allowed, key).map_err(|why| invalid(&why))?;
        let policy = Arc::new(policy);
        let number = numbered(|all| all.add(&policy));
        Ok(PiiPolicy { policy, number })
    }

    /// Its number, by which another thread can ask for it while it is in use.
    #[napi(getter, catch_unwind)]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The policy with this number, which any thread of the process uses. Throws if none is in use.
    #[napi(factory, catch_unwind)]
    pub fn numbered(number: u32) -> Result<Self> {
        let found = numbered(|all| all.policies.get(&number).and_then(Weak::upgrade));
        let policy = found.ok_or_else(|| invalid("no such policy"))?;
        Ok(PiiPolicy { policy, number })
    }
}

impl PiiPolicy {
    /// The policy itself.
    pub(crate) fn inner(&self) -> &Policy {
        &self.policy
    }
}

/// The values in a text: for each its kind's number, then where it begins and ends, in bytes of UTF-8. `label`: what the
/// text is called. `recognised`: what a recogniser found in it, as for `inspect`. Throws on a recognised value without a
/// kind.
#[napi(catch_unwind)]
pub fn pii_find(
    policy: &PiiPolicy,
    text: String,
    label: String,
    recognised: Option<Uint32ArraySlice>,
) -> Result<Vec<u32>> {
    let mut recognised = recognised_from(recognised.as_deref())?;
    recognised.iter_mut().for_each(|value| value.string = 0);
    let found = values_in(policy.inner(), &text, &label, &recognised);
    let numbers = |Finding { kind, range }: Finding| [u32::from(kind), range.start as u32, range.end as u32];
    Ok(found.into_iter().flat_map(numbers).collect())
}

/// Registers of a value that a recogniser found.
const RECOGNISED: usize = 4;

/// Values that a recogniser found: for each the number of its string, its kind's number, and where it begins and ends.
/// Throws where there is no such kind, or the list ends in the middle of a value.
pub(crate) fn recognised_from(values: Option<&[u32]>) -> Result<Vec<Recognised>> {
    let read = |value: &[u32]| match *value {
        [string, kind, start, end] if (kind as usize) < KINDS.len() => {
            Ok(Recognised { string, kind: kind as u8, range: start as usize..end as usize })
        }
        _ => Err(invalid("recognised holds no such values")),
    };
    values.unwrap_or_default().chunks(RECOGNISED).map(read).collect()
}

/// What a recogniser is asked about.
#[napi(object)]
pub struct PromptTexts {
    /// What the strings say.
    pub texts: Vec<String>,
    /// The number of each among the body's strings, rising.
    pub strings: Vec<u32>,
}

/// The texts of a request's body that a recogniser is asked about, in their order. None if the body has a fault. Throws on
/// an unknown endpoint.
#[napi(catch_unwind)]
pub fn prompt_texts(body: &[u8], endpoint: Endpoint) -> PromptTexts {
    let found = texts(body, endpoint.into());
    let strings = found.iter().map(|text| text.string).collect();
    PromptTexts { strings, texts: found.into_iter().map(|text| text.text).collect() }
}

/// A text that comes in pieces, whose values are replaced.
#[napi]
pub struct PiiStream {
    policy: Arc<Policy>,
    scope: String,
    stream: Stream,
}

#[napi]
impl PiiStream {
    /// `scope`: whose values they are.
    #[napi(constructor, catch_unwind)]
    pub fn new(policy: &PiiPolicy, scope: String) -> Self {
        PiiStream { policy: Arc::clone(&policy.policy), scope, stream: Stream::default() }
    }

    /// Takes a piece in, and gives out what no later piece can change; `last`: all of it.
    #[napi(catch_unwind)]
    pub fn push(&mut self, piece: String, last: bool) -> String {
        self.stream.push(&self.policy, &self.scope, &piece, last)
    }

    /// How often a value of each kind occurred, by its number; empty if nothing was found.
    #[napi(catch_unwind)]
    pub fn counts(&self) -> Vec<u32> {
        self.stream.counts.clone()
    }
}

/// How many kinds there may be, those of a configuration included.
#[napi]
pub const PII_KINDS_MAX: u32 = KINDS_MAX as u32;

/// Replaces the values in all strings of a JSON document. `scope`: whose they are. `counts`: at least [`PII_KINDS_MAX`]
/// registers, for how often a value of each kind occurs; unset where this gives 0 for it.
///
/// Returns the edited document if something was replaced. Throws if the registers are too few.
#[napi(catch_unwind)]
pub fn scrub_document<'env>(
    env: &'env Env,
    body: &[u8],
    policy: &PiiPolicy,
    scope: &[u8],
    mut counts: Uint32ArraySlice,
) -> Result<Option<BufferSlice<'env>>> {
    require_room(counts.len(), KINDS_MAX)?;
    let scope = std::str::from_utf8(scope).map_err(|_| invalid("scope must be UTF-8"))?;
    let Some(scrubbed) = scrub(body, policy.inner(), scope) else { return Ok(None) };
    // SAFETY: the document is not looked at any more, so this is the only view of memory they might share.
    let counts = unsafe { counts.as_mut() };
    counts[..KINDS_MAX].fill(0);
    counts.iter_mut().zip(&scrubbed.counts).for_each(|(register, count)| *register = *count);
    scrubbed.body.map(|edited| BufferSlice::from_data(env, edited)).transpose()
}
