//! Limits and budgets: meters of several algorithms, and the decision over all that apply to a request.

pub mod budget;
pub mod concurrency;
pub mod decision;
pub(crate) mod demand;
pub mod entry;
pub mod kind;
pub mod leaky_bucket;
pub mod lease;
pub mod leases;
pub mod meter;
pub mod meters;
mod opening;
mod refused;
pub mod settings;
pub mod sliding_window;
pub mod terms;
pub mod token_bucket;
