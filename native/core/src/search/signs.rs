//! What a question says without words: operators, emoji, accents, indentation. Words alone leave it out.

use crate::search::spelling::folds;

/// What stands between, around and on the words of a question, in its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signs {
    /// Signs that only code and formulas have, and words of other scripts: both questions have the same.
    code: String,
    /// Signs that may be there for their looks: where both questions have some, they are the same.
    loose: String,
    /// Words with accents: pêche, péché.
    accented: String,
    /// How far each line is indented, if any is.
    indents: String,
}

/// Letters beyond this one are of other scripts.
const LATIN_LAST: char = '\u{24F}';
/// Marks of sentences: they are there or not.
const SENTENCE: &str = ".,!?\u{2026}";
const DASHES: &str = "-\u{2013}\u{2014}";

impl Signs {
    /// Reads those of a text.
    pub fn read(text: &str) -> Signs {
        let mut signs = Signs::default();
        let mut before = "";
        let mut chunks = text.split_whitespace().peekable();
        while let Some(chunk) = chunks.next() {
            signs.loose.extend(scale(chunk));
            if chunk.bytes().all(|b| b.is_ascii_alphanumeric()) {
                // Most chunks have no signs.
            } else if chunk.contains(char::is_alphanumeric) {
                signs.attached(chunk);
            } else {
                signs.alone(chunk, before, chunks.peek().is_none());
            }
            before = chunk;
        }
        signs.indents = indents(text);
        signs
    }

    /// Whether they can't belong to one question. Where one is in English, accents may be left out.
    pub fn differ(&self, other: &Signs, english: bool) -> bool {
        let both = |a: &str, b: &str| !a.is_empty() && !b.is_empty() && a != b;
        self.code != other.code
            || self.indents != other.indents
            || both(&self.loose, &other.loose)
            || if english { both(&self.accented, &other.accented) } else { self.accented != other.accented }
    }

    /// Signs that stand between spaces.
    fn alone(&mut self, chunk: &str, before: &str, last: bool) {
        let all = |marks: &str| chunk.chars().all(|c| marks.contains(c));
        if all(DASHES) {
            // Between figures it takes away, elsewhere it is a pause.
            let figure = before.ends_with(|c: char| c.is_ascii_digit() || c == ')') || before.len() == 1;
            if figure {
                self.loose.push('-');
            }
            return;
        }
        if all(SENTENCE) && chunk != ".." {
            if !last {
                self.loose.push_str(chunk);
            }
            return;
        }
        let face = chunk.starts_with([':', ';', '=']) && chunk.ends_with(['(', ')', '|', '/', '*', ']', '[']);
        let operator =
            chunk.contains(is_code) || chunk.len() > 1 && chunk.bytes().all(|b| b.is_ascii_punctuation());
        if operator && !face {
            self.code.push_str(chunk);
            self.code.push(' ');
        } else {
            chunk.chars().filter(|&c| !is_unseen(c)).for_each(|c| self.loose.push(c));
        }
    }

    /// Signs that are bound to words and figures.
    fn attached(&mut self, chunk: &str) {
        let bare = chunk.trim_matches(|c: char| {
            SENTENCE.contains(c) || "\"'\u{2018}\u{2019}\u{201C}\u{201D}`".contains(c)
        });
        let path = chunk.starts_with("./") || chunk.starts_with("../");
        if path || is_case_sensitive(bare) {
            self.code.push_str(if path { chunk.trim_end_matches(['?', '!', ',']) } else { bare });
            self.code.push(' ');
            return;
        }
        let letters = bare.chars().filter(|c| c.is_alphanumeric()).count();
        let figure = letters == 1 || bare.contains(|c: char| c.is_ascii_digit());
        let hidden = chunk.trim_start_matches(['"', '\'', '(']);
        if hidden.starts_with(['@', '&', '!', '.', '#']) && hidden[1..].starts_with(char::is_alphabetic) {
            self.code.push_str(&hidden[..1]);
        }
        for c in chunk.chars() {
            if is_code(c) || "()".contains(c) && figure {
                self.code.push(c);
            } else if is_picture(c) {
                self.loose.push(c);
            } else if "-/".contains(c) && letters == 2 && bare.len() == 3 {
                // x/y, x-y.
                self.loose.push(c);
            }
        }
        if !chunk.is_ascii() {
            for part in bare.split(|c: char| !c.is_alphanumeric() && !is_accent(c)) {
                if part.contains(|c: char| c.is_alphabetic() && c > LATIN_LAST) {
                    self.code.push_str(&part.to_lowercase());
                    self.code.push(' ');
                } else if part.contains(|c| folds(c) || is_accent(c)) {
                    part.chars().flat_map(char::to_lowercase).for_each(|c| self.accented.push(c));
                    self.accented.push(' ');
                }
            }
        }
    }
}

