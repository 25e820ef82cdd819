//! JSON documents: their tokens, strings and member names.

pub mod field_names;
pub mod path;
pub mod size;
pub mod string;
pub mod walker;
