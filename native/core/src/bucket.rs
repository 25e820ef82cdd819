//! A token bucket that reserves on the way in and settles on the way out.

/// Rates and capacities have to be finite and above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRate;

/// A bucket of `capacity`, refilled at `per_second`. What is reserved is neither in it nor refilled, so that
/// giving a reserve back never lifts it above its capacity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    capacity: f64,
    per_second: f64,
    level: f64,
    reserved: f64,
    at_ms: f64,
}

/// Rounding may not turn away who waited exactly as long as told: this part of the capacity may be missing.
const SLACK: f64 = 1e-9;

/// A cost that is no number of at least 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadCost;

/// What a bucket says to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Take {
    /// The cost is reserved.
    Granted,
    /// It could be, in so many ms, if nobody else takes from it.
    WaitMs(f64),
    /// The cost is above the capacity.
    Never,
}

fn good(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

impl Bucket {
    /// A full bucket. Times are monotonic ms.
    pub fn new(capacity: f64, per_second: f64, now_ms: f64) -> Result<Self, BadRate> {
        if !good(capacity) || !good(per_second) || !now_ms.is_finite() {
            return Err(BadRate);
        }
        Ok(Bucket { capacity, per_second, level: capacity, reserved: 0.0, at_ms: now_ms })
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

    /// Reserves a cost, or says when it could be.
    ///
    /// # Errors
    /// The cost must be a number of at least 0: a wrong one must neither pass for free nor be kept in the
    /// books.
    pub fn take(&mut self, cost: f64, now_ms: f64) -> Result<Take, BadCost> {
        if cost.is_nan() || cost < 0.0 {
            return Err(BadCost);
        }
        self.refill(now_ms);
        if cost > self.capacity {
            return Ok(Take::Never);
        }
        let missing = cost - self.level;
        if missing <= self.capacity * SLACK {
            self.level -= cost;
            self.reserved += cost;
            return Ok(Take::Granted);
        }
        // Rounding must not make it look ready: at least a microsecond.
        Ok(Take::WaitMs((missing / self.per_second * 1000.0).clamp(0.001, f64::MAX)))
    }

    /// Ends a reserve with what was really used: the rest goes back, more is owed, below zero if need be. It
    /// always ends it, so what makes no sense (not finite, below 0) is as if all that was reserved had
    /// been used.
    pub fn settle(&mut self, reserved: f64, used: f64, now_ms: f64) {
        let sane = |amount: f64| amount.is_finite() && amount >= 0.0;
        let reserved = if sane(reserved) { reserved } else { 0.0 };
        let used = if sane(used) { used } else { reserved };
        self.refill(now_ms);
        let given = reserved.min(self.reserved);
        self.reserved -= given;
        self.level = (self.level + given - used).clamp(f64::MIN, self.room());
    }

    /// What could be taken now; below zero when more was used than reserved.
    pub fn level(&mut self, now_ms: f64) -> f64 {
        self.refill(now_ms);
        self.level
    }

    fn refill(&mut self, now_ms: f64) {
        let passed_ms = now_ms - self.at_ms;
        // A clock that stands or runs backwards, or is no number, is no time.
        if !(passed_ms.is_finite() && passed_ms > 0.0) {
            return;
        }
        self.at_ms = now_ms;
        if self.level < self.room() {
            self.level = self.room().min(self.level + passed_ms / 1000.0 * self.per_second);
        }
    }

    /// How high the level may rise: not below 0 where the capacity was set below what is reserved, as that is
    /// no debt.
    fn room(&self) -> f64 {
        (self.capacity - self.reserved).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bucket() -> Bucket {
        Bucket::new(100.0, 10.0, 0.0).unwrap()
    }

    #[test]
    fn grants_what_is_there_and_says_when_the_rest_is() {
        let mut bucket = bucket();
        assert_eq!(bucket.take(100.0, 0.0), Ok(Take::Granted));
        assert_eq!(bucket.take(5.0, 0.0), Ok(Take::WaitMs(500.0)));
        bucket.settle(100.0, 100.0, 0.0);
        assert_eq!(bucket.take(5.0, 250.0), Ok(Take::WaitMs(250.0)));
        assert_eq!(bucket.take(5.0, 500.0), Ok(Take::Granted));
        assert_eq!(bucket.take(100.5, 500.0), Ok(Take::Never));
    }

    #[test]
    fn a_refund_never_lifts_it_above_its_capacity() {
        let mut bucket = bucket();
        assert_eq!(bucket.take(60.0, 0.0), Ok(Take::Granted));
        assert_eq!(bucket.level(60_000.0), 40.0);
        bucket.settle(60.0, 0.0, 60_000.0);
        assert_eq!(bucket.level(60_000.0), 100.0);
    }

    #[test]
    fn what_was_used_beyond_the_reserve_is_owed() {
        let mut bucket = bucket();
        assert_eq!(bucket.take(10.0, 0.0), Ok(Take::Granted));
        bucket.settle(10.0, 150.0, 0.0);
        assert_eq!(bucket.level(0.0), -50.0);
        assert_eq!(bucket.take(1.0, 5_000.0), Ok(Take::WaitMs(100.0)));
    }

    #[test]
    fn a_clock_that_runs_backwards_is_no_time() {
        let mut bucket = bucket();
        assert_eq!(bucket.take(100.0, 1_000_000.0), Ok(Take::Granted));
        bucket.settle(100.0, 100.0, 0.0);
        assert_eq!(bucket.level(-5.0), 0.0);
        assert_eq!(bucket.level(f64::NAN), 0.0);
        assert_eq!(bucket.level(1_001_000.0), 10.0);
    }

    #[test]
    fn bad_rates_are_refused() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Bucket::new(bad, 1.0, 0.0), Err(BadRate));
            assert_eq!(Bucket::new(1.0, bad, 0.0), Err(BadRate));
            assert_eq!(bucket().set(bad, 1.0, 0.0), Err(BadRate));
        }
    }

    #[test]
    fn what_makes_no_sense_is_neither_free_nor_kept() {
        let mut bucket = bucket();
        for bad in [f64::NAN, -1.0, f64::NEG_INFINITY] {
            assert_eq!(bucket.take(bad, 0.0), Err(BadCost));
        }
        assert_eq!(bucket.take(f64::INFINITY, 0.0), Ok(Take::Never));
        for bad in [f64::NAN, f64::INFINITY, -1.0] {
            let before = bucket.level(0.0);
            assert_eq!(bucket.take(10.0, 0.0), Ok(Take::Granted));
            bucket.settle(10.0, bad, 0.0);
            bucket.settle(bad, 0.0, 0.0);
            assert_eq!(bucket.level(0.0), before - 10.0);
        }
        assert_eq!(bucket.level(1e12), 100.0);
        bucket.settle(0.0, f64::MAX, 1e12);
        bucket.settle(0.0, f64::MAX, 1e12);
        assert!(bucket.level(1e12).is_finite());
        assert!(matches!(bucket.take(1.0, 1e12), Ok(Take::WaitMs(wait_ms)) if wait_ms.is_finite()));
    }

    #[test]
    fn a_smaller_capacity_is_no_debt() {
        let mut bucket = bucket();
        assert_eq!(bucket.take(90.0, 0.0), Ok(Take::Granted));
        bucket.set(50.0, 10.0, 0.0).unwrap();
        assert_eq!(bucket.level(0.0), 0.0);
        bucket.settle(90.0, 90.0, 0.0);
        assert_eq!((bucket.level(0.0), bucket.level(1000.0), bucket.level(60_000.0)), (0.0, 10.0, 50.0));
    }

    #[test]
    fn who_waits_as_told_is_let_through() {
        for seed in 1..2000 {
            let capacity = f64::from(seed) * 1.37;
            let mut bucket = Bucket::new(capacity, 0.1 * f64::from(seed % 97) + 0.013, 1e9 + 0.1).unwrap();
            assert_eq!(bucket.take(capacity, 1e9 + 0.1), Ok(Take::Granted));
            bucket.settle(capacity, capacity * 1.31, 1e9 + 0.1);
            let Ok(Take::WaitMs(wait_ms)) = bucket.take(capacity * 0.77, 1e9 + 0.3) else { panic!("{seed}") };
            assert_eq!(bucket.take(capacity * 0.77, 1e9 + 0.3 + wait_ms), Ok(Take::Granted), "{seed}");
        }
    }

    proptest! {
        /// In any stretch of time no more is used than the capacity and what was refilled, whatever the schedule.
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
                if bucket.take(f64::from(cost), now_ms) == Ok(Take::Granted) {
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
