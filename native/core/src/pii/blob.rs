//! Files within strings, in Base64: nothing can be read in them, but in each megabyte, something looks like a value by chance.

use crate::shared::steps::step;

/// Shortest string that is taken for a file without a link, in bytes: hardly a value is as long without a point in it.
const BLOB_MIN: usize = 1024;
/// Most bytes of what a link says of its data, as `data:image/png;base64,` does.
const HEAD_MAX: usize = 256;
const MARK: &str = ";base64,";

/// Whether a text is nothing but Base64, or a link that holds it.
pub fn is_blob(text: &str) -> bool {
    let data = match text.strip_prefix("data:") {
        Some(link) => {
            let head = &link[..link.floor_char_boundary(HEAD_MAX)];
            head.find(MARK).map_or("", |at| &link[at + MARK.len()..])
        }
        None if text.len() < BLOB_MIN => "",
        None => text,
    };
    let is_plain = |all: bool, byte: &u8| all & (byte.is_ascii_alphanumeric() | b"+/=-_".contains(byte));
    !data.is_empty()
        && data.as_bytes().chunks(64).inspect(|_| step()).all(|chunk| chunk.iter().fold(true, is_plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_from_text() {
        assert!(is_blob("data:image/png;base64,iVBORw0KGgoAAAANSUhEUg+/"));
        let data = "iVBORw0KGgoAAAANSUhEUg+/".repeat(200);
        assert!(is_blob(&data) && is_blob(&format!("data:image/png;base64,{data}==")));
        assert!(is_blob(&format!("data:application/pdf;name=a b.pdf;base64,{data}")));
        for text in
            [&data[..1000], &format!("{data}.a"), &format!("{data} 4111"), &format!("data:text/plain,{data}")]
        {
            assert!(!is_blob(text));
        }
        assert!(!is_blob(&"\u{e9}".repeat(3000)) && !is_blob(&format!("data:{}", "\u{e9}".repeat(3000))));
    }
}
