//! Collects the personal data of a document, and replaces it by placeholders.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use memchr::{memchr, memmem};

use crate::json::string::Decoded;
use crate::json::walker::{Text, Token, Walker};
use crate::pii::card::has_long_run;
use crate::pii::findings::{Findings, Kind, Kinds};

/// A number takes the lower 24 bits of a register.
const NUMBER_MAX: u32 = (1 << 24) - 1;
/// How every escape of a letter, a digit, an `@` or a bracket begins.
const ESCAPED_ASCII: &[u8] = b"\\u00";

/// A distinct value: the same decoded text has the same placeholder wherever it occurs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// What it is.
    pub kind: Kind,
    /// The placeholder's number, from 1 for each kind.
    pub number: u32,
    /// Where it occurs first: raw bytes in the original body.
    pub raw: Range<usize>,
}

impl Value {
    /// What stands in its place, such as `[EMAIL_1]`.
    pub fn placeholder(&self) -> String {
        format!("{}{}]", opening(self.kind), self.number)
    }
}

fn opening(kind: Kind) -> &'static str {
    match kind {
        Kind::Email => "[EMAIL_",
        Kind::Card => "[CARD_",
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
    /// How often an e-mail address occurs.
    pub emails: u32,
    /// How often a card number occurs.
    pub cards: u32,
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
    kinds: Kinds,
    values_max: usize,
    values: Vec<Value>,
    /// Decoded text to index in `values`.
    known: HashMap<(Kind, Box<str>), usize>,
    edits: Vec<Edit>,
    emails: u32,
    cards: u32,
    excess: Option<usize>,
    decoded: Decoded,
}

impl<'b> Scrubber<'b> {
    /// At most `values_max` distinct values may be found in `body`.
    pub fn new(body: &'b str, kinds: Kinds, values_max: usize) -> Self {
        Scrubber {
            body,
            kinds,
            values_max,
            values: Vec::new(),
            known: HashMap::new(),
            edits: Vec::new(),
            emails: 0,
            cards: 0,
            excess: None,
            decoded: Decoded::default(),
        }
    }

    /// Where the first value starts for which there was no room.
    pub fn excess(&self) -> Option<usize> {
        self.excess
    }

    /// Looks at one string or key. They must come in the order of the document.
    #[inline]
    pub fn look(&mut self, text: Text) {
        let raw = &self.body[text.start..text.end];
        if self.kinds.is_empty() || !may_match(raw, text.escaped(), self.kinds) {
            return;
        }
        if text.escaped() {
            let mut decoded = std::mem::take(&mut self.decoded);
            decoded.decode(raw);
            self.search(decoded.text(), |offset| text.start + decoded.raw_offset(offset));
            self.decoded = decoded;
        } else {
            self.search(raw, |offset| text.start + offset);
        }
    }

    fn search(&mut self, decoded: &str, raw_offset: impl Fn(usize) -> usize) {
        for (kind, range) in Findings::new(decoded, self.kinds) {
            let raw = raw_offset(range.start)..raw_offset(range.end);
            self.note(kind, &decoded[range], raw);
        }
    }

    fn note(&mut self, kind: Kind, text: &str, raw: Range<usize>) {
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
        match kind {
            Kind::Email => self.emails += 1,
            Kind::Card => self.cards += 1,
        }
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
        let Scrubber { values, emails, cards, .. } = self;
        Some(Scrubbed { body: Some(body), values, emails, cards, shifts })
    }

    fn number(&mut self) -> Option<()> {
        for kind in [Kind::Email, Kind::Card] {
            let taken = taken_numbers(self.body, kind);
            let mut number = 0;
            for value in self.values.iter_mut().filter(|value| value.kind == kind) {
                number += 1;
                while taken.contains(&number) {
                    number += 1;
                }
                if number > NUMBER_MAX {
                    return None;
                }
                value.number = number;
            }
        }
        Some(())
    }
}

/// The numbers whose placeholder the body already holds, escaped or not: restoring them would be ambiguous.
fn taken_numbers(body: &str, kind: Kind) -> HashSet<u32> {
    let mut taken = HashSet::new();
    note_numbers(body, kind, &mut taken);
    if memmem::find(body.as_bytes(), ESCAPED_ASCII).is_some() {
        let mut walker = Walker::new(body.as_bytes());
        let mut decoded = Decoded::default();
        while let Ok(Some(token)) = walker.next_token() {
            if let Token::Key(text) | Token::String(text) = token
                && text.escaped()
            {
                note_numbers(decoded.decode(&body[text.start..text.end]), kind, &mut taken);
            }
        }
    }
    taken
}

fn note_numbers(text: &str, kind: Kind, taken: &mut HashSet<u32>) {
    let opening = opening(kind);
    for at in memmem::find_iter(text.as_bytes(), opening) {
        let digits = &text[at + opening.len()..];
        let len = digits.bytes().take(10).take_while(u8::is_ascii_digit).count();
        if !digits.starts_with('0') && digits.as_bytes().get(len) == Some(&b']') {
            taken.extend(digits[..len].parse::<u32>());
        }
    }
}

/// A cheap look at the raw bytes that is never wrong where it says no.
#[inline]
fn may_match(raw: &str, escaped: bool, kinds: Kinds) -> bool {
    let bytes = raw.as_bytes();
    kinds.email && memchr(b'@', bytes).is_some()
        || kinds.card && has_long_run(bytes)
        || escaped && memmem::find(bytes, ESCAPED_ASCII).is_some()
}
