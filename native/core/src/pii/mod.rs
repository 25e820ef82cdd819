//! Personal data: finding it in text, and replacing it in a document.
//!
//! A kind is a row of [`kinds::KINDS`] and a matcher in a file of `kinds/`; nothing else names it.

mod blob;
mod checks;
pub mod context;
mod context_words;
pub mod custom;
pub mod document;
mod edges;
pub mod finder;
mod fold;
mod held;
pub mod kind_set;
pub mod kinds;
pub mod marks;
pub mod matcher;
pub mod number;
pub mod policy;
mod quote;
pub mod recognised;
pub mod scrub;
pub mod stream;
