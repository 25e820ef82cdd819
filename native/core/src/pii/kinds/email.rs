//! Finds e-mail addresses in text, in linear time.
//!
//! The form is what people write, not all that RFC 5321 allows: no quoted local parts, no comments, no
//! address literals. Letters beyond ASCII are welcome on both sides (RFC 6531).

use std::ops::Range;

use crate::pii::matcher::{Anchor, Matcher, Spot};
use crate::shared::steps::step;
use crate::text::script::is_unspaced;

/// E-mail addresses, in the text of links too.
pub const MATCHER: Matcher = Matcher { anchors: &[Anchor::Text("@"), Anchor::Text("%")], at: email_at };

/// Longest local part, in characters.
const LOCAL_MAX: usize = 64;
/// Longest domain label, in characters.
const LABEL_MAX: usize = 63;
/// Longest address, in characters.
const ADDRESS_MAX: usize = 254;

/// The address around an `@`.
///
/// Each `@` is looked around once, up to the next character that no address may hold. As `@` is such a
/// character, no byte is visited more than twice.
fn email_at(spot: &Spot) -> Option<Range<usize>> {
    let at = spot.anchor.start;
    // The sign as links have it.
    let behind = if spot.word() == "%" { spot.text[at..].strip_prefix("%40")? } else { &spot.text[at + 1..] };
    let (local, chars) = local_part(&spot.text[spot.from..at])?;
    let domain = domain(behind, ADDRESS_MAX - 1 - chars)?;
    Some(spot.from + local..spot.text.len() - behind.len() + domain)
}

/// Where the local part that ends `text` begins, and its length in characters.
fn local_part(text: &str) -> Option<(usize, usize)> {
    let mut start = text.len();
    let mut dot = false;
    let mut script = None;
    for (count, (offset, c)) in text.char_indices().rev().enumerate() {
        step();
        let two_dots = dot && c == '.';
        if count == LOCAL_MAX || two_dots || !(is_letter(c) || is_local_mark(c)) {
            break;
        }
        // Where the script changes between the spaced and the unspaced, the text before belongs to a
        // sentence.
        if is_letter(c) && *script.get_or_insert(is_unspaced(c)) != is_unspaced(c) {
            break;
        }
        dot = c == '.';
        start = offset;
    }
    let local = &text[start..];
    // A quote around the address is not part of it, and neither is a dot before it.
    let trimmed = local.trim_start_matches(['.', '\'']);
    let valid = !trimmed.is_empty() && !trimmed.ends_with('.');
    valid.then(|| (text.len() - trimmed.len(), trimmed.chars().count()))
}

/// Where the longest valid domain at the start of `text` ends. `chars_max` is how long it may be, in
/// characters.
fn domain(text: &str, chars_max: usize) -> Option<usize> {
    let mut end = None;
    let mut labels = 0;
    let mut label_start = 0;
    let mut label_chars = 0;
    let mut spaced = false;
    let mut chars = text.char_indices();
    for count in 0.. {
        step();
        let next = chars.next();
        let offset = next.map_or(text.len(), |(offset, _)| offset);
        let c = next.map_or(' ', |(_, c)| c);
        let script_ends = spaced && is_unspaced(c);
        let room = count < chars_max && label_chars < LABEL_MAX;
        if room && (is_letter(c) || c == '-') && !script_ends {
            label_chars += 1;
            spaced |= c.is_ascii_alphanumeric();
            continue;
        }
        let label = &text[label_start..offset];
        let trimmed = label.trim_end_matches('-');
        if trimmed.is_empty() || trimmed.starts_with('-') {
            break;
        }
        if labels > 0 && is_top_level(trimmed) {
            end = Some(label_start + trimmed.len());
        }
        if c != '.' || count >= chars_max || trimmed.len() != label.len() {
            break;
        }
        labels += 1;
        label_start = offset + 1;
        label_chars = 0;
        spaced = false;
    }
    end
}

/// Versions such as `pkg@1.2.30` are no addresses: no top-level domain begins with a digit.
fn is_top_level(label: &str) -> bool {
    !label.starts_with(|c: char| c.is_ascii_digit()) && label.chars().nth(1).is_some()
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphanumeric() || (!c.is_ascii() && c.is_alphanumeric())
}

