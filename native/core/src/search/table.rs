//! The static table of token vectors, and the vocabulary they belong to.
//!
//! It is part of the library, so its pages are read from the file when they are first touched and belong to no heap.
//! Where it comes from: `bench/cache/table/distil.py`; its licence: `assets/README.md`.

use std::sync::OnceLock;

/// Dimensions of a token's vector, and of every text's that it makes.
pub const DIMENSIONS: usize = 256;

static ASSET: &[u8] = include_bytes!("../../assets/tokens.bin");

const MAGIC: &[u8; 8] = b"SGTOKENS";
const VERSION: u32 = 1;
const HEAD_BYTES: usize = 24;
/// Open addressing at half load for 30,000 entries.
const SLOTS: usize = 1 << 16;
const EMPTY: u16 = u16::MAX;
/// Longer words are unknown, as they are to the encoder.
const WORD_BYTES_MAX: usize = 100;

/// The table. One for the process: [`table`].
pub struct Table {
    words: &'static [u8],
    /// Where each entry's word begins in `words`, and the end of the last.
    starts: Vec<u32>,
    slots: Vec<u16>,
    scales: Vec<f32>,
    rows: &'static [u8],
}

/// The process's table; the first call indexes its vocabulary, which takes a millisecond.
pub fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        // The asset is part of the build and a test reads it; an empty table knows no word, and embeds nothing.
        Table::read(ASSET).unwrap_or_else(|| Table::index(&[], Vec::new(), &[]))
    })
}

impl Table {
    fn read(asset: &'static [u8]) -> Option<Table> {
        let number =
            |at: usize| -> Option<u32> { Some(u32::from_le_bytes(asset.get(at..at + 4)?.try_into().ok()?)) };
        let [version, entries, dimensions, words] = [number(8)?, number(12)?, number(16)?, number(20)?];
        let sound = asset.starts_with(MAGIC) && version == VERSION && dimensions as usize == DIMENSIONS;
        let (entries, words) = (entries as usize, words as usize);
        let scales = HEAD_BYTES + words;
        let rows = scales + 4 * entries;
        if !sound || entries >= usize::from(EMPTY) || asset.len() != rows + entries * DIMENSIONS {
            return None;
        }
        let read = |four: &[u8]| f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
        let list = asset[scales..rows].chunks_exact(4).map(read).collect();
        let table = Table::index(&asset[HEAD_BYTES..scales], list, &asset[rows..]);
        (table.starts.len() == entries + 1).then_some(table)
    }

    fn index(words: &'static [u8], scales: Vec<f32>, rows: &'static [u8]) -> Table {
        let mut starts = vec![0];
        starts.extend(words.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at as u32 + 1));
        if !words.is_empty() {
            starts.push(words.len() as u32 + 1);
        }
        let mut table = Table { words, starts, slots: vec![EMPTY; SLOTS], scales, rows };
        for id in 0..table.starts.len() - 1 {
            let (inner, word) = table.word(id as u16);
            let mut slot = hash(inner, word);
            while table.slots[slot] != EMPTY {
                slot = (slot + 1) % SLOTS;
            }
            table.slots[slot] = id as u16;
        }
        table
    }

    /// An entry's text, and whether it continues a word.
    fn word(&self, id: u16) -> (bool, &'static [u8]) {
        let at = usize::from(id);
        let word = &self.words[self.starts[at] as usize..self.starts[at + 1] as usize - 1];
        match word.strip_prefix(b"##") {
            Some(rest) if !rest.is_empty() => (true, rest),
            _ => (false, word),
        }
    }

    fn find(&self, inner: bool, word: &[u8]) -> Option<u16> {
        let mut slot = hash(inner, word);
        loop {
            let id = self.slots[slot];
            if id == EMPTY {
                return None;
            }
            if self.word(id) == (inner, word) {
                return Some(id);
            }
            slot = (slot + 1) % SLOTS;
        }
    }

    /// Entries.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.scales.len()
    }

    /// Whether a number is an entry's.
    pub fn has(&self, id: u16) -> bool {
        usize::from(id) < self.scales.len()
    }

    /// The entry that is this whole word.
    pub fn whole(&self, word: &str) -> Option<u16> {
        self.find(false, word.as_bytes())
    }

    /// Adds the pieces of a word to `out`, the longest first (WordPiece); false, and none, if it has unknown parts.
    pub fn pieces(&self, word: &str, out: &mut Vec<u16>) -> bool {
        let before = out.len();
        let mut rest = word;
        while word.len() <= WORD_BYTES_MAX {
            if rest.is_empty() {
                return true;
            }
            let inner = rest.len() < word.len();
            let ends = rest.char_indices().map(|(at, c)| at + c.len_utf8()).rev();
            let found =
                ends.into_iter().find_map(|end| Some((end, self.find(inner, &rest.as_bytes()[..end])?)));
            let Some((end, id)) = found else { break };
            out.push(id);
            rest = &rest[end..];
        }
        out.truncate(before);
        false
    }

    /// An entry's row, and what its numbers are to be multiplied by.
    pub fn row(&self, id: u16) -> (&'static [u8], f32) {
        let at = usize::from(id) * DIMENSIONS;
        (&self.rows[at..at + DIMENSIONS], self.scales[usize::from(id)])
    }

    /// Bytes held: the table, mapped from the library's file, and the vocabulary's index on the heap.
    pub fn bytes(&self) -> usize {
        ASSET.len() + 4 * (self.starts.len() + self.scales.len()) + 2 * self.slots.len()
    }
}

/// FNV-1a, folded to a slot.
fn hash(inner: bool, word: &[u8]) -> usize {
    let start = 0xcbf2_9ce4_8422_2325 ^ u64::from(inner);
    let hash = word.iter().fold(start, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    ((hash >> 32) ^ hash) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_asset_is_sound() {
        let table = Table::read(ASSET).unwrap();
        assert!(ASSET.len() <= 8_000_000 && table.bytes() < 9_000_000);
        for id in 0..table.starts.len() as u16 - 1 {
            let (inner, word) = table.word(id);
            assert_eq!(table.find(inner, word), Some(id));
        }
    }

    #[test]
    fn words_become_their_longest_pieces() {
        let mut pieces = Vec::new();
        assert!(table().pieces("unaffable", &mut pieces));
        let text: Vec<_> = pieces.iter().map(|&id| String::from_utf8_lossy(table().word(id).1)).collect();
        assert_eq!(text, ["una", "ffa", "ble"]);
        pieces.clear();
        assert!(!table().pieces("a\u{1F9FF}", &mut pieces) && !table().pieces(&"a".repeat(101), &mut pieces));
        assert!(pieces.is_empty() && table().pieces("", &mut pieces));
    }

    #[test]
    fn a_broken_asset_is_refused() {
        for length in [0, 7, 24, 1000, ASSET.len() - 1] {
            assert!(Table::read(&ASSET[..length]).is_none());
        }
        assert_eq!(Table::index(&[], Vec::new(), &[]).whole("the"), None);
    }
}
