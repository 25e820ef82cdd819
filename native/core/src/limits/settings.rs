//! What a meter is set to.

/// What a meter is set to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The largest cost it can hold.
    pub capacity: f64,
    /// Its meaning depends on the algorithm.
    pub rate: f64,
    /// Share of the capacity at which it warns, above 0 and at most 1.
    pub soft_share: f64,
}

/// The calendar window a cost belongs to; only budgets use it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// The window's id.
    pub window: f64,
    /// Ms until it ends.
    pub left_ms: f64,
}
