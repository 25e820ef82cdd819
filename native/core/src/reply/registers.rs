//! Layout of a reply's facts in the `Uint32Array` that JavaScript reads.

use crate::reply::facts::ReplyFacts;
use crate::reply::reading::Usage;
use crate::shared::registers::put;

/// What each register holds. Counts that were not stated are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// What the scanner's last call did; 0 for a whole reply.
    Call,
    /// Bits of [`crate::reply::facts::state`].
    State,
    /// Input tokens.
    Input,
    /// Output tokens.
    Output,
    /// Input tokens read from the provider's cache.
    Cached,
    /// Input tokens written to it.
    CacheWrite,
    /// Number of the [`crate::reply::reading::Finish`].
    Finish,
    /// Bytes of reply text.
    TextBytes,
    /// Events of a stream.
    Events,
    /// Those of them that were taken out.
    Stripped,
    /// Input tokens for sound or images.
    MediaInput,
    /// Output tokens for images.
    MediaOutput,
    /// Sound that was heard, in ms.
    SoundMs,
    /// Searches that are billed.
    Searches,
}

/// How many registers there are.
pub const REGISTERS: usize = Register::Searches as usize + 1;

/// Writes the facts of a reply; `registers` must hold [`REGISTERS`].
pub fn write(call: u32, facts: &ReplyFacts, registers: &mut [u32]) {
    let Usage { input, output, cached, created, media_input, media_output, sound_ms } = facts.usage;
    let stated = |count: Option<u32>| count.unwrap_or_default();
    // In the order of `Register`.
    let all: [u32; REGISTERS] = [
        call,
        facts.state,
        stated(input),
        stated(output),
        stated(cached),
        stated(created),
        facts.finish as u32,
        facts.text_bytes,
        facts.events,
        facts.stripped,
        stated(media_input),
        stated(media_output),
        stated(sound_ms),
        facts.searches,
    ];
    put(registers, &all);
}
