//! The model that decides where nothing exact does: trees and a network, whose scores are added.
//!
//! Written by `bench/cache/model/train.py`, thresholds included.

use std::sync::OnceLock;

use crate::search::bytes::Reader;
use crate::search::features::FEATURES;
use crate::search::network::{Network, Seen};
use crate::search::trees::Trees;

static ASSET: &[u8] = include_bytes!("../../assets/verifier.bin");

const MAGIC: &[u8; 8] = b"SGVERIFY";
const VERSION: u32 = 3;

/// The model. One for the process: [`model`].
#[derive(Debug)]
pub struct Model {
    /// What the trees' score, and the network's, is multiplied by.
    weights: [f32; 2],
    bias: f32,
    /// Scores from which questions are the same, and from which that is unsure.
    thresholds: [f32; 2],
    trees: Trees,
    network: Network,
}

/// The process's model; the first call reads it. The asset is part of the build, and a test reads it; without a model
/// nothing is decided to be the same.
pub fn model() -> Option<&'static Model> {
    static MODEL: OnceLock<Option<Model>> = OnceLock::new();
    MODEL.get_or_init(|| Model::read(ASSET)).as_ref()
}

impl Model {
    fn read(asset: &'static [u8]) -> Option<Model> {
        let mut reader = Reader::new(asset);
        if reader.take(MAGIC.len())? != MAGIC || reader.u32()? != VERSION {
            return None;
        }
        let weights = [reader.f32()?, reader.f32()?];
        let bias = reader.f32()?;
        let thresholds = [reader.f32()?, reader.f32()?];
        let trees = Trees::read(&mut reader)?;
        let network = Network::read(&mut reader)?;
        reader.is_done().then_some(Model { weights, bias, thresholds, trees, network })
    }

    /// Looks at a question's tokens, for `score`.
    pub fn see(&self, tokens: &[u16]) -> Seen {
        self.network.see(tokens)
    }

    /// What the trees say: the greater, the more speaks for the same. It costs little.
    pub fn glance(&self, features: &[f32; FEATURES]) -> f32 {
        self.trees.score(features)
    }

    /// How much speaks for the same: the greater, the more. `glance` is what the trees say, `see` gives what the network
    /// sees of both questions; where the trees are sure enough that they differ, it isn't asked.
    pub fn score<'a>(
        &self,
        glance: f32,
        features: &[f32; FEATURES],
        effort: Effort,
        see: impl FnOnce() -> [&'a Seen; 2],
    ) -> f32 {
        let sure = self.weights[0] * glance + self.bias;
        if glance < effort.trees_min() {
            return sure;
        }
        let [a, b] = see();
        sure + self.weights[1] * self.network.score(a, b, features)
    }

    /// Scores from which questions are the same, and from which that is unsure.
    pub fn thresholds(&self) -> [f32; 2] {
        self.thresholds
    }
}

/// What a verdict is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// All verdicts are, so that those who are unsure can look closer.
    Full,
    /// Only that they are the same: whoever is unsure takes it for different.
    Served,
}

impl Effort {
    /// The network, which costs most, isn't asked below this score of the trees. Of 12,972, 4,140 and 5,393 pairs that
    /// look alike (tune, report and earlier), none was the same below 0.55, nor unsure below -1; two thirds have less
    /// than 0.4, and a quarter less than -1.
    fn trees_min(self) -> f32 {
        match self {
            Effort::Full => -1.0,
            Effort::Served => 0.4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_asset_is_sound() {
        let model = Model::read(ASSET).unwrap();
        assert!(
            model.thresholds[0] > model.thresholds[1] && model.weights.iter().all(|weight| *weight > 0.0)
        );
        let least = |effort: Effort| model.weights[0] * effort.trees_min() + model.bias;
        assert!(least(Effort::Served) < model.thresholds[0] && least(Effort::Full) < model.thresholds[1]);
        assert!(ASSET.len() <= 500_000);
    }

    #[test]
    fn a_broken_asset_is_refused() {
        for length in [0, 8, 12, 40, 1000, ASSET.len() - 1] {
            assert!(Model::read(&ASSET[..length]).is_none());
        }
    }
}
