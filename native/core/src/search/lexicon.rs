//! What is known of common words: base forms, synonyms, antonyms, and which exclude one another.
//!
//! Words are entries of the token table. Where it comes from: `bench/cache/lexicon/build.py`; its licence:
//! `assets/README.md`.

use std::sync::OnceLock;

use crate::search::bytes::Reader;
use crate::search::fnv::Map;
use crate::search::table::table;

static ASSET: &[u8] = include_bytes!("../../assets/lexicon.bin");

const MAGIC: &[u8; 8] = b"SGLEXICN";
const VERSION: u32 = 1;
/// The number of the first word that the token table lacks.
const ADDED: u16 = 40_000;

/// The lexicon. One for the process: [`lexicon`].
pub struct Lexicon {
    /// The base form of each entry, itself where it has none.
    bases: Vec<u16>,
    synonyms: Pairs,
    antonyms: Pairs,
    derived: Pairs,
    /// Entry and number of its kind.
    kinds: Vec<u32>,
    names: Vec<u32>,
    /// Words that the token table lacks, by their numbers from [`ADDED`].
    added: Map<&'static str, u16>,
}

/// The process's lexicon; the first call reads it.
pub fn lexicon() -> &'static Lexicon {
    static LEXICON: OnceLock<Lexicon> = OnceLock::new();
    LEXICON.get_or_init(|| {
        // The asset is part of the build and a test reads it; an empty lexicon relates no words.
        Lexicon::read(ASSET).unwrap_or_else(|| Lexicon::of("", [const { Vec::new() }; 6]))
    })
}

fn pair(a: u16, b: u16) -> u32 {
    u32::from(a) << 16 | u32::from(b)
}

/// Pairs of words, sorted, and where those begin whose first words are so many times [`BUCKET`].
struct Pairs {
    pairs: Vec<u32>,
    starts: Vec<u32>,
}

/// First words whose pairs are looked through together; they have a few.
const BUCKET: u32 = 16;

impl Pairs {
    fn of(pairs: Vec<u32>) -> Pairs {
        let firsts = (0..=(1 << 16) / BUCKET).map(|at| u64::from(at * BUCKET) << 16);
        let starts = firsts.map(|first| pairs.partition_point(|&both| u64::from(both) < first) as u32);
        Pairs { starts: starts.collect(), pairs }
    }

    fn has(&self, a: u16, b: u16) -> bool {
        let at = (u32::from(a) / BUCKET) as usize;
        self.pairs[self.starts[at] as usize..self.starts[at + 1] as usize].contains(&pair(a, b))
    }
}

impl Lexicon {
    fn read(asset: &'static [u8]) -> Option<Lexicon> {
        let mut reader = Reader::new(asset);
        if reader.take(MAGIC.len())? != MAGIC || reader.u32()? != VERSION {
            return None;
        }
        let length = reader.u32()? as usize;
        let words = std::str::from_utf8(reader.take(length)?).ok()?;
        let mut tables = [const { Vec::new() }; 6];
        for table in &mut tables {
            for _ in 0..reader.u32()? {
                table.push(pair(reader.u16()?, reader.u16()?));
            }
        }
        (reader.is_done() && tables.iter().all(|table| table.is_sorted())).then(|| Lexicon::of(words, tables))
    }

    fn of(words: &'static str, tables: [Vec<u32>; 6]) -> Lexicon {
        let [base_pairs, synonyms, antonyms, derived, kinds, names] = tables;
        let [synonyms, antonyms, derived] = [synonyms, antonyms, derived].map(Pairs::of);
        let added = words.lines().zip(ADDED..).collect();
        let mut bases: Vec<u16> = (0..=u16::MAX).collect();
        for both in base_pairs {
            bases[(both >> 16) as usize] = both as u16;
        }
        Lexicon { bases, synonyms, antonyms, derived, kinds, names, added }
    }

    /// The number of a word that is in the token table, or is known besides.
    pub fn word(&self, text: &str) -> Option<u16> {
        table().whole(text).or_else(|| self.added(text))
    }

    /// The number of a word that is known besides those of the token table.
    pub fn added(&self, text: &str) -> Option<u16> {
        self.added.get(text).copied()
    }

    /// The form that a dictionary lists a word under.
    pub fn base(&self, word: u16) -> u16 {
        self.bases[usize::from(word)]
    }

    /// Whether one word can stand for the other. Both are base forms, here and below.
    pub fn are_synonyms(&self, a: u16, b: u16) -> bool {
        self.synonyms.has(a, b)
    }

    /// Whether the words say the opposite.
    pub fn are_antonyms(&self, a: u16, b: u16) -> bool {
        self.antonyms.has(a, b)
    }

    /// Whether one word is made from the other: pay, payment.
    pub fn are_derived(&self, a: u16, b: u16) -> bool {
        self.derived.has(a, b)
    }

    /// Whether the words name two things of a kind, each of which excludes the other: cat, dog.
    pub fn are_siblings(&self, a: u16, b: u16) -> bool {
        let kind = self.kind(a);
        a != b && kind.is_some() && kind == self.kind(b)
    }

    /// Whether the word is a name and nothing else.
    pub fn is_name(&self, word: u16) -> bool {
        self.names.binary_search(&pair(word, 0)).is_ok()
    }

    fn kind(&self, word: u16) -> Option<u16> {
        let at = self.kinds.partition_point(|&both| both < pair(word, 0));
        self.kinds.get(at).filter(|&&both| both >> 16 == u32::from(word)).map(|&both| both as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    fn id(word: &str) -> u16 {
        lexicon().base(lexicon().word(word).unwrap())
    }

    #[test]
    fn relates_words() {
        assert!(Lexicon::read(ASSET).is_some());
        let all = lexicon();
        assert_eq!([id("bought"), id("cities"), id("cancelled")], [id("buy"), id("city"), id("cancel")]);
        assert!(all.are_synonyms(id("basket"), id("cart")) && !all.are_synonyms(id("cat"), id("dog")));
        assert!(
            all.are_antonyms(id("increase"), id("reduce")) && all.are_antonyms(id("disabled"), id("enable"))
        );
        assert!(all.are_derived(id("payment"), id("pay")));
        assert!(all.are_siblings(id("monday"), id("tuesday")) && !all.are_siblings(id("cat"), id("cat")));
        assert!(all.is_name(id("germany")) && !all.is_name(id("house")));
    }

    #[test]
    fn a_broken_asset_is_refused() {
        for length in [0, 8, 12, 16, ASSET.len() - 1] {
            assert!(Lexicon::read(&ASSET[..length]).is_none());
        }
        assert!(!Lexicon::of("", [const { Vec::new() }; 6]).are_siblings(1, 2));
    }
}
