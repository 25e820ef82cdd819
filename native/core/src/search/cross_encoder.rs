//! The optional closer look at two questions: a cross-encoder, which reads both as one text.
//!
//! A BERT of a few layers (Devlin et al. 2019), its weights in eight bits and its tokens in four.
//! `bench/cache/cross-encoder/train.py` has the same in a few lines, and `write.py` writes the file: see there for its
//! form. The file isn't part of the library; whoever wants the closer look reads it and hands it over.

use crate::search::bytes::Reader;
use crate::search::int8::Matrix;
use crate::search::kernel::{add, arch, product};
use crate::search::table::table;
use crate::shared::digest::sha256;

const MAGIC: &[u8; 8] = b"SGCROSSE";
const VERSION: u32 = 1;
const DIGEST_BYTES: usize = 32;
/// Numbers for each token.
const WIDTH: usize = 384;
const HEADS: usize = 12;
const HEAD: usize = WIDTH / HEADS;
const WIDE: usize = 4 * WIDTH;
const POOLED: usize = 128;
const LAYERS_MAX: usize = 24;
/// Tokens of both questions and the three around and between them: longer pairs aren't looked at.
pub const TOKENS_MAX: usize = 64;
/// What is added to a spread, as in training.
const TINY: f32 = 1e-12;

/// Why a file isn't taken for a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is something else.
    Other,
    /// It is of another version, or belongs to another vocabulary.
    Version,
    /// Its bytes aren't those that were written.
    Damaged,
}

impl Unreadable {
    /// As an error says it, after the file's name.
    pub fn text(self) -> &'static str {
        match self {
            Unreadable::Other => "isn't a cross-encoder of Sidegate",
            Unreadable::Version => "belongs to another version of Sidegate",
            Unreadable::Damaged => "is damaged: its checksum is wrong",
        }
    }
}

/// The model.
#[derive(Debug)]
pub struct CrossEncoder {
    /// What the small model's score, and this one's, are multiplied by, and what is added.
    weights: [f32; 3],
    /// The small model's score from which nothing more is asked.
    sure: f32,
    begin: u16,
    end: u16,
    /// Four bits for each number, the lower half of a byte first; 8 stands for 0.
    tokens: Box<[u8]>,
    scales: Vec<f32>,
    places: Vec<f32>,
    sides: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    pool: Matrix,
    out: Vec<f32>,
    bias: f32,
}

#[derive(Debug)]
struct Norm {
    weights: Vec<f32>,
    bias: Vec<f32>,
}

#[derive(Debug)]
struct Layer {
    /// Queries, keys and values, one after the other.
    mix: Matrix,
    mixed: Matrix,
    first: Norm,
    wide: Matrix,
    narrow: Matrix,
    second: Norm,
}

impl CrossEncoder {
    /// Reads a file's bytes.
    pub fn read(file: &[u8]) -> Result<CrossEncoder, Unreadable> {
        if !file.starts_with(MAGIC) {
            return Err(Unreadable::Other);
        }
        let (content, digest) =
            file.split_at_checked(file.len().saturating_sub(DIGEST_BYTES)).ok_or(Unreadable::Damaged)?;
        if sha256(content) != digest {
            return Err(Unreadable::Damaged);
        }
        CrossEncoder::parse(&content[MAGIC.len()..]).ok_or(Unreadable::Version)
    }

    fn parse(content: &[u8]) -> Option<CrossEncoder> {
        let mut reader = Reader::new(content);
        let reader = &mut reader;
        if reader.u32()? != VERSION {
            return None;
        }
        let (entries, layers) = (reader.u32()? as usize, reader.u32()? as usize);
        if entries != table().len() || layers > LAYERS_MAX {
            return None;
        }
        let weights = [reader.f32()?, reader.f32()?, reader.f32()?];
        let sure = reader.f32()?;
        let [begin, end] = [table().whole("[CLS]")?, table().whole("[SEP]")?];
        let scales = reader.f32s(entries)?;
        let tokens = reader.take(entries * WIDTH / 2)?.into();
        let places = reader.f32s(TOKENS_MAX * WIDTH)?;
        let sides = reader.f32s(2 * WIDTH)?;
        let norm = Norm::read(reader)?;
        let layers = (0..layers).map(|_| Layer::read(reader)).collect::<Option<_>>()?;
        let pool = Matrix::read(reader, POOLED, 2 * WIDTH)?;
        let (out, bias) = (reader.f32s(POOLED)?, reader.f32()?);
        let model = CrossEncoder {
            weights,
            sure,
            begin,
            end,
            tokens,
            scales,
            places,
            sides,
            norm,
            layers,
            pool,
            out,
            bias,
        };
        reader.is_done().then_some(model)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let layers = self.layers.iter().map(|layer| {
            [&layer.mix, &layer.mixed, &layer.wide, &layer.narrow].map(Matrix::bytes).iter().sum::<usize>()
        });
        let floats = self.scales.len() + self.places.len() + self.sides.len();
        layers.sum::<usize>() + self.tokens.len() + self.pool.bytes() + 4 * floats
    }

