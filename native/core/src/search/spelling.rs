//! Text as BERT's uncased models read it: words and marks apart, in lower case, without accents.

use std::sync::OnceLock;

use crate::search::fnv::Map;

/// Calls `each` with every word and punctuation mark of `text`.
///
/// Chinese and Japanese characters are words each, as in the encoder's own tokenizer.
pub fn each_word(text: &str, mut each: impl FnMut(&str)) {
    let mut word = String::new();
    let mut flush = |word: &mut String| {
        if !word.is_empty() {
            each(word);
            word.clear();
        }
    };
    for c in text.chars() {
        if c.is_whitespace() || is_dropped(c) {
            if c.is_whitespace() {
                flush(&mut word);
            }
        } else if is_mark(c) || is_ideograph(c) {
            flush(&mut word);
            word.push(c);
            flush(&mut word);
        } else {
            push_folded(c, &mut word);
        }
    }
    flush(&mut word);
}

/// Adds a character in lower case and without its accent.
pub fn push_folded(c: char, out: &mut String) {
    if c.is_ascii() {
        out.push(c.to_ascii_lowercase());
        return;
    }
    for lower in c.to_lowercase() {
        match base(lower) {
            Some(letter) => out.push(letter),
            None if is_combining(lower) => {}
            None => out.push(lower),
        }
    }
}

/// Punctuation as BERT counts it: every ASCII character that is neither letter nor digit too.
pub fn is_mark(c: char) -> bool {
    c.is_ascii_punctuation()
        || matches!(c, '\u{A1}' | '\u{A7}' | '\u{AB}' | '\u{B6}' | '\u{B7}' | '\u{BB}' | '\u{BF}'
            | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205E}' | '\u{3001}'..='\u{3003}'
            | '\u{3008}'..='\u{3011}' | '\u{FF01}'..='\u{FF0F}' | '\u{FF1A}'..='\u{FF20}')
}

fn is_dropped(c: char) -> bool {
    c == '\u{FFFD}'
        || c.is_control() && !c.is_whitespace()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{FEFF}')
}

/// Whether the letter stands for a plain one below an accent.
pub fn folds(c: char) -> bool {
    !c.is_ascii() && c.to_lowercase().any(|lower| base(lower).is_some())
}

fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}')
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{2FA1F}')
}

/// The plain letter below an accent, for Latin letters in lower case.
fn base(c: char) -> Option<char> {
    Some(match c {
        'à'..='å' | 'ā' | 'ă' | 'ą' | 'ǎ' => 'a',
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => 'c',
        'ď' => 'd',
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => 'e',
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => 'g',
        'ĥ' => 'h',
        'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' => 'i',
        'ĵ' => 'j',
        'ķ' => 'k',
        'ĺ' | 'ļ' | 'ľ' => 'l',
        'ñ' | 'ń' | 'ņ' | 'ň' => 'n',
        'ò'..='ö' | 'ō' | 'ŏ' | 'ő' => 'o',
        'ŕ' | 'ŗ' | 'ř' => 'r',
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' => 's',
        'ţ' | 'ť' | 'ț' => 't',
        'ù'..='ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => 'u',
        'ŵ' => 'w',
        'ý' | 'ÿ' | 'ŷ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        _ => return None,
    })
}

/// What people type in haste, and what it stands for.
const SHORT: &[(&str, &str)] = &[
    ("dont", "do not"),
    ("doesnt", "does not"),
    ("didnt", "did not"),
    ("isnt", "is not"),
    ("arent", "are not"),
    ("wasnt", "was not"),
    ("werent", "were not"),
    ("cant", "can not"),
    ("cannot", "can not"),
    ("couldnt", "could not"),
    ("wouldnt", "would not"),
    ("shouldnt", "should not"),
    ("wont", "will not"),
    ("havent", "have not"),
    ("hasnt", "has not"),
    ("hadnt", "had not"),
    ("im", "i am"),
    ("ive", "i have"),
    ("youre", "you are"),
    ("theyre", "they are"),
    ("whats", "what is"),
    ("hows", "how is"),
    ("wheres", "where is"),
    ("whos", "who is"),
    ("whens", "when is"),
    ("thats", "that is"),
    ("theres", "there is"),
    ("gonna", "going to"),
    ("wanna", "want to"),
    ("gotta", "have to"),
    ("u", "you"),
    ("ur", "your"),
    ("pls", "please"),
    ("plz", "please"),
    ("thx", "thanks"),
    ("ty", "thanks"),
    ("coz", "because"),
    ("cuz", "because"),
];

/// A word in small letters as it is written with more time.
pub fn unhurried(word: &str) -> &str {
    static ALL: OnceLock<Map<&str, &str>> = OnceLock::new();
    ALL.get_or_init(|| SHORT.iter().copied().collect()).get(word).unwrap_or(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_marks_stand_apart() {
        let mut words = Vec::new();
        each_word("Où est l'Hôtel\u{200B}?  北京 e-mail\u{301}", |word| words.push(word.to_owned()));
        assert_eq!(words, ["ou", "est", "l", "'", "hotel", "?", "北", "京", "e", "-", "mail"]);
    }
}
