//! Finds secrets by how they look: API keys and tokens by how they begin, JSON web tokens, and credentials in links.

use std::ops::Range;

use memchr::{memmem, memrchr};

use super::secret_rows::{Alphabet, SECRETS, Secret};
use crate::pii::edges::is_edge;
use crate::pii::matcher::{Anchor, Matcher, Spot};
use crate::shared::steps::step;

/// Keys and tokens that begin as one of [`SECRETS`].
pub const API_KEY: Matcher =
    Matcher { anchors: &[Anchor::Token(TOKEN_MIN), Anchor::Text(":")], at: api_key_at };
/// JSON web tokens (RFC 7519).
pub const JWT: Matcher = Matcher { anchors: &[Anchor::Token(TOKEN_MIN)], at: jwt_at };
/// Links and connection strings with a user's name and password.
pub const CREDENTIALS: Matcher = Matcher { anchors: &[Anchor::Text("@")], at: credentials_at };

/// The shortest key with its prefix.
const TOKEN_MIN: usize = 20;
/// Length of a JSON web token, in bytes, from which on it is one without its last part.
const LONG_MIN: usize = 4096;
/// Longest link before its `@`.
const LINK_MAX: usize = 512;

/// Where the rows begin whose prefix has this first byte, or a later one.
const FIRST: [u8; 257] = {
    let mut first = [0; 257];
    let mut byte = 1;
    while byte < 257 {
        let mut row = first[byte - 1] as usize;
        while row < SECRETS.len() && (SECRETS[row].prefix.as_bytes()[0] as usize) < byte {
            row += 1;
        }
        first[byte] = row as u8;
        byte += 1;
    }
    first
};

/// The row that a text begins with, if what follows is as the row says; and where it ends.
pub fn row_at(bytes: &[u8], start: usize) -> Option<(&'static Secret, usize)> {
    let first = usize::from(*bytes.get(start)?);
    let rows = &SECRETS[usize::from(FIRST[first])..usize::from(FIRST[first + 1])];
    rows.iter().filter(|row| bytes[start..].starts_with(row.prefix.as_bytes())).find_map(|row| {
        let body = &bytes[start + row.prefix.len()..];
        let within = body.iter().take(row.length.1 + 1);
        let len = within.take_while(|&&byte| row.alphabet.has(byte)).inspect(|_| step()).count();
        let mixed = || body[..len].iter().any(u8::is_ascii_digit) || is_random(&body[..len]);
        let ends = !body.get(len).is_some_and(|byte| byte.is_ascii_alphanumeric());
        ((row.length.0..=row.length.1).contains(&len) && ends && mixed())
            .then(|| (row, start + row.prefix.len() + len))
    })
}

fn api_key_at(spot: &Spot) -> Option<Range<usize>> {
    let bytes = spot.bytes();
    if spot.anchor.len() < TOKEN_MIN {
        return webhook_at(spot);
    }
    if !is_edge(spot.text[..spot.anchor.start].chars().next_back()) {
        return None;
    }
    // A token may begin behind a point, as the parts of a name do: config.ghp_….
    let word = spot.anchor.clone();
    let starts = std::iter::once(word.start)
        .chain(word.clone().filter(|&at| matches!(bytes[at], b'.')).map(|at| at + 1));
    for start in starts.take(PARTS_MAX) {
        step();
        if let Some((row, end)) = row_at(bytes, start) {
            // A bot's number stands before its token.
            let whole = if row.name == "telegram_bot" { bot_number(bytes, start)? } else { start };
            let end = if row.alphabet == Alphabet::Url { end - trailing(&bytes[start..end]) } else { end };
            return Some(whole..end);
        }
    }
    None
}

/// Links that whoever knows them can post to: how they begin.
const WEBHOOKS: [&str; 6] = [
    "hooks.slack.com/services/T",
    "hooks.slack.com/workflows/T",
    "discord.com/api/webhooks/",
    "discordapp.com/api/webhooks/",
    "outlook.office.com/webhook/",
    "hooks.zapier.com/hooks/catch/",
];

