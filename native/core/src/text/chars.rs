//! Counts code points.

/// Number of code points of `text`, which must be UTF-8.
pub fn char_count(text: &[u8]) -> usize {
    // A byte that does not continue a sequence starts a code point. Counted in bytes first, so that it is
    // vectorised.
    let starts = |part: &[u8]| part.iter().map(|&byte| u8::from(byte as i8 >= -0x40)).sum::<u8>();
    text.chunks(255).map(|part| usize::from(starts(part))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_code_points() {
        for text in ["", "a", "\u{e4}\u{20ac}\u{1f600}"] {
            let text = text.repeat(300);
            assert_eq!(char_count(text.as_bytes()), text.chars().count());
        }
    }
}
