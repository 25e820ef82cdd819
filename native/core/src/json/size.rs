//! How much a JSON document holds, which decides what memory it takes once it is parsed.

/// The number of objects, lists and members of a document that is known to be valid.
///
/// Each of them takes up to 150 bytes in JavaScript, however few bytes of the document it has.
pub fn parts(document: &[u8]) -> usize {
    let (mut parts, mut string, mut escaped) = (0, false, false);
    for &byte in document {
        if string {
            string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else {
            string = byte == b'"';
            parts += usize::from(matches!(byte, b'{' | b'[' | b':'));
        }
    }
    parts
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
            assert_eq!(parts(document.as_bytes()), expected, "{document}");
        }
    }
}
