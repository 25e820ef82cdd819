//! JSON documents: their tokens, their strings, the names of their members.

pub mod field_names;
pub mod path;
pub mod string;
pub mod walker;
