//! Words that stand for facts: units, currencies, dates, numbers, languages, and how the answer shall look.

use std::sync::OnceLock;

use crate::search::fnv::{Map, hash};

/// Words that go with a number; those of a line mean the same.
const UNITS: &[&str] = &[
    "kg kilo kilos kilogram kilograms",
    "g gram grams",
    "mg milligram milligrams",
    "lb lbs",
    "oz ounce ounces",
    "km kilometer kilometers kilometre kilometres",
    "mile miles",
    "meter meters metre metres",
    "cm centimeter centimeters centimetre centimetres",
    "mm millimeter millimeters millimetre millimetres",
    "ft foot feet",
    "inch inches",
    "l liter liters litre litres",
    "ml milliliter milliliters millilitre millilitres",
    "gallon gallons",
    "cup cups",
    "second seconds sec secs s",
    "minute minutes min mins",
    "hour hours hr hrs h",
    "day days",
    "week weeks",
    "month months",
    "year years yr yrs",
    "am a.m",
    "pm p.m",
    "percent % pct",
    "kb kilobyte kilobytes",
    "mb megabyte megabytes",
    "gb gigabyte gigabytes",
    "tb terabyte terabytes",
    "celsius c",
    "fahrenheit f",
    "k thousand",
    "m million millions mio",
    "b billion billions bn",
    "x times",
    "+",
];

/// Units that say how much the number itself is: 5, 5k, 5%, 5+.
const FACTORS: [&str; 6] = ["%", "k", "m", "b", "x", "+"];

const CURRENCIES: &[&str] = &[
    "$ dollar dollars usd us$ buck bucks",
    "€ euro euros eur",
    "£ pound pounds gbp quid",
    "¥ yen jpy",
    "franc francs chf",
    "peso pesos mxn",
    "rupee rupees inr ₹",
    "yuan rmb cny renminbi",
    "rouble roubles ruble rubles rub",
    "krona kronor kroner krone sek nok dkk",
    "zloty zlotys pln",
    "bitcoin bitcoins btc",
    "ether ethereum eth",
];

const DATES: &[&str] = &[
    "january jan",
    "february feb",
    "april apr",
    "june jun",
    "july jul",
    "august aug",
    "september sept sep",
    "october oct",
    "november nov",
    "december dec",
    "monday mondays",
    "tuesday tuesdays",
    "wednesday wednesdays",
    "thursday thursdays",
    "friday fridays",
    "saturday saturdays",
    "sunday sundays",
    "christmas",
    "easter",
    "thanksgiving",
];

const TONGUES: &[&str] = &[
    "english",
    "spanish",
    "french",
    "german",
    "italian",
    "portuguese",
    "dutch",
    "polish",
    "russian",
    "turkish",
    "arabic",
    "hebrew",
    "hindi",
    "chinese",
    "mandarin",
    "japanese",
    "korean",
    "swedish",
    "danish",
    "norwegian",
    "finnish",
    "greek",
    "latin",
    "czech",
    "hungarian",
    "ukrainian",
    "vietnamese",
    "thai",
    "indonesian",
];

/// Words and phrases that say how the answer shall look; those of a line say the same.
const FORMS: [&[&str]; 16] = [
    &["briefly", "concisely", "keep it short", "short answer"],
    &["in detail", "detailed", "thoroughly", "in depth", "at length"],
    &["one sentence", "single sentence", "1 sentence"],
    &["one word", "single word"],
    &["bullet", "bullets", "bulleted"],
    &["as a table", "in a table", "table form"],
    &["step by step"],
    &["json"],
    &["csv"],
    &["xml"],
    &["markdown"],
    &["yaml"],
    &["to a child", "to a five year old", "to a ten year old", "eli5", "like im five", "like i am five"],
    &["with an example", "with examples", "give an example", "give examples"],
    &["number only", "only the number", "just the number", "only a number", "yes or no"],
    &["to an expert", "to a specialist"],
];

const SPELLED: [&str; 24] = [
    "two 2",
    "three 3",
    "four 4",
    "five 5",
    "six 6",
    "seven 7",
    "eight 8",
    "nine 9",
    "ten 10",
    "eleven 11",
    "twelve 12",
    "thirteen 13",
    "fifteen 15",
    "twenty 20",
    "thirty 30",
    "forty 40",
    "fifty 50",
    "hundred 100",
    "second 2nd",
    "third 3rd",
    "fourth 4th",
    "fifth 5th",
    "twice 2x",
    "dozen 12",
];

/// Frequent short words of languages other than English, by their numbers from 1.
const LANGUAGES: [&str; 6] = [
    "der die das und ist nicht ich wie kann mein meine ein eine für mit auf zu wir sie wo was den",
    "le la les des une est je comment puis mon ma dans pour avec que quel quelle ou vous mes du et",
    "el los las una es como puedo mi para con que donde cual por mis del y en no cuando",
    "il lo gli una come posso mio mia per con che dove quale di sono è del mi e",
    "o os uma como posso meu minha para com que onde qual de é do da não em eu",
    "de het een is ik hoe kan mijn voor met wat waar wanneer niet en van ben je",
];

/// The number of a script that isn't Latin.
const OTHER_SCRIPT: u8 = 100;

