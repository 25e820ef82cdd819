//! The lines of one server-sent event.

use memchr::{memchr, memchr2};

/// Contents of a block of lines.
#[derive(Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// The value of its last `event` line; empty without one.
    pub event: &'a [u8],
    /// The values of its `data` lines, joined by LF; `None` if it has none.
    pub data: Option<&'a [u8]>,
}

/// Parses a block of lines, which end with LF, CR LF or CR. `joined` is used if the data has several lines.
pub fn parse<'a>(block: &'a [u8], joined: &'a mut Vec<u8>) -> Block<'a> {
    let mut event: &[u8] = b"";
    let mut data: Option<&[u8]> = None;
    let mut several = false;
    joined.clear();
    let mut rest = block;
    while !rest.is_empty() {
        let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let (name, value) = field(&rest[..end]);
        match (name, data) {
            (b"event", _) => event = value,
            (b"data", None) => data = Some(value),
            (b"data", Some(first)) => {
                if !several {
                    joined.extend_from_slice(first);
                    several = true;
                }
                joined.push(b'\n');
                joined.extend_from_slice(value);
            }
            _ => {}
        }
        // The LF of a CR LF gives an empty line here, which has no field.
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    Block { event, data: if several { Some(joined) } else { data } }
}

/// A line's field name and value. A comment has an empty name.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr(b':', line) {
        Some(colon) => {
            let value = &line[colon + 1..];
            (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
        }
        None => (line, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(block: &str) -> Option<String> {
        let mut joined = vec![9];
        parse(block.as_bytes(), &mut joined).data.map(|data| String::from_utf8_lossy(data).into_owned())
    }

    #[test]
    fn parses_as_the_standard_says() {
        for (block, expected) in [
            ("data: a\n\n", Some("a")),
            ("data:a\r\n\r\n", Some("a")),
            ("data:  a\r\r", Some(" a")),
            ("data\n\n", Some("")),
            ("data:\ndata\ndata: b", Some("\n\nb")),
            ("data: a:b\n", Some("a:b")),
            (":data: a\n", None),
            (" data: a\n", None),
            ("Data: a\n", None),
            ("datax: a\nid: 1\n", None),
            ("", None),
        ] {
            assert_eq!(data(block).as_deref(), expected, "{block:?}");
        }
    }

    #[test]
    fn the_last_name_counts() {
        let mut joined = Vec::new();
        let block = parse(b"event: a\ndata: x\nevent:b\n\n", &mut joined);
        assert_eq!(block, Block { event: b"b", data: Some(b"x") });
    }
}
