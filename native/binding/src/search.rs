//! Indexes of the semantic cache, shared by all threads of the process.

use napi::Result;
use napi::bindgen_prelude::{Buffer, Float32ArraySlice, Float64ArraySlice};
use napi_derive::napi;
use sidegate_core::search::decide::{Decision, REASONS, Reason, Side, decide, decide_exactly, features_of};
use sidegate_core::search::features::names;
use sidegate_core::search::index::{CANDIDATES_MAX, DIMENSIONS_MAX, Index};
use sidegate_core::search::judge::{Candidate, judge, served};
use sidegate_core::search::model::Effort;
use sidegate_core::search::table::{DIMENSIONS, table};
use sidegate_core::search::vector::Vector;
use sidegate_core::shared::registry::Registry;

use crate::{invalid, require_room};

static INDEXES: Registry<Index> = Registry::new();

/// Registers of each candidate: entry, similarity, score, verdict, reason.
const REGISTERS: usize = 5;
/// The largest number of an entry: the last before a `number` of JavaScript skips some.
const ENTRY_MAX: f64 = 9_007_199_254_740_991.0;

fn with<T>(id: u32, work: impl FnOnce(&mut Index) -> T) -> Result<T> {
    INDEXES.with(id, work).map_err(|_| invalid("no such index"))
}

fn bytes_of(bytes_max: f64) -> Result<usize> {
    if bytes_max >= 0.0 { Ok(bytes_max as usize) } else { Err(invalid("bytesMax must be at least 0")) }
}

fn entry_of(entry: f64) -> Result<u64> {
    let sound = (0.0..=ENTRY_MAX).contains(&entry) && entry.fract() == 0.0;
    if sound { Ok(entry as u64) } else { Err(invalid("an entry's number must be a safe integer from 0")) }
}

/// Two texts that stand one after the other in an array that is used again and again. Bytes that are no UTF-8 are not
/// text, and equal none.
fn two(bytes: &[u8], first: u32, second: u32) -> Result<(&[u8], &str)> {
    let (first, second) = (first as usize, second as usize);
    let end = first.checked_add(second).filter(|&end| end <= bytes.len());
    let end = end.ok_or_else(|| invalid("the lengths are beyond the array's end"))?;
    Ok((&bytes[..first], std::str::from_utf8(&bytes[first..end]).unwrap_or("")))
}

/// The vector that was passed, otherwise the text's own.
fn vector_of(text: &str, given: Option<&[f32]>) -> Option<Vector> {
    match given {
        Some(numbers) if numbers.len() > DIMENSIONS_MAX => None,
        Some(numbers) => Vector::from_numbers(numbers),
        None => Vector::of_text(text),
    }
}

/// Opens an empty index and gives its id, which is never used again. `dimensions`: of its vectors, 256 for those of
/// the built-in table. `name`: threads that open one of the same name share it, until all have closed it.
///
/// Throws unless `bytesMax` is at least 0 and `dimensions` are from 1 to 4096.
#[napi(catch_unwind)]
pub fn search_open(bytes_max: f64, dimensions: u32, name: Option<String>) -> Result<u32> {
    if !(1..=DIMENSIONS_MAX).contains(&(dimensions as usize)) {
        return Err(invalid("dimensions must be from 1 to 4096"));
    }
    let index = Index::new(bytes_of(bytes_max)?, dimensions as usize);
    INDEXES.open(name.as_deref(), index).ok_or_else(|| invalid("too many indexes"))
}

/// Changes an index's bound; the longest unused entries that no longer fit go.
///
/// Throws on an unknown id, and unless `bytesMax` is at least 0.
#[napi(catch_unwind)]
pub fn search_set(id: u32, bytes_max: f64) -> Result<()> {
    let bytes_max = bytes_of(bytes_max)?;
    with(id, |index| index.set(bytes_max))
}

/// Takes entries out as records for a snapshot, the longest unused first, until these have so many bytes; empty if none
/// are left.
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn search_drain(id: u32, bytes_max: u32) -> Result<Buffer> {
    with(id, |index| index.drain(bytes_max as usize).into())
}

/// Stores records that were drained from an index of as many dimensions. False, and the rest left out: they aren't that.
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn search_fill(id: u32, records: &[u8]) -> Result<bool> {
    with(id, |index| index.fill(records))
}

