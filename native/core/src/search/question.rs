//! A question, read for comparisons: its words with what is known of each, and the facts in it.

use std::ops::Range;

use crate::search::asks::asks;
use crate::search::contrary::Claims;
use crate::search::fact_words::{currency_name, said};
use crate::search::facts::Facts;
use crate::search::fnv::hash;
use crate::search::literal::{is_compound, is_literal};
use crate::search::phrases::{RELATION, phrase};
use crate::search::signs::Signs;
use crate::search::spelling::{each_word, push_folded, unhurried};
use crate::search::table::table;
use crate::search::vector::Vector;
use crate::search::word::Word;

/// Questions with more words are told apart by nothing but equality.
pub const WORDS_MAX: usize = 64;

/// A question.
#[derive(Debug)]
pub struct Question {
    /// All its words.
    pub words: Vec<Word>,
    /// Those without courtesy that stands apart from the sentence.
    pub sentence: Range<usize>,
    /// Courtesy in the sentence, by its place in `COURTESY`: the word it begins with, and those that follow.
    pub courtesy: (Option<usize>, Vec<usize>),
    /// What must be shared exactly.
    pub facts: Facts,
    /// What another one may say the contrary of.
    pub claims: Claims,
    /// Its tokens, for the model that reads them.
    pub pieces: Vec<u16>,
    /// Its vector.
    pub vector: Option<Vector>,
    /// What it asks for: see `asks`.
    pub asks: u32,
    /// Numbers of its words, sorted, each once.
    pub numbers: Vec<u64>,
    /// All letters that stand three in a row, spaces between words among them, sorted, each once.
    pub trigrams: Vec<[u8; 3]>,
    /// Its sentences.
    pub sentences: usize,
    /// Whether it has more words than are compared.
    pub long: bool,
}

/// A word as it stands in the text.
struct Raw {
    text: String,
    capital: bool,
    /// A mark behind it tells it apart from what follows.
    apart: bool,
    /// That mark is a comma.
    comma: bool,
    /// It is a number of the facts.
    number: bool,
}

impl Raw {
    fn new(text: &str, capital: bool) -> Raw {
        Raw { text: text.to_owned(), capital, apart: false, comma: false, number: false }
    }
}

/// Words that say nothing, apart from a sentence, but that the asker is polite.
const COURTESY: [&str; 6] = ["please", "thanks", "thank", "hi", "hello", "hey"];
/// Words of questions about words.
const WORDING: [&str; 7] = ["say", "translate", "translation", "pronounce", "spell", "word", "phrase"];
/// From here on they greet.
const GREETING: usize = 3;

impl Question {
    /// Reads a text.
    pub fn read(text: &str) -> Question {
        let mut facts = Facts { signs: Signs::read(text), ..Facts::default() };
        let mut raw: Vec<Raw> = Vec::new();
        note_quotes(text, &mut facts);
        let mut begins = true;
        for chunk in text.split_whitespace() {
            read_chunk(chunk, begins, &mut raw, &mut facts);
            begins = chunk.ends_with(['.', '!', '?', ':']);
            if let Some(last) = raw.last_mut() {
                last.apart = chunk.ends_with(['.', '!', '?', ',', '\u{2026}']);
                last.comma = chunk.ends_with(',');
            }
        }
        let long = raw.len() > WORDS_MAX;
        raw.truncate(WORDS_MAX);
        let texts: Vec<&str> = raw.iter().map(|word| word.text.as_str()).collect();
        units(&raw, &mut facts);
        let letters = text.chars().filter(|c| c.is_alphabetic()).count();
        let foreign = text.chars().filter(|c| c.is_alphabetic() && *c > '\u{24F}').count();
        texts.iter().for_each(|word| facts.word(word));
        note_examples(&raw, &mut facts);
        facts.finish(&texts, foreign, letters);
        let mut pieces = Vec::new();
        each_word(text, |word| {
            table().pieces(word, &mut pieces);
        });
        let vector = Vector::of_pieces(&pieces);
        let (words, sentence) = related(&raw);
        let courtesy = courtesy(&words[sentence.clone()]);
        let claims = Claims::read(&words);
        let asks = asks(&words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>());
        let sentences = text.split(['.', '!', '?']).filter(|part| part.contains(char::is_alphabetic)).count();
        let numbers = set(words.iter().map(Word::number).collect());
        let trigrams = trigrams(&words);
        Question {
            words,
            sentence,
            courtesy,
            facts,
            claims,
            pieces,
            vector,
            asks,
            numbers,
            trigrams,
            sentences,
            long,
        }
    }

