//! Tells what code assigns to a secret's name from the secret itself: `accessToken = response.data.accessToken`.

use crate::shared::steps::step;

/// Shortest words of names on average, in characters, and of one that stands alone: those of random text are shorter.
const WORD_MIN: usize = 3;
const LONE_MIN: usize = 4;

/// Whether a value without quotes is a name in code, and no secret.
///
/// `next`: what follows. `chosen`: people choose secrets that are called so, of words too.
pub fn is_code(value: &[u8], next: &[u8], chosen: bool) -> bool {
    let Some(name) = Name::read(value) else { return false };
    let called = next.first() == Some(&b'(');
    let path = name.parts > 1;
    if name.letters < WORD_MIN * name.words {
        return false;
    }
    if chosen {
        let own = value.starts_with(b"this.") || value.starts_with(b"self.");
        return path && (called || own) || called && name.joined && !value[0].is_ascii_uppercase();
    }
    // What an element of XML says ends with `</`.
    let ends = match next {
        [b'<', after, ..] => *after != b'/',
        [after, ..] => matches!(after, b',' | b';' | b')' | b'{' | b'}' | b'>'),
        [] => false,
    };
    path || called && name.joined || ends && !name.digits && name.letters >= LONE_MIN * name.words
}

/// What identifiers, joined as members are, consist of.
#[derive(Default)]
struct Name {
    parts: usize,
    words: usize,
    letters: usize,
    /// A word is joined to the one before by a capital letter or `_`.
    joined: bool,
    digits: bool,
}

impl Name {
    /// `None`: these are no identifiers.
    fn read(value: &[u8]) -> Option<Name> {
        let mut name = Name::default();
        for part in
            value.split(|byte| matches!(byte, b'.' | b':' | b'?' | b'!')).filter(|part| !part.is_empty())
        {
            name.parts += 1;
            let mut last = b' ';
            for &byte in part {
                step();
                let begins = match byte {
                    b'a'..=b'z' => !last.is_ascii_alphabetic(),
                    b'A'..=b'Z' => !last.is_ascii_uppercase(),
                    b'0'..=b'9' if last != b' ' => !last.is_ascii_digit(),
                    b'_' | b'$' | b'#' => false,
                    _ => return None,
                };
                let word = byte.is_ascii_alphanumeric();
                name.joined |= begins && byte.is_ascii_alphabetic() && last != b' ' && !last.is_ascii_digit();
                name.digits |= byte.is_ascii_digit();
                name.words += usize::from(begins);
                name.letters += usize::from(word);
                last = byte;
            }
        }
        Some(name)
    }
}