/// Closes an index and gives its memory back.
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn search_close(id: u32) -> Result<()> {
    INDEXES.close(id).map_err(|_| invalid("no such index"))
}

/// Stores a question of an owner under the caller's number for its reply. `bytes`: the scope, then the question. `vector`: of
/// another embedder, otherwise the built-in one is asked. False, and nothing stored: see `Index::insert`.
///
/// Throws on an unknown id, on lengths beyond the array's end, and unless `entry` is a safe integer from 0.
#[napi(catch_unwind)]
pub fn search_insert(
    id: u32,
    owner: u32,
    entry: f64,
    bytes: &[u8],
    scope_length: u32,
    text_length: u32,
    vector: Option<Float32ArraySlice>,
) -> Result<bool> {
    let (scope, text) = two(bytes, scope_length, text_length)?;
    let entry = entry_of(entry)?;
    match vector_of(text, vector.as_deref()) {
        Some(vector) => with(id, |index| index.insert(owner, scope, entry, text, &vector)),
        None => with(id, |index| index.remove(entry)).map(|_| false),
    }
}

/// Embeds a question, looks for stored ones of its scope and decides on each, in one call. `bytes` and `vector` as for
/// `searchInsert`. `out` gets five registers for each of at most 16 candidates, as many as it has room for, the surest
/// first: entry, similarity, score, verdict (0 same, 1 unsure, 2 different), reason (`searchReasons`). `unsure`: who is
/// unsure is of use; otherwise they may be told as different, which takes less time.
///
/// Returns how many there are. Throws on an unknown id, and on lengths beyond the array's end.
#[napi(catch_unwind)]
pub fn search_find(
    id: u32,
    bytes: &[u8],
    scope_length: u32,
    text_length: u32,
    mut out: Float64ArraySlice,
    unsure: bool,
    vector: Option<Float32ArraySlice>,
) -> Result<u32> {
    let (scope, text) = two(bytes, scope_length, text_length)?;
    let count = (out.len() / REGISTERS).min(CANDIDATES_MAX);
    let found = match vector_of(text, vector.as_deref()) {
        Some(vector) => {
            let alike = with(id, |index| index.nearest(scope, &vector, count))?;
            // Judging takes longer than the search, and needs nothing of the index.
            let found = judge(text, &alike, if unsure { Effort::Full } else { Effort::Served });
            if let Some(entry) = served(&found) {
                with(id, |index| index.used(entry))?;
            }
            found
        }
        None => with(id, |_| Vec::new())?,
    };
    // SAFETY: the other arrays are not looked at any more, so this is the only view even of memory they share.
    let registers = unsafe { out.as_mut() };
    for (candidate, registers) in found.iter().zip(registers.chunks_exact_mut(REGISTERS)) {
        let Candidate { entry, similarity, decision } = candidate;
        registers[0] = *entry as f64;
        registers[1] = f64::from(*similarity);
        write_decision(decision, &mut registers[2..]);
    }
    Ok(found.len() as u32)
}

fn write_decision(decision: &Decision, registers: &mut [f64]) {
    registers[0] = f64::from(decision.score);
    registers[1] = f64::from(decision.verdict as u8);
    registers[2] = decision.reason.number() as f64;
}

/// Drops an entry; false if there was none.
///
/// Throws on an unknown id, and unless `entry` is a safe integer from 0.
#[napi(catch_unwind)]
pub fn search_remove(id: u32, entry: f64) -> Result<bool> {
    let entry = entry_of(entry)?;
    with(id, |index| index.remove(entry))
}

/// Drops all entries of a scope, the first `scopeLength` bytes of `bytes`; says how many there were.
///
/// Throws on an unknown id, and on a length beyond the array's end.
#[napi(catch_unwind)]
pub fn search_remove_scope(id: u32, bytes: &[u8], scope_length: u32) -> Result<u32> {
    let (scope, _) = two(bytes, scope_length, 0)?;
    with(id, |index| index.remove_scope(scope) as u32)
}

