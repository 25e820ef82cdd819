//! The vectors of one scope, searched from end to end: first by one bit for each dimension, then the nearest exactly.
//!
//! While the bits are compared, rows that can't be among the nearest any more are left aside at once: that is cheaper
//! than to keep all distances and choose among them.

use crate::search::kernel::{code, distances, dot};
use crate::search::vector::Vector;

/// How many of the nearest by bits are compared exactly.
const RESCORED: usize = 256;
/// Rows that share their memory: a scope grows by this much at a time, so that no insert copies a large one.
const BLOCK_ROWS: usize = 256;
/// Rows whose distances are looked at together: mostly none of them is near.
const GROUP_ROWS: usize = 64;

/// What one row holds besides its vector.
#[derive(Debug)]
pub struct Row {
    /// The caller's number for it.
    pub entry: u64,
    /// The question.
    pub text: Box<str>,
}

#[derive(Debug, Default)]
struct Block {
    codes: Vec<u64>,
    parts: Vec<i8>,
    scales: Vec<f32>,
    rows: Vec<Row>,
}

/// A row found, with its cosine to what was asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Near {
    /// Its place.
    pub row: usize,
    /// From -1 to 1.
    pub similarity: f32,
}

/// Buffers that searches use again and again.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Rows that may be among the nearest, with their distances in bits.
    likely: Vec<(u16, u32)>,
    counts: Vec<u32>,
    found: Vec<Near>,
}

/// The rows of one scope. Numbers of rows change when others go: [`Flat::remove`] says which.
#[derive(Debug)]
pub struct Flat {
    dimensions: usize,
    words: usize,
    blocks: Vec<Block>,
}

impl Flat {
    /// Without rows; all vectors will have so many dimensions.
    pub fn new(dimensions: usize) -> Flat {
        Flat { dimensions, words: dimensions.div_ceil(64), blocks: Vec::new() }
    }

    /// The vector of a row.
    pub fn vector(&self, row: usize) -> Vector {
        let (block, at) = (&self.blocks[row / BLOCK_ROWS], row % BLOCK_ROWS);
        let parts = &block.parts[at * self.dimensions..][..self.dimensions];
        Vector { parts: parts.into(), scale: block.scales[at] }
    }

    /// Rows held.
    pub fn len(&self) -> usize {
        let last = self.blocks.last().map_or(0, |block| block.rows.len());
        self.blocks.len().saturating_sub(1) * BLOCK_ROWS + last
    }

    /// Whether no row is held.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// A row that is there.
    pub fn row(&self, row: usize) -> &Row {
        &self.blocks[row / BLOCK_ROWS].rows[row % BLOCK_ROWS]
    }

    /// Adds a row behind the others. The vector has the dimensions of all.
    pub fn push(&mut self, vector: &Vector, row: Row) {
        if self.blocks.last().is_none_or(|block| block.rows.len() == BLOCK_ROWS) {
            self.blocks.push(Block::default());
        }
        if let Some(block) = self.blocks.last_mut() {
            block.codes.extend(code(&vector.parts));
            block.parts.extend_from_slice(&vector.parts);
            block.scales.push(vector.scale);
            block.rows.push(row);
        }
    }

    /// Takes a row out and puts the last one in its place: `None` in place of its entry if it was the last itself.
    pub fn remove(&mut self, row: usize) -> Option<(Row, Option<u64>)> {
        let (words, dimensions) = (self.words, self.dimensions);
        let last = self.len().checked_sub(1).filter(|&last| row <= last)?;
        let block = self.blocks.last_mut()?;
        let codes = block.codes.split_off(block.codes.len() - words);
        let parts = block.parts.split_off(block.parts.len() - dimensions);
        let scale = block.scales.pop()?;
        let mut taken = block.rows.pop()?;
        if block.rows.is_empty() {
            self.blocks.pop();
        }
        if row == last {
            return Some((taken, None));
        }
        let (block, at) = (&mut self.blocks[row / BLOCK_ROWS], row % BLOCK_ROWS);
        block.codes[at * words..][..words].copy_from_slice(&codes);
        block.parts[at * dimensions..][..dimensions].copy_from_slice(&parts);
        block.scales[at] = scale;
        let moved = taken.entry;
        std::mem::swap(&mut block.rows[at], &mut taken);
        Some((taken, Some(moved)))
    }