    /// How likely a pair is to ask the same as the small model must have it, 0 to 1, for its word to be enough.
    pub fn sure(&self) -> f32 {
        chance(self.sure)
    }

    /// How likely two questions are to ask the same, 0 to 1: from 0.5 on, one's answer serves the other. `small` is what
    /// the small model has. `None`: they are too long.
    pub fn decide(&self, a: &[u16], b: &[u16], small: f32) -> Option<f32> {
        let small = small.clamp(1e-6, 1.0 - 1e-6);
        let [by_small, by_own, bias] = self.weights;
        Some(chance(by_small * (small / (1.0 - small)).ln() + by_own * self.score(a, b)? + bias))
    }

    /// How much speaks for the same. `None`: they are too long.
    ///
    /// They are always read in one order, so that it makes no difference which is stored. To read both orders, and take
    /// the smaller score, would cost twice as much and find no more.
    pub fn score(&self, a: &[u16], b: &[u16]) -> Option<f32> {
        let (first, second) = if a <= b { (a, b) } else { (b, a) };
        let count = first.len() + second.len() + 3;
        let known = first.iter().chain(second).all(|&token| usize::from(token) < self.scales.len());
        if count > TOKENS_MAX || !known {
            return None;
        }
        let first = [self.begin].into_iter().chain(first.iter().copied()).chain([self.end]);
        let second = second.iter().copied().chain([self.end]);
        let tokens = first.map(|token| (token, 0)).chain(second.map(|token| (token, 1)));
        let mut x = Vec::with_capacity(count * WIDTH);
        for (place, (token, side)) in tokens.enumerate() {
            self.embed(token, place, side, &mut x);
        }
        self.norm.apply(&mut x);
        for layer in &self.layers {
            x = layer.apply(x);
        }
        let mut pooled = x[..WIDTH].to_vec();
        pooled.resize(2 * WIDTH, 0.0);
        for row in x.chunks_exact(WIDTH) {
            add(&mut pooled[WIDTH..], row.iter().copied(), 1.0 / count as f32);
        }
        let pooled = self.pool.apply(&pooled);
        let score: f32 = pooled.iter().zip(&self.out).map(|(number, weight)| number.tanh() * weight).sum();
        Some(score + self.bias)
    }

    fn embed(&self, token: u16, place: usize, side: usize, x: &mut Vec<f32>) {
        let token = usize::from(token);
        let row = &self.tokens[token * WIDTH / 2..(token + 1) * WIDTH / 2];
        let (places, sides) = (&self.places[place * WIDTH..], &self.sides[side * WIDTH..]);
        let numbers = row.iter().flat_map(|&two| [two & 15, two >> 4]);
        let others = places.iter().zip(sides);
        x.extend(
            numbers
                .zip(others)
                .map(|(number, (place, side))| (f32::from(number) - 8.0) * self.scales[token] + place + side),
        );
    }
}

/// A score as a share of 1.
fn chance(score: f32) -> f32 {
    1.0 / (1.0 + (-score).exp())
}

impl Norm {
    fn read(reader: &mut Reader) -> Option<Norm> {
        Some(Norm { weights: reader.f32s(WIDTH)?, bias: reader.f32s(WIDTH)? })
    }

