//! Gradient-boosted trees: each asks a few features and says how much they speak for the same or against it.
//!
//! They are scored together (QuickScorer, Lucchese et al. 2015): a split that a feature exceeds rules out the leaves on
//! its left; the first leaf left in each tree is its answer. The splits of a feature stand in order of their limits, so
//! those exceeded come first.

use crate::search::bytes::Reader;
use crate::search::features::FEATURES;

/// One bit for each leaf of a tree.
type Leaves = u32;

#[derive(Clone, Copy, Debug)]
struct Split {
    limit: f32,
    tree: u32,
    /// Leaves that remain where the limit is exceeded.
    kept: Leaves,
}

/// The trees, whose answers are added.
#[derive(Debug)]
pub struct Trees {
    /// By feature, each list in order of the limits.
    splits: Vec<Vec<Split>>,
    /// Each tree's leaves, from left to right.
    leaves: Vec<[f32; Leaves::BITS as usize]>,
}

/// A split as it is stored: its feature, what is up to its limit and beyond, and the limit. Below 0: a leaf.
type Raw = (usize, [i16; 2], f32);

impl Trees {
    /// Reads them; `None` if a split leads nowhere, or backwards, or a tree has too many leaves.
    pub fn read(reader: &mut Reader) -> Option<Trees> {
        let count = reader.u32()?;
        let mut all = Trees { splits: vec![Vec::new(); FEATURES], leaves: Vec::new() };
        for _ in 0..count {
            let splits = reader.u32()? as usize;
            let raw: Vec<Raw> = (0..splits)
                .map(|_| {
                    let (feature, children) = (reader.u16()?, [reader.i16()?, reader.i16()?]);
                    reader.u16()?;
                    Some((usize::from(feature), children, reader.f32()?))
                })
                .collect::<Option<_>>()?;
            let leaves = reader.u32()? as usize;
            let leaves = reader.f32s(leaves)?;
            all.leaves.push([0.0; Leaves::BITS as usize]);
            let mut found = 0;
            all.add(&raw, &leaves, if raw.is_empty() { -1 } else { 0 }, &mut found)?;
        }
        all.splits.iter_mut().for_each(|splits| splits.sort_by(|a, b| a.limit.total_cmp(&b.limit)));
        Some(all)
    }

    /// Adds to the last tree what is below a split or leaf; `found`: how many leaves it has so far.
    fn add(&mut self, raw: &[Raw], leaves: &[f32], at: i16, found: &mut usize) -> Option<()> {
        let tree = self.leaves.len() - 1;
        let Ok(at) = usize::try_from(at) else {
            *self.leaves[tree].get_mut(*found)? = *leaves.get((-1 - i32::from(at)) as usize)?;
            *found += 1;
            return Some(());
        };
        let &(feature, [left, right], limit) = raw.get(at)?;
        let onward = |child: i16| usize::try_from(child).is_ok_and(|child| child <= at);
        if onward(left) || onward(right) {
            return None;
        }
        let before = *found;
        self.add(raw, leaves, left, found)?;
        let ruled_out = (before..*found).fold(0, |all, leaf| all | 1 << leaf);
        self.splits.get_mut(feature)?.push(Split { limit, tree: tree as u32, kept: !ruled_out });
        self.add(raw, leaves, right, found)
    }

    /// What all say together.
    pub fn score(&self, features: &[f32; FEATURES]) -> f32 {
        let mut open = vec![Leaves::MAX; self.leaves.len()];
        for (feature, splits) in features.iter().zip(&self.splits) {
            for split in splits.iter().take_while(|split| *feature > split.limit) {
                open[split.tree as usize] &= split.kept;
            }
        }
        let first = |open: Leaves| open.trailing_zeros() as usize;
        self.leaves
            .iter()
            .zip(open)
            .map(|(leaves, open)| leaves.get(first(open)).copied().unwrap_or(0.0))
            .sum()
    }
}
