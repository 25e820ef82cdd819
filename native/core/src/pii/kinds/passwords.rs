//! Finds secrets by what they are called: values assigned to a password, secret, token or key.

use std::ops::Range;

use super::code::is_code;
use super::secrets::{is_random, trailing};
use crate::pii::matcher::{Anchor, Matcher, Spot};
use crate::shared::steps::step;

/// Values that are assigned to something called a password, secret, token or key, and look like one.
pub const PASSWORD: Matcher = Matcher {
    anchors: &[Anchor::Text("="), Anchor::Text(":"), Anchor::Text(">"), Anchor::Text(TOLD), Anchor::Member],
    at: password_at,
};

/// What says in prose that a password follows.
const TOLD: &str = "assword is ";

/// Longest password.
const PASSWORD_MAX: usize = 256;
/// Most bytes of one, as the tokens of a session are.
const TOKEN_MAX: usize = 4096;
/// Longest name of a password.
const NAME_MAX: usize = 48;

/// What names of secrets end with, without separators, in small letters: those with this last byte.
fn names(last: u8) -> &'static [&'static str] {
    match last {
        b'a' => &["contrase\u{f1}a"],
        b'd' => &["password", "passwd", "pwd"],
        b'e' => &["passphrase", "passcode"],
        b'g' => &["connectionstring"],
        b'l' => &["credential"],
        b'n' => &["token", "authorization"],
        b's' => &["credentials"],
        b't' => &["secret", "passwort"],
        b'y' => &[
            "apikey",
            "accesskey",
            "secretkey",
            "privatekey",
            "authkey",
            "encryptionkey",
            "signingkey",
            "accountkey",
            "sharedkey",
            "masterkey",
        ],
        _ => &[],
    }
}

/// What the names of tokens end with that only say where a list goes on. They open nothing, and whoever asks for the rest
/// needs them as they are.
const PLACES: &[&str] = &[
    "pagetoken",
    "nexttoken",
    "startingtoken",
    "continuationtoken",
    "paginationtoken",
    "cursortoken",
    "synctoken",
    "deltatoken",
    "skiptoken",
    "resumetoken",
];

/// Whether a name, without separators and in small letters, ends so.
fn ends_with(name: &[u8], end: &str) -> bool {
    let letters = name.iter().rev().filter(|byte| !matches!(byte, b'_' | b'-' | b' '));
    let mut letters = letters.map(u8::to_ascii_lowercase);
    end.bytes().rev().all(|byte| letters.next() == Some(byte))
}

/// Whether a member or variable called so holds a secret, and whether people choose it.
fn names_secret(name: &[u8]) -> Option<bool> {
    if is_pass(name) {
        return Some(true);
    }
    let last = name.iter().rev().find(|byte| !matches!(byte, b'_' | b'-'))?;
    let known = names(last.to_ascii_lowercase()).iter().find(|known| ends_with(name, known))?;
    Some(known.starts_with("pass") || *known == "pwd" || known.starts_with("contra"))
}

fn is_place(name: &[u8]) -> bool {
    PLACES.iter().any(|place| ends_with(name, place))
}

/// Whether a name's last word is `pass`: `DB_PASS`, `dbPass`, but not `bypass`.
fn is_pass(name: &[u8]) -> bool {
    let Some((before, word)) = name.len().checked_sub(4).map(|at| name.split_at(at)) else { return false };
    let begins = match before.last() {
        None | Some(b'_' | b'-') => true,
        Some(last) => last.is_ascii_lowercase() && word[0] == b'P',
    };
    begins && word.eq_ignore_ascii_case(b"pass")
}

/// Whether a name stands before a password on the command line: `curl -u name:`, `--user name:`.
fn is_login(before: &[u8], behind: &[u8]) -> bool {
    // There is no space before the password, as there is in most code.
    let joined = matches!(behind, [b':', password, ..] if password.is_ascii_alphanumeric());
    if !joined || !before.last().is_some_and(u8::is_ascii_alphanumeric) {
        return false;
    }
    let belongs = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(**byte, b'_' | b'-' | b'.' | b'@');
    let name = before.iter().rev().take_while(belongs).count();
    let option = before[..before.len() - name].trim_ascii_end();
    name > 0 && (option.ends_with(b" -u") || option.ends_with(b"--user"))
}

/// Most bytes between a name, its sign and its value.
const GAP_MAX: usize = 12;

