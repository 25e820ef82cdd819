//! `inspectReply` and `replyText`.

use napi::Result;
use napi::bindgen_prelude::{Buffer, Uint32ArraySlice};
use napi_derive::napi;
use sidegate_core::reply::read::{Dialect, read, reply_text as text_of};
use sidegate_core::reply::registers::{REPLY, write_reply};

use crate::{invalid, require_room};

/// Looks a whole reply through.
///
/// `dialect`: 0 OpenAI, 1 Anthropic, 2 any other, 3 Gemini, 4 Cohere's rerank and embed, 10 OpenAI's endpoints
/// beside chat.
/// `regs`: at least 12 registers; the layout is documented at `write_reply` in `native/core/src/reply/registers.rs`.
///
/// Throws on an unknown dialect or an array that is too short.
#[napi]
pub fn inspect_reply(body: &[u8], dialect: u32, mut regs: Uint32ArraySlice) -> Result<()> {
    let dialect = Dialect::from_number(dialect).ok_or_else(|| invalid("no such dialect"))?;
    require_room(regs.len(), REPLY)?;
    let reading = std::str::from_utf8(body).ok().and_then(|text| read(text, dialect).ok());
    let reading = reading.filter(|reading| reading.object);
    // SAFETY: the body is not looked at any more, so this is the only view.
    write_reply(reading.as_ref(), unsafe { regs.as_mut() });
    Ok(())
}

/// The text of a whole reply, or of the beginning of one, decoded, at most 1 MiB of it.
///
/// `dialect`: as for `inspectReply`.
///
/// Throws on an unknown dialect.
#[napi]
pub fn reply_text(body: &[u8], dialect: u32) -> Result<Buffer> {
    let dialect = Dialect::from_number(dialect).ok_or_else(|| invalid("no such dialect"))?;
    Ok(text_of(body, dialect).into())
}
