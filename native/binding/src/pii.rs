//! Kinds of personal data, and finders of them.

use std::sync::{PoisonError, RwLock};

use napi::Result;
use napi_derive::napi;
use sidegate_core::pii::finder::Finder;
use sidegate_core::pii::kinds::{KINDS, KindSet};

use crate::invalid;

/// Finders by number, shared by all threads: one for each set of kinds requested so far. None is ever closed, so none
/// disappears while a request uses it.
static FINDERS: RwLock<Vec<(KindSet, &'static Finder)>> = RwLock::new(Vec::new());
/// Far more sets than reloads of a configuration ever produce.
const FINDERS_MAX: usize = 4096;

/// A kind of personal data.
#[napi(object)]
pub struct PiiKind {
    /// In the configuration and in metrics.
    pub name: String,
    /// The name of its count in log lines.
    pub counted: String,
    /// `EMAIL` for placeholders such as `[EMAIL_1]`.
    pub placeholder: String,
    /// One of it, within a sentence.
    pub one: String,
    /// Several, at a sentence's beginning.
    pub several: String,
    /// Masked unless configured otherwise.
    pub on: bool,
}

/// All kinds of personal data, by number.
#[napi]
pub fn pii_kinds() -> Vec<PiiKind> {
    let text = String::from;
    KINDS
        .iter()
        .map(|kind| PiiKind {
            name: text(kind.name),
            counted: text(kind.counted),
            placeholder: text(kind.placeholder),
            one: text(kind.one),
            several: text(kind.several),
            on: kind.on,
        })
        .collect()
}

/// Gives the number of the finder that looks for these kinds, by their names.
///
/// Throws on a name that is no kind's, and once there are 4,096 different sets.
#[napi]
pub fn pii_finder(kinds: Vec<String>) -> Result<u32> {
    let kinds = KindSet::named(kinds.iter().map(String::as_str));
    let kinds = kinds.ok_or_else(|| invalid("no such kind of personal data"))?;
    let mut finders = FINDERS.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = finders.iter().position(|&(others, _)| others == kinds) {
        return Ok(known as u32);
    }
    if finders.len() == FINDERS_MAX {
        return Err(invalid("too many sets of kinds of personal data"));
    }
    finders.push((kinds, Box::leak(Box::new(Finder::new(kinds)))));
    Ok(finders.len() as u32 - 1)
}

/// The finder of a number.
pub(crate) fn finder(number: u32) -> Result<&'static Finder> {
    let finders = FINDERS.read().unwrap_or_else(PoisonError::into_inner);
    finders.get(number as usize).map(|&(_, finder)| finder).ok_or_else(|| invalid("no such finder"))
}
