//! The semantic cache: which stored question asks the same as a new one.

pub mod decide;
pub mod flat;
pub mod index;
pub mod kernel;
pub mod spelling;
pub mod table;
pub mod vector;
