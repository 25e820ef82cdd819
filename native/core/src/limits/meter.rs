//! One meter of any algorithm, and the soft mark at which it warns.

use crate::limits::decision::{BadRate, Decision};
use crate::limits::kind::{Algorithm, Kind};
use crate::limits::lease::Lease;
use crate::limits::settings::{Settings, Span};
use crate::limits::terms::{Grant, Terms};

/// A meter with its soft mark.
#[derive(Clone, Debug)]
pub struct Meter {
    kind: Kind,
    settings: Settings,
    /// Whether the level is above the soft mark.
    over: bool,
    /// Whether no reply has reported that yet.
    unreported: bool,
    /// Where pods share the limit: this decides while Redis answers, and the kind, at the pod's share, else.
    lease: Option<Box<Lease>>,
}

impl Meter {
    /// A meter from which nothing has been taken.
    ///
    /// # Errors
    /// [`BadRate`] if a setting is invalid.
    pub fn new(algorithm: Algorithm, settings: Settings, now_ms: f64) -> Result<Self, BadRate> {
        let kind = Kind::new(algorithm, settings, now_ms)?;
        checked_share(settings.soft_share)?;
        Ok(Meter { kind, settings, over: false, unreported: false, lease: None })
    }

    /// Has pods share the limit; if they do already, nothing changes, as each thread that opens a meter by its name
    /// says so. `share`: this one's part while Redis is gone; `equal`: an equal part, both above 0 and at most 1;
    /// `advance`: as in [`Terms`].
    ///
    /// # Errors
    /// [`BadRate`] if a setting is invalid.
    pub fn share(&mut self, share: f64, equal: f64, advance: f64, now_ms: f64) -> Result<(), BadRate> {
        checked_share(equal)?;
        if self.lease.is_some() {
            return Ok(());
        }
        let Settings { capacity, rate, .. } = self.settings;
        self.kind.set(capacity * checked_share(share)?, rate * share, now_ms)?;
        let supply = self.kind.supply(self.settings);
        let (paced, in_flight) = (self.kind.paced(), self.kind.in_flight());
        let terms = Terms { capacity, supply, share, fair: capacity * equal, advance, paced, in_flight };
        self.lease = Some(Box::new(Lease::new(terms, now_ms)));
        Ok(())
    }

    /// Changes capacity, rate (except the length of a window) and soft mark; the level stays.
    ///
    /// # Errors
    /// [`BadRate`] if a setting is invalid.
    pub fn set(&mut self, settings: Settings, now_ms: f64) -> Result<(), BadRate> {
        checked_share(settings.soft_share)?;
        let share = self.lease.as_ref().map_or(1.0, |lease| lease.terms().share);
        self.kind.set(settings.capacity * share, settings.rate * share, now_ms)?;
        self.settings = settings;
        if let Some(lease) = &mut self.lease {
            lease.set(settings.capacity, self.kind.supply(settings));
        }
        Ok(())
    }

    /// Whether a cost fits. `alone`: Redis is gone, which only matters to what pods share.
    pub fn ask(&mut self, cost: f64, span: Span, alone: bool, now_ms: f64) -> Decision {
        let Some(lease) = &mut self.lease else { return self.kind.ask(cost, span, now_ms) };
        let budget = self.kind.is_budget();
        if budget {
            if span.window < lease.window() {
                return Decision::Go(0.0);
            }
            lease.enter(span.window);
        }
        if !alone && !lease.detached && !lease.terms().paced {
            return lease.ask(cost, budget.then_some(span.left_ms), now_ms);
        }
        lease.asked(cost, now_ms);
        if cost > lease.terms().capacity {
            return Decision::Never;
        }
        if !lease.terms().paced && lease.leave() {
            // It enters its window first, which would undo what is confined.
            self.kind.ask(0.0, span, now_ms);
            self.kind.confine(lease.allotment(now_ms), now_ms);
        }
        // A cost above the share goes once all of that is there, and leaves a debt.
        self.kind.ask(cost.min(self.kind.capacity()), span, now_ms)
    }

