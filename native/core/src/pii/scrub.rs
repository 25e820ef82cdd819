//! Collects the personal data of a document, and replaces it by what the policy says.

use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;

use crate::json::string::Decoded;
use crate::json::walker::Text;
use crate::pii::blob::is_blob;
use crate::pii::finder::{Finding, Search};
use crate::pii::fold::{Folded, without_escapes};
use crate::pii::kind_set::KindId;
use crate::pii::policy::{Action, KINDS_MAX, Policy};
use crate::pii::quote::{Quotes, quote};
use crate::pii::recognised::{Recognised, Values};

/// Shortest value, in bytes.
const VALUE_MIN: usize = 3;
/// Shortest number of JSON that is one, in digits: a telephone's.
const NUMBER_MIN: usize = 7;

/// A value that a placeholder stands for: the same decoded text has the same placeholder wherever it occurs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// What it is.
    pub kind: KindId,
    /// Where it occurs first: raw bytes in the original body.
    pub raw: Range<usize>,
    /// Where its placeholder stands first, in the edited body.
    pub placeholder: Range<usize>,
}

/// One occurrence: `raw` is replaced by `replacements[replacement]`.
struct Edit {
    raw: Range<usize>,
    replacement: usize,
    /// A number of JSON becomes a string: its quotes have so many backslashes.
    quotes: Option<usize>,
}

/// What takes a value's place.
struct Replacement {
    kind: KindId,
    text: String,
    /// Undone in the reply.
    restored: bool,
}

/// What was found in a body, and the body without it.
#[derive(Default)]
pub struct Scrubbed {
    /// The edited body, if anything was replaced.
    pub body: Option<Vec<u8>>,
    /// The values to restore in the order of their first occurrence.
    pub values: Vec<Value>,
    /// How often a value of each kind occurs; empty if nothing was found.
    pub counts: Vec<u32>,
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
    policy: &'b Policy,
    /// Whose values they are.
    scope: &'b str,
    values_max: usize,
    replacements: Vec<Replacement>,
    /// For each kind, decoded text to index in `replacements`.
    known: Vec<HashMap<Box<str>, usize>>,
    /// Placeholders in use.
    taken: HashMap<String, usize>,
    edits: Vec<Edit>,
    counts: Vec<u32>,
    restored: usize,
    excess: Option<usize>,
    /// Where each value begins in the body, whatever becomes of it.
    places: Vec<usize>,
    /// How many strings were looked at.
    looked: u32,
    /// What a recogniser found.
    recognised: Values<'b>,
}

/// Memory for the text that is looked at. It is kept from text to text and from body to body, since to get memory for a
/// long text and to give it back costs more than to search it.
#[derive(Default)]
struct Scratch {
    decoded: Decoded,
    folded: Folded,
    search: Search,
}

/// Longest text, in bytes, after which its memory is kept; it is about four times as much.
const KEPT_MAX: usize = 1 << 21;

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// What a text is called.
#[derive(Clone, Copy, Default)]
struct Called<'t> {
    label: &'t str,
    /// It is what a tool is given or gives.
    given: bool,
}

/// Finds the values in a text, the string of this number.
fn find(
    policy: &Policy,
    text: &str,
    Called { label, given }: Called,
    (string, recognised): (u32, &mut Values),
    (folded, search): (&mut Folded, &mut Search),
) {
    if is_blob(text) {
        return search.found.clear();
    }
    let changed = folded.fold(text);
    let plain = changed.unwrap_or(text);
    policy.finder.find(plain, label, search);
    let found = &mut search.found;
    if given && !label.is_empty() {
        policy.finder.find_member(plain, label, found);
    }
    if !recognised.is_empty() && recognised.add(string, plain, found) {
        found.retain(|finding| policy.action(finding.kind) != Action::Off);
        policy.finder.merge(found);
    }
    if changed.is_some() {
        found.iter_mut().for_each(|Finding { range, .. }| {
            *range = folded.offset(range.start)..folded.offset(range.end);
        });
    }
}

/// The values in a text that stands alone, but those that are allowed. `label`: what it is called. `recognised`: what a
/// recogniser found in it.
pub fn values_in(policy: &Policy, text: &str, label: &str, recognised: &[Recognised]) -> Vec<Finding> {
    let Scratch { mut folded, mut search, .. } = Scratch::default();
    let called = Called { label, given: true };
    find(policy, text, called, (0, &mut Values::new(recognised)), (&mut folded, &mut search));
    let mut found = search.found;
    found.retain(|finding| !policy.allows(&text[finding.range.clone()]));
    found
}

