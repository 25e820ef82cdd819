//! The walker against serde_json: the same verdict on every document, and the same document behind the
//! tokens.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Number, Value};
use sidegate_core::json::string::Decoded;
use sidegate_core::json::walker::{DEPTH_MAX, Fault, Token, Walker};
use sidegate_core::text::chars::char_count;

fn walk(document: &str) -> Result<(), Fault> {
    let mut walker = Walker::new(document.as_bytes());
    while walker.next_token()?.is_some() {}
    Ok(())
}

/// Serde's reader that skips values checks the grammar alone: neither number ranges nor surrogates.
fn is_json(document: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(document).is_ok()
}

/// Rebuilds the document from the tokens.
fn rebuild(document: &str) -> Option<Value> {
    let mut walker = Walker::new(document.as_bytes());
    let mut decoded = Decoded::default();
    let mut open: Vec<(Value, String)> = Vec::new();
    let mut key = String::new();
    let mut whole = None;
    while let Some(token) = walker.next_token().ok()? {
        let value = match token {
            Token::Key(text) => {
                key = decoded.decode(&document[text.start..text.end]).to_owned();
                continue;
            }
            Token::ObjectStart => {
                open.push((Value::Object(Map::new()), std::mem::take(&mut key)));
                continue;
            }
            Token::ArrayStart => {
                open.push((Value::Array(Vec::new()), std::mem::take(&mut key)));
                continue;
            }
            Token::ObjectEnd | Token::ArrayEnd => {
                let (value, own_key) = open.pop()?;
                key = own_key;
                value
            }
            Token::String(text) => {
                let raw = &document[text.start..text.end];
                let decoded = decoded.decode(raw);
                assert_eq!(text.bytes(), decoded.len(), "{raw}");
                assert_eq!(char_count(raw.as_bytes()) - text.saved_chars, decoded.chars().count(), "{raw}");
                assert_eq!(text.escaped(), raw != decoded);
                Value::String(decoded.to_owned())
            }
            Token::Number => Value::Number(document[walker.start()..walker.end()].parse().ok()?),
            Token::Bool(value) => Value::Bool(value),
            Token::Null => Value::Null,
        };
        match open.last_mut() {
            None => whole = Some(value),
            Some((Value::Array(items), _)) => items.push(value),
            Some((Value::Object(members), _)) => drop(members.insert(std::mem::take(&mut key), value)),
            Some(_) => return None,
        }
    }
    whole
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,4}",
        any::<String>(),
        "[\"\\\\/\u{0}-\u{20}\u{e4}\u{20ac}\u{1f600}a]{0,200}",
        "([a-z\u{e4}]{58,66}\n){1,3}"
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| Number::from_f64(number).map_or(Value::Null, Value::Number)),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(text(), inner, 0..6).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Writes a value in one of the many ways there are, as `choices` say.
fn write(value: &Value, choices: &mut impl Iterator<Item = u8>, out: &mut String) {
    let space = |choice: Option<u8>| ["", "", " ", "\n\t\r "][usize::from(choice.unwrap_or(0) % 4)];
    out.push_str(space(choices.next()));
    match value {
        Value::String(text) => write_text(text, choices, out),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "[" } else { "," });
                write(item, choices, out);
            }
            out.push_str(if items.is_empty() { "[ ]" } else { "]" });
        }
        Value::Object(members) => {
            for (index, (key, member)) in members.iter().enumerate() {
                out.push_str(if index == 0 { "{" } else { "," });
                out.push_str(space(choices.next()));
                write_text(key, choices, out);
                out.push_str(space(choices.next()));
                out.push(':');
                write(member, choices, out);
            }
            out.push_str(if members.is_empty() { "{\n}" } else { "}" });
        }
        plain => out.push_str(&plain.to_string()),
    }
    out.push_str(space(choices.next()));
}

fn write_text(text: &str, choices: &mut impl Iterator<Item = u8>, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        let choice = choices.next().unwrap_or(0);
        let short = "\"\\/\u{8}\u{c}\n\r\t".find(c).filter(|_| choice.is_multiple_of(2));
        if let Some(index) = short {
            out.push('\\');
            out.push_str(["\"", "\\", "/", "b", "f", "n", "r", "t"][index]);
        } else if choice.is_multiple_of(5) || c < ' ' || matches!(c, '"' | '\\') {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&if choice.is_multiple_of(3) {
                    format!("\\u{unit:04x}")
                } else {
                    format!("\\u{unit:04X}")
                });
            }
        } else {
            out.push(c);
        }
    }
    out.push('"');
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_tokens_are_the_document(value in value(), choices in vec(any::<u8>(), 1..50)) {
        let mut document = String::new();
        write(&value, &mut choices.into_iter().cycle(), &mut document);
        prop_assert_eq!(rebuild(&document), Some(serde_json::from_str::<Value>(&document).unwrap()));
    }

    #[test]
    fn a_changed_document_has_the_same_verdict(
        value in value(),
        choices in vec(any::<u8>(), 1..50),
        at in any::<prop::sample::Index>(),
        to in prop_oneof![
            Just(String::new()),
            "[\"\\\\{}\\[\\],:.eE+0-9tfn/u \u{0}-\u{1f}-]{1,2}",
            Just("\\ud800".to_owned()),
            Just("-0".to_owned()),
            Just("null".to_owned()),
        ],
        removed in 0usize..3,
    ) {
        let mut document = String::new();
        write(&value, &mut choices.into_iter().cycle(), &mut document);
        let start = document.floor_char_boundary(at.index(document.len() + 1));
        let end = document.ceil_char_boundary((start + removed).min(document.len()));
        document.replace_range(start..end, &to);
        prop_assert_eq!(walk(&document).is_ok(), is_json(&document), "{}", document);
        for length in 0..document.len().min(40) {
            if let Some(part) = document.get(..length) {
                prop_assert_eq!(walk(part).is_ok(), is_json(part), "{}", part);
            }
        }
    }

    #[test]
    fn any_text_has_the_same_verdict(document in "[\\[\\]{},:\"\\\\ 0-9eE.+truefalsn-]{0,12}") {
        prop_assert_eq!(walk(&document).is_ok(), is_json(&document), "{}", document);
    }
}

