//! Characters: counting them, and the scripts they belong to.

pub mod chars;
pub mod script;
