//! Follows a stream of server-sent events (WHATWG HTML, "Server-sent events") without changing its bytes.

use std::ops::Range;

use memchr::memchr2;

use crate::reply::choices::Choices;
use crate::reply::event::{self, Block};
use crate::reply::facts::{ReplyFacts, state};
use crate::reply::fault::Fault;
use crate::reply::read::{Dialect, read_keeping};
use crate::reply::reading::{Kept, Reading, TEXT_MAX};
use crate::reply::twin::Twin;

/// Memory that a scanner keeps for its next read, in bytes: more than most events have.
const SPARE_MAX: usize = 4096;
const BOM: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// What may be forwarded to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// Nothing yet.
    Nothing,
    /// The chunk exactly as given.
    Pass,
    /// These bytes instead.
    Bytes(&'a [u8]),
}

/// What happens to a block of lines.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Forward,
    Drop,
}

/// Forwards whole events and holds back an incomplete one. Splitting the input differently changes neither
/// the concatenated output nor the final facts.
pub struct Scanner {
    dialect: Dialect,
    strip_usage: bool,
    event_max: usize,
    /// The beginning of an event whose end has not arrived.
    held: Vec<u8>,
    out: Vec<u8>,
    joined: Vec<u8>,
    /// Bytes of a byte order mark read so far; `BOM.len() + 1` once the stream has got past it.
    bom: usize,
    line_start: bool,
    /// The last line ended with a CR at the end of a chunk: an LF that follows belongs to it.
    line_cr: bool,
    /// The same for the blank line that ends a block: its LF is treated like the block.
    block_cr: Option<Fate>,
    finished: bool,
    facts: ReplyFacts,
    choices: Choices,
    twin: Twin,
    text: Vec<u8>,
    text_max: usize,
    model: String,
    fault: Fault,
}

impl Scanner {
    /// `strip_usage` removes OpenAI's final usage event. No event may have more than `event_max` bytes.
    pub fn new(dialect: Dialect, strip_usage: bool, event_max: usize) -> Self {
        Scanner {
            dialect,
            strip_usage,
            event_max,
            held: Vec::new(),
            out: Vec::new(),
            joined: Vec::new(),
            bom: 0,
            line_start: true,
            line_cr: false,
            block_cr: None,
            finished: false,
            facts: ReplyFacts::default(),
            choices: Choices::default(),
            twin: Twin::default(),
            text: Vec::new(),
            text_max: TEXT_MAX,
            model: String::new(),
            fault: Fault::default(),
        }
    }

    /// Keeps no more of the reply's text than this, in bytes.
    pub fn keeping(mut self, text_max: usize) -> Self {
        self.text_max = text_max.min(TEXT_MAX);
        self
    }

    /// The reply has not ended before so many choices have, or its last event is here.
    pub fn awaiting(mut self, choices: u32) -> Self {
        self.choices = Choices::awaiting(choices);
        self
    }

    /// What was given out is no longer needed: what large reads took of memory is given back, since there may be
    /// thousands of scanners, and each would keep as much as its largest read.
    pub fn rest(&mut self) {
        self.out.clear();
        self.joined.clear();
        for buffer in [&mut self.held, &mut self.out, &mut self.joined] {
            if buffer.is_empty() && buffer.capacity() > SPARE_MAX {
                *buffer = Vec::new();
            }
        }
    }

    /// The facts so far.
    pub fn facts(&self) -> &ReplyFacts {
        &self.facts
    }

