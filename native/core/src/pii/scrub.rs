//! Collects the personal data of a document, and replaces it by placeholders.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use memchr::{memchr, memchr_iter, memmem};

use crate::json::string::Decoded;
use crate::json::walker::{Text, Token, Walker};
use crate::pii::finder::{Finder, Finding};
use crate::pii::kinds::{KINDS, KindId, KindSet, PLACEHOLDER_MAX};

/// A number takes the lower 24 bits of a register.
const NUMBER_MAX: u32 = (1 << 24) - 1;
/// A number has at most so many digits.
const DIGITS_MAX: usize = 10;
/// How every escape of a letter, a digit, an `@` or a bracket begins.
const ESCAPED_ASCII: &[u8] = b"\\u00";

/// A distinct value: the same decoded text has the same placeholder wherever it occurs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// What it is.
    pub kind: KindId,
    /// The placeholder's number, from 1 for each kind.
    pub number: u32,
    /// Where it occurs first: raw bytes in the original body.
    pub raw: Range<usize>,
}

impl Value {
    /// What stands in its place, such as `[EMAIL_1]`.
    pub fn placeholder(&self) -> String {
        format!("[{}_{}]", KINDS[usize::from(self.kind)].placeholder, self.number)
    }
}

/// One occurrence: `raw` is replaced by the placeholder of `values[value]`.
struct Edit {
    raw: Range<usize>,
    value: usize,
}

/// What was found in a body, and the body without it.
#[derive(Default)]
pub struct Scrubbed {
    /// The edited body, if anything was found.
    pub body: Option<Vec<u8>>,
    /// The distinct values in the order of their first occurrence.
    pub values: Vec<Value>,
    /// How often a value of each kind occurs.
    pub counts: [u32; KINDS.len()],
    /// For each edit: its end in the original, and the edited body's growth up to there, in bytes.
    shifts: Vec<(usize, isize)>,
}

impl Scrubbed {
    /// Where the byte at `offset` of the original is in the body that leaves. It must not lie inside a
    /// replaced value.
    pub fn moved(&self, offset: usize) -> usize {
        match self.shifts.partition_point(|shift| shift.0 <= offset) {
            0 => offset,
            after => offset.saturating_add_signed(self.shifts[after - 1].1),
        }
    }
}

/// Looks through the strings of one body.
pub struct Scrubber<'b> {
    body: &'b str,
    finder: &'b Finder,
    values_max: usize,
    values: Vec<Value>,
    /// Decoded text to index in `values`.
    known: HashMap<(KindId, Box<str>), usize>,
    edits: Vec<Edit>,
    counts: [u32; KINDS.len()],
    excess: Option<usize>,
    decoded: Decoded,
    found: Vec<Finding>,
}

impl<'b> Scrubber<'b> {
    /// At most `values_max` distinct values may be found in `body`.
    pub fn new(body: &'b str, finder: &'b Finder, values_max: usize) -> Self {
        Scrubber {
            body,
            finder,
            values_max,
            values: Vec::new(),
            known: HashMap::new(),
            edits: Vec::new(),
            counts: [0; KINDS.len()],
            excess: None,
            decoded: Decoded::default(),
            found: Vec::new(),
        }
    }

    /// Where the first value starts for which there was no room.
    pub fn excess(&self) -> Option<usize> {
        self.excess
    }

    /// Looks at one string or key. They must come in the order of the document.
    #[inline]
    pub fn look(&mut self, text: Text) {
        if self.finder.is_empty() {
            return;
        }
        let raw = &self.body[text.start..text.end];
        let anchored = self.finder.anchored(raw.as_bytes());
        if text.escaped() && (!anchored.is_empty() || memmem::find(raw.as_bytes(), ESCAPED_ASCII).is_some()) {
            self.look_decoded(text);
        } else if !anchored.is_empty() {
            self.search(raw, anchored, |offset| text.start + offset);
        }
    }

    fn look_decoded(&mut self, text: Text) {
        let mut decoded = std::mem::take(&mut self.decoded);
        decoded.decode(&self.body[text.start..text.end]);
        let anchored = self.finder.anchored(decoded.text().as_bytes());
        self.search(decoded.text(), anchored, |offset| text.start + decoded.raw_offset(offset));
        self.decoded = decoded;
    }

