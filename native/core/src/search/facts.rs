//! What two questions must share exactly: numbers, amounts, dates, code, quoted text, and how the answer shall look.

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
    /// Ways the answer shall look: bits by [`FORMS`].
    pub forms: u32,
    /// What it is written in: 0 English, or too little to tell.
    pub language: u8,
}

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
];

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
pub const FORMS: [&[&str]; 16] = [
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
    &["to a child", "year old", "eli5", "like im five", "like i am five"],
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

/// FNV-1a of a text.
pub fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

fn line_of(table: &[&str], word: &str) -> Option<u8> {
    let has = |line: &&str| line.split(' ').any(|known| known == word);
    table.iter().position(has).map(|at| at as u8 + 1)
}

/// Number of the unit that a word names.
pub fn unit(word: &str) -> Option<u8> {
    line_of(UNITS, word)
}

/// Number of the currency that a word or sign names.
pub fn currency(word: &str) -> Option<u8> {
    line_of(CURRENCIES, word)
}

/// The word for a currency, by its number.
pub fn currency_name(number: u8) -> Option<&'static str> {
    let line = CURRENCIES.get(usize::from(number).checked_sub(1)?)?;
    line.split(' ').find(|name| name.len() > 2 && name.is_ascii())
}

/// The digits that a word stands for.
fn spelled(word: &str) -> Option<u64> {
    SPELLED
        .iter()
        .find_map(|pair| pair.split_once(' ').filter(|(name, _)| *name == word).map(|(_, d)| hash(d)))
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
        push_new(&mut self.spelled, spelled(word));
        push_new(&mut self.currencies, currency(word));
        push_new(&mut self.dates, line_of(DATES, word));
        push_new(&mut self.tongues, line_of(TONGUES, word));
    }

    /// Notes a number: its digits as they stand, the word before it, and its unit.
    pub fn number(&mut self, digits: &str, before: &str, unit: Option<u8>) {
        let (value, unit) = (hash(&canonical(digits)), unit.unwrap_or(0));
        match self.numbers.iter_mut().find(|known| known.value == value) {
            Some(known) => known.unit = known.unit.max(unit),
            None => self.numbers.push(Number { value, unit, before: hash(before) }),
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
        for (at, form) in FORMS.iter().enumerate() {
            let said = |phrase: &&str| {
                let count = phrase.split(' ').count();
                words.windows(count).any(|part| phrase.split(' ').zip(part).all(|(a, b)| a == *b))
            };
            self.forms |= u32::from(form.iter().any(said)) << at;
        }
        self.language = language(words, foreign_letters, letters);
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
        let clash =
            |a: &Number, b: &Number| a.value == b.value && a.unit != b.unit && a.unit > 0 && b.unit > 0;
        if self.numbers.iter().any(|a| other.numbers.iter().any(|b| clash(a, b))) {
            return Some(Conflict::Unit);
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
        let values = |facts: &Facts| facts.numbers.iter().map(|number| number.value).collect::<Vec<_>>();
        let moved = |a: &Number| other.numbers.iter().any(|b| a.value == b.value && a.before != b.before);
        let same_count = self.numbers.len() == other.numbers.len();
        same_count && values(self) != values(other) && self.numbers.iter().any(moved)
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

fn language(words: &[&str], foreign_letters: usize, letters: usize) -> u8 {
    if foreign_letters * 4 > letters {
        return OTHER_SCRIPT;
    }
    let count = |line: &str| words.iter().filter(|word| line.split(' ').any(|known| known == **word)).count();
    let english = count(
        "the of to in for is are my i how do what can a when where with on and you your it was not why",
    );
    let counts = LANGUAGES.iter().enumerate().map(|(at, line)| (count(line), at as u8 + 1));
    let (most, language) = counts.max_by_key(|(count, at)| (*count, u8::MAX - at)).unwrap_or((0, 0));
    if most >= 2 && most > english { language } else { 0 }
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

    #[test]
    fn languages_are_told_apart() {
        let of = |text: &str| language(&text.split(' ').collect::<Vec<_>>(), 0, 10);
        assert_eq!(of("how do i reset my password"), 0);
        assert_eq!(of("wie kann ich mein passwort ändern"), 1);
        assert_eq!(of("comment puis je changer mon mot"), 2);
        assert_eq!(of("order status"), 0);
        assert_eq!(language(&["密", "码"], 2, 2), OTHER_SCRIPT);
    }
}
