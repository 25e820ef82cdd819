//! Replaces personal data in text that comes in pieces.
//!
//! Offsets are those of the folded text, as values are looked for in it, unless they are called raw.

use crate::pii::finder::{Finding, Search};
use crate::pii::fold::Folded;
use crate::pii::held::{HELD_MAX, KEY_ENDS, hold_from, is_of_token, key_from};
use crate::pii::policy::{KINDS_MAX, Policy};
use crate::pii::quote::{Quotes, quote};

/// Text that goes before what comes, so that words nearby are known: as far as contexts reach.
const BEFORE_MAX: usize = 80;
/// Most bytes of a private key.
const KEY_MAX: usize = 16 * 1024;
/// Most raw bytes that are held back for one, with what may stand before it.
const KEY_HELD_MAX: usize = KEY_MAX + HELD_MAX;
/// Most raw bytes for one of the folded text, as an escape has, or a letter with a character without width. Where there are
/// more, less is held back.
const RAW_MAX: usize = 6;
/// Longest value that is held back to its end; of a longer one, which is a token's, the rest is left out.
const OPEN_MAX: usize = KEY_MAX + 64;
/// One text that comes in pieces.
#[derive(Default)]
pub struct Stream {
    /// What was given out last, and what is held back.
    text: String,
    /// Where the part held back begins, raw.
    held: usize,
    /// How often a value of each kind occurred; empty if nothing was found.
    pub counts: Vec<u32>,
    quotes: Quotes,
    /// The beginning of a token was replaced, and its rest is left out.
    in_token: bool,
    /// The part held back is a private key that goes on.
    in_key: bool,
    folded: Folded,
    search: Search,
}

