//! Characters.

pub mod chars;
pub mod script;
