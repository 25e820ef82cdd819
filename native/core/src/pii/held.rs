//! What of a text that comes in pieces must be held back, since a value may go on in the next piece.

use crate::pii::finder::Finder;
use crate::pii::kinds::personal::is_month;

/// Most bytes that are held back where a value may go on, but for a private key.
pub(crate) const HELD_MAX: usize = 512;
/// How a private key begins and ends.
pub(crate) const KEY_BEGINS: &str = "-----BEGIN ";
pub(crate) const KEY_ENDS: &str = "-----END ";
/// Most bytes of a JSON web token, and how one begins.
pub(crate) const TOKEN_MAX: usize = 8 * 1024;
const TOKEN_BEGINS: &str = "eyJ";

/// Where a private key begins that goes on.
pub(crate) fn key_from(text: &str, least: usize) -> Option<usize> {
    let key = least + text[least..].rfind(KEY_BEGINS)?;
    (!text[key..].contains(KEY_ENDS)).then_some(key)
}

/// Where the end of a text begins that may be part of a value which goes on: its last word, and words before it that
/// belong together with it as the groups of a number and the month of a date do; and as much more as the values may have that
/// the configuration defines.
pub(crate) fn hold_from(text: &str, least: usize, finder: &Finder) -> usize {
    let mut from = token_from(text, least);
    for (at, c) in text.char_indices().rev() {
        if at < least || text.len() - at > HELD_MAX.max(finder.custom_max) {
            break;
        }
        let word = &text[at + c.len_utf8()..];
        if c.is_whitespace() {
            let word = &word[..word.find(char::is_whitespace).unwrap_or(word.len())];
            let month = word.trim_end_matches([',', '.']);
            let joined = word.len() <= 4 || word.bytes().any(|byte| byte.is_ascii_digit()) || is_month(month);
            if !joined {
                break;
            }
        }
        from = from.min(at);
    }
    // The first word may be the last part of what is given out already.
    let rest = &text[from..];
    from += rest.len() - rest.trim_start().len();
    if finder.spaced_max == 0 {
        return from;
    }
    // What follows a value must be known too: a whole word ends there.
    let spaced = text.floor_char_boundary(text.len().saturating_sub(finder.spaced_max + 1));
    from.min(spaced).max(least)
}

/// Where a JSON web token begins that a text may end in: without its last part, nothing says that it is one.
fn token_from(text: &str, least: usize) -> usize {
    let len = text.chars().rev().take(TOKEN_MAX).take_while(|&c| is_of_token(c)).count();
    let start = (text.len() - len).max(least);
    text[start..].find(TOKEN_BEGINS).map_or(text.len(), |at| start + at)
}

pub(crate) fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}