/// Signs of code and formulas, and of currencies.
fn is_code(c: char) -> bool {
    "=<>*^~\\|{}[]\u{D7}\u{F7}\u{B1}\u{AC}".contains(c)
        || matches!(c, '\u{20A0}'..='\u{20CF}' if c != '\u{20AC}' && c != '\u{20B9}')
        || matches!(c, '\u{2190}'..='\u{22FF}' | '\u{27C0}'..='\u{27EF}' | '\u{2980}'..='\u{2AFF}')
}

/// Whether a capital makes a difference: in `\w`, `-r`, `%y` and `$x`, and in marks such as A-.
fn is_case_sensitive(bare: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic();
    let flag = bare.len() <= 4 && bare.starts_with('-') || bare.starts_with(['%', '$']);
    let mark = bare.len() <= 3
        && bare.strip_suffix('-').is_some_and(|mark| mark.bytes().all(|b| b.is_ascii_uppercase()));
    bare.contains('\\') || flag && bare[1..].starts_with(letter) || mark
}

/// What the capitals of a unit say, behind its figures or alone: mW or MW, Mb or MB.
fn scale(chunk: &str) -> Option<char> {
    let unit = chunk.trim_start_matches(|c: char| c.is_ascii_digit() || ".,".contains(c));
    let unit = unit.trim_end_matches(|c| SENTENCE.contains(c));
    let (first, rest) = (unit.chars().next()?, unit.get(1..)?);
    match (first, rest) {
        (
            'm' | 'M',
            "W" | "V" | "A" | "J" | "Hz" | "Pa" | "N" | "eV" | "Wh" | "F" | "H" | "S" | "\u{3A9}",
        ) => Some(first),
        ('K' | 'M' | 'G' | 'T', "b" | "bps" | "bit" | "B" | "Bps") => rest.chars().next(),
        _ => None,
    }
}

/// Accents of letters, as signs of their own.
fn is_accent(c: char) -> bool {
    let of_script = matches!(c, '\u{590}'..='\u{1CFF}' | '\u{A800}'..='\u{ABFF}');
    let mark = matches!(c, '\u{60C}' | '\u{61B}' | '\u{61F}' | '\u{6D4}' | '\u{964}' | '\u{965}' | '\u{E2F}');
    matches!(c, '\u{300}'..='\u{36F}') || of_script && !mark && !c.is_alphanumeric()
}

/// Emoji and other signs that are neither letters, nor marks, nor code.
fn is_picture(c: char) -> bool {
    let typed = matches!(c, '\0'..='\u{BF}' | '\u{2010}'..='\u{2031}' | '\u{2039}' | '\u{203A}' | '\u{20AC}'
        | '\u{20B9}' | '\u{2122}' | '\u{3000}'..='\u{303F}' | '\u{FF00}'..='\u{FFEF}');
    !typed && !c.is_alphanumeric() && !is_accent(c) && !is_code(c) && !is_unseen(c)
}

/// What shows nothing by itself.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || c == '\u{FFFD}'
        || c == '\u{FEFF}'
        || c == '\u{AD}'
        || matches!(c, '\u{2000}'..='\u{200C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202F}'
            | '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}')
}

