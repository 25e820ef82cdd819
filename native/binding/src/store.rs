//! Bounded stores of replies, shared by all threads of the process.

use napi::Result;
use napi::bindgen_prelude::{Buffer, Uint8ArraySlice, Uint32ArraySlice};
use napi_derive::napi;
use sidegate_core::shared::entry::{Key, Value};
use sidegate_core::shared::registry::Registry;
use sidegate_core::shared::store::{Bounds, Store};

use crate::{invalid, require_room};

static STORES: Registry<Store> = Registry::new();

fn with<T>(id: u32, work: impl FnOnce(&mut Store) -> T) -> Result<T> {
    STORES.with(id, work).map_err(|_| invalid("no such store"))
}

fn bounds(entries_max: u32, bytes_max: f64, ttl_ms: f64) -> Result<Bounds> {
    if !(bytes_max >= 0.0 && ttl_ms >= 0.0) {
        return Err(invalid("bytesMax and ttlMs must be numbers of at least 0"));
    }
    Ok(Bounds { entries_max: entries_max as usize, bytes_max: bytes_max as u64, ttl_ms })
}

/// Opens an empty store and gives its id, which is never used again. `name`: threads that open one of the same name share
/// it.
///
/// Throws unless `bytesMax` and `ttlMs` are numbers of at least 0.
#[napi(catch_unwind)]
pub fn store_open(entries_max: u32, bytes_max: f64, ttl_ms: f64, name: Option<String>) -> Result<u32> {
    let store = Store::new(bounds(entries_max, bytes_max, ttl_ms)?);
    STORES.open(name.as_deref(), store).ok_or_else(|| invalid("too many stores"))
}

/// Changes a store's bounds; what no longer fits goes: of the owner that holds most the longest unused entry.
///
/// Throws as `storeOpen`, and on an unknown id.
#[napi(catch_unwind)]
pub fn store_set(id: u32, entries_max: u32, bytes_max: f64, ttl_ms: f64) -> Result<()> {
    let bounds = bounds(entries_max, bytes_max, ttl_ms)?;
    with(id, |store| store.set(bounds))
}

/// Makes room for what a user of the store keeps of the same memory elsewhere: so many bytes from now on.
///
/// Throws on an unknown id, and unless `bytes` is a number of at least 0.
#[napi(catch_unwind)]
pub fn store_make_room(id: u32, user: u32, bytes: f64) -> Result<()> {
    if bytes.is_nan() || bytes < 0.0 {
        return Err(invalid("bytes must be a number of at least 0"));
    }
    with(id, |store| store.make_room(user, bytes as u64))
}

/// The first bytes of an array that is used again and again.
fn beginning(bytes: &[u8], length: u32) -> Result<&[u8]> {
    bytes.get(..length as usize).ok_or_else(|| invalid("the length is beyond the array's end"))
}

/// Looks a key of an owner up, the first `keyLength` bytes of `key`: false if it has no entry. Else `lengths` gets the bytes of
/// head and body, and `out` both, one after the other, if it has room for them.
///
/// Throws on an unknown id, unless `lengths` has two registers, and on a length beyond the key's end.
#[napi(catch_unwind)]
pub fn store_get(
    id: u32,
    owner: u32,
    key: &[u8],
    key_length: u32,
    now_ms: f64,
    mut lengths: Uint32ArraySlice,
    mut out: Uint8ArraySlice,
) -> Result<bool> {
    require_room(lengths.len(), 2)?;
    let key = Key::new(beginning(key, key_length)?);
    // Copied when the store's lock is free again.
    let Some(entry) = with(id, |store| store.get(owner, &key, now_ms).cloned())? else { return Ok(false) };
    // SAFETY: this call alone looks at the two arrays, one after the other.
    let heads = unsafe { lengths.as_mut() };
    heads[0] = entry.head().len() as u32;
    heads[1] = entry.body().len() as u32;
    let bytes = entry.bytes();
    if bytes.len() <= out.len() {
        // SAFETY: as above.
        let room = unsafe { out.as_mut() };
        room[..bytes.len()].copy_from_slice(bytes);
    }
    Ok(true)
}

/// Keeps head and body under a key of an owner, in place of what it had; of key and head only so many bytes count. What is larger
/// than the whole store is not kept.
///
/// Throws on an unknown id, and on a length beyond its array's end.
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments)]
pub fn store_put(
    id: u32,
    owner: u32,
    key: &[u8],
    key_length: u32,
    head: &[u8],
    head_length: u32,
    body: &[u8],
    now_ms: f64,
) -> Result<()> {
    let key = Key::new(beginning(key, key_length)?);
    let value = Value::new(beginning(head, head_length)?, body);
    with(id, |store| store.put(owner, key, value, now_ms))
}

/// Takes entries out as records for a snapshot, of each owner the longest unused first, until these have so many bytes;
/// empty if none are left.
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn store_drain(id: u32, bytes_max: u32) -> Result<Buffer> {
    with(id, |store| store.drain(bytes_max as usize).into())
}

/// Stores records that were drained, where they have not expired. `shiftMs` is added to their times. False, and the rest
/// left out: they aren't what was drained.
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn store_fill(id: u32, records: &[u8], shift_ms: f64, now_ms: f64) -> Result<bool> {
    with(id, |store| store.fill(records, shift_ms, now_ms))
}

/// Entries held.
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn store_size(id: u32) -> Result<u32> {
    with(id, |store| store.len() as u32)
}

/// Bytes held, an overhead for each entry included.
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn store_bytes(id: u32) -> Result<f64> {
    with(id, |store| store.bytes() as f64)
}
