//! `inspectReply` and `replyText`.

use napi::bindgen_prelude::{BufferSlice, Uint32ArraySlice};
use napi::{Env, Result};
use napi_derive::napi;
use sidegate_core::reply::facts::ReplyFacts;
use sidegate_core::reply::read::{read, reply_text as text_of};
use sidegate_core::reply::registers::{REGISTERS, write};

use crate::numbers::Dialect;
use crate::require_room;

/// Looks a whole reply through.
///
/// `regs`: at least `replySize.REGISTERS`; see `ReplyRegister`. Its state is `MALFORMED` where it is no JSON object.
///
/// Throws on an unknown dialect or an array that is too short.
#[napi(catch_unwind)]
pub fn inspect_reply(body: &[u8], dialect: Dialect, mut regs: Uint32ArraySlice) -> Result<()> {
    require_room(regs.len(), REGISTERS)?;
    let reading = std::str::from_utf8(body).ok().and_then(|text| read(text, dialect.into()).ok());
    let reading = reading.filter(|reading| reading.object);
    // SAFETY: the body is not looked at any more, so this is the only view.
    write(0, &ReplyFacts::of(reading.as_ref()), unsafe { regs.as_mut() });
    Ok(())
}

/// The text of a whole reply, or of the beginning of one, decoded, at most 128 KiB of it. A copy, as `takeText` gives.
///
/// Throws on an unknown dialect.
#[napi(catch_unwind)]
pub fn reply_text<'env>(env: &'env Env, body: &[u8], dialect: Dialect) -> Result<BufferSlice<'env>> {
    BufferSlice::copy_from(env, text_of(body, dialect.into()))
}
