//! A strict JSON tokenizer: one pass over the bytes, no recursion, no allocation.
//!
//! The grammar is RFC 8259's, which is exactly what JavaScript's `JSON.parse` accepts: escapes of lone
//! surrogates are legal, a byte order mark is not, nor are trailing commas, comments or a second value. The
//! input must already be known to be UTF-8.

use crate::text::block::{BLOCK, Block, Common, Lanes, Scan, scan};

/// Maximum number of nested arrays and objects.
pub const DEPTH_MAX: usize = 256;

/// A string or key: where its raw bytes are between the quotes, and how much shorter it is decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// Byte offset just after the opening quote.
    pub start: usize,
    /// Byte offset of the closing quote.
    pub end: usize,
    /// Raw bytes minus the bytes of the decoded text in UTF-8 (a lone surrogate counts three).
    pub saved_bytes: usize,
    /// Raw code points minus those of the decoded text (a lone surrogate counts one).
    pub saved_chars: usize,
}

impl Text {
    /// Length of the decoded text in UTF-8 bytes.
    pub fn bytes(&self) -> usize {
        self.end - self.start - self.saved_bytes
    }

    /// Whether the raw bytes hold an escape, that is, differ from the decoded text.
    pub fn escaped(&self) -> bool {
        self.saved_bytes != 0
    }
}

/// One step through a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// `{`.
    ObjectStart,
    /// `}`.
    ObjectEnd,
    /// `[`.
    ArrayStart,
    /// `]`.
    ArrayEnd,
    /// A member's name; its colon has been read too.
    Key(Text),
    /// A string that is a value.
    String(Text),
    /// The raw number lies between [`Walker::start`] and [`Walker::end`].
    Number,
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
}

/// Why a document was refused, and the byte offset where that was detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not JSON.
    Grammar(usize),
    /// More than [`DEPTH_MAX`] open arrays and objects.
    Depth(usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    CommaOrEnd,
    Nothing,
}

/// Walks one document token by token.
pub struct Walker<'a> {
    bytes: &'a [u8],
    at: usize,
    start: usize,
    expect: Expect,
    depth: usize,
    /// One bit per open container: set for an object, clear for an array.
    objects: [u64; DEPTH_MAX / 64],
}