fn is_local_mark(c: char) -> bool {
    matches!(c, '.' | '_' | '%' | '+' | '\'' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::finder::found_by;
    use crate::shared::steps::count;

    fn emails(text: &str) -> Vec<&str> {
        found_by(MATCHER, text)
    }

    #[test]
    fn finds_addresses() {
        for address in [
            "bob@acme.com",
            "o'brien@acme.co.uk",
            "first.last+tag_1%x-y@mail.acme-corp.example",
            "b\u{f6}b@m\u{fc}nchen.de",
            "\u{7528}\u{6237}@\u{4f8b}\u{5b50}.\u{516c}\u{53f8}",
            "a@b.cc",
            "x@1.2.example",
            "x@xn--bcher-kva.xn--p1ai",
        ] {
            assert_eq!(emails(address), [address], "{address}");
            for (before, after) in
                [(" ", "."), ("<", ">"), ("'", "'"), ("\"", "\","), ("(", "),"), ("..", "-"), ("=", "?")]
            {
                let text = format!("{before}{address}{after} and so on");
                assert_eq!(emails(&text), [address], "{text}");
            }
        }
    }

    #[test]
    fn finds_addresses_in_links() {
        assert_eq!(
            emails("https://a.de/?to=ann%40example.com&cc=o'b%40c.dd"),
            ["ann%40example.com", "o'b%40c.dd"]
        );
        assert_eq!(emails("%40 %40a.de width:%40;x%40"), [""; 0]);
    }

    #[test]
    fn passes_over_what_is_no_address() {
        for text in [
            "@",
            "@@",
            "a@",
            "@acme.com",
            "a@acme",
            "a@acme.",
            "a@.com",
            "a@acme..com",
            "a@-acme.com",
            "a@acme-.com",
            "a.@acme.com",
            "a@acme.c",
            "a@1.2.3.4",
            "left-pad@1.2.30",
            "react@18.2.0-rc",
            "a @acme.com",
            "'@acme.com",
            "a@ac_me",
            "a@acme.c_m",
        ] {
            assert_eq!(emails(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn takes_the_longest_valid_part() {
        assert_eq!(emails("a@b.cc.1"), ["a@b.cc"]);
        assert_eq!(emails("a@b.cc.-d"), ["a@b.cc"]);
        assert_eq!(emails("a@b.cc@d.ee"), ["a@b.cc"]);
        assert_eq!(emails("see..a@b.cc"), ["a@b.cc"]);
        assert_eq!(emails("a@b.cc,d@e.ff"), ["a@b.cc", "d@e.ff"]);
    }

    #[test]
    fn leaves_unspaced_text_around_alone() {
        let text = "\u{8bf7}\u{8054}\u{7cfb}bob@acme.com\u{8c22}\u{8c22}";
        assert_eq!(emails(text), ["bob@acme.com"]);
        assert_eq!(emails("bob@acme.com\u{c73c}\u{b85c}"), ["bob@acme.com"]);
        assert_eq!(emails("\u{8bf7}123@qq.com"), ["123@qq.com"]);
    }

    #[test]
    fn keeps_to_the_lengths() {
        let local = |len| format!("{}@b.cc", "a".repeat(len));
        assert_eq!(emails(&local(64)), [local(64)]);
        // As much of a longer one as an address may have: better too much than a part left over.
        assert_eq!(emails(&local(65)), [local(64)]);
        let label = |len| format!("a@{}.cc", "b".repeat(len));
        assert_eq!(emails(&label(63)), [label(63)]);
        assert_eq!(emails(&label(64)), [""; 0]);
        let top = |len| format!("a@b.{}", "c".repeat(len));
        assert_eq!(emails(&top(64)), [top(63)]);
        let labels = "bb.".repeat(83);
        let whole = format!("a@{labels}ddd");
        assert_eq!(whole.len(), ADDRESS_MAX);
        assert_eq!(emails(&whole), [whole.as_str()]);
        assert_eq!(emails(&format!("a@{labels}dddd")), [whole.as_str()]);
    }

    #[test]
    fn takes_linear_time() {
        for text in ["@", "a@", "a.", "a.a@", "a@a.", "a@a.a", "a@b.cc", "-@-", "\u{e4}@", "a@\u{7528}"] {
            let long = text.repeat(100_000 / text.len());
            let steps = count(|| {
                emails(&long);
            });
            assert!(steps <= 4 * long.len(), "{steps} steps for {} bytes of {text}", long.len());
        }
        // An address may be 254 characters long, so a domain is not looked at further; the `@` is looked for in 64 bytes
        // at once.
        let steps = count(|| {
            emails(&format!("a@{}", "b.".repeat(50_000)));
        });
        assert!(steps < 1000 + 100_000 / 64, "{steps}");
    }
}
