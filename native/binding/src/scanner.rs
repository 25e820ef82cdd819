//! `SseScanner`.

use napi::bindgen_prelude::{BufferSlice, Uint32ArraySlice};
use napi::{Env, Result};
use napi_derive::napi;
use sidegate_core::reply::registers::{REGISTERS, write};
use sidegate_core::reply::sse::{Output, Scanner};

use crate::numbers::Dialect;
use crate::require_room;

/// Bits of what a call did.
pub mod call {
    /// Forward the chunk as it is.
    pub const PASS: u32 = 1;
    /// Forward the returned buffer instead.
    pub const OUTPUT: u32 = 2;
    /// An event was completed.
    pub const EVENT: u32 = 4;
}

/// Follows a provider's event stream: whole events go on with their bytes unchanged, incomplete ones are held
/// back.
///
/// Once an error, malformed data or an event that is too large has been seen, it and all that follows is
/// dropped; so is what follows the end of the stream (`[DONE]`, `message_stop`).
#[napi]
pub struct SseScanner {
    scanner: Scanner,
}

#[napi]
impl SseScanner {
    /// `stripUsage`: OpenAI's final event, which holds only the usage, is left out. `maxEventBytes`: how large an
    /// event may be. `maxTextBytes`: how much of the reply's text is kept; more than 128 KiB is taken as 128 KiB.
    /// `choices`: how many choices must have ended, unless the last event says that the reply has.
    ///
    /// Throws on an unknown dialect.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        dialect: Dialect,
        strip_usage: bool,
        max_event_bytes: u32,
        max_text_bytes: u32,
        choices: u32,
    ) -> Self {
        let scanner = Scanner::new(dialect.into(), strip_usage, max_event_bytes as usize);
        SseScanner { scanner: scanner.keeping(max_text_bytes as usize).awaiting(choices) }
    }

    /// The next bytes of the stream.
    ///
    /// `regs`: at least `replySize.REGISTERS`; see `ReplyRegister`. `Call` has bits of `scannerCall`; neither `PASS` nor
    /// `OUTPUT`: nothing to forward.
    ///
    /// Throws on an array that is too short.
    #[napi(catch_unwind)]
    pub fn push<'env>(
        &mut self,
        env: &'env Env,
        chunk: &[u8],
        regs: Uint32ArraySlice,
    ) -> Result<Option<BufferSlice<'env>>> {
        self.step(env, Some(chunk), regs)
    }

    /// The stream has ended: a last event that lacks its blank line is taken as complete, and given with it.
    ///
    /// `regs`: as for `push`.
    #[napi(catch_unwind)]
    pub fn finish<'env>(
        &mut self,
        env: &'env Env,
        regs: Uint32ArraySlice,
    ) -> Result<Option<BufferSlice<'env>>> {
        self.step(env, None, regs)
    }

    /// After an error or malformed data: the provider's message, or else the data; at most 2,048 bytes.
    #[napi(catch_unwind)]
    pub fn error_text(&self) -> String {
        self.scanner.error_text()
    }

    /// The reply's text so far, decoded, as much as is kept of it; it is not kept any longer.
    ///
    /// A copy: memory of the core can't be handed to another thread, and would be freed with the next collection only.
    #[napi(catch_unwind)]
    pub fn take_text<'env>(&mut self, env: &'env Env) -> Result<BufferSlice<'env>> {
        BufferSlice::copy_from(env, self.scanner.take_text())
    }

    /// The model that the stream says answers, as its JSON spells it; empty: it names none.
    #[napi(catch_unwind)]
    pub fn model(&self) -> String {
        self.scanner.model().to_owned()
    }

    /// Anthropic: the number of the content block that has begun and not ended, or -1.
    #[napi(catch_unwind)]
    pub fn open_block(&self) -> i64 {
        self.scanner.facts().open_block.map_or(-1, i64::from)
    }

    fn step<'env>(
        &mut self,
        env: &'env Env,
        chunk: Option<&[u8]>,
        mut regs: Uint32ArraySlice,
    ) -> Result<Option<BufferSlice<'env>>> {
        require_room(regs.len(), REGISTERS)?;
        let before = self.scanner.facts().events;
        let output = match chunk {
            Some(chunk) => self.scanner.push(chunk),
            None => self.scanner.finish(),
        };
        let (mut bits, buffer) = match output {
            Output::Nothing => (0, None),
            Output::Pass => (call::PASS, None),
            Output::Bytes(bytes) => (call::OUTPUT, Some(BufferSlice::copy_from(env, bytes)?)),
        };
        self.scanner.rest();
        let facts = self.scanner.facts();
        bits |= if facts.events != before { call::EVENT } else { 0 };
        // SAFETY: the chunk is not looked at any more, so this is the only view even of memory they share.
        write(bits, facts, unsafe { regs.as_mut() });
        Ok(buffer)
    }
}
