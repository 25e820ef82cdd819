//! Circuit breakers, shared by all threads of the process.

use napi::{Error, Result};
use napi_derive::napi;
use sidegate_core::breaker::{Admission, BadSettings, Breaker, Outcome};
use sidegate_core::registry::Registry;

use crate::invalid;

static BREAKERS: Registry<Breaker> = Registry::new();

fn with<T>(id: u32, work: impl FnOnce(&mut Breaker) -> T) -> Result<T> {
    BREAKERS.with(id, work).map_err(|_| invalid("no such breaker"))
}

fn bad_settings(_: BadSettings) -> Error {
    invalid("failures must be at least 1, and cooldownMs finite and at least 0")
}

/// Opens (in the sense of: makes) a closed breaker and gives its id, which is never used again.
///
/// `failures`: how many in a row open it. `cooldownMs`: how long until a probe is let through.
/// Throws unless `failures` is at least 1 and `cooldownMs` finite and at least 0.
#[napi]
pub fn breaker_open(failures: u32, cooldown_ms: f64) -> Result<u32> {
    let breaker = Breaker::new(failures, cooldown_ms).map_err(bad_settings)?;
    BREAKERS.open(breaker).ok_or_else(|| invalid("too many breakers"))
}

/// Changes a breaker's numbers and keeps its state.
///
/// Throws as `breakerOpen`, and on an unknown id.
#[napi]
pub fn breaker_set(id: u32, failures: u32, cooldown_ms: f64) -> Result<()> {
    with(id, |breaker| breaker.set(failures, cooldown_ms))?.map_err(bad_settings)
}

/// Asks to let a call through: at least 0, it may, and this is the ticket for its report; below 0, it may
/// not, and a probe may go in so many ms (at least 1).
///
/// Throws on an unknown id.
#[napi]
pub fn breaker_admit(id: u32, now_ms: f64) -> Result<f64> {
    with(id, |breaker| match breaker.admit(now_ms) {
        Admission::Ticket(ticket) => f64::from(ticket),
        Admission::OpenMs(open_ms) => -open_ms,
    })
}

/// Reports what became of an admitted call. True if the breaker's state changed by it.
///
/// `outcome`: 0 success, 1 failure, 2 abandoned (nothing was learned). Reports of tickets from before the
/// last change of state are ignored.
/// Throws on an unknown id or outcome.
#[napi]
pub fn breaker_report(id: u32, ticket: f64, outcome: u32, now_ms: f64) -> Result<bool> {
    let outcome = Outcome::from_number(outcome).ok_or_else(|| invalid("no such outcome"))?;
    // What is below 0 is no ticket, and becomes 0, which is none either.
    with(id, |breaker| breaker.report(ticket as u32, outcome, now_ms))
}

/// 0 closed, 1 open, 2 half-open: the cooldown is over or a probe under way.
///
/// Throws on an unknown id.
#[napi]
pub fn breaker_state(id: u32, now_ms: f64) -> Result<u32> {
    with(id, |breaker| breaker.state(now_ms) as u32)
}

/// Closes (in the sense of: removes) a breaker.
///
/// Throws on an unknown id.
#[napi]
pub fn breaker_close(id: u32) -> Result<()> {
    BREAKERS.close(id).map_err(|_| invalid("no such breaker"))
}