    fn search(&mut self, decoded: &str, kinds: KindSet, raw_offset: impl Fn(usize) -> usize) {
        let mut found = std::mem::take(&mut self.found);
        Finder::find(decoded, kinds, &mut found);
        for Finding { kind, range } in found.drain(..) {
            let raw = raw_offset(range.start)..raw_offset(range.end);
            self.note(kind, &decoded[range], raw);
        }
        self.found = found;
    }

    fn note(&mut self, kind: KindId, text: &str, raw: Range<usize>) {
        let key = (kind, Box::from(text));
        let value = match self.known.get(&key) {
            Some(&value) => value,
            None if self.values.len() >= self.values_max => {
                self.excess.get_or_insert(raw.start);
                return;
            }
            None => {
                self.known.insert(key, self.values.len());
                self.values.push(Value { kind, number: 0, raw: raw.clone() });
                self.values.len() - 1
            }
        };
        self.edits.push(Edit { raw, value });
        self.counts[usize::from(kind)] += 1;
    }

    /// Numbers the values and replaces them. `None` where the numbers of the placeholders run out.
    pub fn finish(mut self) -> Option<Scrubbed> {
        if self.edits.is_empty() {
            return Some(Scrubbed::default());
        }
        self.number()?;
        let placeholders: Vec<String> = self.values.iter().map(Value::placeholder).collect();
        let mut body = Vec::with_capacity(self.body.len() + 8 * self.edits.len());
        let mut shifts = Vec::with_capacity(self.edits.len());
        let mut copied = 0;
        for edit in &self.edits {
            body.extend_from_slice(&self.body.as_bytes()[copied..edit.raw.start]);
            body.extend_from_slice(placeholders[edit.value].as_bytes());
            copied = edit.raw.end;
            shifts.push((copied, body.len() as isize - copied as isize));
        }
        body.extend_from_slice(&self.body.as_bytes()[copied..]);
        let Scrubber { values, counts, .. } = self;
        Some(Scrubbed { body: Some(body), values, counts, shifts })
    }

    fn number(&mut self) -> Option<()> {
        let taken = taken_numbers(self.body);
        let mut numbers = [0; KINDS.len()];
        for value in &mut self.values {
            let number = &mut numbers[usize::from(value.kind)];
            *number += 1;
            while taken.contains(&(value.kind, *number)) {
                *number += 1;
            }
            if *number > NUMBER_MAX {
                return None;
            }
            value.number = *number;
        }
        Some(())
    }
}

/// The kinds and numbers whose placeholder the body already holds, escaped or not: restoring them would be ambiguous.
fn taken_numbers(body: &str) -> HashSet<(KindId, u32)> {
    let mut taken = HashSet::new();
    note_numbers(body, &mut taken);
    if memmem::find(body.as_bytes(), ESCAPED_ASCII).is_some() {
        let mut walker = Walker::new(body.as_bytes());
        let mut decoded = Decoded::default();
        while let Ok(Some(token)) = walker.next_token() {
            if let Token::Key(text) | Token::String(text) = token
                && text.escaped()
            {
                note_numbers(decoded.decode(&body[text.start..text.end]), &mut taken);
            }
        }
    }
    taken
}

fn note_numbers(text: &str, taken: &mut HashSet<(KindId, u32)>) {
    let bytes = text.as_bytes();
    taken.extend(memchr_iter(b'[', bytes).filter_map(|at| placeholder_at(&bytes[at + 1..])));
}

/// The kind and number of the placeholder whose bracket `rest` follows, if it is one.
fn placeholder_at(rest: &[u8]) -> Option<(KindId, u32)> {
    let within = &rest[..rest.len().min(PLACEHOLDER_MAX + 1 + DIGITS_MAX + 1)];
    let inside = &within[..memchr(b']', within)?];
    let (name, digits) = inside.split_at(inside.iter().rposition(|&byte| byte == b'_')?);
    let kind = KINDS.iter().position(|kind| kind.placeholder.as_bytes() == name)?;
    let digits = std::str::from_utf8(&digits[1..]).ok()?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    Some((kind as KindId, digits.parse().ok().filter(|_| plain)?))
}