impl<'b> Scrubber<'b> {
    /// At most `values_max` distinct values may be found in `body` that are to be restored. `scope`: whose they are.
    pub fn new(body: &'b str, policy: &'b Policy, scope: &'b str, values_max: usize) -> Self {
        Scrubber {
            body,
            policy,
            scope,
            values_max,
            replacements: Vec::new(),
            known: Vec::new(),
            taken: HashMap::new(),
            edits: Vec::new(),
            counts: Vec::new(),
            restored: 0,
            excess: None,
            places: Vec::new(),
            looked: 0,
            recognised: Values::default(),
        }
    }

    /// The same with what a recogniser found in the strings, in their order.
    #[must_use]
    pub fn with(self, recognised: &'b [Recognised]) -> Self {
        Scrubber { recognised: Values::new(recognised), ..self }
    }

    /// Whether there is a value in this part of the body.
    pub fn found_within(&self, raw: Range<usize>) -> bool {
        let next = self.places.partition_point(|&place| place < raw.start);
        self.places.get(next).is_some_and(|&place| place < raw.end)
    }

    /// How many strings were looked at: the number of the next one.
    pub fn looked(&self) -> u32 {
        self.looked
    }

    /// Where the first value starts for which there was no room.
    pub fn excess(&self) -> Option<usize> {
        self.excess
    }

    /// Looks at one string or key, which is the value of the member called `label`, if any; `given`: a tool is given it, or gives
    /// it. They must come in the order of the document.
    #[inline]
    pub fn look(&mut self, text: Text, label: Option<Text>, given: bool) {
        let string = self.looked;
        self.looked += 1;
        let nothing = self.policy.finder.is_empty() && self.recognised.is_empty();
        // Nothing personal is shorter.
        if nothing || text.end - text.start < VALUE_MIN {
            return;
        }
        let raw = &self.body[text.start..text.end];
        let called = Called { label: label.map_or("", |label| &self.body[label.start..label.end]), given };
        let mut scratch = SCRATCH.take().unwrap_or_default();
        let Scratch { decoded, folded, search } = &mut *scratch;
        if text.escaped() {
            let decoded = decoded.read(raw);
            self.search(string, decoded.text(), called, (folded, search), |offset| {
                text.start + decoded.raw_offset(offset)
            });
        } else {
            self.search(string, raw, called, (folded, search), |offset| text.start + offset);
        }
        if raw.len() <= KEPT_MAX {
            SCRATCH.set(Some(scratch));
        }
    }

    fn search(
        &mut self,
        string: u32,
        decoded: &str,
        called: Called,
        (folded, search): (&mut Folded, &mut Search),
        raw_offset: impl Fn(usize) -> usize,
    ) {
        find(self.policy, decoded, called, (string, &mut self.recognised), (folded, search));
        let mut quotes = Quotes::default();
        for Finding { kind, range } in search.found.drain(..) {
            let raw = raw_offset(range.start)..raw_offset(range.end);
            // In the body, a quote of the text has a backslash, and each backslash another one.
            let slashes = quotes.around(decoded, range.clone()).map(|slashes| 2 * slashes + 1);
            self.note(kind, &decoded[range], raw, slashes);
        }
    }

    /// Looks at a number of the document, called `label`, if any: what takes its place is a string. Only whole numbers
    /// without a sign can be values.
    pub fn look_at_number(&mut self, raw: Range<usize>, label: Option<Text>) {
        let number = &self.body[raw.clone()];
        if self.policy.finder.is_empty()
            || number.len() < NUMBER_MIN
            || !number.bytes().all(|byte| byte.is_ascii_digit())
        {
            return;
        }
        let label = label.map_or("", |label| &self.body[label.start..label.end]);
        let mut scratch = SCRATCH.take().unwrap_or_default();
        let Scratch { search, .. } = &mut *scratch;
        self.policy.finder.find(number, label, search);
        let whole = search.found.drain(..).find(|finding| finding.range == (0..number.len()));
        if let Some(Finding { kind, .. }) = whole {
            self.note(kind, number, raw, Some(0));
        }
        SCRATCH.set(Some(scratch));
    }