fn is_gap(byte: &u8) -> bool {
    matches!(byte, b' ' | b'"' | b'\'' | b'\\' | b'`')
}

/// Without the gap at its end.
fn without_gap(text: &[u8]) -> &[u8] {
    let mut rest = text;
    while let [before @ .., last] = rest
        && is_gap(last)
        && text.len() - rest.len() < GAP_MAX
    {
        rest = before;
    }
    rest
}

/// Without what makes another assignment of `=`: `?=`, `.=`, `+=`, `:=`, `||=`.
fn without_operator(text: &[u8]) -> &[u8] {
    let is_operator = |byte: &u8| matches!(byte, b'?' | b'.' | b'+' | b':' | b'|');
    match text {
        [before @ .., a, b] if is_operator(a) && is_operator(b) => before,
        [before @ .., a] if is_operator(a) => before,
        _ => text,
    }
}

/// The name that a type stands behind, or a verb: `apiKey string`, `password: str`, `The password is: …`.
fn behind_type(text: &[u8]) -> &[u8] {
    let name = match text {
        [name @ .., b' ', b's' | b'S', b't', b'r', b'i', b'n', b'g']
        | [name @ .., b' ', b's', b't', b'r']
        | [name @ .., b' ', b'i', b's'] => name,
        _ => return text,
    };
    name.strip_suffix(b":").unwrap_or(name)
}

/// Whether a text may end with the name of a secret: each ends with one of these pairs of letters.
fn ends_as_name(text: &[u8]) -> bool {
    let [.., a, b] = text else { return false };
    match b | 32 {
        b'd' => matches!(a | 32, b'r' | b'w'),
        b'e' => matches!(a | 32, b's' | b'd'),
        b't' => matches!(a | 32, b'e' | b'r'),
        b'n' => matches!(a | 32, b'e' | b'o'),
        b'y' => a | 32 == b'e',
        b'l' => a | 32 == b'a',
        b's' => matches!(a | 32, b'l' | b's'),
        b'g' => a | 32 == b'n',
        b'a' => text.ends_with("\u{f1}a".as_bytes()),
        _ => false,
    }
}

fn password_at(spot: &Spot) -> Option<Range<usize>> {
    let bytes = spot.bytes();
    if spot.anchor.len() == bytes.len() {
        return member(spot);
    }
    let sign = spot.anchor.start;
    let told = spot.anchor.len() == TOLD.len();
    // Behind a word there is a sign in prose, or two of a link.
    if bytes.get(sign + 1) == Some(&b'/') {
        return None;
    }
    let name_end = if told { spot.anchor.end - " is ".len() } else { sign };
    let back = &bytes[sign.saturating_sub(NAME_MAX).max(spot.from)..name_end];
    let chosen = secret_before(back).or_else(|| is_login(back, &bytes[sign..]).then_some(true))?;
    let rest = &bytes[spot.anchor.end..];
    // The text of an element of XML may stand on a line of its own.
    let element = bytes[sign] == b'>';
    let joins = |byte: &u8| is_gap(byte) || matches!(byte, b'=' | b'>' | b':') || element && *byte == b'\n';
    let skip = rest.iter().take(GAP_MAX).take_while(|byte| joins(byte)).count();
    let scheme = scheme_len(&rest[skip..]);
    let start = spot.anchor.end + skip + scheme;
    let len = value_len(&bytes[start..], PASSWORD_MAX);
    let value = without_end(&bytes[start..start + len]);
    let decides = if told { without_mark(value) } else { value };
    // What code assigns has no quotes, and no scheme before it.
    let bare = || !bytes[sign + 1..start].iter().any(|byte| matches!(byte, b'"' | b'\'' | b'`'));
    let code = || !told && scheme == 0 && bare() && is_code(value, &bytes[start + value.len()..], chosen);
    if !looks_secret(decides, chosen) || code() {
        return None;
    }
    Some(whole(spot, start, len))
}

/// The value of a member that is called a secret.
fn member(spot: &Spot) -> Option<Range<usize>> {
    let bytes = spot.bytes();
    let name = spot.label();
    let chosen = names_secret(name).filter(|_| !is_place(name))?;
    let start = scheme_len(bytes);
    let len = value_len(&bytes[start..], PASSWORD_MAX);
    looks_secret(without_end(&bytes[start..start + len]), chosen).then(|| whole(spot, start, len))
}