    /// Words of what is asked.
    pub fn content(&self) -> impl Iterator<Item = &Word> {
        self.words.iter().filter(|word| word.is_content())
    }
}

/// Sorted, each once.
fn set<T: Ord>(mut all: Vec<T>) -> Vec<T> {
    all.sort_unstable();
    all.dedup();
    all
}

fn trigrams(words: &[Word]) -> Vec<[u8; 3]> {
    let text: Vec<u8> = words.iter().flat_map(|word| word.text.bytes().chain([b' '])).collect();
    set(text.windows(3).map(|three| [three[0], three[1], three[2]]).collect())
}

/// Notes what stands between quotation marks or backticks.
fn note_quotes(text: &str, facts: &mut Facts) {
    for (open, close) in [('"', '"'), ('\u{201C}', '\u{201D}'), ('\u{AB}', '\u{BB}'), ('`', '`')] {
        let mut rest = text;
        while let Some((_, after)) = rest.split_once(open) {
            let Some((quoted, next)) = after.split_once(close) else { break };
            if open == '`' {
                facts.literal(quoted.trim());
            } else {
                facts.quote(quoted.trim().trim_end_matches(['.', ',', '?', '!']).to_lowercase().as_str());
            }
            rest = next;
        }
    }
}

/// Reads what stands between two spaces.
fn read_chunk(chunk: &str, begins: bool, raw: &mut Vec<Raw>, facts: &mut Facts) {
    let outer = |c: char| !c.is_alphanumeric() && !"$€£¥₹#%+`-\u{2212}".contains(c);
    let whole = chunk.trim_matches(outer);
    // ".5" is less than "5".
    let point = chunk.trim_start_matches(|c| outer(c) && c != '.').strip_prefix('.');
    let whole = match point {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => {
            chunk.trim_matches(|c| outer(c) && c != '.')
        }
        _ => whole,
    };
    if is_literal(whole) {
        facts.literal(whole);
        raw.push(Raw::new(&whole.to_lowercase(), false));
        return;
    }
    if whole.ends_with(|c: char| c.is_ascii_digit()) && chunk.contains('!') {
        // A factorial, or joy: they differ in what is asked.
        facts.literal("!");
    }
    if whole.contains(|c: char| c.is_ascii_digit()) && !is_compound(whole) {
        read_number(whole, raw, facts);
        return;
    }
    // What stands before an apostrophe, and what behind.
    let keep = |c: char| c.is_alphanumeric() || "+#'\u{2019}$€£¥₹%".contains(c);
    let mut first = begins;
    for part in whole.split(|c| !keep(c)).filter(|part| !part.is_empty()) {
        if part.contains(|c: char| c.is_ascii_digit()) {
            read_number(part, raw, facts);
        } else {
            let mut letters = part.chars();
            let upper = letters.next().is_some_and(char::is_uppercase);
            let lower = letters.any(char::is_lowercase);
            read_word(part, upper && lower && !first, raw);
        }
        first = false;
    }
}