fn webhook_at(spot: &Spot) -> Option<Range<usize>> {
    let bytes = spot.bytes();
    let link = bytes[spot.anchor.end..].strip_prefix(b"//")?;
    let begins = WEBHOOKS.iter().find(|begins| link.starts_with(begins.as_bytes()))?;
    let belongs = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(**byte, b'/' | b'-' | b'_' | b'@');
    let path = link[begins.len()..].iter().take(LINK_MAX).take_while(belongs).inspect(|_| step()).count();
    let before = &bytes[spot.from..spot.anchor.start];
    let scheme = before.iter().rev().take(SCHEME_MAX).take_while(|byte| byte.is_ascii_alphabetic()).count();
    let end = spot.anchor.end + "//".len() + begins.len() + path;
    (path >= WEBHOOK_MIN).then_some(spot.anchor.start - scheme..end)
}

/// Shortest path of such a link behind its beginning.
const WEBHOOK_MIN: usize = 12;
/// Longest `https` and the like.
const SCHEME_MAX: usize = 16;

/// Parts of a token that are looked at.
const PARTS_MAX: usize = 8;

/// Points and dashes at a text's end belong to the sentence.
pub fn trailing(text: &[u8]) -> usize {
    text.iter().rev().take_while(|byte| matches!(byte, b'.' | b'-')).count()
}

fn bot_number(bytes: &[u8], token: usize) -> Option<usize> {
    let colon = token.checked_sub(1).filter(|&at| bytes[at] == b':')?;
    let digits = bytes[..colon].iter().rev().take(11).take_while(|byte| byte.is_ascii_digit()).count();
    (8..=10).contains(&digits).then(|| colon - digits)
}

fn jwt_at(spot: &Spot) -> Option<Range<usize>> {
    let word = spot.word();
    let start = word.find("eyJ").filter(|&at| at == 0 || !word.as_bytes()[at - 1].is_ascii_alphanumeric())?;
    let token = &word[start..];
    let mut parts = token.split('.');
    let header = parts.next().is_some_and(|part| part.len() >= 16);
    let claims = parts.next().is_some_and(|part| part.starts_with("eyJ") && part.len() >= 8);
    // A long one needs no last part, which may be cut off, or still to come.
    let long = token.len() >= LONG_MIN;
    let signed = parts.next().is_some() || long;
    // Encrypted ones have five parts.
    let encrypted = || matches!((token.matches('.').count(), long), (4, _) | (3, true));
    let end = spot.anchor.end - trailing(word.as_bytes());
    (header && (signed && claims || encrypted())).then_some(spot.anchor.start + start..end)
}

/// `https://user:password@host/path` and the like: all of it, since the host is part of the secret's use.
fn credentials_at(spot: &Spot) -> Option<Range<usize>> {
    let bytes = spot.bytes();
    let at = spot.anchor.start;
    let least = at.saturating_sub(LINK_MAX).max(spot.from);
    let stops = |byte: &u8| {
        step();
        byte.is_ascii_whitespace() || matches!(byte, b'@' | b'"' | b'\'' | b'<' | b'>' | b'`')
    };
    let start = at - bytes[least..at].iter().rev().take_while(|byte| !stops(byte)).count();
    let scheme = start + memmem::find(&bytes[start..at], b"://")?;
    let user = &bytes[scheme + 3..at];
    let colon = memchr::memchr(b':', user)?;
    let (login, password) = (&user[..colon], &user[colon + 1..]);
    let ends = |byte: &u8| matches!(byte, b'/' | b'?' | b'#');
    // Behind the host and its port, a link may have colons and addresses: http://localhost:3000/@fs/x.
    let port = password.iter().position(ends).is_some_and(|at| password[..at].iter().all(u8::is_ascii_digit));
    if password.is_empty() || port || login.iter().any(ends) || login.starts_with(b"[") {
        return None;
    }
    let name = bytes[start..scheme]
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'+')
        .count();
    let rest = &bytes[at + 1..];
    let authority = rest
        .iter()
        .take(LINK_MAX)
        .take_while(|&&byte| byte == b'@' || !stops(&byte) && !matches!(byte, b'/' | b','));
    // The last sign before the host is the one: a password may hold others.
    let host = memrchr(b'@', &rest[..authority.count()]).map_or(at + 1, |more| at + 1 + more + 1);
    let link =
        bytes[host..].iter().take(LINK_MAX).take_while(|byte| !stops(byte) && !matches!(byte, b',' | b')'));
    let end = host + link.count();
    let placeholder = password.iter().all(|byte| matches!(byte, b'*' | b'x' | b'.'));
    (name > 0 && end > host && !placeholder && spot.text.is_char_boundary(end)).then_some(scheme - name..end)
}

