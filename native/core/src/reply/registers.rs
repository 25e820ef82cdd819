//! Layout of a reply's facts in the `Uint32Array` that JavaScript reads.

use crate::reply::facts::ReplyFacts;
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
    /// Of the tokens written to the provider's cache: for an hour.
    CacheWriteHour,
    /// Number of the [`crate::reply::reading::Service`].
    Service,
    /// What the provider charges, in nano-dollars: the lower 32 bits.
    CostLow,
    /// The upper 32 bits.
    CostHigh,
    /// Of the output tokens: spent on reasoning.
    Reasoning,
    /// Of a whole reply: where the name begins of the model that it says answered.
    ModelStart,
    /// Where it ends; 0: it names none.
    ModelEnd,
    /// Tokens of the longest of several prompts.
    LongestPrompt,
}

/// How many registers there are.
pub const REGISTERS: usize = Register::LongestPrompt as usize + 1;

/// Writes the facts of a reply; `registers` must hold [`REGISTERS`].
pub fn write(call: u32, facts: &ReplyFacts, registers: &mut [u32]) {
    let usage = facts.usage;
    let nano_usd = usage.nano_usd.unwrap_or_default();
    let (model_start, model_end) = facts.model.unwrap_or_default();
    let stated = |count: Option<u32>| count.unwrap_or_default();
    let more = usage.compaction.unwrap_or_default();
    let with = |count: Option<u32>, more: u32| stated(count).saturating_add(more);
    // In the order of `Register`.
    let all: [u32; REGISTERS] = [
        call,
        facts.state,
        with(usage.input, more.input),
        with(usage.output, more.output),
        with(usage.cached, more.cached),
        with(usage.created, more.created),
        facts.finish as u32,
        facts.text_bytes,
        facts.events,
        facts.stripped,
        stated(usage.media_input),
        stated(usage.media_output),
        stated(usage.sound_ms),
        facts.searches,
        with(usage.created_hour, more.created_hour),
        facts.service as u32,
        nano_usd as u32,
        (nano_usd >> 32) as u32,
        stated(usage.reasoning),
        model_start as u32,
        model_end as u32,
        stated(usage.longest_prompt),
    ];
    put(registers, &all);
}
