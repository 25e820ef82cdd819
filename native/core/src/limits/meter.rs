//! One meter of any algorithm, and the soft mark at which it warns.

use crate::limits::budget::Budget;
use crate::limits::concurrency::Concurrency;
use crate::limits::decision::{BadRate, Decision};
use crate::limits::leaky_bucket::LeakyBucket;
use crate::limits::sliding_window::SlidingWindow;
use crate::limits::token_bucket::TokenBucket;

/// How a meter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// A [`TokenBucket`]; its rate is the refill per second.
    TokenBucket,
    /// A [`LeakyBucket`]; its rate is the outflow per second.
    LeakyBucket,
    /// A [`SlidingWindow`]; its rate is its length in ms.
    SlidingWindow,
    /// A [`Concurrency`], without a rate.
    Concurrency,
    /// A [`Budget`], without a rate.
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

#[derive(Clone, Debug)]
enum Kind {
    TokenBucket(TokenBucket),
    LeakyBucket(LeakyBucket),
    SlidingWindow(SlidingWindow),
    Concurrency(Concurrency),
    Budget(Budget),
}

/// A meter with its soft mark.
#[derive(Clone, Debug)]
pub struct Meter {
    kind: Kind,
    soft_share: f64,
    /// Whether the level is above the soft mark.
    over: bool,
    /// Whether no reply has reported that yet.
    unreported: bool,
}

impl Meter {
    /// A meter from which nothing has been taken.
    ///
    /// # Errors
    /// [`BadRate`] if a setting is invalid.
    pub fn new(algorithm: Algorithm, settings: Settings, now_ms: f64) -> Result<Self, BadRate> {
        let Settings { capacity, rate, soft_share } = settings;
        let kind = match algorithm {
            Algorithm::TokenBucket => Kind::TokenBucket(TokenBucket::new(capacity, rate, now_ms)?),
            Algorithm::LeakyBucket => Kind::LeakyBucket(LeakyBucket::new(capacity, rate, now_ms)?),
            Algorithm::SlidingWindow => Kind::SlidingWindow(SlidingWindow::new(capacity, rate, now_ms)?),
            Algorithm::Concurrency => Kind::Concurrency(Concurrency::new(capacity)?),
            Algorithm::Budget => Kind::Budget(Budget::new(capacity)?),
        };
        let soft_share = checked_share(soft_share)?;
        Ok(Meter { kind, soft_share, over: false, unreported: false })
    }

    /// Changes capacity, rate (except the length of a window) and soft mark; the level stays.
    ///
    /// # Errors
    /// [`BadRate`] if a setting is invalid.
    pub fn set(&mut self, settings: Settings, now_ms: f64) -> Result<(), BadRate> {
        let Settings { capacity, rate, soft_share } = settings;
        self.soft_share = checked_share(soft_share)?;
        match &mut self.kind {
            Kind::TokenBucket(bucket) => bucket.set(capacity, rate, now_ms),
            Kind::LeakyBucket(leaky) => leaky.set(capacity, rate, now_ms),
            Kind::SlidingWindow(window) => window.set(capacity),
            Kind::Concurrency(concurrency) => concurrency.set(capacity),
            Kind::Budget(budget) => budget.set(capacity),
        }
    }

    /// Whether a cost fits.
    pub fn ask(&mut self, cost: f64, span: Span, now_ms: f64) -> Decision {
        match &mut self.kind {
            Kind::TokenBucket(bucket) => bucket.ask(cost, now_ms),
            Kind::LeakyBucket(leaky) => leaky.ask(cost, now_ms),
            Kind::SlidingWindow(window) => window.ask(cost, now_ms),
            Kind::Concurrency(concurrency) => concurrency.ask(cost),
            Kind::Budget(budget) => {
                budget.enter(span.window);
                budget.ask(cost, span.window, span.left_ms)
            }
        }
    }

    /// Takes a cost. `keep`: it is only reserved, and will be settled. True if this crosses the soft mark.
    pub fn take(&mut self, cost: f64, keep: bool, span: Span, now_ms: f64) -> bool {
        // The level may have fallen below the mark meanwhile, so it can cross it again.
        self.warn(now_ms);
        match &mut self.kind {
            Kind::TokenBucket(bucket) => bucket.take(cost, keep, now_ms),
            Kind::LeakyBucket(leaky) => leaky.take(cost, keep, now_ms),
            Kind::SlidingWindow(window) => window.take(cost, keep, now_ms),
            Kind::Concurrency(concurrency) => concurrency.take(cost),
            Kind::Budget(budget) => {
                budget.enter(span.window);
                budget.take(cost, keep, span.window);
            }
        }
        self.warn(now_ms)
    }

    /// Ends a reserve taken in `window`. True if this crosses the soft mark.
    pub fn settle(&mut self, reserved: f64, used: f64, window: f64, now_ms: f64) -> bool {
        match &mut self.kind {
            Kind::TokenBucket(bucket) => bucket.settle(reserved, used, now_ms),
            Kind::LeakyBucket(leaky) => leaky.settle(reserved, used, now_ms),
            Kind::SlidingWindow(window) => window.settle(reserved, used, now_ms),
            Kind::Concurrency(concurrency) => concurrency.settle(reserved),
            Kind::Budget(budget) => budget.settle(reserved, used, window),
        }
        self.warn(now_ms)
    }

