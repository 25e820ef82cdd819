//! Finds private keys in PEM form, and leaves alone what only speaks of them.

use std::ops::Range;

use memchr::memmem;

use crate::pii::matcher::{Anchor, Matcher, Spot};
use crate::shared::steps::step;

/// Private keys in PEM form.
pub const MATCHER: Matcher = Matcher { anchors: &[Anchor::Text("-----BEGIN ")], at: private_key_at };

/// Longest private key, in bytes.
const PRIVATE_KEY_MAX: usize = 16 * 1024;

fn private_key_at(spot: &Spot) -> Option<Range<usize>> {
    let rest = &spot.bytes()[spot.anchor.end..];
    let name = memmem::find(&rest[..rest.len().min(LABEL_MAX)], b"PRIVATE KEY")? + "PRIVATE KEY".len();
    let name = name + if rest[name..].starts_with(b" BLOCK") { " BLOCK".len() } else { 0 };
    let body = &rest[..rest.len().min(PRIVATE_KEY_MAX)][name..].strip_prefix(DASHES)?;
    let from = spot.anchor.end + name + DASHES.len();
    // What stands between the dashes is looked at once, however often a key begins.
    let len = memmem::find(body, DASHES).unwrap_or(body.len());
    // In a diff, there is one dash more.
    let dashes = body[len..].iter().take_while(|&&byte| byte == b'-').count();
    let ended = body[len + dashes..].strip_prefix(b"END").filter(|_| is_key(&body[..len]));
    let end = match ended {
        Some(last) => {
            let last = &last[..last.len().min(LABEL_MAX)];
            let label = memmem::find(last, DASHES).map_or(last.len(), |at| at + DASHES.len());
            from + len + dashes + "END".len() + label
        }
        // One that is cut off is a secret all the same, as far as there are lines of it.
        None => from + lines_end(&body[..len])?,
    };
    Some(spot.anchor.start..spot.text.ceil_char_boundary(end))
}

/// What a private key's label stands between, and how long that may be.
const DASHES: &[u8] = b"-----";
const LABEL_MAX: usize = 64;
/// Shortest line that nothing but a key has, though code may stand around it.
const LINE_MIN: usize = 40;
/// Most bytes between two of its lines, such as the signs of a comment.
const GAP_MAX: usize = 32;
/// Most bytes of what stands before the lines of a key that is cut off, such as how it is encrypted.
const PREAMBLE_MAX: usize = 256;

fn is_base64(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

/// Whether lines of a key may stand so far apart: as in text, or in strings of code.
fn is_between(byte: &u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'\\' | b'"' | b'\'' | b'`' | b',' | b'.' | b'+')
}

/// The runs of Base64 in a text.
fn runs(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| !is_base64(byte)).inspect(|run| (0..=run.len()).for_each(|_| step()))
}

/// Whether letters may be a word of prose or code.
fn is_word(run: &[u8]) -> bool {
    run.iter().skip(1).all(u8::is_ascii_lowercase) && run.iter().all(u8::is_ascii_alphabetic)
}

/// Whether a text is what a private key has between its first line and its last, not code or prose about keys.
fn is_key(body: &[u8]) -> bool {
    runs(body).any(|run| run.len() >= LINE_MIN) || is_bare(body)
}

/// Whether there is hardly anything but lines of a key.
fn is_bare(body: &[u8]) -> bool {
    if !body.iter().all(|byte| is_base64(byte) || is_between(byte)) {
        return false;
    }
    let count =
        |words: bool| -> usize { runs(body).filter(|run| is_word(run) == words).map(<[u8]>::len).sum() };
    count(false) > count(true)
}

/// Where the lines of a key that is cut off end; `None`: there are none.
fn lines_end(body: &[u8]) -> Option<usize> {
    if is_bare(body) {
        return Some(body.len());
    }
    let mut at = 0;
    let mut first = None;
    for run in runs(body) {
        if run.len() >= LINE_MIN {
            first = Some(at);
        }
        if first.is_some() || at > PREAMBLE_MAX {
            break;
        }
        at += run.len() + 1;
    }
    let mut end = first?;
    loop {
        let line = body[end..].iter().take_while(|byte| is_base64(byte)).count();
        end += line;
        let gap = body[end..].iter().take(GAP_MAX).take_while(|byte| !is_base64(byte)).count();
        let next = body[end + gap..].iter().take_while(|byte| is_base64(byte)).inspect(|_| step()).count();
        let last = || body[end..][..gap].iter().all(is_between) && !is_word(&body[end + gap..][..next]);
        if next == 0 || next < LINE_MIN && !last() {
            return Some(end);
        }
        end += gap;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::finder::found_by;

    #[test]
    fn finds_keys() {
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----";
        assert_eq!(found_by(MATCHER, &format!("a\n{key}\nb")), [key]);
        assert_eq!(found_by(MATCHER, "-----BEGIN PUBLIC KEY-----\nMIIE"), [""; 0]);
    }

    #[test]
    fn a_private_key_that_is_cut_off_ends_with_its_lines() {
        let found = |text: &str| found_by(MATCHER, text).into_iter().map(String::from).collect::<Vec<_>>();
        let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
        let head = "-----BEGIN PRIVATE KEY-----";
        for key in [
            format!("{head}\n{line}\n{line}\nMzEf"),
            format!("{head}\r\n  {line}\r\n  {line}"),
            format!("{head} {line}{line}"),
            format!("{head}\n# {line}\n# {line}"),
            format!("{head}\n-{line}\n-{line}"),
            format!("{head}\n    2\u{2192}{line}\n    3\u{2192}{line}"),
            format!("{head}\" +\n  \"{line}\" +\n  '{line}"),
            format!(
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n\n{line}"
            ),
        ] {
            assert_eq!(found(&key), [key.as_str()]);
            for dash in ["", "-", "+"] {
                let whole = format!("{key}\n{dash}-----END PRIVATE KEY-----");
                assert_eq!(found(&format!("{whole}\n")), [whole.as_str()]);
            }
            // What follows the lines stays.
            let text = format!("{key}\n}}\n\nfn main() {{ let the rest be as it is }}\n");
            assert_eq!(found(&text), [key.as_str()], "{text}");
        }
    }

    #[test]
    fn the_name_of_a_private_keys_form_is_none() {
        for text in [
            "if pem.starts_with(\"-----BEGIN PRIVATE KEY-----\") {\n  return decode(pem);\n}",
            "grep for -----BEGIN RSA PRIVATE KEY----- and then do all that is left to be done",
            "const BEGIN = \"-----BEGIN PRIVATE KEY-----\";\nconst END = \"-----END PRIVATE KEY-----\";",
            "`-----BEGIN PRIVATE KEY-----` is how it begins, `-----END PRIVATE KEY-----` how it ends",
            "-----BEGIN PRIVATE KEY-----\n... \n-----END PRIVATE KEY-----",
            "find -----BEGIN PRIVATE KEY----- in all of the JSON files",
            "-----BEGIN PRIVATE KEY",
        ] {
            assert_eq!(found_by(MATCHER, text), [""; 0], "{text}");
        }
    }
}
