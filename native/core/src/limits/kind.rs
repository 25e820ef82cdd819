//! The algorithms behind one face.

use crate::limits::budget::Budget;
use crate::limits::concurrency::Concurrency;
use crate::limits::decision::{BadRate, Decision};
use crate::limits::leaky_bucket::LeakyBucket;
use crate::limits::settings::{Settings, Span};
use crate::limits::sliding_window::SlidingWindow;
use crate::limits::token_bucket::TokenBucket;

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

/// The state of a meter, by algorithm.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    TokenBucket(TokenBucket),
    LeakyBucket(LeakyBucket),
    SlidingWindow(SlidingWindow),
    Concurrency(Concurrency),
    Budget(Budget),
}

impl Kind {
    /// One from which nothing has been taken.
    ///
    /// # Errors
    /// [`BadRate`] if a setting is invalid.
    pub fn new(algorithm: Algorithm, settings: Settings, now_ms: f64) -> Result<Self, BadRate> {
        let Settings { capacity, rate, .. } = settings;
        Ok(match algorithm {
            Algorithm::TokenBucket => Kind::TokenBucket(TokenBucket::new(capacity, rate, now_ms)?),
            Algorithm::LeakyBucket => Kind::LeakyBucket(LeakyBucket::new(capacity, rate, now_ms)?),
            Algorithm::SlidingWindow => Kind::SlidingWindow(SlidingWindow::new(capacity, rate, now_ms)?),
            Algorithm::Concurrency => Kind::Concurrency(Concurrency::new(capacity)?),
            Algorithm::Budget => Kind::Budget(Budget::new(capacity)?),
        })
    }

    /// Changes capacity and rate (except the length of a window); the level stays.
    ///
    /// # Errors
    /// [`BadRate`] if a setting is invalid.
    pub fn set(&mut self, capacity: f64, rate: f64, now_ms: f64) -> Result<(), BadRate> {
        match self {
            Kind::TokenBucket(bucket) => bucket.set(capacity, rate, now_ms),
            Kind::LeakyBucket(leaky) => leaky.set(capacity, rate, now_ms),
            Kind::SlidingWindow(window) => window.set(capacity),
            Kind::Concurrency(concurrency) => concurrency.set(capacity),
            Kind::Budget(budget) => budget.set(capacity),
        }
    }

    /// Whether a cost fits.
    pub fn ask(&mut self, cost: f64, span: Span, now_ms: f64) -> Decision {
        match self {
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

    /// Takes a cost. `keep`: it is only reserved, and will be settled.
    pub fn take(&mut self, cost: f64, keep: bool, span: Span, now_ms: f64) {
        match self {
            Kind::TokenBucket(bucket) => bucket.take(cost, keep, now_ms),
            Kind::LeakyBucket(leaky) => leaky.take(cost, keep, now_ms),
            Kind::SlidingWindow(window) => window.take(cost, keep, now_ms),
            Kind::Concurrency(concurrency) => concurrency.take(cost),
            Kind::Budget(budget) => {
                budget.enter(span.window);
                budget.take(cost, keep, span.window);
            }
        }
    }

    /// Ends a reserve taken in `window`.
    pub fn settle(&mut self, reserved: f64, used: f64, window: f64, now_ms: f64) {
        match self {
            Kind::TokenBucket(bucket) => bucket.settle(reserved, used, now_ms),
            Kind::LeakyBucket(leaky) => leaky.settle(reserved, used, now_ms),
            Kind::SlidingWindow(window) => window.settle(reserved, used, now_ms),
            Kind::Concurrency(concurrency) => concurrency.settle(reserved),
            Kind::Budget(budget) => budget.settle(reserved, used, window),
        }
    }

    /// What could be taken now.
    pub fn left(&mut self, now_ms: f64) -> f64 {
        match self {
            Kind::TokenBucket(bucket) => bucket.level(now_ms),
            Kind::LeakyBucket(leaky) => leaky.capacity() - leaky.spent(now_ms),
            Kind::SlidingWindow(window) => window.left(now_ms),
            Kind::Concurrency(concurrency) => concurrency.capacity() - concurrency.held(),
            Kind::Budget(budget) => budget.capacity() - budget.committed(),
        }
    }

    /// Whether it equals a new one, so that nothing is lost by closing it.
    pub fn idle(&mut self, window: f64, now_ms: f64) -> bool {
        match self {
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

    /// What was used, without what is reserved; of concurrency, what is in flight.
    pub fn spent(&mut self, now_ms: f64) -> f64 {
        match self {
            Kind::TokenBucket(bucket) => bucket.spent(now_ms),
            Kind::LeakyBucket(leaky) => leaky.spent(now_ms),
            Kind::SlidingWindow(window) => window.spent(now_ms),
            Kind::Concurrency(concurrency) => concurrency.held(),
            Kind::Budget(budget) => budget.spent(),
        }
    }

    /// The largest cost it can hold.
    pub fn capacity(&self) -> f64 {
        match self {
            Kind::TokenBucket(bucket) => bucket.capacity(),
            Kind::LeakyBucket(leaky) => leaky.capacity(),
            Kind::SlidingWindow(window) => window.capacity(),
            Kind::Concurrency(concurrency) => concurrency.capacity(),
            Kind::Budget(budget) => budget.capacity(),
        }
    }

    /// Leaves no more than `left` to be taken now.
    pub fn confine(&mut self, left: f64, now_ms: f64) {
        match self {
            Kind::TokenBucket(bucket) => bucket.confine(left, now_ms),
            Kind::SlidingWindow(window) => window.confine(left, now_ms),
            Kind::Budget(budget) => budget.confine(left),
            // They hold what is in flight, not what was spent.
            Kind::LeakyBucket(_) | Kind::Concurrency(_) => {}
        }
    }

    /// Whether it spreads requests evenly, so that each pod paces its own part.
    pub fn paced(&self) -> bool {
        matches!(self, Kind::LeakyBucket(_))
    }

    /// Whether it counts what is in flight, so that an ended request leaves nothing behind.
    pub fn in_flight(&self) -> bool {
        matches!(self, Kind::Concurrency(_))
    }

    /// Whether it counts by windows of the calendar.
    pub fn is_budget(&self) -> bool {
        matches!(self, Kind::Budget(_))
    }

    /// What comes back per second; 0: nothing.
    pub fn supply(&self, settings: Settings) -> f64 {
        match self {
            Kind::TokenBucket(_) | Kind::LeakyBucket(_) => settings.rate,
            Kind::SlidingWindow(_) => settings.capacity / settings.rate * 1000.0,
            Kind::Concurrency(_) | Kind::Budget(_) => 0.0,
        }
    }
}