fn indents(text: &str) -> String {
    let indent = |line: &str| line[..line.len() - line.trim_start().len()].to_owned();
    let lines = || text.lines().filter(|line| !line.trim().is_empty());
    if !text.contains('\n') || lines().count() < 2 || lines().all(|line| indent(line).is_empty()) {
        return String::new();
    }
    lines().map(|line| indent(line) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differ(a: &str, b: &str) -> bool {
        let [a, b] = [a, b].map(Signs::read);
        assert_eq!(a.differ(&b, true), b.differ(&a, true));
        a.differ(&b, true)
    }

    #[test]
    fn signs_are_read_where_words_leave_them_out() {
        for (a, b) in [
            ("What is 12 * 4?", "What is 12 / 4?"),
            ("What is 12 - 4?", "What is 12 + 4?"),
            ("What is (2 + 3) * 4?", "What is 2 + (3 * 4)?"),
            ("Is 5 > 3?", "Is 5 < 3?"),
            ("Is 3 \u{2264} 4?", "Is 3 \u{2265} 4?"),
            ("What does && do?", "What does || do?"),
            ("What does ; do in bash?", "What does & do in bash?"),
            ("What does cd .. do?", "What does cd do?"),
            ("What does a* match?", "What does a? match?"),
            ("What does *args mean?", "What does **args mean?"),
            ("What is x/y?", "What is x-y?"),
            ("What is .net?", "What is net?"),
            ("What is ../a?", "What is ./a?"),
            ("What does #include do?", "What does include do?"),
            ("Is 5mW dangerous?", "Is 5MW dangerous?"),
            ("Is 10 GB enough?", "Is 10 Gb enough?"),
            ("What does \\w match?", "What does \\W match?"),
            ("What does ls -r do?", "What does ls -R do?"),
            ("What is %y?", "What is %Y?"),
            ("What does an A- mean?", "What does an A mean?"),
            ("Can my dog eat \u{1F347}?", "Can my dog eat \u{1F34C}?"),
            ("What does \u{1F44D} mean?", "What does \u{1F44E} mean?"),
            ("What does :) mean?", "What does :( mean?"),
            ("Is \u{20A9}5 enough?", "Is \u{20BD}5 enough?"),
            ("Que veut dire p\u{EA}che ?", "Que veut dire p\u{E9}ch\u{E9} ?"),
            ("a: 1\n  b: 2", "  a: 1\n  b: 2"),
            ("How is \u{305F}\u{3079}\u{308B} read?", "How is \u{306E}\u{3079}\u{308B} read?"),
        ] {
            assert!(differ(a, b), "{a} | {b}");
        }
        for (a, b) in [
            ("How do I reset my password \u{1F642}", "how do i reset my password?"),
            ("Terms & conditions", "terms and conditions"),
            ("Order 123, where is it ?", "order 123: where is it"),
            ("My parcel - where is it", "My parcel \u{2013} where is it"),
            ("Is 10 GB enough?", "is 10 gb enough"),
            ("He/she/they - which (if any) is well-known?", "he, she or they"),
            ("Is caf\u{E9} latte strong?", "is cafe latte strong"),
            ("Hello,\nhow do I log in?", "Hello, how do I log in?"),
            ("It costs \u{20AC}5 (\u{2026}).", "it costs \u{20AC}5"),
        ] {
            assert!(!differ(a, b), "{a} | {b}");
        }
        let [a, b] = ["Was hei\u{DF}t sch\u{F6}n?", "Was hei\u{DF}t schon?"].map(Signs::read);
        assert!(a.differ(&b, false));
        // Thai: rice and news, but for the tone.
        let [a, b] = ["\u{E02}\u{E49}\u{E32}\u{E27}", "\u{E02}\u{E48}\u{E32}\u{E27}"].map(Signs::read);
        assert!(a.differ(&b, true));
    }
}
