//! The logic of Sidegate's native core: what must be fast, or shared by threads.
//!
//! No I/O, no clock, no randomness: time is an argument. No input makes it panic, and every buffer has a
//! bound.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod answer;
mod anthropic;
pub mod breaker;
pub mod bucket;
pub mod budget;
pub mod card;
pub mod classify;
mod cohere;
pub mod digest;
pub mod email;
pub mod event;
pub mod facts;
pub mod field;
pub mod gauge;
mod gemini;
pub mod inspect;
pub mod json;
pub mod key;
pub mod leaky;
pub mod lexicon;
pub mod meter;
pub mod meters;
mod openai;
pub mod outcomes;
mod passthrough;
pub mod path;
pub mod pii;
pub mod reader;
pub mod registers;
pub mod registry;
pub mod reply;
pub mod retries;
pub mod script;
pub mod scrub;
pub mod sse;
mod steps;
pub mod store;
pub mod stream;
pub mod text;
mod weights;
pub mod window;
