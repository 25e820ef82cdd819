//! What several other folders need, and what all threads of the process share.

pub mod claims;
pub mod digest;
pub mod entry;
pub mod records;
pub mod registers;
pub mod registry;
pub mod shares;
pub(crate) mod steps;
pub mod store;
