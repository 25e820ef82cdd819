//! Personal data: finding it in text, and replacing it in a document.

pub mod card;
pub mod email;
pub mod findings;
pub mod scrub;