impl Stream {
    /// What of a piece doesn't belong to the token whose beginning was replaced last.
    fn behind_token<'p>(&mut self, piece: &'p str) -> &'p str {
        let rest = piece.trim_start_matches(is_of_token);
        if !self.in_token || rest.is_empty() {
            return if self.in_token { rest } else { piece };
        }
        self.in_token = false;
        // Points and dashes at its end belong to the sentence.
        let token = piece[..piece.len() - rest.len()].trim_end_matches(['.', '-']);
        &piece[token.len()..]
    }

    /// Whether a piece, which was taken in, only goes on with the private key that is held back: to look at all of that
    /// again would take time that grows with the square of its length.
    fn is_within_key(&self, piece: &str) -> bool {
        let Some(from) = self.text.len().checked_sub(piece.len() + KEY_ENDS.len()) else { return false };
        let ends = || self.text[self.text.floor_char_boundary(from)..].contains(KEY_ENDS);
        self.in_key && self.text.len() - self.held <= KEY_HELD_MAX && !ends()
    }

    /// Takes a piece in, and gives out what no later piece can change. `last`: nothing comes any more.
    pub fn push(&mut self, policy: &Policy, scope: &str, piece: &str, last: bool) -> String {
        let piece = self.behind_token(piece);
        self.text.push_str(piece);
        if !last && self.is_within_key(piece) {
            return String::new();
        }
        let Stream { text: raw, held, counts, quotes, in_token, in_key, folded, search } = self;
        let changed = folded.fold(raw).is_some();
        let text = if changed { folded.text() } else { &*raw };
        let to_raw = |at: usize| if changed { folded.offset(at) } else { at };
        let least = if changed { folded.folded(*held) } else { *held };
        policy.finder.find(text, "", search);
        let found = &mut search.found;
        let key = (raw.len() - *held <= KEY_HELD_MAX).then(|| key_from(text, least)).flatten();
        let mut cut = match key {
            _ if last => text.len(),
            Some(key) => key,
            None => hold_from(text, least, &policy.finder),
        };
        // A value is given out when it is complete, or so long that the rest needn't be seen.
        let is_open = |finding: &&Finding| finding.range.start < cut && cut < finding.range.end;
        let mut goes_on = false;
        if let Some(open) = found.iter().find(is_open) {
            goes_on = open.range.end == text.len() && open.range.len() > OPEN_MAX;
            cut = if goes_on { text.len() } else { open.range.start.max(least) };
        }
        let mut raw_cut = if last { raw.len() } else { to_raw(cut) };
        *in_key = key == Some(cut);
        let kept_max = RAW_MAX * (text.len() - cut).max(HELD_MAX);
        if raw.len() - raw_cut > kept_max {
            raw_cut = raw.ceil_char_boundary(raw.len() - kept_max);
            *in_key = false;
        }
        let mut out = String::with_capacity(raw_cut - *held);
        let mut copied = *held;
        for Finding { kind, range } in found.drain(..) {
            let range = to_raw(range.start)..to_raw(range.end);
            if range.start < copied || range.end > raw_cut {
                continue;
            }
            let value = &raw[range.clone()];
            if policy.allows(value) {
                continue;
            }
            counts.resize(KINDS_MAX, 0);
            counts[usize::from(kind)] += 1;
            if let Some(replacement) = policy.replacement(kind, value, scope, 0) {
                out.push_str(&raw[copied..range.start]);
                let slashes = quotes.around(raw, range.clone());
                out.extend(slashes.into_iter().flat_map(quote).map(char::from));
                out.push_str(&replacement);
                out.extend(slashes.into_iter().flat_map(quote).map(char::from));
                copied = range.end;
                *in_token = goes_on && range.end == raw_cut;
            }
        }
        out.push_str(&raw[copied..raw_cut]);
        quotes.read_to(raw, raw_cut);
        let before = raw_cut.saturating_sub(RAW_MAX * BEFORE_MAX);
        let known = to_raw(text.floor_char_boundary(cut.saturating_sub(BEFORE_MAX)));
        let forget = known.max(raw.ceil_char_boundary(before)).min(raw_cut);
        raw.drain(..forget);
        quotes.forget(forget);
        *held = raw_cut - forget;
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::custom::Custom;
    use crate::pii::held::{KEY_BEGINS, TOKEN_MAX};
    use crate::pii::kinds::KINDS;
    use crate::pii::policy::{Action, CustomKind};
    use proptest::prelude::*;

    fn policy() -> Policy {
        let actions: Vec<_> =
            ["email", "card", "iban", "phone", "private_key"].map(|name| (name, Action::Redact)).into();
        Policy::new(&actions, Vec::new(), &[], b"key").unwrap()
    }

    fn scrub(pieces: &[&str]) -> String {
        scrub_by(&policy(), pieces)
    }

    fn scrub_by(policy: &Policy, pieces: &[&str]) -> String {
        let mut stream = Stream::default();
        let mut out: String = pieces.iter().map(|piece| stream.push(policy, "", piece, false)).collect();
        out.push_str(&stream.push(policy, "", "", true));
        out
    }

    /// Scrubs a text whole, in two pieces cut anywhere, and letter by letter.
    fn scrubs_however_split(policy: &Policy, text: &str, scrubbed: &str) {
        assert_eq!(scrub_by(policy, &[text]), scrubbed);
        for at in 0..text.len() {
            let (left, right) = text.split_at(at);
            assert_eq!(scrub_by(policy, &[left, right]), scrubbed, "{left}|{right}");
        }
        let letters: Vec<String> = text.chars().map(String::from).collect();
        assert_eq!(scrub_by(policy, &letters.iter().map(String::as_str).collect::<Vec<_>>()), scrubbed);
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
    fn a_long_token_is_held_to_its_end() {
        let policy = Policy::new(&[("jwt", Action::Redact)], Vec::new(), &[], b"key").unwrap();
        let part = |len: usize| format!("eyJ{}", &"aB3xY9-_".repeat(4000)[..len]);
        for claims in [100, 600, 5000, 9000, 30_000] {
            let token = format!("{}.{}.{}", part(30), part(claims), &part(340)[3..]);
            let text = format!("Bearer {token}, and eyJ is no token.");
            for size in if claims > 5000 { [13, 64, 5000] } else { [1, 3, 64] } {
                let mut stream = Stream::default();
                let pieces = text.as_bytes().chunks(size);
                let mut out: String = pieces
                    .map(|piece| stream.push(&policy, "", std::str::from_utf8(piece).unwrap(), false))
                    .collect();
                out.push_str(&stream.push(&policy, "", "", true));
                assert_eq!(out, "Bearer [JWT], and eyJ is no token.", "{claims} by {size}");
            }
        }
        // Nor is what goes on for ever.
        let mut stream = Stream::default();
        let endless = format!("{}.{}", part(30), part(100));
        let given: usize = std::iter::once(endless.as_str())
            .chain(std::iter::repeat_n("aB3xY9-_", 10_000))
            .map(|piece| stream.push(&policy, "", piece, false).len())
            .sum();
        assert!(given == "[JWT]".len() && stream.text.len() < 100, "{given} {}", stream.text.len());
        assert_eq!(stream.push(&policy, "", "9. Next", true), ". Next");
        // What is only counted comes out as it went in.
        let counted = Policy::new(&[("jwt", Action::Report)], Vec::new(), &[], b"key").unwrap();
        let mut stream = Stream::default();
        let pieces = || std::iter::once(endless.as_str()).chain(std::iter::repeat_n("aB3xY9-_", 5000));
        let mut out: String = pieces().map(|piece| stream.push(&counted, "", piece, false)).collect();
        out.push_str(&stream.push(&counted, "", " end", true));
        assert!(out == pieces().collect::<String>() + " end");
        assert_eq!(stream.counts.iter().sum::<u32>(), 1);
        // What only begins like one isn't held for ever.
        let mut stream = Stream::default();
        let flood = "eyJ".to_owned() + &"a".repeat(3 * TOKEN_MAX);
        assert!(stream.push(&policy, "", &flood, false).len() >= 2 * TOKEN_MAX);
    }

    #[test]
    fn a_private_key_is_looked_at_once_however_small_its_pieces() {
        let kinds: Vec<_> = KINDS.iter().map(|kind| (kind.name, Action::Redact)).collect();
        let policy = Policy::new(&kinds, Vec::new(), &[], b"key").unwrap();
        let steps = |len: usize| {
            let mut stream = Stream::default();
            crate::shared::steps::count(|| {
                stream.push(&policy, "", KEY_BEGINS, false);
                (0..len / 2).for_each(|_| drop(stream.push(&policy, "", "1/", false)));
            })
        };
        let (short, long) = (steps(KEY_MAX / 4), steps(KEY_MAX / 2));
        assert!(long <= 2 * short + 1000, "{short} and {long} steps");
        // Its end may come in pieces, too, and whatever follows goes on as ever.
        let key = format!(
            "{KEY_BEGINS}RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
            "MIIE".repeat(900)
        );
        let text = format!("a {key} to ann@example.com, {key}");
        for size in [1, 7, 4000] {
            let pieces: Vec<_> =
                text.as_bytes().chunks(size).map(|piece| str::from_utf8(piece).unwrap()).collect();
            assert_eq!(scrub(&pieces), "a [PRIVATE_KEY] to [EMAIL], [PRIVATE_KEY]", "{size}");
        }
        // What only begins like one isn't held for ever.
        let mut stream = Stream::default();
        let pieces = std::iter::once(KEY_BEGINS).chain(std::iter::repeat_n("no key, ", 4000));
        let given: usize = pieces.map(|piece| stream.push(&policy, "", piece, false).len()).sum();
        assert!(given >= 32_000 - KEY_HELD_MAX, "{given}");
    }

    #[test]
    fn dates_and_what_the_configuration_defines_are_held_to_their_end() {
        let custom = |name: &str, custom| CustomKind { name: name.into(), custom, action: Action::Redact };
        let words = custom("project", Custom::words(["Operation Blue Harbour", "Falcon"]).unwrap());
        let pattern = custom("order", Custom::pattern("order number [A-Z]{3,9}").unwrap());
        let policy =
            Policy::new(&[("birth_date", Action::Redact)], vec![words, pattern], &[], b"key").unwrap();
        let long = custom("long", Custom::pattern("L[a-z]{700}L").unwrap());
        let unspaced = Policy::new(&[], vec![long], &[], b"key").unwrap();
        let value = format!("L{}L", "ab".repeat(350));
        let pieces = value.as_bytes().chunks(7).map(|piece| std::str::from_utf8(piece).unwrap());
        assert_eq!(scrub_by(&unspaced, &pieces.chain([" x"]).collect::<Vec<_>>()), "[LONG] x");
        let text = "Born September 24, 1991, or the 3rd of February 1990; operation blue harbour, Operation Blue \
            Harbours, falcon, order number ABCDEFGHIJ in all, and no more of it";
        let whole = "Born [BIRTH_DATE], or the [BIRTH_DATE]; [PROJECT], Operation Blue Harbours, [PROJECT], [ORDER]J \
            in all, and no more of it";
        scrubs_however_split(&policy, text, whole);
    }

    #[test]
    fn what_is_only_reported_keeps_nothing_that_it_touches() {
        let custom = Custom::words(["Falcon"]).unwrap();
        let word = CustomKind { name: "project".into(), custom, action: Action::Redact };
        let policy = Policy::new(&[("domain", Action::Report)], vec![word], &[], b"key").unwrap();
        let text = "see https://falcon.example.com/x and https://example.com/y";
        scrubs_however_split(&policy, text, "see https://[PROJECT]/x and https://example.com/y");
    }

    #[test]
    fn arguments_stay_json_however_they_are_split() {
        let whole =
            r#"{"card": 4111111111111111,"all":[4111111111111111, 5555555555554444],"to":"ann@example.com"}"#;
        let cut = r#"{"card": "[CARD]","all":["[CARD]", "[CARD]"],"to":"[EMAIL]"}"#;
        scrubs_however_split(&policy(), whole, cut);
    }

    #[test]
    fn little_is_held_back() {
        let mut stream = Stream::default();
        let out = stream.push(&policy(), "", "a sentence of ordinary length, and", false);
        assert_eq!(out, "a sentence of ordinary ");
        let out = stream.push(&policy(), "", &"1 ".repeat(10_000), false);
        assert!(out.len() >= 20_000 - HELD_MAX, "{}", out.len());
    }

    /// Looks the same as [`TEXT`]: full-width and other digits, odd spaces, no width, and escapes of JSON in JSON.
    const ODD: &str = "Write to ann\u{200b}@\u{ff45}xample.com\u{ad}. Pay GB82\u{a0}WEST 12\u{feff}34 5698 \u{ff17}654 32 with \
        \u{ff14}\u{ff11}\u{ff11}\u{ff11}\u{3000}\u{1d7cf}111 11\u{2060}11 \u{661}111 or call +41 (0)96\\n471 07 95; b\\u0040c.dd, \
        done\u{200b}";

    #[test]
    fn what_only_looks_different_is_found_however_it_is_split() {
        let whole = scrub(&[ODD]);
        assert_eq!(whole, "Write to [EMAIL]. Pay [IBAN] with [CARD] or call [PHONE]; [EMAIL], done\u{200b}");
        let document = document_of(ODD);
        let inside = crate::pii::document::scrub_document(document.as_bytes(), &policy(), "");
        let inside = String::from_utf8(inside.unwrap().body.unwrap()).unwrap();
        assert_eq!(inside, document_of(&whole));
        for at in (0..ODD.len()).filter(|&at| ODD.is_char_boundary(at)) {
            let (left, right) = ODD.split_at(at);
            assert_eq!(scrub(&[left, right]), whole, "{left}|{right}");
        }
        let letters: Vec<String> = ODD.chars().map(String::from).collect();
        assert_eq!(scrub(&letters.iter().map(String::as_str).collect::<Vec<_>>()), whole);
    }

    /// A text as the only string of a JSON document.
    fn document_of(text: &str) -> String {
        format!("[\"{}\"]", text.replace('\\', "\\\\"))
    }

    #[test]
    fn no_flood_is_held_back() {
        for flood in ["\u{200b}", "\u{ff11}", "1\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}", "\\u0041"] {
            let mut stream = Stream::default();
            let given: usize = (0..3000).map(|_| stream.push(&policy(), "", flood, false).len()).sum();
            let held = 3000 * flood.len() - given;
            assert!(held <= RAW_MAX * HELD_MAX + flood.len(), "{flood}: {held}");
            assert!(stream.text.len() <= RAW_MAX * (HELD_MAX + BEFORE_MAX) + flood.len(), "{flood}");
        }
    }

    proptest! {
        #[test]
        fn odd_text_comes_out_the_same_however_it_is_split(
            text in "([a-z]{0,6}[ @.\u{200b}\u{ff11}\u{3000}]{0,3}(4111 1111|a@b.cc|\\\\n|\\\\u0040)?){0,12}", cuts in prop::collection::vec(0usize..200, 0..6)
        ) {
            let mut pieces = Vec::new();
            let mut from = 0;
            let mut cuts = cuts;
            cuts.sort_unstable();
            for cut in cuts {
                let cut = cut.min(text.len());
                if cut >= from && text.is_char_boundary(cut) {
                    pieces.push(&text[from..cut]);
                    from = cut;
                }
            }
            pieces.push(&text[from..]);
            prop_assert_eq!(scrub(&pieces), scrub(&[&text]));
        }

        #[test]
        fn text_without_values_comes_out_as_it_went_in(pieces in prop::collection::vec("[a-z \\u{e9}]{0,9}", 0..20)) {
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(scrub(&pieces), pieces.concat());
        }
    }
}
