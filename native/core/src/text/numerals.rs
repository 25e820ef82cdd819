//! How much of a text may belong to numbers, which are what the search for personal data looks at most closely.

/// Most that a byte can count.
const BLOCK: usize = 255;

/// How many bytes of a text are ASCII digits; `beyond`: or none of ASCII at all, where other digits are.
pub fn numeral_bytes(text: &[u8], beyond: bool) -> usize {
    let counts = |byte: &u8| u8::from(byte.is_ascii_digit() | (beyond & !byte.is_ascii()));
    text.chunks(BLOCK).map(|block| usize::from(block.iter().map(counts).sum::<u8>())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_digits_and_what_may_be_some() {
        assert_eq!(numeral_bytes(b"a1b22c/:9", false), 4);
        assert_eq!(numeral_bytes("１ é 2".as_bytes(), false), 1);
        assert_eq!(numeral_bytes("１ é 2".as_bytes(), true), 6);
        assert_eq!(numeral_bytes(&[b'7'; 1000], true), 1000);
        assert_eq!(numeral_bytes(b"", true), 0);
    }
}
