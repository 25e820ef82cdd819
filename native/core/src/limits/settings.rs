//! What a meter is set to.

/// How a meter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// A token bucket; its rate is the refill per second.
    TokenBucket,
    /// A leaky bucket; its rate is the outflow per second.
    LeakyBucket,
    /// A sliding window; its rate is its length in ms.
    SlidingWindow,
    /// A number in flight, without a rate.
    Concurrency,
    /// A dollar budget, without a rate.
    Budget,
}

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
