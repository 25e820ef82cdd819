//! Gradient-boosted trees: each asks a few features and says how much they speak for the same or against it.

use crate::search::bytes::Reader;
use crate::search::features::FEATURES;

/// Where a split leads.
#[derive(Clone, Copy, Debug)]
enum Child {
    Split(usize),
    Leaf(f32),
}

#[derive(Clone, Copy, Debug)]
struct Split {
    feature: usize,
    limit: f32,
    /// Up to the limit, and beyond it.
    children: [Child; 2],
}

/// The trees, whose answers are added.
#[derive(Debug)]
pub struct Trees {
    trees: Vec<Vec<Split>>,
    /// Of trees without a split.
    constant: f32,
}

impl Trees {
    /// Reads them; `None` if a split leads nowhere, or backwards.
    pub fn read(reader: &mut Reader) -> Option<Trees> {
        let count = reader.u32()?;
        let mut all = Trees { trees: Vec::new(), constant: 0.0 };
        for _ in 0..count {
            let splits = reader.u32()? as usize;
            let raw: Vec<(u16, [i16; 2], f32)> = (0..splits)
                .map(|_| {
                    let (feature, children) = (reader.u16()?, [reader.i16()?, reader.i16()?]);
                    reader.u16()?;
                    Some((feature, children, reader.f32()?))
                })
                .collect::<Option<_>>()?;
            let leaves = reader.u32()? as usize;
            let leaves = reader.f32s(leaves)?;
            let child = |at: usize, number: i16| match usize::try_from(number) {
                Ok(next) => (next > at && next < splits).then_some(Child::Split(next)),
                Err(_) => leaves.get((-1 - i32::from(number)) as usize).map(|&value| Child::Leaf(value)),
            };
            let tree: Vec<Split> = raw
                .iter()
                .enumerate()
                .map(|(at, &(feature, [left, right], limit))| {
                    let feature = usize::from(feature);
                    let children = [child(at, left)?, child(at, right)?];
                    (feature < FEATURES).then_some(Split { feature, limit, children })
                })
                .collect::<Option<_>>()?;
            match tree.is_empty() {
                true => all.constant += leaves.first()?,
                false => all.trees.push(tree),
            }
        }
        Some(all)
    }

    /// What all say together.
    pub fn score(&self, features: &[f32; FEATURES]) -> f32 {
        let of = |tree: &Vec<Split>| {
            let mut at = 0;
            loop {
                let split = &tree[at];
                match split.children[usize::from(features[split.feature] > split.limit)] {
                    Child::Split(next) => at = next,
                    Child::Leaf(value) => return value,
                }
            }
        };
        self.constant + self.trees.iter().map(of).sum::<f32>()
    }
}