    /// Brings each row to a mean of 0 and a spread of 1, then to what was learned.
    fn apply(&self, x: &mut [f32]) {
        arch().dispatch(
            #[inline(always)]
            || {
                for row in x.chunks_exact_mut(WIDTH) {
                    let mean = sum(row) / WIDTH as f32;
                    row.iter_mut().for_each(|number| *number -= mean);
                    let by = 1.0 / (product(row, row) / WIDTH as f32 + TINY).sqrt();
                    for (number, (weight, bias)) in row.iter_mut().zip(self.weights.iter().zip(&self.bias)) {
                        *number = *number * by * weight + bias;
                    }
                }
            },
        );
    }
}

impl Layer {
    fn read(reader: &mut Reader) -> Option<Layer> {
        Some(Layer {
            mix: Matrix::read(reader, 3 * WIDTH, WIDTH)?,
            mixed: Matrix::read(reader, WIDTH, WIDTH)?,
            first: Norm::read(reader)?,
            wide: Matrix::read(reader, WIDE, WIDTH)?,
            narrow: Matrix::read(reader, WIDTH, WIDE)?,
            second: Norm::read(reader)?,
        })
    }

    fn apply(&self, x: Vec<f32>) -> Vec<f32> {
        let mut x = plus(self.mixed.apply(&attend(&self.mix.apply(&x))), &x);
        self.first.apply(&mut x);
        let mut wide = self.wide.apply(&x);
        bend(&mut wide);
        let mut x = plus(self.narrow.apply(&wide), &x);
        self.second.apply(&mut x);
        x
    }
}

fn plus(mut x: Vec<f32>, more: &[f32]) -> Vec<f32> {
    x.iter_mut().zip(more).for_each(|(number, more)| *number += more);
    x
}

/// Each token takes from all tokens' values, the more the better its query fits their key.
fn attend(mix: &[f32]) -> Vec<f32> {
    let count = mix.len() / (3 * WIDTH);
    let mut out = vec![0.0; count * WIDTH];
    let mut shares = [0.0; TOKENS_MAX];
    let shares = &mut shares[..count];
    let part = |token: usize, head: usize, kind: usize| {
        let at = token * 3 * WIDTH + kind * WIDTH + head * HEAD;
        &mix[at..at + HEAD]
    };
    arch().dispatch(
        #[inline(always)]
        || {
            for (at, out) in out.chunks_exact_mut(HEAD).enumerate() {
                let (token, head) = (at / HEADS, at % HEADS);
                let query = part(token, head, 0);
                let mut best = f32::NEG_INFINITY;
                for (other, share) in shares.iter_mut().enumerate() {
                    *share = product(query, part(other, head, 1)) / (HEAD as f32).sqrt();
                    best = best.max(*share);
                }
                let mut all = 0.0;
                for share in shares.iter_mut() {
                    *share = (*share - best).exp();
                    all += *share;
                }
                for (other, share) in shares.iter().enumerate() {
                    let values = part(other, head, 2);
                    out.iter_mut().zip(values).for_each(|(out, value)| *out += share / all * value);
                }
            }
        },
    );
    out
}

/// GELU: x times the chance that a normal number is less. The error function as in Abramowitz and Stegun, 7.1.28, off by
/// 3e-7 at most.
fn bend(x: &mut [f32]) {
    const SERIES: [f32; 6] =
        [0.070_523_08, 0.042_282_01, 0.009_270_527, 0.000_152_014_3, 0.000_276_567_2, 0.000_043_063_8];
    arch().dispatch(
        #[inline(always)]
        || {
            for number in x {
                let size = number.abs() * std::f32::consts::FRAC_1_SQRT_2;
                let sum = SERIES.iter().rev().fold(0.0, |sum, part| (sum + part) * size) + 1.0;
                let two = sum * sum;
                let four = two * two;
                let eight = four * four;
                let beyond = 1.0 / (eight * eight);
                let below = if *number < 0.0 { 0.5 * beyond } else { 1.0 - 0.5 * beyond };
                *number *= below;
            }
        },
    );
}

#[inline(always)]
fn sum(row: &[f32]) -> f32 {
    let mut lanes = [0f32; 16];
    for part in row.chunks_exact(16) {
        lanes.iter_mut().zip(part).for_each(|(lane, number)| *lane += number);
    }
    lanes.into_iter().sum()
}
