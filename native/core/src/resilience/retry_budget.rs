//! A retry budget: calls beyond the first are a bounded share of the requests, so that retries don't make an
//! outage worse. The idea is Finagle's `RetryBudget`.

use crate::resilience::outcomes::Outcomes;

/// Length of the sliding window.
pub const WINDOW_MS: f64 = 10_000.0;

/// `ratio` or `min_per_second` was not a finite number of at least 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadBudget;

/// Counts requests and the extra calls made for them. Times are monotonic ms.
#[derive(Clone, Copy, Debug)]
pub struct RetryBudget {
    ratio: f64,
    min_per_second: f64,
    window: Outcomes,
}

const REQUEST: usize = 0;
const EXTRA: usize = 1;

impl RetryBudget {
    /// Extra calls may be `ratio` of the requests, or `min_per_second` if that is more.
    ///
    /// # Errors
    /// [`BadBudget`] if a number is invalid.
    pub fn new(ratio: f64, min_per_second: f64) -> Result<Self, BadBudget> {
        let mut budget = RetryBudget { ratio: 0.0, min_per_second: 0.0, window: Outcomes::new(WINDOW_MS) };
        budget.set(ratio, min_per_second)?;
        Ok(budget)
    }

    /// Changes the numbers; what was counted stays.
    ///
    /// # Errors
    /// [`BadBudget`] if a number is invalid.
    pub fn set(&mut self, ratio: f64, min_per_second: f64) -> Result<(), BadBudget> {
        let good = |number: f64| number.is_finite() && number >= 0.0;
        if !good(ratio) || !good(min_per_second) {
            return Err(BadBudget);
        }
        self.ratio = ratio;
        self.min_per_second = min_per_second;
        Ok(())
    }

    /// Counts a request.
    pub fn request(&mut self, now_ms: f64) {
        self.window.add(REQUEST, now_ms);
    }

    /// Takes one extra call from the budget; false if it is used up.
    pub fn spend(&mut self, now_ms: f64) -> bool {
        let [requests, extra] = self.window.sums(now_ms);
        let allowed = (self.ratio * requests as f64).max(self.min_per_second * WINDOW_MS / 1000.0);
        let granted = extra as f64 + 1.0 <= allowed;
        if granted {
            self.window.add(EXTRA, now_ms);
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_least_is_there_without_requests() {
        let mut budget = RetryBudget::new(0.2, 3.0).unwrap();
        assert_eq!((0..100).filter(|_| budget.spend(0.0)).count(), 30);
        assert!(!budget.spend(9_999.0));
        assert_eq!((0..100).filter(|_| budget.spend(10_000.0)).count(), 30);
    }

    #[test]
    fn a_share_of_the_requests_beyond_that() {
        let mut budget = RetryBudget::new(0.2, 3.0).unwrap();
        (0..1000).for_each(|_| budget.request(0.0));
        assert_eq!((0..1000).filter(|_| budget.spend(0.0)).count(), 200);
    }

    #[test]
    fn nothing_is_allowed_by_zero_and_bad_numbers_are_refused() {
        assert!(!RetryBudget::new(0.0, 0.0).unwrap().spend(0.0));
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(RetryBudget::new(bad, 3.0).err(), Some(BadBudget));
            assert_eq!(RetryBudget::new(0.2, bad).err(), Some(BadBudget));
        }
    }

    proptest! {
        /// No window has more extra calls than the bound allows.
        #[test]
        fn never_over_its_bound(steps in prop::collection::vec((0u32..400, any::<bool>()), 1..400)) {
            let mut budget = RetryBudget::new(0.2, 1.0).unwrap();
            let (mut now_ms, mut requests, mut extra) = (0u32, Vec::new(), Vec::new());
            for (wait_ms, ask) in steps {
                now_ms += wait_ms;
                let slice = now_ms / 1000;
                if ask {
                    let recent = |times: &[u32]| times.iter().filter(|&&at| at + 10 > slice).count() as f64;
                    let expected = recent(&extra) < (0.2 * recent(&requests)).max(10.0).floor();
                    prop_assert_eq!(budget.spend(f64::from(now_ms)), expected);
                    if expected {
                        extra.push(slice);
                    }
                } else {
                    budget.request(f64::from(now_ms));
                    requests.push(slice);
                }
            }
        }
    }
}
