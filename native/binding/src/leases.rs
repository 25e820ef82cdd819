//! Leases of meters: the part of a limit that this process holds of one that pods share.

use napi::Result;
use napi::bindgen_prelude::Float64ArraySlice;
use napi_derive::napi;
use sidegate_core::limits::leases::{GRANT, REPORT, VIEW};

use crate::meters::{UNKNOWN, bad_rate, with};
use crate::{invalid, require_room};

/// Has pods share the limit of a meter that nothing was taken from; one that they share stays as it is.
///
/// `share`: this process' part of it while Redis is gone; `equal`: an equal part; both above 0 and at most 1.
/// `advance`: what it may admit before the first grant. Throws on an unknown id, and where a number makes no
/// sense.
#[napi(catch_unwind)]
pub fn lease_open(table: u32, id: f64, share: f64, equal: f64, advance: f64, now_ms: f64) -> Result<()> {
    let shared =
        with(table, |meters| meters.get(id).map(|meter| meter.share(share, equal, advance, now_ms)))?;
    shared.ok_or_else(|| invalid(UNKNOWN))?.map_err(bad_rate)
}

/// Redis is gone, or is back. Throws, as all that follows, on an unknown table.
#[napi(catch_unwind)]
pub fn leases_alone(table: u32, alone: bool) -> Result<()> {
    with(table, |meters| meters.set_alone(alone))
}

/// Whether a lease would rather report before its turn, since this was last asked.
#[napi(catch_unwind)]
pub fn leases_urgent(table: u32) -> Result<bool> {
    with(table, |meters| meters.urgent())
}

/// Reads what leases have to report, those that waited longest first. Gives how many were written.
///
/// `out`: entries of ten numbers, documented at `Meters::report` in `native/core/src/limits/leases.rs`.
#[napi(catch_unwind)]
pub fn leases_report(table: u32, mut out: Float64ArraySlice, horizon_ms: f64, now_ms: f64) -> Result<u32> {
    // SAFETY: this is the only view, and no JavaScript runs until it is gone.
    let out = unsafe { out.as_mut() };
    with(table, |meters| meters.report(out, horizon_ms, now_ms) as u32)
}

/// What one lease has to report, with a cost that waits for the answer; false: there is no such lease.
///
/// Throws when the array is too short.
#[napi(catch_unwind)]
pub fn lease_report(
    table: u32,
    id: f64,
    cost: f64,
    mut out: Float64ArraySlice,
    horizon_ms: f64,
    now_ms: f64,
) -> Result<bool> {
    require_room(out.len(), REPORT)?;
    // SAFETY: as above.
    let out = unsafe { out.as_mut() };
    with(table, |meters| meters.report_one(id, cost, out, horizon_ms, now_ms))
}

/// Adopts answers of Redis: `count` times thirteen numbers, documented at `Meters::grant`.
///
/// Throws when the array is too short.
#[napi(catch_unwind)]
pub fn leases_grant(table: u32, entries: Float64ArraySlice, count: u32, now_ms: f64) -> Result<()> {
    let length = count as usize * GRANT;
    require_room(entries.len(), length)?;
    with(table, |meters| meters.grant(&entries[..length], now_ms))
}

/// Has a meter go on at its share until its next grant, since Redis has something else under its key.
#[napi(catch_unwind)]
pub fn lease_detach(table: u32, id: f64) -> Result<()> {
    with(table, |meters| meters.detach(id))
}

/// Reads what people see of a lease: used by all, left, held here, held by all, frees at; false: there is no such
/// lease. Throws when the array is too short.
#[napi(catch_unwind)]
pub fn lease_view(table: u32, id: f64, mut out: Float64ArraySlice, now_ms: f64) -> Result<bool> {
    require_room(out.len(), VIEW)?;
    let mut view = [0.0; VIEW];
    let found = with(table, |meters| meters.view(id, &mut view, now_ms))?;
    // SAFETY: as above.
    let out = unsafe { out.as_mut() };
    out[..VIEW].copy_from_slice(&view);
    Ok(found)
}

/// Whether a cost is so large that the limit can't be sliced for it, so that Redis is to be asked: not for what it
/// refused a moment ago.
#[napi(catch_unwind)]
pub fn lease_asks(table: u32, id: f64, cost: f64, now_ms: f64) -> Result<bool> {
    with(table, |meters| meters.asks(id, cost, now_ms))
}
