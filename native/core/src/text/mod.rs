//! Characters: finding and counting them, and the scripts they belong to.

pub mod block;
pub mod chars;
pub mod numerals;
pub mod script;