    /// The reply's text so far, decoded, up to [`TEXT_MAX`] or less ([`Scanner::keeping`]); the scanner no longer
    /// keeps it.
    pub fn take_text(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text)
    }

    /// The model that the stream says answers, as its JSON spells it; empty: it names none, or none of at most
    /// [`MODEL_MAX`](crate::reply::reading::MODEL_MAX) bytes.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The provider's error message, or the faulty data itself, after an error or malformed data; at most
    /// [`ERROR_TEXT_MAX`](crate::reply::fault::ERROR_TEXT_MAX) bytes.
    pub fn error_text(&self) -> String {
        self.fault.text()
    }

    /// The next bytes of the stream.
    pub fn push<'a>(&'a mut self, chunk: &'a [u8]) -> Output<'a> {
        let mut sent = 0..0;
        self.out.clear();
        let start = self.begin(chunk, &mut sent);
        if self.closed() {
            self.fault.go_on(&chunk[start..]);
        } else {
            self.scan(chunk, start, &mut sent);
        }
        self.output(chunk, sent)
    }

    /// Call this at the end of the stream. A last event without its blank line is treated as complete, and is
    /// completed, since clients must otherwise ignore it.
    pub fn finish(&mut self) -> Output<'_> {
        self.out.clear();
        self.fault.open = false;
        if self.bom < BOM.len() {
            self.held.extend_from_slice(&BOM[..self.bom]);
            self.line_start &= self.bom == 0;
        }
        let mut block = std::mem::take(&mut self.held);
        if self.closed() || block.is_empty() {
            self.end();
            return Output::Nothing;
        }
        if self.line_cr || !self.line_start {
            block.push(b'\n');
        }
        block.push(b'\n');
        if self.settle(&block) == Fate::Forward {
            self.out = block;
        }
        self.end();
        self.output(&[], 0..0)
    }

    fn closed(&self) -> bool {
        self.finished
            || self.facts.state & (state::END | state::ERROR | state::MALFORMED | state::OVERFLOW) != 0
    }

    /// Handles what only the first bytes of a chunk can be: part of a byte order mark, or the LF of a line
    /// whose CR ended the previous chunk. Returns the offset after it.
    fn begin(&mut self, chunk: &[u8], sent: &mut Range<usize>) -> usize {
        let mut at = 0;
        while self.bom < BOM.len() && at < chunk.len() {
            if chunk[at] == BOM[self.bom] {
                self.bom += 1;
                at += 1;
            } else {
                self.held.extend_from_slice(&BOM[..self.bom]);
                self.line_start &= self.bom == 0;
                self.bom = BOM.len();
            }
        }
        if at < chunk.len()
            && let Some(fate) = self.block_cr.take()
            && chunk[at] == b'\n'
        {
            at += 1;
            if fate == Fate::Forward {
                *sent = at - 1..at;
            }
        }
        at
    }

    /// Cuts the chunk into blocks of lines, each ended by a blank line.
    fn scan(&mut self, chunk: &[u8], start: usize, sent: &mut Range<usize>) {
        let mut block = start;
        let mut at = start;
        if at < chunk.len() && std::mem::take(&mut self.line_cr) && chunk[at] == b'\n' {
            at += 1;
        }
        while at < chunk.len() {
            if self.line_start && !self.check_line(self.held.len() + at - block, &chunk[at..]) {
                return;
            }
            let Some(len) = memchr2(b'\n', b'\r', &chunk[at..]) else {
                self.line_start = false;
                break;
            };
            let blank = self.line_start && len == 0;
            at += len + 1;
            self.line_start = true;
            let cr = chunk[at - 1] == b'\r';
            let last = at == chunk.len();
            let lf = usize::from(cr && !last && chunk[at] == b'\n');
            if blank {
                let fate = self.complete(chunk, block..at, lf, sent);
                self.block_cr = if cr && last { Some(fate) } else { None };
                block = at + lf;
                if self.closed() {
                    self.fault.go_on(&chunk[block..]);
                    return;
                }
            } else {
                self.line_cr = cr && last;
            }
            at += lf;
        }
        self.hold(&chunk[block..]);
    }

    /// Whether a line that begins at `offset` of its block may belong to an event stream. `rest` begins with
    /// it.
    fn check_line(&mut self, offset: usize, rest: &[u8]) -> bool {
        if offset >= self.event_max {
            self.poison(state::OVERFLOW);
            return false;
        }
        // JSON or an HTML page instead of a field: the provider, or a proxy before it, broke off the stream.
        if matches!(rest[0], b'{' | b'[' | b'<') {
            self.poison(state::MALFORMED);
            self.fault.open = true;
            self.fault.go_on(rest);
            return false;
        }
        true
    }

    /// Handles a complete block: the bytes held back, `range` of the chunk, and `lf` more bytes that only end
    /// its line.
    fn complete(&mut self, chunk: &[u8], range: Range<usize>, lf: usize, sent: &mut Range<usize>) -> Fate {
        let forwarded = range.start..range.end + lf;
        if self.held.len() + range.len() > self.event_max {
            self.poison(state::OVERFLOW);
            return Fate::Drop;
        }
        if self.held.is_empty() {
            let fate = self.settle(&chunk[range]);
            if fate == Fate::Forward {
                self.send(chunk, forwarded, sent);
            }
            return fate;
        }
        // Only the first block of a chunk can have a part that was held back, so nothing is sent before it.
        let mut block = std::mem::take(&mut self.held);
        block.extend_from_slice(&chunk[range]);
        let fate = self.settle(&block);
        if fate == Fate::Forward {
            self.out.extend_from_slice(&block);
            self.out.extend_from_slice(&chunk[forwarded.end - lf..forwarded.end]);
        }
        block.clear();
        self.held = block;
        fate
    }

    /// Adds a range of the chunk to what is sent. Adjacent ranges are joined, so that a chunk that needs no
    /// change is never copied.
    fn send(&mut self, chunk: &[u8], range: Range<usize>, sent: &mut Range<usize>) {
        if sent.end == range.start && sent.start != sent.end {
            sent.end = range.end;
        } else {
            self.out.extend_from_slice(&chunk[sent.clone()]);
            *sent = range;
        }
    }

    fn output<'a>(&'a mut self, chunk: &'a [u8], sent: Range<usize>) -> Output<'a> {
        if !self.out.is_empty() {
            self.out.extend_from_slice(&chunk[sent]);
            Output::Bytes(&self.out)
        } else if sent.is_empty() {
            Output::Nothing
        } else if sent.len() == chunk.len() {
            Output::Pass
        } else {
            Output::Bytes(&chunk[sent])
        }
    }

    fn hold(&mut self, rest: &[u8]) {
        if self.held.len() + rest.len() > self.event_max {
            self.poison(state::OVERFLOW);
        } else {
            self.held.extend_from_slice(rest);
        }
    }

    fn poison(&mut self, bit: u32) {
        self.facts.state |= bit;
        self.held = Vec::new();
    }

    /// Reads a complete block and decides what happens to it.
    fn settle(&mut self, block: &[u8]) -> Fate {
        let mut joined = std::mem::take(&mut self.joined);
        let fate = match event::parse(block, &mut joined) {
            Block { event: b"error", data } => self.fail(state::ERROR, data.unwrap_or_default()),
            // Comments and fields without data are not events.
            Block { data: None, .. } => Fate::Forward,
            Block { data: Some(data), .. } => self.data(data),
        };
        self.joined = joined;
        fate
    }

    fn fail(&mut self, bit: u32, data: &[u8]) -> Fate {
        self.fault.add(data);
        self.poison(bit);
        Fate::Drop
    }

    fn data(&mut self, data: &[u8]) -> Fate {
        if let Some((reading, text)) = self.twin.read(data) {
            Kept { text: &mut self.text, max: self.text_max }.add(text);
            return self.learn(&reading);
        }
        let trimmed = data.trim_ascii();
        if trimmed.is_empty() || trimmed == b"[DONE]" {
            if !trimmed.is_empty() {
                self.choices.last(&mut self.facts);
            }
            self.forget_counted();
            self.facts.events = self.facts.events.saturating_add(1);
            return Fate::Forward;
        }
        let kept = self.text.len();
        let text = std::str::from_utf8(data).ok();
        let keep = Kept { text: &mut self.text, max: self.text_max };
        let reading = text.and_then(|text| read_keeping(text, self.dialect, keep).ok());
        if reading.is_none_or(|reading| reading.error) {
            self.text.truncate(kept);
        }
        if let (true, Some(text), Some(reading)) = (self.model.is_empty(), text, reading) {
            reading.named(text).clone_into(&mut self.model);
        }
        match reading {
            None => self.fail(state::MALFORMED, data),
            Some(reading) if reading.error => self.fail(state::ERROR, data),
            Some(reading) => {
                self.twin.remember(data, &reading);
                self.learn(&reading)
            }
        }
    }

    /// The bytes have ended.
    fn end(&mut self) {
        self.finished = true;
        self.choices.end(&mut self.facts);
    }

    /// Drops text that need not be counted because the provider has stated its tokens.
    fn forget_counted(&mut self) {
        if self.facts.state & state::END != 0 && self.facts.usage.output.is_some_and(|tokens| tokens > 0) {
            self.text = Vec::new();
        }
    }

    fn learn(&mut self, reading: &Reading) -> Fate {
        self.choices.add(reading, &mut self.facts);
        self.forget_counted();
        let usage_only = self.dialect == Dialect::OpenAi && reading.choices_empty && reading.usage_seen;
        if self.strip_usage && usage_only {
            self.facts.stripped = self.facts.stripped.saturating_add(1);
            return Fate::Drop;
        }
        Fate::Forward
    }
}
