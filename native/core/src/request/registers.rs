//! How an inspection is laid out in the `Uint32Array` that JavaScript reads it from.
//!
//! Offsets and counts are bytes unless said otherwise; what does not fit 32 bits is clamped.

use crate::pii::policy::KINDS_MAX;
use crate::request::facts::Verdict;
use crate::request::field::Field;
use crate::request::inspect::Inspection;
use crate::shared::registers::{clamp, put};

/// Stands for a token limit that is not set.
pub const ABSENT: u32 = u32::MAX;

/// What each register holds. After a fault, all but the first three are as for an empty body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// Number of the [`Status`].
    Status,
    /// Offset of the fault in the original body.
    FaultAt,
    /// Number of the field that stands twice or has the wrong type.
    FaultField,
    /// Start of the model inside its quotes, in the body that leaves; 0 if absent.
    ModelStart,
    /// Its end.
    ModelEnd,
    /// Bits of [`crate::request::facts::flag`].
    Flags,
    /// The token limit, or [`ABSENT`].
    TokensMax,
    /// `n`; 1 if absent.
    Choices,
    /// UTF-8 bytes of prompt text.
    TextBytes,
    /// Code points of it.
    TextChars,
    /// Strings of it.
    TextSpans,
    /// Start of the value of `stream_options`, null too, in the body that leaves; 0 if absent.
    StreamOptionsStart,
    /// Its end.
    StreamOptionsEnd,
    /// Where the first top-level member may be put in the body that leaves.
    FirstField,
    /// Top-level members.
    Fields,
    /// Start of the question's raw bytes, in the original body; 0 if there is none.
    QuestionStart,
    /// Their end.
    QuestionEnd,
    /// Images in the prompt.
    Images,
    /// Distinct values of personal data that are to be restored.
    Values,
    /// How often values of any kind occur.
    Found,
    /// The first of the counts by kind: how often a value of each occurs, unset if nothing was found. Behind them come
    /// four registers for each distinct value: start and end of its first placeholder in the body that leaves, then
    /// start and end of its first occurrence, raw, in the original body.
    Counts,
}

/// What becomes of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It may go on.
    Fine,
    /// Not JSON.
    Invalid,
    /// Not UTF-8.
    NotUtf8,
    /// Nested too deeply.
    TooDeep,
    /// A field stands twice.
    Duplicate,
    /// Not an object.
    NotAnObject,
    /// A field has the wrong type.
    WrongType,
    /// Too many distinct values of personal data.
    TooManyValues,
    /// Too many stop sequences.
    TooManyStops,
}

/// Registers of an inspection before its values.
pub const INSPECT_HEAD: usize = COUNTS + KINDS_MAX;
const COUNTS: usize = Register::Counts as usize;
/// Registers of a value.
pub const VALUE: usize = 4;

/// How many distinct values fit so many registers.
pub fn values_max(registers: usize) -> usize {
    registers.saturating_sub(INSPECT_HEAD) / VALUE
}

/// Writes an inspection; `registers` must hold `INSPECT_HEAD` and `VALUE` for each value.
pub fn write_inspection(inspection: &Inspection, registers: &mut [u32]) {
    let facts = &inspection.facts;
    let scrubbed = &inspection.scrubbed;
    let (status, at, field) = status(inspection.verdict);
    let moved = |offset: usize| clamp(scrubbed.moved(offset));
    let span = |span: Option<(usize, usize)>| span.map_or((0, 0), |(start, end)| (moved(start), moved(end)));
    let model = span(facts.model);
    let stream_options = span(facts.stream_options);
    let question = facts.question.unwrap_or_default();
    // In the order of `Register`.
    let head: [u32; COUNTS] = [
        status as u32,
        clamp(at),
        field,
        model.0,
        model.1,
        facts.flags,
        facts.max_completion_tokens.max(facts.max_tokens).unwrap_or(ABSENT),
        // Whoever takes 0 gives one.
        facts.n.map_or(1, |n| n.max(1)),
        clamp(facts.text_bytes),
        clamp(facts.text_chars),
        clamp(facts.text_spans),
        stream_options.0,
        stream_options.1,
        moved(facts.insert_at),
        clamp(facts.fields),
        clamp(question.0),
        clamp(question.1),
        clamp(facts.images),
        clamp(scrubbed.values.len()),
        scrubbed.counts.iter().sum(),
    ];
    put(registers, &head);
    put(registers.get_mut(COUNTS..).unwrap_or_default(), &scrubbed.counts);
    let values = registers.get_mut(INSPECT_HEAD..).unwrap_or_default();
    for (four, value) in values.chunks_exact_mut(VALUE).zip(&scrubbed.values) {
        let offsets = [value.placeholder.start, value.placeholder.end, value.raw.start, value.raw.end];
        put(four, &offsets.map(clamp));
    }
}

fn status(verdict: Verdict) -> (Status, usize, u32) {
    let none = Field::default() as u32;
    match verdict {
        Verdict::Fine => (Status::Fine, 0, none),
        Verdict::Invalid(at) => (Status::Invalid, at, none),
        Verdict::NotUtf8(at) => (Status::NotUtf8, at, none),
        Verdict::TooDeep(at) => (Status::TooDeep, at, none),
        Verdict::Duplicate(field, at) => (Status::Duplicate, at, field as u32),
        Verdict::NotAnObject(at) => (Status::NotAnObject, at, none),
        Verdict::WrongType(field, at) => (Status::WrongType, at, field as u32),
        Verdict::TooManyValues(at) => (Status::TooManyValues, at, none),
        Verdict::TooManyStops(at) => (Status::TooManyStops, at, none),
    }
}