    /// Whether a crossing of the soft mark is still to be reported to a client; it then counts as reported.
    pub fn take_warning(&mut self) -> bool {
        std::mem::take(&mut self.unreported)
    }

    /// What could be taken now.
    pub fn left(&mut self, now_ms: f64) -> f64 {
        match &mut self.kind {
            Kind::TokenBucket(bucket) => bucket.level(now_ms),
            Kind::LeakyBucket(leaky) => leaky.capacity() - leaky.spent(now_ms),
            Kind::SlidingWindow(window) => window.left(now_ms),
            Kind::Concurrency(concurrency) => concurrency.capacity() - concurrency.held(),
            Kind::Budget(budget) => budget.capacity() - budget.committed(),
        }
    }

    /// Whether the meter equals a new one, so that nothing is lost by closing it.
    pub fn idle(&mut self, window: f64, now_ms: f64) -> bool {
        match &mut self.kind {
            Kind::TokenBucket(bucket) => bucket.idle(now_ms),
            Kind::LeakyBucket(leaky) => leaky.idle(now_ms),
            Kind::SlidingWindow(window) => window.idle(now_ms),
            Kind::Concurrency(concurrency) => concurrency.held() <= 0.0,
            Kind::Budget(budget) => {
                budget.enter(window);
                budget.committed() <= 0.0
            }
        }
    }

    /// The budget inside, if it is one.
    pub fn budget(&mut self) -> Option<&mut Budget> {
        if let Kind::Budget(budget) = &mut self.kind { Some(budget) } else { None }
    }

    /// Compares the actual use with the soft mark; true if it was crossed.
    fn warn(&mut self, now_ms: f64) -> bool {
        let (used, capacity) = match &mut self.kind {
            Kind::TokenBucket(bucket) => (bucket.spent(now_ms), bucket.capacity()),
            Kind::LeakyBucket(leaky) => (leaky.spent(now_ms), leaky.capacity()),
            Kind::SlidingWindow(window) => (window.spent(now_ms), window.capacity()),
            Kind::Concurrency(concurrency) => (concurrency.held(), concurrency.capacity()),
            Kind::Budget(budget) => (budget.spent(), budget.capacity()),
        };
        let over = used >= capacity * self.soft_share;
        let crossed = over && !self.over;
        self.over = over;
        self.unreported = over && (self.unreported || crossed);
        crossed
    }
}

fn checked_share(share: f64) -> Result<f64, BadRate> {
    if share > 0.0 && share <= 1.0 { Ok(share) } else { Err(BadRate) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Span = Span { window: 1.0, left_ms: 1000.0 };

    fn meter(algorithm: Algorithm) -> Meter {
        let settings = Settings { capacity: 10.0, rate: 1.0, soft_share: 0.8 };
        Meter::new(algorithm, settings, 0.0).unwrap()
    }

    #[test]
    fn warns_once_for_each_crossing() {
        let mut bucket = meter(Algorithm::TokenBucket);
        assert!(!bucket.take(7.0, false, SPAN, 0.0));
        assert!(bucket.take(1.0, false, SPAN, 0.0));
        assert!(bucket.take_warning() && !bucket.take_warning());
        assert!(!bucket.take(1.0, false, SPAN, 0.0));
        // It falls below the mark unobserved, and crosses it again.
        assert!(!bucket.take(0.0, false, SPAN, 2000.0));
        assert!(bucket.take(1.0, false, SPAN, 2000.0));
    }

    #[test]
    fn what_is_only_reserved_is_no_reason_to_warn_but_for_concurrency() {
        let mut budget = meter(Algorithm::Budget);
        assert!(!budget.take(9.0, true, SPAN, 0.0));
        assert!(budget.settle(9.0, 8.0, 1.0, 0.0));
        assert!(!budget.take(1.0, false, SPAN, 0.0));
        assert!(budget.take_warning());
        assert!(meter(Algorithm::Concurrency).take(8.0, true, SPAN, 0.0));
    }

    #[test]
    fn a_new_window_takes_back_what_was_not_said() {
        let mut budget = meter(Algorithm::Budget);
        assert!(budget.take(9.0, false, SPAN, 0.0));
        let next = Span { window: 2.0, left_ms: 1000.0 };
        assert_eq!(budget.ask(10.0, next, 0.0), Decision::Go(0.0));
        assert!(!budget.take(1.0, false, next, 0.0));
        assert!(!budget.take_warning());
    }

    #[test]
    fn bad_shares_are_refused() {
        for bad in [0.0, -1.0, 1.1, f64::NAN] {
            let settings = Settings { capacity: 1.0, rate: 1.0, soft_share: bad };
            assert!(Meter::new(Algorithm::TokenBucket, settings, 0.0).is_err());
        }
    }
}
