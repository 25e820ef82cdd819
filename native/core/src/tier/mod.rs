//! How demanding a request is for a model: features of its text, and the tier they put it in.

pub mod classify;
pub mod features;
pub mod lexicon;
pub mod measure;
mod weights;