/// How long the scheme of a header is that stands before its credential.
fn scheme_len(text: &[u8]) -> usize {
    let schemes = ["Bearer ", "bearer ", "Basic ", "basic ", "token "];
    schemes.iter().find(|scheme| text.starts_with(scheme.as_bytes())).map_or(0, |scheme| scheme.len())
}

/// All of a value of which so much was looked at. What is found isn't looked at again, so this takes linear time for all
/// together.
fn whole(spot: &Spot, start: usize, len: usize) -> Range<usize> {
    let bytes = spot.bytes();
    let most = if len < PASSWORD_MAX { len } else { TOKEN_MAX };
    let value = without_end(&bytes[start..start + value_len(&bytes[start..], most)]);
    start..spot.text.ceil_char_boundary(start + value.len())
}

/// Whether a text ends with the name of a secret, and whether people choose it.
fn secret_before(text: &[u8]) -> Option<bool> {
    let named = behind_type(without_gap(without_operator(text)));
    if !ends_as_name(named) {
        return None;
    }
    let belongs = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(**byte, b'_' | b'-' | 0x80..);
    let len = named.iter().rev().inspect(|_| step()).take_while(belongs).count();
    names_secret(&named[named.len() - len..]).filter(|_| !is_place(named))
}

/// Points and dashes at a value's end belong to the sentence.
fn without_end(value: &[u8]) -> &[u8] {
    &value[..value.len() - trailing(value)]
}

/// Nor do those of a question or a call, in prose, say anything.
fn without_mark(mut value: &[u8]) -> &[u8] {
    while let [rest @ .., b'!' | b'?'] = value {
        value = rest;
    }
    value
}

/// How long the value is that a text begins with.
fn value_len(text: &[u8], most: usize) -> usize {
    text.iter().take(most).inspect(|_| step()).take_while(|&&byte| CLASSES[usize::from(byte)] != 0).count()
}

const OTHER: u8 = 1;
const UPPER: u8 = 2;
const LOWER: u8 = 4;
const DIGIT: u8 = 8;
const MARK: u8 = 16;
const BRACKET: u8 = 32;

/// What a byte is within a value; 0: it ends one. Letters of Latin with accents belong to it.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'"' | b'\'' | b',' | b';' | b'<' | b'>' | b'(' | b')' | b'{' | b'}' | b'\\' | b'`' => 0,
            b'A'..=b'Z' => UPPER,
            b'a'..=b'z' => LOWER,
            b'0'..=b'9' => DIGIT,
            b'!' | b'#' | b'%' | b'^' | b'&' | b'*' | b'+' | b'~' | b'?' | b'@' | b'$' => MARK,
            b'[' => BRACKET,
            b'!'..=b'~' | 0x80..=0xbf | 0xc3..=0xc9 => OTHER,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

/// Whether a value may be a secret: no word, no reference to where it is kept.
fn looks_secret(value: &[u8], chosen: bool) -> bool {
    let classes = value.iter().inspect(|_| step()).fold(0, |all, &byte| all | CLASSES[usize::from(byte)]);
    let has = |class: u8| classes & class != 0;
    let reference =
        has(BRACKET) || value.starts_with(b"$") || value.starts_with(b"%") || value.starts_with(b"//");
    let letter = has(UPPER | LOWER);
    if reference || !letter {
        return false;
    }
    if chosen {
        return value.len() >= 6 && has(DIGIT | MARK) && distinct(value) >= 5;
    }
    let mixed = has(DIGIT) || has(UPPER) && has(LOWER) && value.len() >= 24;
    value.len() >= 12 && mixed && is_random(value)
}

