//! Which letters belong to scripts written without spaces between words.

/// Whether `c` is of a script whose words touch their neighbours (Thai to Khmer, Chinese, Japanese, and
/// Korean, whose particles do): there, a letter next to an address or number is not part of it.
pub fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0E00}'..='\u{0EFF}' // Thai, Lao
        | '\u{1000}'..='\u{109F}' // Myanmar
        | '\u{1100}'..='\u{11FF}' // Hangul Jamo
        | '\u{1780}'..='\u{17FF}' // Khmer
        | '\u{2E80}'..='\u{9FFF}' // radicals, kana, Bopomofo, ideographs
        | '\u{A960}'..='\u{A97F}' // Hangul Jamo
        | '\u{AC00}'..='\u{D7FF}' // Hangul
        | '\u{F900}'..='\u{FAFF}' // ideographs
        | '\u{FF00}'..='\u{FFEF}' // full-width and half-width forms
        | '\u{20000}'..='\u{3FFFF}') // ideographs
}
