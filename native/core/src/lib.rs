//! The logic of Sidegate's native core: what must be fast, or shared by threads.
//!
//! No I/O, no clock, no randomness: time is an argument. No input makes it panic, and every buffer has a
//! bound.
//!
//! Folders stand on floors, and use lower ones only (`tests/floors.rs`):
//!
//! ```text
//! request                          what a request's body says
//! pii       tier      reply        personal data; complexity; what a reply says
//! json      limits    resilience   documents; meters; breakers and retry budgets
//! search                           the semantic cache: which stored question asks the same
//! text      shared                 characters; what several of the others need
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod json;
pub mod limits;
pub mod pii;
pub mod reply;
pub mod request;
pub mod resilience;
pub mod search;
pub mod shared;
pub mod text;
pub mod tier;