/// Whether the characters are spread as those of random text are: at least 2.8 bits of entropy for each.
pub fn is_random(value: &[u8]) -> bool {
    let mut counts = [0_u16; 256];
    value.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
    let len = value.len() as f64;
    let bits: f64 = counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| f64::from(count) * (len / f64::from(count)).log2())
        .sum();
    bits >= 2.8 * len
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::finder::found_by;

    /// So many characters of an alphabet, without a repeated pattern.
    fn body(alphabet: Alphabet, len: usize) -> String {
        let all: Vec<u8> =
            (b'!'..=b'~').filter(|&byte| alphabet.has(byte) && byte.is_ascii_alphanumeric()).collect();
        (0..len).map(|at| char::from(all[(at * 7 + at * at * 3 + 5) % all.len()])).collect()
    }

    #[test]
    fn finds_a_secret_of_each_row() {
        for row in SECRETS.iter().filter(|row| row.name != "telegram_bot") {
            for len in [row.length.0, row.length.1] {
                let key = format!("{}{}", row.prefix, body(row.alphabet, len));
                for text in
                    [key.clone(), format!("KEY={key}"), format!("use `{key}`, or"), format!("\"{key}\"")]
                {
                    assert_eq!(found_by(API_KEY, &text), [key.as_str()], "{}: {text}", row.name);
                }
            }
        }
    }

    #[test]
    fn rows_are_in_order() {
        for pair in SECRETS.windows(2) {
            let [a, b] = pair else { unreachable!() };
            assert!(a.prefix.as_bytes()[0] <= b.prefix.as_bytes()[0], "{} {}", a.name, b.name);
            assert!(!b.prefix.starts_with(a.prefix), "{} hides {}", a.name, b.name);
        }
        for row in SECRETS {
            assert!(row.prefix.len() + row.length.0 >= TOKEN_MIN, "{}", row.name);
        }
        assert!(SECRETS.len() >= 60);
    }

    #[test]
    fn finds_other_secrets() {
        let jwt = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
        assert_eq!(found_by(JWT, &format!("Bearer {jwt}.")), [jwt]);
        let link = "postgres://app:s3cr3t@db.internal:5432/app?ssl=true";
        assert_eq!(found_by(CREDENTIALS, &format!("DSN={link} ok")), [link]);
        assert_eq!(found_by(CREDENTIALS, "https://a.b/c@d mailto://x@y.zz git@github.com:x"), [""; 0]);
        let long = format!("{}.eyJ{}", &jwt[..36], "aB3xY9-_".repeat(600));
        assert_eq!(found_by(JWT, &format!("cut off: {long}")), [long.as_str()]);
        let link = "https://bot:p@s@s1@git.example/x";
        assert_eq!(found_by(CREDENTIALS, &format!("{link} and a@b.cc")), [link]);
        for hook in [
            "https://hooks.slack.com/services/T00000000/B00000000/aB3xY9kQ7mZ2aB3xY9kQ7mZ2",
            "https://discord.com/api/webhooks/123456789012345678/aB3xY9kQ7mZ2_aB3xY9kQ7mZ2-",
        ] {
            assert_eq!(found_by(API_KEY, &format!("post to {hook}?wait=1")), [hook]);
        }
        assert_eq!(
            found_by(API_KEY, "see https://hooks.slack.com/services/T, or //discord.com/api"),
            [""; 0]
        );
        // A password may hold a slash; a port, and a path with a colon or an `@`, are none.
        let link = "https://bot:8k/3s@git.example/x";
        assert_eq!(found_by(CREDENTIALS, link), [link]);
        for text in [
            "http://localhost:5173/@vite/client",
            "http://localhost:4873/@scope/pkg/-/pkg-1.tgz",
            "https://api.example:8080/users/ann@example.com",
            "http://[::1]:3000/@fs/home/x",
            "https://host.example/a:b/c@d.ee",
            "https://host.example:443?to=ann@example.com",
            "https://host.example?at=10:30&to=ann@example.com",
            "https://host.example#at=10:30&to=ann@example.com",
        ] {
            assert_eq!(found_by(CREDENTIALS, text), [""; 0], "{text}");
        }
        let bot = "123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc";
        assert_eq!(found_by(API_KEY, &format!("bot {bot}")), [bot]);
    }
}
