//! How an inspection is laid out in the `Uint32Array` that JavaScript reads it from.
//!
//! Offsets and counts are bytes unless said otherwise; what does not fit 32 bits is clamped.

use crate::request::facts::Verdict;
use crate::request::field::Field;
use crate::request::inspect::Inspection;
use crate::shared::registers::{clamp, put};

/// Stands for a token limit that is not set.
pub const ABSENT: u32 = u32::MAX;
/// Registers of an inspection before its values, which take three each.
pub const INSPECT_HEAD: usize = 18;
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