    /// Takes a cost. `keep`: it is only reserved, and will be settled. True if this crosses the soft mark.
    pub fn take(&mut self, cost: f64, keep: bool, span: Span, now_ms: f64) -> bool {
        // The level may have fallen below the mark meanwhile, so it can cross it again.
        self.warn(now_ms);
        self.kind.take(cost, keep, span, now_ms);
        if let Some(lease) = &mut self.lease
            && (span.window == lease.window() || !self.kind.is_budget())
        {
            lease.take(cost, keep, now_ms);
        }
        self.warn(now_ms)
    }

    /// Ends a reserve taken in `window`. True if this crosses the soft mark.
    pub fn settle(&mut self, reserved: f64, used: f64, window: f64, now_ms: f64) -> bool {
        self.kind.settle(reserved, used, window, now_ms);
        if let Some(lease) = &mut self.lease
            && (!self.kind.is_budget() || window == lease.window())
        {
            lease.settle(reserved, if self.kind.in_flight() { 0.0 } else { used });
        }
        self.warn(now_ms)
    }

    /// Whether a crossing of the soft mark is still to be reported to a client; it then counts as reported.
    pub fn take_warning(&mut self) -> bool {
        std::mem::take(&mut self.unreported)
    }

    /// What could be taken now. `alone`: as for [`Meter::ask`].
    pub fn left(&mut self, alone: bool, now_ms: f64) -> f64 {
        match &self.lease {
            Some(lease) if !alone && !lease.detached && !lease.terms().paced => lease.left(now_ms),
            _ => self.kind.left(now_ms),
        }
    }

    /// What was used, without what is reserved: by all pods where they share it, as far as this one knows; of what is
    /// paced, here.
    pub fn spent(&mut self, now_ms: f64) -> f64 {
        match &self.lease {
            Some(lease) if !lease.terms().paced => lease.spent(),
            _ => self.kind.spent(now_ms),
        }
    }

    /// The window of the calendar that a new request is charged to: a thread whose calendar lags behind another's would
    /// spend for free what is over.
    pub fn window(&self, window: f64) -> f64 {
        match (&self.kind, &self.lease) {
            (Kind::Budget(_), Some(lease)) => window.max(lease.window()),
            (Kind::Budget(budget), None) => window.max(budget.window()),
            _ => window,
        }
    }

    /// Whether the meter equals a new one, so that nothing is lost by closing it.
    pub fn idle(&mut self, window: f64, now_ms: f64) -> bool {
        if let Some(lease) = &mut self.lease {
            let budget = self.kind.is_budget();
            if budget {
                lease.enter(window);
            }
            if !lease.idle() || budget && lease.committed() > 0.0 {
                return false;
            }
        }
        // What is paced has its queue here; of all else what was used is in Redis.
        self.kind.idle(window, now_ms) || self.lease.as_ref().is_some_and(|lease| !lease.terms().paced)
    }

    /// Of a budget: the window it is in, and what is spent or reserved there. `None` before its first window.
    pub fn budget(&self) -> Option<(f64, f64)> {
        let Kind::Budget(budget) = &self.kind else { return None };
        match &self.lease {
            Some(lease) => budget.entered().then(|| (lease.window(), lease.committed())),
            None => budget.entered().then(|| (budget.window(), budget.committed())),
        }
    }

    /// Whether it is a budget.
    pub fn is_budget(&self) -> bool {
        self.kind.is_budget()
    }

    /// Adds what is known to have been spent of a budget in a window; false: it is none.
    pub fn restore(&mut self, window: f64, spent: f64) -> bool {
        let Kind::Budget(budget) = &mut self.kind else { return false };
        match &mut self.lease {
            Some(lease) => {
                budget.enter(window);
                lease.restore(window, spent);
            }
            None => budget.restore(window, spent),
        }
        true
    }

    /// The lease, where pods share the limit.
    pub fn lease(&mut self) -> Option<&mut Lease> {
        self.lease.as_deref_mut()
    }

