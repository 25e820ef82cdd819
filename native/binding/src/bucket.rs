//! Token buckets, shared by all threads of the process.

use napi::{Error, Result};
use napi_derive::napi;
use sidegate_core::bucket::{BadCost, BadRate, Bucket, Take};
use sidegate_core::registry::Registry;

use crate::invalid;

static BUCKETS: Registry<Bucket> = Registry::new();

fn with<T>(id: u32, work: impl FnOnce(&mut Bucket) -> T) -> Result<T> {
    BUCKETS.with(id, work).map_err(|_| invalid("no such bucket"))
}

fn bad_rate(_: BadRate) -> Error {
    invalid("capacity and perSecond must be finite and above 0")
}

/// Opens a full bucket and gives its id, which is never used again.
///
/// Throws unless `capacity` and `perSecond` (tokens) are finite and above 0.
#[napi]
pub fn bucket_open(capacity: f64, per_second: f64, now_ms: f64) -> Result<u32> {
    let bucket = Bucket::new(capacity, per_second, now_ms).map_err(bad_rate)?;
    BUCKETS.open(bucket).ok_or_else(|| invalid("too many buckets"))
}

/// Changes a bucket's size and rate; its level stays, but for what no longer fits.
///
/// Throws as `bucketOpen`, and on an unknown id.
#[napi]
pub fn bucket_set(id: u32, capacity: f64, per_second: f64, now_ms: f64) -> Result<()> {
    with(id, |bucket| bucket.set(capacity, per_second, now_ms))?.map_err(bad_rate)
}

/// Reserves `cost` tokens: 0 granted; above 0 the ms to wait until it could be; -1 never, as it is above the
/// capacity.
///
/// Throws on an unknown id, and unless `cost` is a number of at least 0.
#[napi]
pub fn bucket_take(id: u32, cost: f64, now_ms: f64) -> Result<f64> {
    let take = with(id, |bucket| bucket.take(cost, now_ms))?;
    match take.map_err(|BadCost| invalid("cost must be a number of at least 0"))? {
        Take::Granted => Ok(0.0),
        Take::WaitMs(wait_ms) => Ok(wait_ms),
        Take::Never => Ok(-1.0),
    }
}

/// Ends a granted reservation, once: gives back what was not used, or debits what was used beyond it, below 0
/// if need be.
///
/// What makes no sense (not finite, below 0) is as if all that was reserved had been used. Throws on an
/// unknown id.
#[napi]
pub fn bucket_settle(id: u32, reserved: f64, used: f64, now_ms: f64) -> Result<()> {
    with(id, |bucket| bucket.settle(reserved, used, now_ms))
}

/// How many tokens could be taken now; negative while in debt.
///
/// Throws on an unknown id.
#[napi]
pub fn bucket_level(id: u32, now_ms: f64) -> Result<f64> {
    with(id, |bucket| bucket.level(now_ms))
}

/// Closes a bucket.
///
/// Throws on an unknown id.
#[napi]
pub fn bucket_close(id: u32) -> Result<()> {
    BUCKETS.close(id).map_err(|_| invalid("no such bucket"))
}