/// The question stored under a number; null if there is none.
///
/// Throws on an unknown id, and unless `entry` is a safe integer from 0.
#[napi(catch_unwind)]
pub fn search_text(id: u32, entry: f64) -> Result<Option<String>> {
    let entry = entry_of(entry)?;
    with(id, |index| index.text(entry).map(String::from))
}

/// Whether a question is stored under a number.
///
/// Throws on an unknown id, and unless `entry` is a safe integer from 0.
#[napi(catch_unwind)]
pub fn search_has(id: u32, entry: f64) -> Result<bool> {
    let entry = entry_of(entry)?;
    with(id, |index| index.text(entry).is_some())
}

/// Entries held.
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn search_size(id: u32) -> Result<u32> {
    with(id, |index| index.len() as u32)
}

/// Bytes held, an overhead for each entry included, without the token table.
///
/// Throws on an unknown id.
#[napi(catch_unwind)]
pub fn search_bytes(id: u32) -> Result<f64> {
    with(id, |index| index.bytes() as f64)
}

/// Bytes of the token table and of its index, which is built by the first text that is embedded.
#[napi(catch_unwind)]
pub fn search_table_bytes() -> f64 {
    table().bytes() as f64
}

/// Embeds a text, the first `length` bytes of `bytes`: `out` gets 256 numbers, whose vector has length 1. False: it
/// has no word that the table knows.
///
/// Throws on a length beyond the array's end, and unless `out` has room for 256.
#[napi(catch_unwind)]
pub fn search_embed(bytes: &[u8], length: u32, mut out: Float32ArraySlice) -> Result<bool> {
    require_room(out.len(), DIMENSIONS)?;
    let (_, text) = two(bytes, 0, length)?;
    let Some(vector) = Vector::of_text(text) else { return Ok(false) };
    // SAFETY: `bytes` isn't looked at any more, so this is the only view even of memory they share.
    let numbers = unsafe { out.as_mut() };
    for (number, &part) in numbers.iter_mut().zip(&vector.parts) {
        *number = f32::from(part) * vector.scale;
    }
    Ok(true)
}

/// Decides on two questions, which stand one after the other in `bytes`: `out` gets score, verdict and reason, as for
/// `searchFind`.
///
/// Throws on lengths beyond the array's end, and unless `out` has three registers.
#[napi(catch_unwind)]
pub fn search_decide(
    bytes: &[u8],
    cached_length: u32,
    asked_length: u32,
    mut out: Float64ArraySlice,
) -> Result<()> {
    require_room(out.len(), 3)?;
    let (cached, asked) = two(bytes, cached_length, asked_length)?;
    let cached = std::str::from_utf8(cached).unwrap_or("");
    let decision = decide(&Side::read(cached), &Side::read(asked));
    // SAFETY: `bytes` isn't looked at any more, so this is the only view even of memory they share.
    write_decision(&decision, unsafe { out.as_mut() });
    Ok(())
}

/// Names of what decides, by the numbers of `searchFind` and `searchDecide`.
#[napi(catch_unwind)]
pub fn search_reasons() -> Vec<String> {
    REASONS.iter().map(|name| String::from(*name)).collect()
}

/// Names of the features that the model judges a pair by.
#[napi(catch_unwind)]
pub fn search_feature_names() -> Vec<String> {
    names()
}

/// What the model is trained on: of two questions, which stand one after the other in `bytes`, the features, the number
/// of the first's tokens, and the tokens of both. Empty: facts, such as numbers, decide it.
///
/// Throws on lengths beyond the array's end.
#[napi(catch_unwind)]
pub fn search_sample(bytes: &[u8], cached_length: u32, asked_length: u32) -> Result<Vec<f64>> {
    let (cached, asked) = two(bytes, cached_length, asked_length)?;
    let (cached, asked) = (Side::read(std::str::from_utf8(cached).unwrap_or("")), Side::read(asked));
    if decide_exactly(&cached, &asked).is_some_and(|decision| decision.reason != Reason::Turned) {
        return Ok(Vec::new());
    }
    let mut sample: Vec<f64> =
        features_of(&cached, &asked).iter().map(|&feature| f64::from(feature)).collect();
    sample.push(cached.tokens().len() as f64);
    sample.extend(cached.tokens().iter().chain(asked.tokens()).map(|&piece| f64::from(piece)));
    Ok(sample)
}
