//! A leaky bucket as a queue: it releases costs at an even rate and holds a limited amount of waiting cost.

use crate::limits::decision::{BadRate, Decision, good, later, sane, wait};

/// Rounding must not refuse a client that waited exactly as told: this share of the capacity may be missing.
const SLACK: f64 = 1e-9;

/// A queue of `capacity` that empties at `per_second`. A request starts when everything before it has run
/// out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeakyBucket {
    capacity: f64,
    per_second: f64,
    /// When everything queued has run out.
    empty_ms: f64,
    reserved: f64,
    now_ms: f64,
}

impl LeakyBucket {
    /// An empty queue. Times are monotonic ms.
    ///
    /// # Errors
    /// [`BadRate`] if a setting is invalid.
    pub fn new(capacity: f64, per_second: f64, now_ms: f64) -> Result<Self, BadRate> {
        if !good(capacity) || !good(per_second) || !now_ms.is_finite() {
            return Err(BadRate);
        }
        Ok(LeakyBucket { capacity, per_second, empty_ms: now_ms, reserved: 0.0, now_ms })
    }

    /// Changes capacity and rate; what is queued stays and runs out at the new rate.
    ///
    /// # Errors
    /// As for [`LeakyBucket::new`].
    pub fn set(&mut self, capacity: f64, per_second: f64, now_ms: f64) -> Result<(), BadRate> {
        if !good(capacity) || !good(per_second) {
            return Err(BadRate);
        }
        let queued = self.spent(now_ms);
        self.capacity = capacity;
        self.per_second = per_second;
        self.empty_ms = self.now_ms + self.duration_ms(queued);
        Ok(())
    }

    /// Whether a cost fits the queue, and when it would start.
    pub fn ask(&mut self, cost: f64, now_ms: f64) -> Decision {
        let queued = self.spent(now_ms);
        if cost > self.capacity {
            return Decision::Never;
        }
        let over = queued + cost - self.capacity;
        if over <= self.capacity * SLACK {
            return Decision::Go((self.empty_ms - self.now_ms).max(0.0));
        }
        wait(self.duration_ms(over))
    }

    /// Queues a cost. `keep`: it will be settled.
    pub fn take(&mut self, cost: f64, keep: bool, now_ms: f64) {
        self.now_ms = later(self.now_ms, now_ms);
        self.empty_ms = self.empty_ms.max(self.now_ms) + self.duration_ms(cost);
        self.reserved += if keep { cost } else { 0.0 };
    }

    /// Ends a reserve: what was not used leaves the queue, what was used beyond it is added. Start times
    /// already given stay as they are.
    pub fn settle(&mut self, reserved: f64, used: f64, now_ms: f64) {
        let (reserved, used) = sane(reserved, used);
        let given = reserved.min(self.reserved);
        self.reserved -= given;
        let queued = self.spent(now_ms);
        let left = (queued + used - given).max(0.0);
        self.empty_ms = self.now_ms + self.duration_ms(left).min(f64::MAX / 4.0);
    }

    /// Cost that is queued.
    pub fn spent(&mut self, now_ms: f64) -> f64 {
        self.now_ms = later(self.now_ms, now_ms);
        (self.empty_ms - self.now_ms).max(0.0) / 1000.0 * self.per_second
    }

    /// Whether nothing is queued and no settlement is outstanding.
    pub fn idle(&mut self, now_ms: f64) -> bool {
        self.reserved <= 0.0 && self.spent(now_ms) <= 0.0
    }

    /// The largest cost it can hold.
    pub fn capacity(&self) -> f64 {
        self.capacity
    }

    fn duration_ms(&self, cost: f64) -> f64 {
        cost / self.per_second * 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go(leaky: &mut LeakyBucket, cost: f64, now_ms: f64) -> f64 {
        let Decision::Go(delay_ms) = leaky.ask(cost, now_ms) else { panic!("refused") };
        leaky.take(cost, true, now_ms);
        delay_ms
    }

    #[test]
    fn spreads_a_burst_and_refuses_what_does_not_fit() {
        let mut leaky = LeakyBucket::new(3.0, 2.0, 0.0).unwrap();
        assert_eq!([0, 1, 2].map(|_| go(&mut leaky, 1.0, 0.0)), [0.0, 500.0, 1000.0]);
        assert_eq!(leaky.ask(1.0, 0.0), Decision::Wait(500.0));
        assert_eq!(leaky.ask(3.5, 0.0), Decision::Never);
        assert_eq!(go(&mut leaky, 1.0, 500.0), 1000.0);
    }

    #[test]
    fn what_was_not_used_leaves_the_queue() {
        let mut leaky = LeakyBucket::new(10.0, 1.0, 0.0).unwrap();
        go(&mut leaky, 10.0, 0.0);
        leaky.settle(10.0, 4.0, 1000.0);
        assert_eq!(leaky.spent(1000.0), 3.0);
        leaky.settle(0.0, 20.0, 1000.0);
        assert_eq!(leaky.ask(1.0, 1000.0), Decision::Wait(14_000.0));
        leaky.settle(0.0, f64::MAX, 1000.0);
        assert!(matches!(leaky.ask(1.0, 1000.0), Decision::Wait(ms) if ms.is_finite()));
    }

    #[test]
    fn idle_once_all_has_run_out_and_is_settled() {
        let mut leaky = LeakyBucket::new(10.0, 1.0, 0.0).unwrap();
        go(&mut leaky, 2.0, 0.0);
        assert!(!leaky.idle(2000.0));
        leaky.settle(2.0, 2.0, 1000.0);
        assert!(!leaky.idle(1999.0));
        assert!(leaky.idle(2000.0));
    }

    #[test]
    fn a_clock_that_runs_backwards_is_no_time() {
        let mut leaky = LeakyBucket::new(10.0, 1.0, 1e6).unwrap();
        go(&mut leaky, 2.0, 1e6);
        for now_ms in [0.0, f64::NAN, f64::INFINITY] {
            assert_eq!(leaky.ask(1.0, now_ms), Decision::Go(2000.0));
        }
    }
}
