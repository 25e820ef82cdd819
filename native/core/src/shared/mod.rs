//! What several other folders need, and what all threads of the process share.

pub mod digest;
pub mod records;
pub mod registers;
pub mod registry;
pub mod shares;
pub(crate) mod steps;
pub mod store;
