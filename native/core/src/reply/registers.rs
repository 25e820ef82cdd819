//! How a reply or a stream is laid out in the `Uint32Array` that JavaScript reads it from.

use crate::reply::reading::{Reading, Usage};
use crate::reply::stream_facts::StreamFacts;
use crate::shared::registers::put;

/// Registers of a reply.
pub const REPLY: usize = 12;
/// Registers of a stream.
pub const STREAM: usize = 13;

/// Writes what a reply says, or `None` if it is not a JSON object.
///
/// ```text
/// 0 status: 0 read, 1 not a JSON object
/// 1 flags: 1 error, 2 tool call, 4 refusal, 8 usage
/// 2 input tokens
/// 3 output tokens
/// 4 input tokens read from the provider's cache
/// 5 input tokens written to it
/// 6 number of the `Finish`
/// 7 bytes of reply text
/// 8 input tokens for sound or images
/// 9 output tokens for images
/// 10 sound that was heard, in ms
/// 11 searches that are billed
/// ```
pub fn write_reply(reading: Option<&Reading>, registers: &mut [u32]) {
    let Some(reading) = reading else {
        return put(registers, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    };
    let bits = [(reading.error, 1), (reading.tool, 2), (reading.refusal, 4), (reading.usage_seen, 8)];
    let flags = bits.iter().map(|&(set, bit)| if set { bit } else { 0 }).sum();
    let [input, output, cached, created] = tokens(&reading.usage);
    let [heard, drawn, sound_ms] = media(&reading.usage);
    let finish = reading.finish as u32;
    let searches = reading.searches.unwrap_or(0);
    let text = reading.text_bytes;
    put(
        registers,
        &[0, flags, input, output, cached, created, finish, text, heard, drawn, sound_ms, searches],
    );
}

/// Writes what is known of a stream.
///
/// ```text
/// 0      flags of this call, as given
/// 1      bits of `stream::state`
/// 2 to 7 as for a reply
/// 8      events
/// 9      those of them that were taken out
/// 10 to 12 as 8 to 10 of a reply
/// ```
pub fn write_stream(call: u32, facts: &StreamFacts, registers: &mut [u32]) {
    let [input, output, cached, created] = tokens(&facts.usage);
    let [heard, drawn, sound_ms] = media(&facts.usage);
    let finish = facts.finish as u32;
    put(
        registers,
        &[
            call,
            facts.state,
            input,
            output,
            cached,
            created,
            finish,
            facts.text_bytes,
            facts.events,
            facts.stripped,
            heard,
            drawn,
            sound_ms,
        ],
    );
}

fn tokens(usage: &Usage) -> [u32; 4] {
    [usage.input, usage.output, usage.cached, usage.created].map(Option::unwrap_or_default)
}

fn media(usage: &Usage) -> [u32; 3] {
    [usage.media_input, usage.media_output, usage.sound_ms].map(Option::unwrap_or_default)
}
