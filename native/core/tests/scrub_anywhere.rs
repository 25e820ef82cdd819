//! The search for all kinds of personal data over texts that nobody thought of: it doesn't panic, and finds the same
//! wherever a text stands and however it is escaped.

use proptest::collection::vec;
use proptest::prelude::*;
use sidegate_core::pii::document::scrub_document;
use sidegate_core::pii::kinds::KINDS;
use sidegate_core::pii::policy::{Action, Policy};

/// Values, what looks like them, words that say what they are, and characters that cut them.
const PARTS: &[&str] = &[
    "ann.smith@example.com",
    "4111 1111 1111 1111",
    "GB82 WEST 1234 5698 7654 32",
    "+41 44 668 18 00",
    "536-22-8726",
    "AB 12 34 56 C",
    "11 11 11 11 ",
    "943 476 5919",
    "12345678-Z",
    "131052-308T",
    "D123-456-78-901-0",
    "SW1A 1AA",
    "24 June 1991",
    "106.31.73.20",
    "2001:db8::8a2e:370:7334",
    "00:1A:2B:3C:4D:5E",
    "https://app:s3cr3t@db.internal/x",
    "www.example.com",
    "password=hunter2!",
    "api_key: \"a1b2c3d4e5f6g7h8\"",
    "-----BEGIN RSA PRIVATE KEY-----",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc",
    "born ",
    "zip ",
    "ssn ",
    "passport ",
    "driver's licence ",
    "\u{e9}",
    "\u{4e2d}",
    "\u{1f600}",
    "\u{200b}",
    "\u{ff11}",
    "\u{a0}",
    " ",
    ".",
    ",",
    "-",
    "_",
    "@",
    "\\",
    "\"",
    "/",
    "(",
    "x",
    "7",
];

fn text() -> impl Strategy<Value = String> {
    // A part, or what is left of it without its first and last few characters.
    let part = (prop::sample::select(PARTS), 0_usize..4, 0_usize..4, any::<bool>());
    vec(part, 1..12).prop_map(|parts| {
        let cut = |(part, first, last, whole): (&str, usize, usize, bool)| {
            let count = part.chars().count();
            let (first, last) = if whole { (0, 0) } else { (first, last) };
            part.chars().skip(first).take(count.saturating_sub(first + last)).collect::<String>()
        };
        parts.into_iter().map(cut).collect()
    })
}

fn policy() -> Policy {
    let actions: Vec<_> = KINDS.iter().map(|kind| (kind.name, Action::Redact)).collect();
    Policy::new(&actions, Vec::new(), &[], b"secret").unwrap()
}

/// The text without its values, however its characters are escaped in the document.
fn scrubbed(policy: &Policy, text: &str, escaped: bool) -> String {
    let unit = |unit: u16| format!("\\u{unit:04x}");
    let document = match escaped {
        true => format!("[\"{}\"]", text.encode_utf16().map(unit).collect::<String>()),
        false => serde_json::to_string(&[text]).unwrap(),
    };
    let scrubbed = scrub_document(document.as_bytes(), policy, "").unwrap();
    let body = scrubbed.body.unwrap_or(document.into_bytes());
    let [text]: [String; 1] = serde_json::from_slice(&body).unwrap();
    text
}

/// Numbers and what stands between their groups, of which a few make most forms: a phone's, a date's, a card's.
fn numbers() -> impl Strategy<Value = String> {
    const DIGITS: &[&str] = &["0", "0", "1", "00", "49", "2", "12", "345", "6789", "20041", "123456"];
    const GAPS: &[&str] = &["", " ", ")", "(", " (", ") ", "/", "-", ".", "+", " +", ":"];
    let groups = vec((prop::sample::select(DIGITS), prop::sample::select(GAPS)), 1..12);
    let word = prop::sample::select(&["", "phone ", "card ", "born ", "+", "("][..]);
    (word, groups).prop_map(|(word, groups)| {
        let groups = groups.into_iter().map(|(digits, gap)| format!("{digits}{gap}"));
        word.to_owned() + &groups.collect::<String>()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn searches_any_numbers(text in numbers()) {
        scrubbed(&policy(), &text, false);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn finds_the_same_wherever_a_text_stands(text in text(), lines in 2_usize..140) {
        let policy = policy();
        let alone = scrubbed(&policy, &format!("\n{text}"), false);
        let before = "\n".repeat(lines);
        let within = scrubbed(&policy, &format!("{before}{text}"), false);
        prop_assert_eq!(within, format!("{}{alone}", &before[1..]));
        let escaped = scrubbed(&policy, &format!("\n{text}"), true);
        prop_assert_eq!(escaped, alone);
    }
}
