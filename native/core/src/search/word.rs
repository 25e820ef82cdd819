//! A word of a question, and what is known of it.

use crate::search::fnv::hash;
use crate::search::lexicon::lexicon;
use crate::search::phrases::{FRAME, STOP, classes};
use crate::search::table::table;
use crate::search::vector::Vector;

/// One word.
#[derive(Clone, Debug)]
pub struct Word {
    /// In small letters, without accents.
    pub text: String,
    /// Hash of `text`.
    pub hash: u64,
    /// Its entry in the token table, if it is one.
    pub entry: Option<u16>,
    /// Its base form, if it is an entry of the token table.
    pub base: Option<u16>,
    /// What part it plays: see `phrases`.
    pub classes: u16,
    /// How much it says: rare words say more.
    pub weight: f32,
    /// Whether it has a digit.
    pub digits: bool,
    /// Whether it is a name: by its capital, or because it is nothing else.
    pub name: bool,
    /// The relation it stands in: a hash of the last one before it, 0 for none.
    pub relation: u32,
    /// Its meaning.
    pub vector: Option<Vector>,
}

impl Word {
    /// Looks up a word, in small letters.
    pub fn read(text: &str, capital: bool, relation: u32) -> Word {
        let entry = table().whole(text);
        let base = entry.or_else(|| lexicon().added(text)).map(|word| lexicon().base(word));
        let digits = text.bytes().any(|b| b.is_ascii_digit());
        let mut pieces = Vec::new();
        let classes = classes(text);
        let content = classes & (STOP | FRAME) == 0 || digits;
        if content && !digits {
            match base.filter(|&base| table().has(base)) {
                Some(base) => pieces.push(base),
                None => drop(table().pieces(text, &mut pieces)),
            }
        }
        // The vocabulary is sorted by frequency; words it lacks are rarer than any it has.
        let weight = entry.map_or(1.0, |entry| (f32::from(entry) / 1000.0 + 1.0).log2() / 5.0);
        let name = capital || base.is_some_and(|base| lexicon().is_name(base));
        let vector = Vector::of_pieces(&pieces);
        let hash = hash(text);
        Word { text: text.to_owned(), hash, entry, base, classes, weight, digits, name, relation, vector }
    }

    /// Whether it is part of what is asked, not of how.
    pub fn is_content(&self) -> bool {
        self.classes & (STOP | FRAME) == 0 || self.digits
    }

    /// The same word in the same form.
    pub fn equals(&self, other: &Word) -> bool {
        self.hash == other.hash && self.text == other.text
    }

    /// The same word, whatever its form.
    pub fn is(&self, other: &Word) -> bool {
        self.base.is_some() && self.base == other.base || self.equals(other)
    }

    /// A number that it has in all its forms.
    pub fn number(&self) -> u64 {
        self.base.map_or(self.hash, u64::from)
    }

    /// Adds its tokens; none if it has unknown parts.
    pub fn add_pieces(&self, pieces: &mut Vec<u16>) -> bool {
        match self.entry {
            Some(entry) => {
                pieces.push(entry);
                true
            }
            None => table().pieces(&self.text, pieces),
        }
    }
}