    /// Adopts an answer of Redis, as [`Lease::grant`].
    pub fn grant(&mut self, grant: Grant, wanted: f64, now_ms: f64) {
        let Some(lease) = &mut self.lease else { return };
        lease.grant(grant, wanted, now_ms);
        let Terms { share, capacity, .. } = lease.terms();
        let applied = self.kind.capacity() / capacity;
        // Small changes are not worth it, but as they add up: what is left is confined anyway when Redis goes.
        if (share - applied).abs() > applied * 0.02 {
            let _ = self.kind.set(capacity * share, self.settings.rate * share, now_ms);
        }
    }

    /// Compares the actual use with the soft mark; true if it was crossed.
    fn warn(&mut self, now_ms: f64) -> bool {
        let used = match &self.lease {
            Some(lease) if self.kind.in_flight() => lease.spent().max(lease.committed()),
            _ => self.spent(now_ms),
        };
        let shared = self.lease.as_ref().is_some_and(|lease| !lease.terms().paced);
        let capacity = if shared { self.settings.capacity } else { self.kind.capacity() };
        let over = used >= capacity * self.settings.soft_share;
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
        assert_eq!(budget.ask(10.0, next, false, 0.0), Decision::Go(0.0));
        assert!(!budget.take(1.0, false, next, 0.0));
        assert!(!budget.take_warning());
    }

    /// Redis' answer to a report.
    fn grant(share: f64, used: f64) -> Grant {
        Grant {
            window: 0.0,
            used,
            hold: 0.0,
            until_ms: 3000.0,
            pool: 10.0,
            shared_used: 0.0,
            leased: 0.0,
            frees_ms: 0.0,
            share,
            fair: 5.0,
            advance: 0.5,
        }
    }

    #[test]
    fn a_share_that_drifts_reaches_the_meter() {
        let mut bucket = meter(Algorithm::LeakyBucket);
        bucket.share(0.5, 0.5, 0.5, 0.0).unwrap();
        bucket.grant(grant(0.505, 0.0), 0.0, 0.0);
        assert_eq!(bucket.left(false, 0.0), 5.0);
        for step in 2_u32..=50 {
            bucket.grant(grant(0.5 + 0.005 * f64::from(step), 0.0), 0.0, 0.0);
        }
        let left = bucket.left(false, 0.0);
        assert!((7.35..=7.5).contains(&left), "{left}");
    }

    #[test]
    fn what_is_paced_is_idle_once_its_queue_has_run_out() {
        let mut bucket = meter(Algorithm::LeakyBucket);
        bucket.share(0.5, 0.5, 0.5, 0.0).unwrap();
        assert!(bucket.take(5.0, false, SPAN, 0.0));
        assert!(!bucket.idle(0.0, 0.0));
        let report = bucket.lease().unwrap().report(0.0, 2000.0, 1000.0);
        bucket.grant(grant(0.5, report.used), report.want, 1000.0);
        assert!(bucket.lease().unwrap().at_rest(4000.0));
        // It runs out at the pod's share of the rate.
        assert_eq!(bucket.spent(4000.0), 3.0);
        assert!(!bucket.idle(0.0, 4000.0));
        assert!(bucket.idle(0.0, 10_000.0));
    }

    #[test]
    fn a_calendar_that_lags_behind_spends_of_the_window_that_has_begun() {
        for shared in [false, true] {
            let mut budget = meter(Algorithm::Budget);
            if shared {
                budget.share(1.0, 1.0, 1.0, 0.0).unwrap();
            }
            assert_eq!(budget.window(1.0), 1.0);
            budget.restore(2.0, 4.0);
            assert_eq!((budget.window(1.0), budget.window(3.0)), (2.0, 3.0));
        }
        assert_eq!(meter(Algorithm::TokenBucket).window(0.0), 0.0);
    }

    #[test]
    fn bad_shares_are_refused() {
        for bad in [0.0, -1.0, 1.1, f64::NAN] {
            let settings = Settings { capacity: 1.0, rate: 1.0, soft_share: bad };
            assert!(Meter::new(Algorithm::TokenBucket, settings, 0.0).is_err());
        }
    }
}
