//! A token bucket that reserves before a request and settles after it.

use crate::limits::decision::{BadRate, Decision, HELD_MS, good, later, sane, wait};

/// A bucket of `capacity`, refilled at `per_second`. A reserve is taken out and not refilled, so that
/// returning it never lifts the level above the capacity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenBucket {
    capacity: f64,
    per_second: f64,
    level: f64,
    reserved: f64,
    at_ms: f64,
}

/// Rounding must not refuse a client that waited exactly as told: this share of the capacity may be missing.
const SLACK: f64 = 1e-9;

impl TokenBucket {
    /// A full bucket. Times are monotonic ms.
    pub fn new(capacity: f64, per_second: f64, now_ms: f64) -> Result<Self, BadRate> {
        if !good(capacity) || !good(per_second) || !now_ms.is_finite() {
            return Err(BadRate);
        }
        Ok(TokenBucket { capacity, per_second, level: capacity, reserved: 0.0, at_ms: now_ms })
    }

    /// Changes capacity and rate; the level stays, within the new capacity.
    pub fn set(&mut self, capacity: f64, per_second: f64, now_ms: f64) -> Result<(), BadRate> {
        if !good(capacity) || !good(per_second) {
            return Err(BadRate);
        }
        self.refill(now_ms);
        self.capacity = capacity;
        self.per_second = per_second;
        self.level = self.level.min(self.room());
        Ok(())
    }

    /// Whether the bucket holds a cost.
    pub fn ask(&mut self, cost: f64, now_ms: f64) -> Decision {
        self.refill(now_ms);
        if cost > self.capacity {
            return Decision::Never;
        }
        let missing = cost - self.level;
        if missing <= self.capacity * SLACK {
            return Decision::Go(0.0);
        }
        let refilled_ms = missing / self.per_second * 1000.0;
        // Refill stops at the capacity minus reserves: the rest becomes available when they are settled.
        let held = cost > self.room() + self.capacity * SLACK;
        wait(if held { refilled_ms.max(HELD_MS) } else { refilled_ms })
    }

    /// Takes a cost. `keep`: it is only reserved, and will be settled.
    pub fn take(&mut self, cost: f64, keep: bool, now_ms: f64) {
        self.refill(now_ms);
        self.level -= cost;
        self.reserved += if keep { cost } else { 0.0 };
    }

    /// Ends a reserve with the actual use: the rest is returned, any excess taken, below zero if need be.
    pub fn settle(&mut self, reserved: f64, used: f64, now_ms: f64) {
        let (reserved, used) = sane(reserved, used);
        self.refill(now_ms);
        let given = reserved.min(self.reserved);
        self.reserved -= given;
        self.level = (self.level + given - used).clamp(f64::MIN, self.room());
    }

    /// What could be taken now; below zero if more was used than reserved.
    pub fn level(&mut self, now_ms: f64) -> f64 {
        self.refill(now_ms);
        self.level
    }

    /// Leaves no more than `left` to be taken now.
    pub fn confine(&mut self, left: f64, now_ms: f64) {
        self.refill(now_ms);
        self.level = left.min(self.room());
    }

    /// What has been used and not yet refilled, without reserves.
    pub fn spent(&mut self, now_ms: f64) -> f64 {
        self.capacity - self.reserved - self.level(now_ms)
    }

    /// Whether it is full and no settlement is outstanding.
    pub fn idle(&mut self, now_ms: f64) -> bool {
        self.reserved <= 0.0 && self.level(now_ms) >= self.capacity
    }

    /// The largest cost it can hold.
    pub fn capacity(&self) -> f64 {
        self.capacity
    }

    fn refill(&mut self, now_ms: f64) {
        let passed_ms = later(self.at_ms, now_ms) - self.at_ms;
        self.at_ms = later(self.at_ms, now_ms);
        if passed_ms > 0.0 && self.level < self.room() {
            self.level = self.room().min(self.level + passed_ms / 1000.0 * self.per_second);
        }
    }

