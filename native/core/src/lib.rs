//! The logic of Sidegate's native core: what must be fast, or shared by threads.
//!
//! No I/O, no clock, no randomness: time is an argument. No input makes it panic, and every buffer has a
//! bound.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod anthropic;
pub mod breaker;
pub mod bucket;
pub mod card;
pub mod digest;
pub mod email;
pub mod event;
pub mod facts;
pub mod field;
mod gemini;
pub mod inspect;
pub mod json;
pub mod key;
mod openai;
pub mod path;
pub mod pii;
pub mod registers;
pub mod registry;
pub mod reply;
pub mod script;
pub mod scrub;
pub mod sse;
mod steps;
pub mod stream;
pub mod text;