impl<'a> Walker<'a> {
    /// Starts before the first byte of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Walker { bytes, at: 0, start: 0, expect: Expect::Value, depth: 0, objects: [0; DEPTH_MAX / 64] }
    }

    /// Byte offset of the last token's first byte (the quote of a string).
    pub fn start(&self) -> usize {
        self.start
    }

    /// Byte offset just after the last token (for a key: after its colon).
    pub fn end(&self) -> usize {
        self.at
    }

    /// Number of open containers.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The next token, or `None` after a complete document. Must not be called again after a fault.
    #[inline]
    pub fn next_token(&mut self) -> Result<Option<Token>, Fault> {
        let mut byte = self.skip_whitespace();
        if self.expect == Expect::CommaOrEnd {
            if byte != b',' {
                return self.close(byte).map(Some);
            }
            self.at += 1;
            self.expect = if self.in_object() { Expect::Key } else { Expect::Value };
            byte = self.skip_whitespace();
        }
        self.start = self.at;
        match self.expect {
            Expect::Value => self.value(byte).map(Some),
            Expect::ValueOrEnd if byte == b']' => self.close(byte).map(Some),
            Expect::ValueOrEnd => self.value(byte).map(Some),
            Expect::KeyOrEnd if byte == b'}' => self.close(byte).map(Some),
            Expect::Key | Expect::KeyOrEnd => self.key(byte).map(Some),
            Expect::Nothing if self.at == self.bytes.len() => Ok(None),
            Expect::Nothing | Expect::CommaOrEnd => Err(Fault::Grammar(self.at)),
        }
    }

    /// Skips whitespace and peeks. The end reads as NUL, which is legal nowhere, so it needs no special case.
    #[inline]
    fn skip_whitespace(&mut self) -> u8 {
        loop {
            let byte = self.peek();
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return byte;
            }
            self.at += 1;
        }
    }

    #[inline]
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    fn in_object(&self) -> bool {
        let top = self.depth - 1;
        self.objects[top / 64] >> (top % 64) & 1 == 1
    }

    #[inline]
    fn value(&mut self, byte: u8) -> Result<Token, Fault> {
        let token = match byte {
            b'"' => Token::String(self.string()?),
            b'{' => return self.open(true),
            b'[' => return self.open(false),
            b'-' | b'0'..=b'9' => self.number()?,
            b't' => self.literal(b"true", Token::Bool(true))?,
            b'f' => self.literal(b"false", Token::Bool(false))?,
            b'n' => self.literal(b"null", Token::Null)?,
            _ => return Err(Fault::Grammar(self.at)),
        };
        self.after_value();
        Ok(token)
    }

    #[inline]
    fn after_value(&mut self) {
        self.expect = if self.depth == 0 { Expect::Nothing } else { Expect::CommaOrEnd };
    }

    fn open(&mut self, object: bool) -> Result<Token, Fault> {
        let top = self.depth;
        if top == DEPTH_MAX {
            return Err(Fault::Depth(self.at));
        }
        self.depth += 1;
        self.at += 1;
        let bit = 1u64 << (top % 64);
        if object {
            self.objects[top / 64] |= bit;
            self.expect = Expect::KeyOrEnd;
            Ok(Token::ObjectStart)
        } else {
            self.objects[top / 64] &= !bit;
            self.expect = Expect::ValueOrEnd;
            Ok(Token::ArrayStart)
        }
    }

    fn close(&mut self, byte: u8) -> Result<Token, Fault> {
        self.start = self.at;
        let (bracket, token) =
            if self.in_object() { (b'}', Token::ObjectEnd) } else { (b']', Token::ArrayEnd) };
        if byte != bracket {
            return Err(Fault::Grammar(self.at));
        }
        self.at += 1;
        self.depth -= 1;
        self.after_value();
        Ok(token)
    }

    #[inline]
    fn key(&mut self, byte: u8) -> Result<Token, Fault> {
        if byte != b'"' {
            return Err(Fault::Grammar(self.at));
        }
        let text = self.string()?;
        if self.skip_whitespace() != b':' {
            return Err(Fault::Grammar(self.at));
        }
        self.at += 1;
        self.expect = Expect::Value;
        Ok(Token::Key(text))
    }

    fn literal(&mut self, word: &[u8], token: Token) -> Result<Token, Fault> {
        for &expected in word {
            if self.peek() != expected {
                return Err(Fault::Grammar(self.at));
            }
            self.at += 1;
        }
        Ok(token)
    }

    fn number(&mut self) -> Result<Token, Fault> {
        if self.peek() == b'-' {
            self.at += 1;
        }
        if self.peek() == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Token::Number)
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let first = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        if self.at == first { Err(Fault::Grammar(self.at)) } else { Ok(()) }
    }

    #[inline]
    fn string(&mut self) -> Result<Text, Fault> {
        self.at += 1;
        let start = self.at;
        let ends = ends(Block::first(Common::default(), &self.bytes[start..]));
        let end = start + ends.trailing_zeros() as usize;
        // Most names and many values are short.
        if ends != 0 && self.bytes.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(Text { start, end, ..Text::default() });
        }
        scan(Strings(self))
    }

    /// Reads `\u` and four digits. `high_end` is where the last escaped high surrogate ended: a low one that begins
    /// there completes a pair, which is one character of four bytes, whereas each half alone was counted as
    /// three.
    fn unit(&mut self, text: &mut Text, high_end: &mut usize) -> Result<(), Fault> {
        let start = self.at;
        self.at += 2;
        let unit = self.hex4()?;
        let pair = matches!(unit, 0xDC00..=0xDFFF) && *high_end == start;
        let (bytes, chars) = match unit {
            _ if pair => (5, 6),
            0..=0x7F => (5, 5),
            0x80..=0x7FF => (4, 5),
            _ => (3, 5),
        };
        text.saved_bytes += bytes;
        text.saved_chars += chars;
        if matches!(unit, 0xD800..=0xDBFF) {
            *high_end = self.at;
        }
        Ok(())
    }

    fn hex4(&mut self) -> Result<u16, Fault> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = char::from(self.peek()).to_digit(16).ok_or(Fault::Grammar(self.at))?;
            unit = unit << 4 | digit as u16;
            self.at += 1;
        }
        Ok(unit)
    }
}

/// Reads on in a string, to behind its end.
struct Strings<'w, 'a>(&'w mut Walker<'a>);

impl Scan for Strings<'_, '_> {
    type Out = Result<Text, Fault>;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Self::Out {
        let Strings(walker) = self;
        let mut text = Text { start: walker.at, ..Text::default() };
        let mut high_end = 0;
        loop {
            let from = walker.at;
            let mut left = ends(Block::first(lanes, &walker.bytes[from..]));
            let mut next = from + BLOCK;
            while left != 0 {
                walker.at = from + left.trailing_zeros() as usize;
                match walker.bytes.get(walker.at) {
                    Some(b'"') => {
                        text.end = walker.at;
                        walker.at += 1;
                        return Ok(text);
                    }
                    Some(b'\\') => match walker.bytes.get(walker.at + 1) {
                        Some(b'u') => walker.unit(&mut text, &mut high_end)?,
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                            walker.at += 2;
                            text.saved_bytes += 1;
                            text.saved_chars += 1;
                        }
                        _ => {
                            walker.at += 1;
                            return Err(Fault::Grammar(walker.at));
                        }
                    },
                    // A raw control character, or the end of the bytes.
                    _ => return Err(Fault::Grammar(walker.at)),
                }
                next = next.max(walker.at);
                left &= u64::MAX.checked_shl((walker.at - from) as u32).unwrap_or(0);
            }
            walker.at = next;
        }
    }
}

/// Where a run of plain characters may end: at a quote, a backslash or a control character. What a block lacks is NUL, and
/// ends one too.
#[inline(always)]
fn ends<L: Lanes>(block: Block<L>) -> u64 {
    (block.any_of(b"\"\\") | block.between(0, 0x1f)).bits()
}
