//! How results are laid out in the `Uint32Array` that JavaScript reads them from.
//!
//! Offsets and counts are bytes unless said otherwise; what does not fit 32 bits is clamped.

use crate::facts::Verdict;
use crate::field::Field;
use crate::inspect::Inspection;
use crate::reply::{Reading, Usage};
use crate::stream::StreamFacts;

/// Stands for a token limit that is not set.
pub const ABSENT: u32 = u32::MAX;
/// Registers of an inspection before its values, which take three each.
pub const INSPECT_HEAD: usize = 18;
/// Registers of a reply.
pub const REPLY: usize = 12;
/// Registers of a stream.
pub const STREAM: usize = 13;

/// How many distinct values fit so many registers.
pub fn values_max(registers: usize) -> usize {
    registers.saturating_sub(INSPECT_HEAD) / 3
}

/// Writes an inspection; `registers` must hold `INSPECT_HEAD` and three for each value.
///
/// ```text
/// 0      status: 0 fine, 1 not JSON, 2 not UTF-8, 3 nested too deeply, 4 a field twice, 5 not an object,
///        6 a field of the wrong type, 7 too many values
/// 1      offset of the fault in the original body
/// 2      number of the field, for 4 and 6
/// 3, 4   start and end of the model inside its quotes; 0, 0 if absent
/// 5      bits of `facts::flag`
/// 6      token limit, or `ABSENT`
/// 7      n, 1 if absent
/// 8      prompt text: UTF-8 bytes
/// 9      prompt text: code points
/// 10     prompt text: strings
/// 11, 12 start and end of the value of stream_options, null too; 0, 0 if absent
/// 13     offset after the first brace
/// 14     count of top-level members
/// 15     distinct values
/// 16     occurrences of e-mail addresses
/// 17     occurrences of card numbers
/// 18 …   for each value: kind (1 e-mail, 2 card) in the upper 8 bits, number in the lower 24;
///        start and end of its first occurrence, raw, in the original body
/// ```
///
/// 3, 4, 11, 12 and 13 are offsets of the body that leaves. After a fault, all but 0 to 2 are as for an empty
/// body.
pub fn write_inspection(inspection: &Inspection, registers: &mut [u32]) {
    let facts = &inspection.facts;
    let scrubbed = &inspection.scrubbed;
    let (status, at, field) = status(inspection.verdict);
    let moved = |offset: usize| clamp(scrubbed.moved(offset));
    let span = |span: Option<(usize, usize)>| span.map_or((0, 0), |(start, end)| (moved(start), moved(end)));
    let model = span(facts.model);
    let stream_options = span(facts.stream_options);
    let head: [u32; INSPECT_HEAD] = [
        status,
        clamp(at),
        field,
        model.0,
        model.1,
        facts.flags,
        facts.max_completion_tokens.or(facts.max_tokens).unwrap_or(ABSENT),
        facts.n.unwrap_or(1),
        clamp(facts.text_bytes),
        clamp(facts.text_chars),
        clamp(facts.text_spans),
        stream_options.0,
        stream_options.1,
        moved(facts.insert_at),
        clamp(facts.fields),
        clamp(scrubbed.values.len()),
        scrubbed.emails,
        scrubbed.cards,
    ];
    put(registers, &head);
    let values = registers.get_mut(INSPECT_HEAD..).unwrap_or_default();
    for (three, value) in values.chunks_exact_mut(3).zip(&scrubbed.values) {
        let name = (value.kind as u32) << 24 | value.number;
        put(three, &[name, clamp(value.raw.start), clamp(value.raw.end)]);
    }
}

fn status(verdict: Verdict) -> (u32, usize, u32) {
    let none = Field::default() as u32;
    match verdict {
        Verdict::Fine => (0, 0, none),
        Verdict::Invalid(at) => (1, at, none),
        Verdict::NotUtf8(at) => (2, at, none),
        Verdict::TooDeep(at) => (3, at, none),
        Verdict::Duplicate(field, at) => (4, at, field as u32),
        Verdict::NotAnObject(at) => (5, at, none),
        Verdict::WrongType(field, at) => (6, at, field as u32),
        Verdict::TooManyValues(at) => (7, at, none),
    }
}

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

fn put(registers: &mut [u32], values: &[u32]) {
    for (register, value) in registers.iter_mut().zip(values) {
        *register = *value;
    }
}

fn clamp(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
