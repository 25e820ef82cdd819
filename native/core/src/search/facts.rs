//! What two questions must share exactly: numbers, amounts, dates, code, quoted text, and how the answer shall look.

use crate::search::fact_words::{forms, is_english, is_factor, language, said};
use crate::search::fnv::hash;
use crate::search::signs::Signs;

/// Digits in a question: an amount, an id, a version, a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number {
    /// Hash of the digits.
    value: u64,
    /// Number of its unit, 0: none.
    unit: u8,
    /// Hash of the word before it.
    before: u64,
}

/// Hashes of what stands in a question, in its order, each once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// What has digits.
    pub numbers: Vec<Number>,
    /// Numbers in words, from two.
    pub spelled: Vec<u64>,
    /// Currencies.
    pub currencies: Vec<u8>,
    /// Months and days of the week.
    pub dates: Vec<u8>,
    /// Addresses, code, and names of files.
    pub literals: Vec<u64>,
    /// What stands in quotation marks.
    pub quotes: Vec<u64>,
    /// Names of languages.
    pub tongues: Vec<u8>,
    /// Ways the answer shall look: bits by `fact_words`.
    pub forms: u32,
    /// What it is written in: 0 English, or too little to tell.
    pub language: u8,
    /// English, as far as can be told.
    pub english: bool,
    /// What it says without words.
    pub signs: Signs,
}

fn push_new<T: PartialEq>(list: &mut Vec<T>, value: Option<T>) {
    if let Some(value) = value.filter(|value| !list.contains(value)) {
        list.push(value);
    }
}

impl Facts {
    /// Notes what a plain word says.
    pub fn word(&mut self, word: &str) {
        // No table has words of other lengths, and most words are in none.
        if !(2..=14).contains(&word.len()) && !word.starts_with(|c: char| !c.is_ascii()) {
            return;
        }
        let said = said(word);
        push_new(&mut self.spelled, said.digits);
        push_new(&mut self.currencies, said.currency);
        push_new(&mut self.dates, said.date);
        push_new(&mut self.tongues, said.tongue);
    }

    /// Notes a number: its digits as they stand, the word before it, and the unit that is bound to it.
    pub fn number(&mut self, digits: &str, before: &str, unit: Option<u8>) {
        let value = hash(&canonical(digits));
        self.numbers.push(Number { value, unit: unit.unwrap_or(0), before: hash(before) });
    }

    /// Notes the unit behind a number, by the number's place.
    pub fn unit(&mut self, at: usize, unit: Option<u8>) {
        if let Some((number, unit)) = self.numbers.get_mut(at).zip(unit) {
            number.unit = number.unit.max(unit);
        }
    }

    /// Notes code, an address, or the name of a file.
    pub fn literal(&mut self, text: &str) {
        push_new(&mut self.literals, Some(hash(text)));
    }

    /// Notes quoted text, in small letters.
    pub fn quote(&mut self, text: &str) {
        push_new(&mut self.quotes, Some(hash(text)));
    }

    /// Looks all words through, once the others are noted.
    pub fn finish(&mut self, words: &[&str], foreign_letters: usize, letters: usize) {
        // Alone and without an amount, pounds may be of weight.
        if self.currencies == [3] && self.numbers.is_empty() {
            self.currencies.clear();
        }
        let mut known: Vec<(u64, u8)> = Vec::new();
        self.numbers.retain(|Number { value, unit, .. }| {
            let is_new = !known.contains(&(*value, *unit));
            known.push((*value, *unit));
            is_new
        });
        self.forms = forms(words);
        self.language = language(words, foreign_letters, letters);
        self.english = self.language == 0 && is_english(words);
    }

    /// What keeps two questions apart, if anything does.
    pub fn conflict(&self, other: &Facts) -> Option<Conflict> {
        if self.language != other.language {
            return Some(Conflict::Language);
        }
        let has = |facts: &Facts, number: &Number| {
            facts.numbers.iter().any(|other| other.value == number.value)
                || facts.spelled.contains(&number.value)
        };
        let all_shared = self.numbers.iter().all(|number| has(other, number))
            && other.numbers.iter().all(|number| has(self, number));
        if !all_shared || self.orders_differ(other) {
            return Some(Conflict::Number);
        }
        if self.units_differ(other) || other.units_differ(self) {
            return Some(Conflict::Unit);
        }
        if self.signs.differ(&other.signs, self.english && other.english) {
            return Some(Conflict::Code);
        }
        let differ = [
            (self.currencies != other.currencies, Conflict::Currency),
            (self.dates != other.dates, Conflict::Date),
            (self.literals != other.literals, Conflict::Code),
            (self.quotes != other.quotes, Conflict::Quote),
            (self.tongues != other.tongues || self.forms != other.forms, Conflict::Form),
        ];
        differ.into_iter().find(|(differ, _)| *differ).map(|(_, conflict)| conflict)
    }
}

impl Facts {
    /// Whether the same numbers stand in another order, and one of them behind another word.
    fn orders_differ(&self, other: &Facts) -> bool {
        let of = |facts: &Facts| facts.numbers.iter().map(|one| (one.value, one.unit)).collect::<Vec<_>>();
        let moved = |a: &Number| {
            let twins = || other.numbers.iter().filter(|b| a.value == b.value && a.unit == b.unit);
            twins().next().is_some() && twins().all(|b| a.before != b.before)
        };
        let same_count = self.numbers.len() == other.numbers.len();
        same_count && of(self) != of(other) && self.numbers.iter().any(moved)
    }

    /// Whether a number has a unit here that it lacks there, though it has another one there, or its value hangs on it.
    fn units_differ(&self, other: &Facts) -> bool {
        self.numbers.iter().filter(|a| a.unit > 0).any(|a| {
            let twins = || other.numbers.iter().filter(|b| a.value == b.value);
            let lacks = twins().next().is_some() && twins().all(|b| a.unit != b.unit);
            lacks && (is_factor(a.unit) || twins().any(|b| b.unit > 0))
        })
    }

    /// Whether each number has the same unit, or none, in both.
    pub fn same_units(&self, other: &Facts) -> bool {
        let of = |facts: &Facts| facts.numbers.iter().map(|one| (one.value, one.unit)).collect::<Vec<_>>();
        of(self) == of(other)
    }
}

/// Why two questions can't be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Other numbers, amounts, ids, versions or times.
    Number,
    /// Other units.
    Unit,
    /// Other currencies, or in another order.
    Currency,
    /// Other months or days.
    Date,
    /// Other code, addresses or files.
    Code,
    /// Other quoted text.
    Quote,
    /// Another form or language asked for.
    Form,
    /// Written in another language.
    Language,
}

/// Digits without what separates thousands, so that 1,000 equals 1000.
fn canonical(digits: &str) -> String {
    let parts: Vec<&str> = digits.split(',').collect();
    let (first, rest) = parts.split_first().unwrap_or((&"", &[]));
    let is_whole = |part: &&str| part.len() == 3 && part.bytes().all(|b| b.is_ascii_digit());
    let thousands = !rest.is_empty() && (1..=3).contains(&first.len()) && rest.iter().all(is_whole);
    if thousands { parts.concat() } else { digits.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_may_be_separated() {
        assert_eq!(
            [canonical("1,000"), canonical("1,5"), canonical("12,345,678")],
            ["1000", "1,5", "12345678"]
        );
    }
}
