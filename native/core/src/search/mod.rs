//! The semantic cache: which stored question asks the same as a new one.

pub mod align;
pub mod asks;
pub mod bytes;
pub mod cross_encoder;
pub mod decide;
pub mod fact_words;
pub mod facts;
pub mod features;
pub mod flat;
pub mod fnv;
pub mod index;
pub mod int8;
pub mod judge;
pub mod kernel;
pub mod lexicon;
pub mod model;
pub mod network;
pub mod phrases;
pub mod question;
pub mod shape;
pub mod snapshot;
pub mod spelling;
pub mod table;
pub mod trees;
pub mod vector;
pub mod word;
