//! The native core as seen from JavaScript: thin shells, no logic.
//!
//! Times are monotonic milliseconds. Offsets are bytes. Arguments of the wrong kind throw. So does a defect, a panic:
//! each function catches it, since one that left a function called by Node would end the process.

pub mod breaker;
pub mod claims;
pub mod cross_encoder;
pub mod digest;
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
pub mod socket;
pub mod store;

use napi::{Error, Result, Status};

/// What a panic says may quote a request, so only its place is told.
#[napi_derive::module_init]
fn init() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        eprintln!("sidegate: a defect in the native core at {place}; please report it");
    }));
}

fn invalid(reason: &str) -> Error {
    Error::new(Status::InvalidArg, reason)
}

/// Refuses an array that results would not fit.
fn require_room(have: usize, need: usize) -> Result<()> {
    if have < need { Err(invalid("the array for the results is too short")) } else { Ok(()) }
}