/// Reads digits with what is bound to them: a currency's sign, a unit, the rest of an id.
fn read_number(text: &str, raw: &mut Vec<Raw>, facts: &mut Facts) {
    let folded: String = text.trim_start_matches('#').to_lowercase();
    if folded == "2fa" {
        raw.push(Raw::new(&folded, false));
        return;
    }
    let sign_end = folded.find(|c: char| c.is_alphanumeric()).unwrap_or(0);
    let (sign, rest) = folded.split_at(sign_end);
    let (less, point) = (sign.contains(['-', '\u{2212}']), sign.ends_with('.'));
    let money = said(sign.trim_matches(['-', '\u{2212}', '.'])).currency;
    let more = rest.ends_with('+');
    let rest = rest.trim_end_matches(['\u{2019}', '\'', '-', '+', '#', '\u{2212}', '.']);
    let end = rest.find(|c: char| !c.is_ascii_digit() && !".,:/".contains(c)).unwrap_or(rest.len());
    let (digits, tail) = rest.split_at(end);
    let tail_money = said(tail).currency;
    let bound = if more && tail.is_empty() { "+" } else { tail };
    let bound = (!digits.is_empty() && !bound.is_empty()).then(|| said(bound).unit).flatten();
    if let Some(name) = money.or(tail_money).and_then(currency_name) {
        raw.push(Raw::new(name, false));
    }
    let known = bound.is_some() || tail_money.is_some() || tail.is_empty();
    let value = if known { digits.trim_end_matches(['.', ',', ':', '/']) } else { rest };
    let value = [if less { "-" } else { "" }, if point { "0." } else { "" }, value].concat();
    let before = raw.last().map_or("", |word| word.text.as_str());
    facts.number(&value, before, bound);
    raw.push(Raw { number: true, ..Raw::new(&value, false) });
}

/// Adds a word, contractions taken apart.
fn read_word(part: &str, capital: bool, raw: &mut Vec<Raw>) {
    let mut text = String::with_capacity(part.len());
    part.chars().for_each(|c| push_folded(if c == '\u{2019}' { '\'' } else { c }, &mut text));
    let mut add = |word: &str| {
        if !word.is_empty() {
            raw.push(Raw::new(word, capital));
        }
    };
    let Some((left, right)) = text.split_once('\'') else {
        return unhurried(&text).split(' ').for_each(add);
    };
    match (left, right) {
        ("can", "t") => ["can", "not"].into_iter().for_each(&mut add),
        ("won", "t") => ["will", "not"].into_iter().for_each(&mut add),
        (_, "t") if left.ends_with('n') => [&left[..left.len() - 1], "not"].into_iter().for_each(&mut add),
        (
            "what" | "where" | "who" | "how" | "that" | "it" | "there" | "when" | "here" | "he" | "she",
            "s",
        ) => {
            [left, "is"].into_iter().for_each(&mut add);
        }
        (_, "s" | "") => add(left),
        (_, "d") => [left, "would"].into_iter().for_each(&mut add),
        (_, "ll") => [left, "will"].into_iter().for_each(&mut add),
        (_, "m") => [left, "am"].into_iter().for_each(&mut add),
        (_, "re") => [left, "are"].into_iter().for_each(&mut add),
        (_, "ve") => [left, "have"].into_iter().for_each(&mut add),
        _ => [left, right].into_iter().for_each(&mut add),
    }
}

/// Gives numbers the units that stand behind them.
fn units(raw: &[Raw], facts: &mut Facts) {
    let numbers = (0..raw.len()).filter(|&at| raw[at].number);
    for (number, at) in numbers.enumerate() {
        facts
            .unit(number, raw.get(at + 1).filter(|next| !next.number).and_then(|next| said(&next.text).unit));
    }
}

/// Notes courtesy that may belong to words asked about, as in "hello, how are you in Spanish" and "translate fine, thanks".
fn note_examples(raw: &[Raw], facts: &mut Facts) {
    if facts.tongues.is_empty() && !raw.iter().any(|word| WORDING.contains(&word.text.as_str())) {
        return;
    }
    for (at, word) in raw.iter().enumerate().filter(|(_, word)| COURTESY.contains(&word.text.as_str())) {
        let bound = if at == 0 { word.comma } else { raw[at - 1].comma };
        if bound {
            facts.literal(&word.text);
        }
    }
}

/// Puts phrases together and adds what is known of each word. Also gives those of the sentence.
fn related(raw: &[Raw]) -> (Vec<Word>, Range<usize>) {
    let texts: Vec<&str> = raw.iter().map(|word| word.text.as_str()).collect();
    let mut words: Vec<Word> = Vec::with_capacity(raw.len());
    let mut sentence = 0..0;
    let (mut at, mut relation, mut ended) = (0, 0, false);
    while at < raw.len() {
        let (count, text) = phrase(&texts[at..]).unwrap_or((1, texts[at]));
        let word = Word::read(text, raw[at].capital && count == 1, relation);
        if word.classes & RELATION != 0 {
            relation = hash(text) as u32;
        } else if word.is_content() {
            relation = 0;
        }
        words.push(word);
        at += count;
        let (said, apart) = (COURTESY.contains(&text), raw[at - 1].apart);
        if said && sentence.is_empty() && apart {
            // It has not begun yet.
            sentence = words.len()..words.len();
        } else if !said || !ended {
            sentence.end = words.len();
        }
        ended = apart;
    }
    (words, sentence)
}

