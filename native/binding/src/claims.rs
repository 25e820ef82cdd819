//! Requests of which one goes upstream, whichever thread has it.

use napi::Result;
use napi_derive::napi;
use sidegate_core::shared::claims::{Claimed, Claims, THREADS_MAX};
use sidegate_core::shared::registry::Registry;

use crate::invalid;

static CLAIMS: Registry<Claims> = Registry::new();

/// `claimsTake`: the key is the thread's.
#[napi]
pub const CLAIM_MINE: i32 = -1;
/// `claimsTake`: the key is held for another request.
#[napi]
pub const CLAIM_OTHER: i32 = -2;
/// Threads are told apart by their number, below this.
#[napi]
pub const CLAIM_THREADS: u32 = THREADS_MAX;

fn with<T>(id: u32, work: impl FnOnce(&mut Claims) -> T) -> Result<T> {
    CLAIMS.with(id, work).map_err(|_| invalid("no such table of claims"))
}

/// Opens a table in which no key is held, and gives its id. `name`: threads that open one of the same name share it,
/// until all have closed it.
#[napi(catch_unwind)]
pub fn claims_open(name: Option<String>) -> Result<u32> {
    CLAIMS.open(name.as_deref(), Claims::new()).ok_or_else(|| invalid("too many tables of claims"))
}

/// Claims a key for a thread: `CLAIM_MINE`; `CLAIM_OTHER`; otherwise the number of the thread that has it, and the one
/// that asked is among those to tell when it is given back. `note`: what the request is.
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn claims_take(id: u32, key: String, note: String, thread: u32) -> Result<i32> {
    with(id, |claims| match claims.claim(key.as_bytes(), note.as_bytes(), thread) {
        Claimed::Mine => CLAIM_MINE,
        Claimed::Other => CLAIM_OTHER,
        Claimed::Held(by) => by as i32,
    })
}

/// Gives a key back that the thread has; says who waits, a bit for each thread.
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn claims_give(id: u32, key: String, thread: u32) -> Result<u32> {
    with(id, |claims| claims.give_back(key.as_bytes(), thread))
}

/// Closes a table; one with a name stays for those who hold it still.
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn claims_close(id: u32) -> Result<()> {
    CLAIMS.close(id).map_err(|_| invalid("no such table of claims"))
}
