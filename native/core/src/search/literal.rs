//! Texts without spaces that are no plain words.

/// Whether it is a number bound to words by hyphens: 30-day.
pub fn is_compound(text: &str) -> bool {
    let mut parts = text.split('-');
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let letters = |part: &str| part.len() > 2 && part.chars().all(char::is_alphabetic);
    text.contains('-') && (parts.clone().all(|part| digits(part) || letters(part)) && parts.any(letters))
}

/// Whether a text without spaces is an address, code, a flag, or the name of a file.
pub fn is_literal(text: &str) -> bool {
    if text.bytes().all(|b| b.is_ascii_lowercase()) {
        return false;
    }
    let inner = |mark: &str| text.find(mark).is_some_and(|at| at > 0 && at + mark.len() < text.len());
    let flag = text.len() > 3 && text.starts_with("--") && text[2..].starts_with(|c: char| c.is_alphabetic());
    let file = text.rsplit_once('.').is_some_and(|(name, end)| {
        (1..=4).contains(&end.len())
            && end.starts_with(|c: char| c.is_ascii_lowercase())
            && end.bytes().all(|b| b.is_ascii_alphanumeric())
            && name.len() > 1
            && name.bytes().any(|b| b.is_ascii_alphabetic())
    });
    let camel =
        text.bytes().zip(text.bytes().skip(1)).any(|(a, b)| a.is_ascii_lowercase() && b.is_ascii_uppercase());
    let call = text.ends_with("()");
    flag || file
        || call
        || inner("://")
        || inner("_")
        || inner("::")
        || inner("@") && inner(".")
        || camel && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.len() > 6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_told_from_words() {
        for text in
            ["main.py", "https://a.example", "a_b", "std::mem", "a@b.example", "getElement", "run()", "--all"]
        {
            assert!(is_literal(text), "{text}");
        }
        assert!(!["word", "e.g", "3.5", "iPhone", "--"].into_iter().any(is_literal));
        assert!(is_compound("30-day") && !is_compound("30") && !is_compound("F-16"));
    }
}