#[test]
fn says_where_the_fault_is() {
    for (document, at) in [
        ("", 0),
        ("  ", 2),
        ("{", 1),
        ("{\"a\"", 4),
        ("{\"a\":}", 5),
        ("{\"a\":1,}", 7),
        ("[1,]", 3),
        ("[1 2]", 3),
        ("[1}", 2),
        ("01", 1),
        ("-", 1),
        ("1.", 2),
        ("1.e1", 2),
        ("1e", 2),
        ("1e+", 3),
        ("+1", 0),
        (".5", 0),
        ("tru", 3),
        ("trux", 3),
        ("nul", 3),
        ("True", 0),
        ("\"", 1),
        ("\"\n\"", 1),
        ("\"\\x\"", 2),
        ("\"\\u12g4\"", 5),
        ("\"12345678\u{1}", 9),
        ("\u{feff}{}", 0),
        ("{} {}", 3),
        ("{a:1}", 1),
        ("{\"a\" 1}", 5),
        ("'a'", 0),
        ("[1]]", 3),
        ("NaN", 0),
        ("\u{a0}1", 0),
    ] {
        assert_eq!(walk(document), Err(Fault::Grammar(at)), "{document}");
    }
}

#[test]
fn knows_what_ends_a_run_at_every_place() {
    for before in 0..40 {
        for byte in 0..128u8 {
            let run = "x".repeat(before);
            let document = format!("\"{run}{}{}\"", char::from(byte), "y".repeat(40));
            let expected = match byte {
                0..0x20 => Err(Fault::Grammar(before + 1)),
                b'"' | b'\\' => Err(Fault::Grammar(before + 2)),
                _ => Ok(()),
            };
            assert_eq!(walk(&document), expected, "{document:?}");
        }
    }
}

#[test]
fn takes_what_looks_wrong() {
    for document in
        ["\"\\ud800\"", "\"\\udc00\\ud800\"", "-0", "1E-400", "1e400", "\"\u{7f}\u{2028}\"", " \r\n\t0 "]
    {
        assert_eq!(walk(document), Ok(()), "{document}");
    }
}

#[test]
fn nests_to_the_limit() {
    let nested =
        |depth: usize, open: &str, close: &str| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
        let width = open.len() / open.matches(['[', '{']).count();
        let depth = DEPTH_MAX / open.matches(['[', '{']).count();
        assert_eq!(walk(&nested(depth, open, close)), Ok(()));
        let too_deep = nested(depth + 1, open, close);
        assert_eq!(walk(&too_deep), Err(Fault::Depth(DEPTH_MAX * width)), "{open}");
    }
    // Siblings are not depth.
    assert_eq!(walk(&format!("[{}0]", "[],{},".repeat(1000))), Ok(()));
}

#[test]
fn counts_escaped_text() {
    for (raw, bytes, chars) in [
        ("", 0, 0),
        (r"\n", 1, 1),
        (r"\u0041", 1, 1),
        (r"\u00e4", 2, 1),
        (r"\u007f\u0080\u07ff\u0800\ud7ff\ue000\uffff", 1 + 2 + 2 + 3 + 3 + 3 + 3, 7),
        (r"\u20ac", 3, 1),
        (r"\ud83d\ude00", 4, 1),
        (r"\ud83d", 3, 1),
        (r"\ude00", 3, 1),
        (r"\ude00\ud83d", 6, 2),
        (r"\ud83d\ud83d\ude00", 7, 2),
        (r"\ud83d\ude00\ude00", 7, 2),
        (r"\ud83dx\ude00", 7, 3),
        (r"\ud83d\n\ude00", 7, 3),
        ("\u{1f600}\u{e4}", 6, 2),
    ] {
        let document = format!("\"{raw}\"");
        let mut walker = Walker::new(document.as_bytes());
        let Ok(Some(Token::String(text))) = walker.next_token() else { panic!("{raw}") };
        assert_eq!(text.bytes(), bytes, "{raw}");
        assert_eq!(char_count(raw.as_bytes()) - text.saved_chars, chars, "{raw}");
        assert_eq!(Decoded::default().decode(raw).len(), bytes, "{raw}");
    }
}