/// Frequent short words of English.
const ENGLISH: &str =
    "the of to in for is are my i how do what can a when where with on and you your it was not why";

/// What a word stands for, if anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said {
    /// Number of the unit that it names.
    pub unit: Option<u8>,
    /// Number of the currency that it names.
    pub currency: Option<u8>,
    /// Number of the month or day that it names.
    pub date: Option<u8>,
    /// Number of the language that it names.
    pub tongue: Option<u8>,
    /// Hash of the digits that it spells.
    pub digits: Option<u64>,
    /// Languages whose word it is: bits by [`LANGUAGES`], from 1; bit 0: English.
    languages: u8,
    /// Forms of answers that phrases ask for which begin with it: bits by [`FORMS`].
    forms: u32,
}

fn all() -> &'static Map<&'static str, Said> {
    static ALL: OnceLock<Map<&str, Said>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all: Map<&str, Said> = Map::default();
        let mut lines = |table: &[&'static str], set: fn(&mut Said, u8)| {
            for (at, line) in table.iter().enumerate() {
                line.split(' ').for_each(|word| set(all.entry(word).or_default(), at as u8 + 1));
            }
        };
        lines(UNITS, |said, number| said.unit = said.unit.or(Some(number)));
        lines(CURRENCIES, |said, number| said.currency = said.currency.or(Some(number)));
        lines(DATES, |said, number| said.date = said.date.or(Some(number)));
        lines(TONGUES, |said, number| said.tongue = said.tongue.or(Some(number)));
        lines(&LANGUAGES, |said, number| said.languages |= 1 << number);
        lines(&[ENGLISH], |said, _| said.languages |= 1);
        for (name, digits) in SPELLED.iter().filter_map(|pair| pair.split_once(' ')) {
            all.entry(name).or_default().digits = Some(hash(digits));
        }
        for (at, form) in FORMS.iter().enumerate() {
            for first in form.iter().filter_map(|phrase| phrase.split(' ').next()) {
                all.entry(first).or_default().forms |= 1 << at;
            }
        }
        all
    })
}

/// What a word or sign stands for.
pub fn said(word: &str) -> Said {
    all().get(word).copied().unwrap_or_default()
}

/// Whether a unit, by its number, is a part of the value.
pub fn is_factor(unit: u8) -> bool {
    FACTORS.iter().any(|factor| said(factor).unit == Some(unit))
}

/// The word for a currency, by its number.
pub fn currency_name(number: u8) -> Option<&'static str> {
    let line = CURRENCIES.get(usize::from(number).checked_sub(1)?)?;
    line.split(' ').find(|name| name.len() > 2 && name.is_ascii())
}

/// How the answer shall look: bits by [`FORMS`].
pub fn forms(words: &[&str]) -> u32 {
    let mut found = 0;
    for (at, word) in words.iter().enumerate() {
        let begun = said(word).forms & !found;
        for form in (0..FORMS.len()).filter(|form| begun >> form & 1 == 1) {
            let rest = &words[at..];
            let fits = |phrase: &&str| {
                phrase.split(' ').count() <= rest.len() && phrase.split(' ').zip(rest).all(|(a, b)| a == *b)
            };
            found |= u32::from(FORMS[form].iter().any(fits)) << form;
        }
    }
    found
}

/// How many of the words are frequent in each language, English first.
fn counts(words: &[&str]) -> [u32; 1 + LANGUAGES.len()] {
    let mut counts = [0; 1 + LANGUAGES.len()];
    for word in words {
        let languages = said(word).languages;
        counts.iter_mut().enumerate().for_each(|(at, count)| *count += u32::from(languages >> at & 1));
    }
    counts
}

/// Whether several words are frequent in English alone.
pub fn is_english(words: &[&str]) -> bool {
    words.iter().filter(|word| said(word).languages == 1).count() > 1
}

/// What words are written in: 0 English, or too little to tell.
pub fn language(words: &[&str], foreign_letters: usize, letters: usize) -> u8 {
    if foreign_letters * 4 > letters {
        return OTHER_SCRIPT;
    }
    let counts = counts(words);
    let others = counts.iter().zip(0u8..).skip(1);
    let (most, language) = others.max_by_key(|(count, at)| (**count, u8::MAX - at)).unwrap_or((&0, 0));
    if *most >= 2 && *most > counts[0] { language } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_told_apart() {
        let of = |text: &str| language(&text.split(' ').collect::<Vec<_>>(), 0, 10);
        assert_eq!(of("how do i reset my password"), 0);
        assert_eq!(of("wie kann ich mein passwort ändern"), 1);
        assert_eq!(of("comment puis je changer mon mot"), 2);
        assert_eq!(of("order status"), 0);
        assert_eq!(language(&["密", "码"], 2, 2), OTHER_SCRIPT);
    }

    #[test]
    fn forms_are_phrases() {
        let of = |text: &str| forms(&text.split(' ').collect::<Vec<_>>());
        assert_eq!(of("what is dns in one sentence"), 1 << 2);
        assert_eq!(of("what is one"), 0);
        assert_eq!(of("as a table in one word"), 1 << 5 | 1 << 3);
    }
}
