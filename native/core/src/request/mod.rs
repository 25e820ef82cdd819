//! What a request's body says, and its personal data replaced: one pass over its bytes.

pub mod endpoint;
pub mod facts;
pub mod field;
pub mod inspect;
mod inspector;
mod place;
pub mod question;
pub mod registers;
mod source;