fn distinct(value: &[u8]) -> u32 {
    value.iter().fold(0_u128, |seen, byte| seen | 1 << (byte & 127)).count_ones()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::finder::found_by;

    #[test]
    fn long_tokens_are_found_to_their_end() {
        for len in [255, 256, 257, 1500, 4096] {
            let token = "aB3xY9kQ7mZ2".repeat(500)[..len].to_owned();
            let text = format!("aws_session_token={token} and");
            assert_eq!(found_by(PASSWORD, &text), [token.as_str()], "{len}");
        }
    }

    #[test]
    fn what_code_assigns_stays() {
        for text in [
            "this.accessToken = response.data.accessToken2;",
            "const token = authenticationService.getAccessToken();",
            "access_token: this.cachedDownscopedAccessToken.access_token\n",
            "actor_token: stsCredentialsOptions.actingParty?.actorToken,",
            "client_secret: this.#clientAuthentication.clientSecret || '',",
            "'x-amz-security-token': awsSecurityCredentials.token,",
            "\"WebAuthn.addCredential\": WebAuthn.addCredentialParameters;",
            "let mut tokens = job_token::ActiveJobTokenServer::new();",
            "token = google.oauth2.id_token.fetch_id_token(request)",
            "toolApprovalSecret: experimental_toolApprovalSecret,",
            "protected credentials: HttpChatTransportInitOptions<UI_MESSAGE>",
            "password = hashPassword2(input)",
            "password = self._decode_base64(arg)",
            "password: this.form.value.password1,",
        ] {
            assert_eq!(found_by(PASSWORD, text), [""; 0], "{text}");
        }
        for (text, value) in [
            ("password=john.smith1985;", "john.smith1985"),
            ("password: Summer2024(for now)", "Summer2024"),
            (
                "token = MTk4NjIyNDgzNDcx.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs;",
                "MTk4NjIyNDgzNDcx.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs",
            ),
            ("SECRET_KEY=myVerySecretKeyForProduction\n", "myVerySecretKeyForProduction"),
            ("secret: 'experimental_toolApprovalSecret',", "experimental_toolApprovalSecret"),
            ("<secret>mySecretValueWithoutDigits</secret>", "mySecretValueWithoutDigits"),
            ("token=a1b2c3d4e5f6g7h8(x)", "a1b2c3d4e5f6g7h8"),
            ("Authorization: Bearer issued.token.value2", "issued.token.value2"),
        ] {
            assert_eq!(found_by(PASSWORD, text), [value], "{text}");
        }
    }

    #[test]
    fn finds_what_is_called_a_secret() {
        for (text, value) in [
            ("password=hunter2!", "hunter2!"),
            ("DB_PASSWORD: \"Tr0ub4dor&3\"", "Tr0ub4dor&3"),
            ("{\"client_secret\": \"8f3kd92jf83jf92kd8\"}", "8f3kd92jf83jf92kd8"),
            ("Authorization: Bearer 9f8e7d6c5b4a39281706", "9f8e7d6c5b4a39281706"),
            ("api-key => 'a1b2c3d4e5f6g7h8'", "a1b2c3d4e5f6g7h8"),
            ("API_TOKEN ?= \"a1b2c3d4e5f6g7h8\"", "a1b2c3d4e5f6g7h8"),
            ("$apiToken .= \"a1b2c3d4e5f6g7h8\"", "a1b2c3d4e5f6g7h8"),
            ("var apiToken string = \"a1b2c3d4e5f6g7h8\"", "a1b2c3d4e5f6g7h8"),
            ("const apiToken: string = 'a1b2c3d4e5f6g7h8'", "a1b2c3d4e5f6g7h8"),
            ("DB_PASS=hunter2x and", "hunter2x"),
            ("&pass=hunter2x&", "hunter2x&"),
            ("curl -u admin:s3cr3tPass https://a.de", "s3cr3tPass"),
            ("curl --user ann@a.de:s3cr3tPass", "s3cr3tPass"),
            ("My password is Tr0ub4dor&3. Why?", "Tr0ub4dor&3"),
            ("The password is: hunter2!", "hunter2!"),
            ("password=Z\u{fc}rich2024!", "Z\u{fc}rich2024!"),
            ("<apiToken>\n    a1b2c3d4e5f6g7h8\n</apiToken>", "a1b2c3d4e5f6g7h8"),
        ] {
            assert_eq!(found_by(PASSWORD, text), [value], "{text}");
        }
        for text in [
            "password: string",
            "The password is incorrect!",
            "bypass: v1.2.3-beta",
            "note -u admin: none, sort -u file:line1",
            "password is 8 characters long",
            "token = $TOKEN1234567",
            "password: required",
            "the token: abc",
            "key=value12345678",
            "password=<secret1>",
            "secret: process.env.SECRET",
            "password = '********'",
            "monkey: abc123def456ghi",
            "{\"nextPageToken\": \"CDIQAA1234567890abcd\"}",
            "?$skiptoken=RFNwdAIAAQAAABw6 continuation-token: 1a2b3c4d5e6f7g8h9i",
        ] {
            assert_eq!(found_by(PASSWORD, text), [""; 0], "{text}");
        }
    }
}
