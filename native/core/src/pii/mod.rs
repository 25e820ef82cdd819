//! Personal data: finding it in text, and replacing it in a document.
//!
//! A kind is a row of [`kinds::KINDS`] and a file in `kinds/`; nothing else names it.

mod digits;
pub mod finder;
pub mod kinds;
pub mod matcher;
pub mod scrub;
