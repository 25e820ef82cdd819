//! Meters of limits and budgets: tables of them, shared by all threads of the process.

use napi::bindgen_prelude::Float64ArraySlice;
use napi::{Error, Result};
use napi_derive::napi;
use sidegate_core::limits::decision::BadRate;
use sidegate_core::limits::entry::{ENTRY, SETTLE, SWEEP};
use sidegate_core::limits::meter::Meter;
use sidegate_core::limits::meters::{Fault, Meters};
use sidegate_core::limits::settings::Settings;
use sidegate_core::shared::registry::Registry;

use crate::numbers::MeterAlgorithm;
use crate::{invalid, require_room};

static TABLES: Registry<Meters> = Registry::new();

pub(crate) fn with<T>(table: u32, work: impl FnOnce(&mut Meters) -> T) -> Result<T> {
    TABLES.with(table, work).map_err(|_| invalid("no such table of meters"))
}

/// Opens an empty table of meters and gives its number, which is never used again. `name`: threads that open one of the
/// same name share it, until all have closed it.
#[napi(catch_unwind)]
pub fn meters_open(name: Option<String>) -> Result<u32> {
    TABLES.open(name.as_deref(), Meters::new()).ok_or_else(|| invalid("too many tables of meters"))
}

/// Closes a table with all its meters.
///
/// Throws, as all that follows but `meterSettle`, on an unknown table.
#[napi(catch_unwind)]
pub fn meters_close(table: u32) -> Result<()> {
    TABLES.close(table).map_err(|_| invalid("no such table of meters"))
}

pub(crate) fn bad_rate(_: BadRate) -> Error {
    invalid("capacity and rate must be finite and above 0, the soft share above 0 and at most 1")
}

pub(crate) const UNKNOWN: &str = "no such meter";

/// Opens a meter that nothing was taken from, and gives its id, which is never used again.
///
/// `rate`: refill or drain per second, or the window's ms; else ignored. `name`: if one of that name is open, it gets
/// these settings, and the result is minus its id; it stays until it is closed as often as it was opened.
/// Throws where a number makes no sense.
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments)]
pub fn meter_open(
    table: u32,
    algorithm: MeterAlgorithm,
    capacity: f64,
    rate: f64,
    soft_share: f64,
    now_ms: f64,
    name: Option<String>,
) -> Result<f64> {
    let settings = Settings { capacity, rate, soft_share };
    let meter = Meter::new(algorithm.into(), settings, now_ms).map_err(bad_rate)?;
    let opened = with(table, |meters| match name {
        None => meters.open(meter),
        Some(name) => meters.open_named(&name, meter, settings, now_ms),
    })?;
    opened.ok_or_else(|| invalid("too many meters"))
}

/// Changes a meter's capacity, rate (not a window's length) and soft share; its level stays.
///
/// Throws as `meterOpen`, and on an unknown id.
#[napi(catch_unwind)]
pub fn meter_set(table: u32, id: f64, capacity: f64, rate: f64, soft_share: f64, now_ms: f64) -> Result<()> {
    let settings = Settings { capacity, rate, soft_share };
    let set = with(table, |meters| meters.get(id).map(|meter| meter.set(settings, now_ms)))?;
    set.ok_or_else(|| invalid(UNKNOWN))?.map_err(bad_rate)
}

/// Decides over a request: takes every entry's cost, or none.
///
/// `entries`: `count` of them, each as `MeterAsked`. Gives the ms after which the request may start; below 0, minus the number of the entry that refuses; NaN when a
/// meter is unknown. Throws when a cost is no number of at least 0, or the array is too short.
#[napi(catch_unwind)]
pub fn meter_admit(
    table: u32,
    mut entries: Float64ArraySlice,
    count: u32,
    delay_max_ms: f64,
    now_ms: f64,
) -> Result<f64> {
    let length = count as usize * ENTRY;
    require_room(entries.len(), length)?;
    // SAFETY: this is the only view, and no JavaScript runs until it is gone.
    let entries = unsafe { entries.as_mut() };
    match with(table, |meters| meters.admit(&mut entries[..length], delay_max_ms, now_ms))? {
        Ok(delay_ms) => Ok(delay_ms),
        Err(Fault::Unknown(_)) => Ok(f64::NAN),
        Err(Fault::BadCost(_)) => Err(invalid("a cost must be a number of at least 0")),
    }
}

/// Ends reserves with what was really used.
///
/// `entries`: `count` of them, each as `MeterSettled`. What is settled after its table was closed changes nothing. Throws when the array is too short.
#[napi(catch_unwind)]
pub fn meter_settle(table: u32, mut entries: Float64ArraySlice, count: u32, now_ms: f64) -> Result<()> {
    let length = count as usize * SETTLE;
    require_room(entries.len(), length)?;
    // SAFETY: this is the only view, and no JavaScript runs until it is gone.
    let entries = unsafe { entries.as_mut() };
    // Nobody is left whom it would matter to.
    let _ = with(table, |meters| meters.settle(&mut entries[..length], now_ms));
    Ok(())
}

/// Lets go of those meters that would be the same if made anew; `leads`: only of those that nobody else holds.
///
/// `entries`: `count` of them, each as `MeterSwept`.
/// Throws when the array is too short.
#[napi(catch_unwind)]
pub fn meter_sweep(
    table: u32,
    mut entries: Float64ArraySlice,
    count: u32,
    leads: bool,
    now_ms: f64,
) -> Result<()> {
    let length = count as usize * SWEEP;
    require_room(entries.len(), length)?;
    // SAFETY: this is the only view, and no JavaScript runs until it is gone.
    let entries = unsafe { entries.as_mut() };
    with(table, |meters| meters.sweep(&mut entries[..length], leads, now_ms))
}

/// What could be taken from a meter now; negative while in debt.
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn meter_left(table: u32, id: f64, now_ms: f64) -> Result<f64> {
    with(table, |meters| meters.left(id, now_ms))?.ok_or_else(|| invalid(UNKNOWN))
}

/// Adds what is known to have been spent of a budget in a window that is not over.
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn meter_restore(table: u32, id: f64, window: f64, spent: f64) -> Result<()> {
    if with(table, |meters| meters.restore(id, window, spent))? { Ok(()) } else { Err(invalid(UNKNOWN)) }
}

/// Reads budgets that have changed since they were last read, an entry for each as `MeterChanged`.
/// Gives how many were written; fewer than there is room for once no more have changed.
#[napi(catch_unwind)]
pub fn meter_changed(table: u32, mut out: Float64ArraySlice) -> Result<u32> {
    // SAFETY: this is the only view, and no JavaScript runs until it is gone.
    let out = unsafe { out.as_mut() };
    with(table, |meters| meters.changed(out) as u32)
}

/// Closes a meter; one with a name stays for those who hold it still.
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn meter_close(table: u32, id: f64) -> Result<()> {
    if with(table, |meters| meters.close(id))? { Ok(()) } else { Err(invalid(UNKNOWN)) }
}