    /// Looks at the rest of a body that isn't JSON from there on.
    pub fn look_at_text(&mut self, start: usize) {
        let text = &self.body[start..];
        if self.policy.finder.is_empty() {
            return;
        }
        let mut scratch = SCRATCH.take().unwrap_or_default();
        let Scratch { folded, search, .. } = &mut *scratch;
        find(self.policy, text, Called::default(), (self.looked, &mut self.recognised), (folded, search));
        let mut quotes = Quotes::default();
        for Finding { kind, range } in search.found.drain(..) {
            let quotes = quotes.around(text, range.clone());
            self.note(kind, &text[range.clone()], start + range.start..start + range.end, quotes);
        }
        if text.len() <= KEPT_MAX {
            SCRATCH.set(Some(scratch));
        }
    }

    /// `quotes`: of how many backslashes each is that must stand around what takes its place.
    fn note(&mut self, kind: KindId, text: &str, raw: Range<usize>, quotes: Option<usize>) {
        // The same value wherever it stands, so that it has one placeholder.
        let text = &*without_escapes(text);
        if self.policy.allows(text) {
            return;
        }
        self.counts.resize(KINDS_MAX, 0);
        self.known.resize_with(KINDS_MAX, HashMap::new);
        self.counts[usize::from(kind)] += 1;
        self.places.push(raw.start);
        if matches!(self.policy.action(kind), Action::Block | Action::Report) {
            return;
        }
        let replacement = match self.known[usize::from(kind)].get(text) {
            Some(&replacement) => replacement,
            None => {
                let Some(replacement) = self.replace(kind, text, raw.start) else { return };
                self.known[usize::from(kind)].insert(Box::from(text), self.replacements.len());
                self.replacements.push(replacement);
                self.replacements.len() - 1
            }
        };
        self.edits.push(Edit { raw, replacement, quotes });
    }

    /// What takes the place of a value that has none yet.
    fn replace(&mut self, kind: KindId, text: &str, at: usize) -> Option<Replacement> {
        if self.policy.action(kind) != Action::Tokenise {
            let text = self.policy.replacement(kind, text, self.scope, 0)?;
            return Some(Replacement { kind, text, restored: false });
        }
        // However deep in strings of JSON a placeholder comes back, what takes its place must need no escape there.
        let plain = !text.chars().any(|c| c < ' ' || matches!(c, '"' | '\\'));
        if plain && self.restored >= self.values_max {
            self.excess.get_or_insert(at);
            return None;
        }
        let index = self.replacements.len();
        let token = (0..Policy::ATTEMPTS_MAX)
            .filter_map(|attempt| self.policy.replacement(kind, text, self.scope, attempt))
            .find(|token| *self.taken.entry(token.clone()).or_insert(index) == index)?;
        self.restored += usize::from(plain);
        Some(Replacement { kind, text: token, restored: plain })
    }

    /// Replaces the values.
    pub fn finish(self) -> Scrubbed {
        let Scrubber { counts, edits, replacements, .. } = self;
        if edits.is_empty() {
            return Scrubbed { counts, ..Scrubbed::default() };
        }
        let mut body = Vec::with_capacity(self.body.len() + 8 * edits.len());
        let mut shifts = Vec::with_capacity(edits.len());
        let mut values = Vec::new();
        let mut copied = 0;
        let mut seen = 0;
        for Edit { raw, replacement, quotes } in edits {
            let Replacement { kind, text, restored } = &replacements[replacement];
            body.extend_from_slice(&self.body.as_bytes()[copied..raw.start]);
            body.extend(quotes.into_iter().flat_map(quote));
            let start = body.len();
            body.extend_from_slice(text.as_bytes());
            let placeholder = start..body.len();
            body.extend(quotes.into_iter().flat_map(quote));
            copied = raw.end;
            shifts.push((copied, body.len() as isize - copied as isize));
            // Replacements are in the order of their first occurrence.
            if replacement == seen {
                seen += 1;
                if *restored {
                    values.push(Value { kind: *kind, raw, placeholder });
                }
            }
        }
        body.extend_from_slice(&self.body.as_bytes()[copied..]);
        Scrubbed { body: Some(body), values, counts, shifts }
    }
}
