//! How much a JSON document holds, which decides what memory it takes once it is parsed.

/// List elements that take as much memory as one object, list or member.
const ELEMENTS: usize = 4;

/// The number of objects, lists and members of a document, and a quarter of its lists' elements.
///
/// Each of them takes up to 150 bytes in JavaScript, however few bytes of the document it has. `strings`: those of JSON
/// in strings count too, as in the arguments of tools, which are parsed as well.
pub fn parts(document: &[u8], strings: bool) -> usize {
    let (mut parts, mut members, mut commas) = (0, 0, 0);
    let (mut string, mut escaped) = (false, false);
    for (at, &byte) in document.iter().enumerate() {
        let mut found = byte;
        if string {
            if escaped && strings && byte == b'u' {
                found = escape(&document[at..]);
            }
            string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else {
            string = byte == b'"';
        }
        if !string || strings {
            parts += usize::from(matches!(found, b'{' | b'['));
            members += usize::from(found == b':');
            commas += usize::from(found == b',');
        }
    }
    // A comma between members isn't counted again.
    parts + members + commas.saturating_sub(members) / ELEMENTS
}

/// The character of an escape that begins behind its backslash; 0: none that counts.
fn escape(document: &[u8]) -> u8 {
    match document.get(1..5).map(<[u8]>::to_ascii_lowercase).as_deref() {
        Some(b"005b") => b'[',
        Some(b"007b") => b'{',
        Some(b"003a") => b':',
        Some(b"002c") => b',',
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn counts_what_stands_outside_of_strings() {
        for (document, expected) in [
            ("{}", 1),
            (r#"{"a":1,"b":[2,3]}"#, 4),
            (r#"{"a":"{[:\"{","b":"\\","c":[]}"#, 5),
            (r#"["\\\"{[:"]"#, 1),
            ("[[],[],{}]", 4),
        ] {
            assert_eq!(parts(document.as_bytes(), false), expected, "{document}");
        }
    }

    #[test]
    fn counts_elements_of_lists() {
        let list = format!("[{}1]", "1,".repeat(4000));
        assert_eq!(parts(list.as_bytes(), false), 1001);
    }

    #[test]
    fn counts_json_in_strings_however_it_is_escaped() {
        let plain = r#"{"arguments":"{\"a\":[{},{}]}"}"#;
        let escaped = r#"{"arguments":"\u007B\"a\"\u003a\u005b\u007b}\u002C\u007b}]}"}"#;
        for document in [plain, escaped] {
            assert_eq!(parts(document.as_bytes(), false), 2, "{document}");
            assert_eq!(parts(document.as_bytes(), true), 7, "{document}");
        }
    }
}
