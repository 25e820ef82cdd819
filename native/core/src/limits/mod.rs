//! Limits and budgets: meters of several algorithms, and the decision over all that apply to a request.

pub mod budget;
pub mod concurrency;
pub mod decision;
pub mod entry;
pub(crate) mod demand;
pub mod kind;
pub mod leaky_bucket;
pub mod lease;
pub mod leases;
pub mod meter;
pub mod meters;
pub mod sliding_window;
pub mod token_bucket;