    /// Highest level refill may reach: not below 0 where the capacity was set below what is reserved, as that
    /// is no debt.
    fn room(&self) -> f64 {
        (self.capacity - self.reserved).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reserves a cost if it fits.
    fn take(bucket: &mut TokenBucket, cost: f64, now_ms: f64) -> Decision {
        let answer = bucket.ask(cost, now_ms);
        if answer == Decision::Go(0.0) {
            bucket.take(cost, true, now_ms);
        }
        answer
    }

    fn bucket() -> TokenBucket {
        TokenBucket::new(100.0, 10.0, 0.0).unwrap()
    }

    #[test]
    fn grants_what_is_there_and_says_when_the_rest_is() {
        let mut bucket = bucket();
        assert_eq!(take(&mut bucket, 100.0, 0.0), Decision::Go(0.0));
        bucket.settle(100.0, 100.0, 0.0);
        assert_eq!(take(&mut bucket, 5.0, 0.0), Decision::Wait(500.0));
        assert_eq!(take(&mut bucket, 5.0, 250.0), Decision::Wait(250.0));
        assert_eq!(take(&mut bucket, 5.0, 500.0), Decision::Go(0.0));
        assert_eq!(take(&mut bucket, 100.5, 500.0), Decision::Never);
    }

    #[test]
    fn what_refill_cannot_give_is_not_promised_soon() {
        let mut bucket = bucket();
        assert_eq!(take(&mut bucket, 90.0, 0.0), Decision::Go(0.0));
        assert_eq!(take(&mut bucket, 11.0, 0.0), Decision::Wait(HELD_MS));
        assert_eq!(take(&mut bucket, 50.0, 0.0), Decision::Wait(4_000.0));
        assert_eq!(take(&mut bucket, 10.0, 0.0), Decision::Go(0.0));
        bucket.settle(10.0, 10.0, 0.0);
        assert_eq!(take(&mut bucket, 5.0, 0.0), Decision::Wait(500.0));
    }

    #[test]
    fn a_refund_never_lifts_it_above_its_capacity() {
        let mut bucket = bucket();
        assert_eq!(take(&mut bucket, 60.0, 0.0), Decision::Go(0.0));
        assert_eq!(bucket.level(60_000.0), 40.0);
        bucket.settle(60.0, 0.0, 60_000.0);
        assert_eq!(bucket.level(60_000.0), 100.0);
    }

    #[test]
    fn what_was_used_beyond_the_reserve_is_owed() {
        let mut bucket = bucket();
        assert_eq!(take(&mut bucket, 10.0, 0.0), Decision::Go(0.0));
        bucket.settle(10.0, 150.0, 0.0);
        assert_eq!(bucket.level(0.0), -50.0);
        assert_eq!(take(&mut bucket, 1.0, 5_000.0), Decision::Wait(100.0));
    }

    #[test]
    fn a_clock_that_runs_backwards_is_no_time() {
        let mut bucket = bucket();
        assert_eq!(take(&mut bucket, 100.0, 1_000_000.0), Decision::Go(0.0));
        bucket.settle(100.0, 100.0, 0.0);
        assert_eq!(bucket.level(-5.0), 0.0);
        assert_eq!(bucket.level(f64::NAN), 0.0);
        assert_eq!(bucket.level(1_001_000.0), 10.0);
    }

    #[test]
    fn bad_rates_are_refused() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(TokenBucket::new(bad, 1.0, 0.0), Err(BadRate));
            assert_eq!(TokenBucket::new(1.0, bad, 0.0), Err(BadRate));
            assert_eq!(bucket().set(bad, 1.0, 0.0), Err(BadRate));
        }
    }

    #[test]
    fn what_makes_no_sense_is_neither_free_nor_kept() {
        let mut bucket = bucket();
        assert_eq!(take(&mut bucket, f64::INFINITY, 0.0), Decision::Never);
        for bad in [f64::NAN, f64::INFINITY, -1.0] {
            let before = bucket.level(0.0);
            assert_eq!(take(&mut bucket, 10.0, 0.0), Decision::Go(0.0));
            bucket.settle(10.0, bad, 0.0);
            bucket.settle(bad, 0.0, 0.0);
            assert_eq!(bucket.level(0.0), before - 10.0);
        }
        assert_eq!(bucket.level(1e12), 100.0);
        bucket.settle(0.0, f64::MAX, 1e12);
        bucket.settle(0.0, f64::MAX, 1e12);
        assert!(bucket.level(1e12).is_finite());
        assert!(matches!(bucket.ask(1.0, 1e12), Decision::Wait(wait_ms) if wait_ms.is_finite()));
    }

    #[test]
    fn a_smaller_capacity_is_no_debt() {
        let mut bucket = bucket();
        assert_eq!(take(&mut bucket, 90.0, 0.0), Decision::Go(0.0));
        bucket.set(50.0, 10.0, 0.0).unwrap();
        assert_eq!(bucket.level(0.0), 0.0);
        bucket.settle(90.0, 90.0, 0.0);
        assert_eq!((bucket.level(0.0), bucket.level(1000.0), bucket.level(60_000.0)), (0.0, 10.0, 50.0));
    }

    #[test]
    fn who_waits_as_told_is_let_through() {
        for seed in 1..2000 {
            let capacity = f64::from(seed) * 1.37;
            let mut bucket =
                TokenBucket::new(capacity, 0.1 * f64::from(seed % 97) + 0.013, 1e9 + 0.1).unwrap();
            assert_eq!(take(&mut bucket, capacity, 1e9 + 0.1), Decision::Go(0.0));
            bucket.settle(capacity, capacity * 1.31, 1e9 + 0.1);
            let Decision::Wait(wait_ms) = bucket.ask(capacity * 0.77, 1e9 + 0.3) else { panic!("{seed}") };
            assert_eq!(take(&mut bucket, capacity * 0.77, 1e9 + 0.3 + wait_ms), Decision::Go(0.0), "{seed}");
        }
    }

    proptest! {
        /// In any period, use never exceeds the capacity plus what was refilled, whatever the schedule.
        #[test]
        fn admits_at_most_burst_and_refill(steps in prop::collection::vec((0u32..2_000, 0u32..80, any::<bool>()), 1..200)) {
            let mut bucket = bucket();
            let (mut now_ms, mut used) = (0.0, 0.0);
            let mut held: Vec<f64> = Vec::new();
            for (wait, cost, settle) in steps {
                now_ms += f64::from(wait);
                if settle && let Some(reserved) = held.pop() {
                    let real = (reserved / 2.0).floor();
                    used -= reserved - real;
                    bucket.settle(reserved, real, now_ms);
                }
                if take(&mut bucket, f64::from(cost), now_ms) == Decision::Go(0.0) {
                    held.push(f64::from(cost));
                    used += f64::from(cost);
                }
                prop_assert!(used <= 100.0 + now_ms / 100.0 + 1e-6);
                prop_assert!(bucket.level(now_ms) <= 100.0 - held.iter().sum::<f64>() + 1e-6);
                prop_assert!(bucket.level(now_ms) >= -1e-6);
            }
        }
    }
}