/// Courtesy in a sentence. What one greets with at its beginning is the same.
fn courtesy(sentence: &[Word]) -> (Option<usize>, Vec<usize>) {
    let place = |word: &Word| COURTESY.iter().position(|said| *said == word.text);
    let first = sentence.first().and_then(place).map(|at| at.min(GREETING));
    (first, sentence.iter().skip(1).filter_map(place).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::facts::Conflict;

    fn conflict(a: &str, b: &str) -> Option<Conflict> {
        Question::read(a).facts.conflict(&Question::read(b).facts)
    }

    #[test]
    fn exact_things_must_be_shared() {
        use Conflict::*;
        for (a, b, expected) in [
            ("Track order 48213", "Track order 48231", Some(Number)),
            ("Track order #48213", "track order 48213?", None),
            ("a loan of 1,000 euros", "a loan of €1000", None),
            ("a loan of $1000", "a loan of €1000", Some(Currency)),
            ("convert dollars to euros", "convert euros to dollars", Some(Currency)),
            ("two bags", "2 bags", None),
            ("two bags", "3 bags", Some(Number)),
            ("Is 5 kg allowed?", "Is 5 lb allowed?", Some(Unit)),
            ("Is 5kg allowed?", "5 kilos allowed?", None),
            ("open at 7 am?", "open at 7 pm?", Some(Unit)),
            ("Python 3.11 support", "Python 3.12 support", Some(Number)),
            ("open on Monday", "open on Tuesday", Some(Date)),
            ("return within 30 days", "30-day return", None),
            ("is HIST 230 given in fall 2010", "in fall 2010, is HIST 230 given", None),
            ("open from 8 to 5", "open from 5 to 8", Some(Number)),
            ("how do I return", "how do I return within 30 days", Some(Number)),
            ("what does `ls -l` do", "what does `ls -a` do", Some(Code)),
            ("fix main.py", "fix util.py", Some(Code)),
            ("open https://a.example/x", "open https://a.example/y", Some(Code)),
            ("translate \"good day\"", "translate \"good night\"", Some(Quote)),
            ("explain it in Spanish", "explain it in French", Some(Form)),
            ("What is DNS? Answer in one sentence.", "What is DNS?", Some(Form)),
            ("wie kann ich mein passwort ändern", "how can i change my password", Some(Language)),
            ("重置密码", "reset password", Some(Language)),
            ("What is 5!", "What is 5?", Some(Code)),
            ("turn on 2FA", "enable two-factor authentication", None),
        ] {
            assert_eq!(conflict(a, b), expected, "{a} | {b}");
            assert_eq!(conflict(b, a), expected, "{b} | {a}");
        }
    }

    #[test]
    fn words_are_brought_to_one_form() {
        let content = |text: &str| -> Vec<String> {
            Question::read(text).content().map(|word| word.text.clone()).collect()
        };
        assert_eq!(content("How do I turn off my notifications?"), ["disable", "notifications"]);
        assert_eq!(content("I can\u{2019}t sign in, please help"), ["login"]);
        assert_eq!(content("Is Café René's open?"), ["cafe", "rene", "open"]);
    }

    #[test]
    fn no_text_is_too_odd() {
        let odd = "' ''t $ # ` \" -- 1 $1 1' @. \u{1F9FF} a\u{301} %% £€";
        for text in odd.split(' ').chain([""]) {
            let question = Question::read(text);
            assert!(question.words.len() <= WORDS_MAX && question.facts.conflict(&question.facts).is_none());
        }
        assert!(Question::read(&"word ".repeat(70)).long);
        // Each word of the vocabulary in a form that has another base.
        for word in ["disabled", "deactivates", "refunds"] {
            assert!(Question::read(word).words[0].base.is_some());
        }
    }
}
