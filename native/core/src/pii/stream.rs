//! Replaces personal data in text that comes in pieces.

use crate::pii::finder::{Finding, Search};
use crate::pii::policy::{KINDS_MAX, Policy};

/// Text that goes before what comes, so that words nearby are known: as far as contexts reach.
const BEFORE_MAX: usize = 80;
/// Most bytes that are held back where a value may go on, but for a private key.
const HELD_MAX: usize = 512;
/// Most bytes of a private key.
const KEY_MAX: usize = 16 * 1024;
/// How a private key begins and ends.
const KEY_BEGINS: &str = "-----BEGIN ";
const KEY_ENDS: &str = "-----END ";

/// One text that comes in pieces.
#[derive(Default)]
pub struct Stream {
    /// What was given out last, and what is held back.
    text: String,
    /// Where the part held back begins.
    held: usize,
    /// How often a value of each kind occurred; empty if nothing was found.
    pub counts: Vec<u32>,
    search: Search,
}

impl Stream {
    /// Takes a piece in, and gives out what no later piece can change. `last`: nothing comes any more.
    pub fn push(&mut self, policy: &Policy, scope: &str, piece: &str, last: bool) -> String {
        self.text.push_str(piece);
        let mut search = std::mem::take(&mut self.search);
        policy.finder.find(&self.text, "", &mut search);
        let found = &mut search.found;
        let mut cut = if last { self.text.len() } else { hold_from(&self.text, self.held) };
        // A value is given out when it is complete.
        if let Some(open) = found.iter().find(|finding| finding.range.start < cut && cut < finding.range.end)
        {
            cut = open.range.start.max(self.held);
        }
        let mut out = String::with_capacity(cut - self.held);
        let mut copied = self.held;
        for Finding { kind, range } in found.drain(..) {
            if range.start < copied || range.end > cut {
                continue;
            }
            let value = &self.text[range.clone()];
            if policy.allows(value) {
                continue;
            }
            self.counts.resize(KINDS_MAX, 0);
            self.counts[usize::from(kind)] += 1;
            if let Some(replacement) = policy.replacement(kind, value, scope, 0) {
                out.push_str(&self.text[copied..range.start]);
                out.push_str(&replacement);
                copied = range.end;
            }
        }
        out.push_str(&self.text[copied..cut]);
        self.search = search;
        self.held = cut;
        let mut forget = cut.saturating_sub(BEFORE_MAX);
        while !self.text.is_char_boundary(forget) {
            forget -= 1;
        }
        self.text.drain(..forget);
        self.held -= forget;
        out
    }
}

/// Where the end of a text begins that may be part of a value which goes on: its last word, and words before it that
/// belong together with it as the groups of a number do.
fn hold_from(text: &str, least: usize) -> usize {
    if let Some(key) = text[least..].rfind(KEY_BEGINS)
        && !text[least + key..].contains(KEY_ENDS)
        && text.len() - least - key <= KEY_MAX
    {
        return least + key;
    }
    let mut from = text.len();
    for (at, c) in text.char_indices().rev() {
        if at < least || text.len() - at > HELD_MAX {
            break;
        }
        let word = &text[at + c.len_utf8()..];
        if c.is_whitespace() {
            let word = &word[..word.find(char::is_whitespace).unwrap_or(word.len())];
            let joined = word.is_empty() || word.len() <= 4 || word.bytes().any(|byte| byte.is_ascii_digit());
            if !joined {
                break;
            }
        }
        from = at;
    }
    // The first word may be the last part of what is given out already.
    let rest = &text[from..];
    from + (rest.len() - rest.trim_start().len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::policy::Action;
    use proptest::prelude::*;

    fn policy() -> Policy {
        let actions: Vec<_> =
            ["email", "card", "iban", "phone", "private_key"].map(|name| (name, Action::Redact)).into();
        Policy::new(&actions, Vec::new(), &[], b"key").unwrap()
    }

    fn scrub(pieces: &[&str]) -> String {
        let policy = policy();
        let mut stream = Stream::default();
        let mut out: String = pieces.iter().map(|piece| stream.push(&policy, "", piece, false)).collect();
        out.push_str(&stream.push(&policy, "", "", true));
        out
    }

    const TEXT: &str = "Write to ann@example.com. Pay GB82 WEST 1234 5698 7654 32 with 4111 1111 1111 1111 or call \
        +41 (0)96 471 07 95; \u{e9}t\u{e9} -----BEGIN RSA PRIVATE KEY-----\nMIIE abc\n-----END RSA PRIVATE KEY----- done";

    #[test]
    fn values_split_anywhere_are_found() {
        let whole = scrub(&[TEXT]);
        assert_eq!(
            whole,
            "Write to [EMAIL]. Pay [IBAN] with [CARD] or call [PHONE]; \u{e9}t\u{e9} [PRIVATE_KEY] done"
        );
        for at in (0..TEXT.len()).filter(|&at| TEXT.is_char_boundary(at)) {
            let (left, right) = TEXT.split_at(at);
            assert_eq!(scrub(&[left, right]), whole, "{left}|{right}");
        }
        let letters: Vec<String> = TEXT.chars().map(String::from).collect();
        assert_eq!(scrub(&letters.iter().map(String::as_str).collect::<Vec<_>>()), whole);
    }

    #[test]
    fn little_is_held_back() {
        let mut stream = Stream::default();
        let out = stream.push(&policy(), "", "a sentence of ordinary length, and", false);
        assert_eq!(out, "a sentence of ordinary ");
        let out = stream.push(&policy(), "", &"1 ".repeat(10_000), false);
        assert!(out.len() >= 20_000 - HELD_MAX, "{}", out.len());
    }

    proptest! {
        #[test]
        fn text_without_values_comes_out_as_it_went_in(pieces in prop::collection::vec("[a-z \\u{e9}]{0,9}", 0..20)) {
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(scrub(&pieces), pieces.concat());
        }
    }
}
