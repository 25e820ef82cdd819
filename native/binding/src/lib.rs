//! The native core as seen from JavaScript: thin shells, no logic.
//!
//! Times are monotonic milliseconds. Offsets are bytes. Arguments of the wrong kind throw.

pub mod breaker;
pub mod cross_encoder;
pub mod inspect;
pub mod leases;
pub mod memory;
pub mod meters;
pub mod numbers;
pub mod pii;
pub mod reply;
pub mod retry_budget;
pub mod scanner;
pub mod search;
pub mod store;

use napi::{Error, Result, Status};

fn invalid(reason: &str) -> Error {
    Error::new(Status::InvalidArg, reason)
}

/// Refuses an array that results would not fit.
fn require_room(have: usize, need: usize) -> Result<()> {
    if have < need { Err(invalid("the array for the results is too short")) } else { Ok(()) }
}
