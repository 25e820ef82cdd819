//! Circuit breakers, shared by all threads of the process.

use napi::{Error, Result};
use napi_derive::napi;
use sidegate_core::resilience::breaker::{Admission, BadSettings, Breaker, Hint, Settings};
use sidegate_core::shared::registry::Registry;

use crate::invalid;
use crate::numbers::{BreakerOutcome, BreakerState};

static BREAKERS: Registry<Breaker> = Registry::new();

fn with<T>(id: u32, work: impl FnOnce(&mut Breaker) -> T) -> Result<T> {
    BREAKERS.with(id, work).map_err(|_| invalid("no such breaker"))
}

fn bad_settings(_: BadSettings) -> Error {
    invalid("a breaker's settings are out of range")
}

/// Tells a probe's ticket from others, which are below it.
#[napi]
pub const BREAKER_PROBE: f64 = 4_294_967_296.0;

/// When a breaker opens, and for how long; `Settings` in `native/core/src/resilience/breaker.rs` says what is in range.
#[napi(object)]
pub struct BreakerSettings {
    /// Failures in a row that open it.
    pub failures: u32,
    /// Share of failures in the window that opens it.
    pub rate: f64,
    /// With fewer calls in the window the share of failures is ignored; 0: it is always ignored.
    pub calls_min: u32,
    pub window_ms: f64,
    /// How long until a probe is let through; doubled each time it opens again.
    pub cooldown_ms: f64,
    pub cooldown_max_ms: f64,
    /// A probe that has not reported after this time is given up.
    pub probe_max_ms: f64,
    /// Failures must come from this many sources.
    pub sources_min: u32,
}

impl From<BreakerSettings> for Settings {
    fn from(given: BreakerSettings) -> Settings {
        let BreakerSettings { failures, rate, calls_min, window_ms, .. } = given;
        let BreakerSettings { cooldown_ms, cooldown_max_ms, probe_max_ms, sources_min, .. } = given;
        Settings {
            failures,
            rate,
            calls_min,
            window_ms,
            cooldown_ms,
            cooldown_max_ms,
            probe_max_ms,
            sources_min,
        }
    }
}

/// Opens (in the sense of: makes) a closed breaker and gives its id, which is never used again. `name`: threads that open
/// one of the same name share it, until all have closed it.
///
/// Throws on settings that are out of range.
#[napi(catch_unwind)]
pub fn breaker_open(settings: BreakerSettings, name: Option<String>) -> Result<u32> {
    let breaker = Breaker::new(settings.into()).map_err(bad_settings)?;
    BREAKERS.open(name.as_deref(), breaker).ok_or_else(|| invalid("too many breakers"))
}

/// Changes a breaker's settings and keeps its state.
///
/// Throws as `breakerOpen`, and on an unknown id.
#[napi(catch_unwind)]
pub fn breaker_set(id: u32, settings: BreakerSettings) -> Result<()> {
    with(id, |breaker| breaker.set(settings.into()))?.map_err(bad_settings)
}

/// Asks to let a call through: at least 0, it may, and this is the ticket for its report (from `BREAKER_PROBE`: it is
/// the one probe); below 0, it may not, and a probe may go in that many ms (at least 1).
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn breaker_admit(id: u32, now_ms: f64) -> Result<f64> {
    with(id, |breaker| match breaker.admit(now_ms) {
        Admission::Ticket(ticket) => f64::from(ticket),
        Admission::Probe(ticket) => BREAKER_PROBE + f64::from(ticket),
        Admission::OpenMs(open_ms) => -open_ms,
    })
}

/// Reports what became of an admitted call. True if the breaker's state changed by it.
///
/// Reports of tickets from before the
/// last change of state are ignored, and so are those for a breaker that was closed: a call may outlast it.
/// `source`: which of several the call went to.
/// Throws on an unknown outcome.
#[napi(catch_unwind)]
pub fn breaker_report(
    id: u32,
    ticket: f64,
    outcome: BreakerOutcome,
    source: u32,
    now_ms: f64,
) -> Result<bool> {
    // What is below 0 is no ticket, and becomes 0, which is none either.
    let ticket = if ticket >= BREAKER_PROBE { ticket - BREAKER_PROBE } else { ticket };
    let report = |breaker: &mut Breaker| breaker.report(ticket as u32, outcome.into(), source, now_ms);
    Ok(BREAKERS.with(id, report).unwrap_or(false))
}

/// Takes a peer's word: `down`, its breaker opened; else its probe succeeded. Neither opens nor closes this one.
///
/// `spread`, from 0 to 1: a random number, by which the probes of peers are moved apart.
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn breaker_hint(id: u32, down: bool, spread: f64, now_ms: f64) -> Result<()> {
    let hint = if down { Hint::Down } else { Hint::Up };
    with(id, |breaker| breaker.hint(hint, spread, now_ms))
}

/// The state; half-open: the cooldown is over or a probe under way.
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn breaker_state(id: u32, now_ms: f64) -> Result<BreakerState> {
    with(id, |breaker| breaker.state(now_ms).into())
}

/// Closes (in the sense of: removes) a breaker.
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn breaker_close(id: u32) -> Result<()> {
    BREAKERS.close(id).map_err(|_| invalid("no such breaker"))
}
