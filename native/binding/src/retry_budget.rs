//! Retry budgets, shared by all threads of the process.

use napi::{Error, Result};
use napi_derive::napi;
use sidegate_core::resilience::retry_budget::{BadBudget, RetryBudget};
use sidegate_core::shared::registry::Registry;

use crate::invalid;

static BUDGETS: Registry<RetryBudget> = Registry::new();

fn with<T>(id: u32, work: impl FnOnce(&mut RetryBudget) -> T) -> Result<T> {
    BUDGETS.with(id, work).map_err(|_| invalid("no such budget"))
}

fn bad_budget(_: BadBudget) -> Error {
    invalid("ratio and minPerSecond must be finite and at least 0")
}

/// Opens a retry budget and gives its id, which is never used again.
///
/// Over ten seconds, calls beyond the first may be `ratio` of the requests, or `minPerSecond` if that is more.
/// `name`: threads that open one of the same name share it, until all have closed it.
/// Throws unless both are finite and at least 0.
#[napi(catch_unwind)]
pub fn retries_open(ratio: f64, min_per_second: f64, name: Option<String>) -> Result<u32> {
    let budget = RetryBudget::new(ratio, min_per_second).map_err(bad_budget)?;
    BUDGETS.open(name.as_deref(), budget).ok_or_else(|| invalid("too many budgets"))
}

/// Changes a budget's numbers; what was counted stays.
///
/// Throws as `retriesOpen`, and on an unknown id.
#[napi(catch_unwind)]
pub fn retries_set(id: u32, ratio: f64, min_per_second: f64) -> Result<()> {
    with(id, |budget| budget.set(ratio, min_per_second))?.map_err(bad_budget)
}

/// Counts a request.
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn retries_request(id: u32, now_ms: f64) -> Result<()> {
    with(id, |budget| budget.request(now_ms))
}

/// Takes one extra call from the budget; false: it is used up.
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn retries_spend(id: u32, now_ms: f64) -> Result<bool> {
    with(id, |budget| budget.spend(now_ms))
}

/// Closes a budget.
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn retries_close(id: u32) -> Result<()> {
    BUDGETS.close(id).map_err(|_| invalid("no such budget"))
}