    /// The `count` rows nearest to a vector, the nearest first; of equally near ones the later entry.
    pub fn nearest<'a>(&self, vector: &Vector, count: usize, scratch: &'a mut Scratch) -> &'a [Near] {
        scratch.found.clear();
        if vector.parts.len() != self.dimensions {
            return &scratch.found;
        }
        self.find_likely(vector, scratch);
        for &(_, row) in &scratch.likely {
            let (block, within) = (&self.blocks[row as usize / BLOCK_ROWS], row as usize % BLOCK_ROWS);
            let parts = &block.parts[within * self.dimensions..][..self.dimensions];
            let cosine = dot(&vector.parts, parts) as f32 * vector.scale * block.scales[within];
            scratch.found.push(Near { row: row as usize, similarity: cosine.clamp(-1.0, 1.0) });
        }
        let order = |a: &Near, b: &Near| {
            let later = || self.row(b.row).entry.cmp(&self.row(a.row).entry);
            b.similarity.total_cmp(&a.similarity).then_with(later)
        };
        let found = &mut scratch.found;
        if found.len() > count && count > 0 {
            found.select_nth_unstable_by(count - 1, order);
        }
        found.truncate(count);
        found.sort_unstable_by(order);
        found
    }

    /// Leaves in `scratch` the rows to be compared exactly.
    fn find_likely(&self, vector: &Vector, scratch: &mut Scratch) {
        let Scratch { likely, counts, .. } = scratch;
        likely.clear();
        if self.len() <= RESCORED {
            likely.extend((0..self.len() as u32).map(|row| (0, row)));
            return;
        }
        let query: Vec<u64> = code(&vector.parts).collect();
        let (mut cut, mut full) = (u16::MAX, 2 * RESCORED);
        let mut near = [0; GROUP_ROWS];
        for (at, block) in self.blocks.iter().enumerate() {
            for (group, codes) in block.codes.chunks(GROUP_ROWS * self.words).enumerate() {
                let near = &mut near[..codes.len() / self.words];
                if distances(&query, codes, near) > cut {
                    continue;
                }
                let first = (at * BLOCK_ROWS + group * GROUP_ROWS) as u32;
                for (&distance, row) in near.iter().zip(first..) {
                    if distance <= cut {
                        likely.push((distance, row));
                    }
                }
                if likely.len() >= full {
                    cut = self.keep_nearest(likely, counts);
                    // Where very many are equally near, all are kept.
                    full = 2 * likely.len().max(RESCORED);
                }
            }
        }
        self.keep_nearest(likely, counts);
    }

    /// Drops rows that aren't among the nearest by bits, and gives the largest distance kept: that of the last of the
    /// nearest, or the one before, as beyond it many rows may have the same.
    fn keep_nearest(&self, likely: &mut Vec<(u16, u32)>, counts: &mut Vec<u32>) -> u16 {
        counts.clear();
        counts.resize(self.words * 64 + 1, 0);
        likely.iter().for_each(|(distance, _)| counts[usize::from(*distance)] += 1);
        let (mut within, mut cut) = (0, u16::MAX);
        for (distance, &count) in counts.iter().enumerate() {
            within += count as usize;
            if within > RESCORED {
                let nearest = within == count as usize;
                cut = if nearest { distance as u16 } else { distance as u16 - 1 };
                break;
            }
        }
        likely.retain(|(distance, _)| *distance <= cut);
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Numbers that look random and are the same every time.
    fn numbers(seed: u64, count: usize) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..count).map(|_| (0..4).map(|_| next()).sum()).collect()
    }

    fn vector(seed: u64) -> Vector {
        Vector::from_numbers(&numbers(seed, 256)).unwrap()
    }

    fn filled(count: u64) -> Flat {
        let mut flat = Flat::new(256);
        (0..count).for_each(|entry| flat.push(&vector(entry), Row { entry, text: "".into() }));
        flat
    }

    #[test]
    fn finds_what_is_there_among_many() {
        let flat = filled(5000);
        let mut scratch = Scratch::default();
        for entry in [0, 255, 256, 4999] {
            let found = flat.nearest(&vector(entry), 3, &mut scratch);
            assert_eq!((found.len(), found[0].row), (3, entry as usize));
            assert!(found[0].similarity > 0.999 && found[1].similarity < 0.6);
        }
        // A vector with noise on it is still nearest to itself.
        let hits = (0..200).filter(|&entry| {
            let noise = numbers(entry + 100_000, 256);
            let mixed: Vec<f32> = numbers(entry, 256).iter().zip(noise).map(|(a, b)| a + 0.8 * b).collect();
            let found = flat.nearest(&Vector::from_numbers(&mixed).unwrap(), 1, &mut scratch);
            found[0].row == entry as usize
        });
        assert!(hits.count() >= 198);
    }

    #[test]
    fn equal_vectors_all_count_and_the_latest_comes_first() {
        let mut flat = Flat::new(256);
        (0..1000).for_each(|entry| flat.push(&vector(7), Row { entry, text: "".into() }));
        let mut scratch = Scratch::default();
        let found = flat.nearest(&vector(7), 2, &mut scratch);
        assert_eq!(found.iter().map(|near| near.row).collect::<Vec<_>>(), [999, 998]);
        assert!(flat.nearest(&vector(7), 0, &mut scratch).is_empty());
        let short = Vector::from_numbers(&[1.0; 64]).unwrap();
        assert!(flat.nearest(&short, 2, &mut scratch).is_empty());
    }

    proptest! {
        #[test]
        fn removing_leaves_the_others(steps in prop::collection::vec((any::<bool>(), any::<u16>()), 1..900)) {
            let vector = |seed| Vector::from_numbers(&numbers(seed, 64)).unwrap();
            let mut flat = Flat::new(64);
            let mut plain: Vec<u64> = Vec::new();
            let mut entry = 0;
            for (add, at) in steps {
                if add || plain.is_empty() {
                    flat.push(&vector(entry), Row { entry, text: "".into() });
                    plain.push(entry);
                    entry += 1;
                } else {
                    let row = usize::from(at) % plain.len();
                    let (taken, moved) = flat.remove(row).unwrap();
                    prop_assert_eq!(taken.entry, plain.swap_remove(row));
                    prop_assert_eq!(moved, plain.get(row).copied());
                }
                prop_assert_eq!((flat.len(), flat.is_empty()), (plain.len(), plain.is_empty()));
            }
            prop_assert!(flat.remove(plain.len()).is_none());
            let mut scratch = Scratch::default();
            for (row, &entry) in plain.iter().enumerate().take(20) {
                prop_assert_eq!(flat.row(row).entry, entry);
                prop_assert_eq!(flat.nearest(&vector(entry), 1, &mut scratch)[0].row, row);
            }
        }
    }
}
