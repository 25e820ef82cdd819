//! A circuit breaker: closed, open, half-open with one probe.
//!
//! ```text
//! closed ── so many failures in a row ──▶ open ── cooldown ──▶ half-open ── the probe fails ──▶ open
//!    ▲                                                             │
//!    └──────────────────── the probe succeeds ─────────────────────┘
//! ```

/// What the breaker says to a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Admission {
    /// Go; the ticket, which is never 0, belongs to the report.
    Ticket(u32),
    /// Open for so many ms more, at least 1.
    OpenMs(f64),
}

/// What came of a call. The number is the one that crosses the boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The target answered.
    Success = 0,
    /// It failed.
    Failure = 1,
    /// It says nothing of the target: the client left, say.
    Abandoned = 2,
}

impl Outcome {
    /// From its number; `None` above 2.
    pub fn from_number(number: u32) -> Option<Outcome> {
        [Outcome::Success, Outcome::Failure, Outcome::Abandoned].get(number as usize).copied()
    }
}

/// The states. The number is the one that crosses the boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Calls go.
    Closed = 0,
    /// Calls are refused until the cooldown is over.
    Open = 1,
    /// The cooldown is over: one probe goes, and decides.
    HalfOpen = 2,
}

/// `failures` was 0, or `cooldown_ms` not a finite number of at least 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSettings;

#[derive(Clone, Copy, Debug)]
enum Inner {
    Closed {
        failures: u32,
    },
    /// `since_ms`: when it opened.
    Open {
        since_ms: f64,
    },
    /// `probe_ms`: when the probe under way went.
    HalfOpen {
        probe_ms: Option<f64>,
    },
}

/// Opens after so many failures in a row. Times are monotonic ms.
#[derive(Clone, Copy, Debug)]
pub struct Breaker {
    failures_max: u32,
    cooldown_ms: f64,
    inner: Inner,
    /// Counts changes of state and probes: a report from before the last one says nothing of now.
    generation: u32,
    /// The latest time heard of.
    now_ms: f64,
}

impl Breaker {
    /// A closed breaker. `failures`: so many in a row open it; `cooldown_ms`: how long it then stays open.
    ///
    /// # Errors
    /// As [`BadSettings`] says.
    pub fn new(failures: u32, cooldown_ms: f64) -> Result<Self, BadSettings> {
        let inner = Inner::Closed { failures: 0 };
        let mut breaker =
            Breaker { failures_max: 1, cooldown_ms: 0.0, inner, generation: 1, now_ms: f64::MIN };
        breaker.set(failures, cooldown_ms)?;
        Ok(breaker)
    }

    /// Changes the settings; the state stays. Failures already counted open it with the next one, not now.
    ///
    /// # Errors
    /// As for [`Breaker::new`].
    pub fn set(&mut self, failures: u32, cooldown_ms: f64) -> Result<(), BadSettings> {
        if failures == 0 || !cooldown_ms.is_finite() || cooldown_ms < 0.0 {
            return Err(BadSettings);
        }
        self.failures_max = failures;
        self.cooldown_ms = cooldown_ms;
        Ok(())
    }

    /// Asks whether a call may go.
    pub fn admit(&mut self, now_ms: f64) -> Admission {
        self.advance(now_ms);
        let left_ms = match self.inner {
            Inner::Closed { .. } => return Admission::Ticket(self.generation),
            Inner::HalfOpen { probe_ms: None } => 0.0,
            // A probe that never reports is given up after one more cooldown.
            Inner::Open { since_ms } | Inner::HalfOpen { probe_ms: Some(since_ms) } => self.left_ms(since_ms),
        };
        if left_ms > 0.0 {
            return Admission::OpenMs(left_ms.max(1.0));
        }
        self.change(Inner::HalfOpen { probe_ms: Some(self.now_ms) });
        Admission::Ticket(self.generation)
    }

    /// Takes the outcome of an admitted call; true when the state changed.
    pub fn report(&mut self, ticket: u32, outcome: Outcome, now_ms: f64) -> bool {
        self.advance(now_ms);
        if ticket != self.generation {
            return false;
        }
        match (self.inner, outcome) {
            (Inner::Closed { .. }, Outcome::Success) => self.inner = Inner::Closed { failures: 0 },
            (Inner::Closed { failures }, Outcome::Failure) => {
                let failures = failures.saturating_add(1);
                if failures >= self.failures_max {
                    return self.change(Inner::Open { since_ms: self.now_ms });
                }
                self.inner = Inner::Closed { failures };
            }
            (Inner::HalfOpen { .. }, Outcome::Success) => return self.change(Inner::Closed { failures: 0 }),
            (Inner::HalfOpen { .. }, Outcome::Failure) => {
                return self.change(Inner::Open { since_ms: self.now_ms });
            }
            // The probe said nothing, so the next call may be one.
            (Inner::HalfOpen { .. }, Outcome::Abandoned) => {
                self.change(Inner::HalfOpen { probe_ms: None });
            }
            (Inner::Closed { .. }, Outcome::Abandoned) | (Inner::Open { .. }, _) => {}
        }
        false
    }

    /// The state at a time: half-open as soon as the cooldown is over.
    pub fn state(&mut self, now_ms: f64) -> State {
        self.advance(now_ms);
        match self.inner {
            Inner::Closed { .. } => State::Closed,
            Inner::Open { since_ms } if self.left_ms(since_ms) > 0.0 => State::Open,
            Inner::Open { .. } | Inner::HalfOpen { .. } => State::HalfOpen,
        }
    }

    fn left_ms(&self, since_ms: f64) -> f64 {
        self.cooldown_ms - (self.now_ms - since_ms)
    }

    /// A clock that runs backwards, or gives no number, stands still.
    fn advance(&mut self, now_ms: f64) {
        if now_ms.is_finite() {
            self.now_ms = self.now_ms.max(now_ms);
        }
    }

    fn change(&mut self, to: Inner) -> bool {
        self.inner = to;
        self.generation = self.generation.wrapping_add(1).max(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ticket(breaker: &mut Breaker, now_ms: f64) -> u32 {
        match breaker.admit(now_ms) {
            Admission::Ticket(ticket) => ticket,
            Admission::OpenMs(ms) => panic!("open for {ms} ms"),
        }
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(3, 30_000.0).unwrap();
        for _ in 0..3 {
            let ticket = ticket(&mut breaker, 0.0);
            breaker.report(ticket, Outcome::Failure, 0.0);
        }
        breaker
    }

    #[test]
    fn opens_after_failures_in_a_row_only() {
        let mut breaker = Breaker::new(3, 30_000.0).unwrap();
        for outcome in
            [Outcome::Failure, Outcome::Failure, Outcome::Success, Outcome::Failure, Outcome::Failure]
        {
            let ticket = ticket(&mut breaker, 0.0);
            assert!(!breaker.report(ticket, outcome, 0.0));
        }
        assert_eq!(breaker.state(0.0), State::Closed);
        let ticket = ticket(&mut breaker, 0.0);
        assert!(breaker.report(ticket, Outcome::Failure, 0.0));
        assert_eq!(breaker.state(0.0), State::Open);
        assert_eq!(breaker.admit(10_000.0), Admission::OpenMs(20_000.0));
    }

    #[test]
    fn one_probe_decides() {
        let mut breaker = opened();
        assert_eq!(breaker.state(30_000.0), State::HalfOpen);
        let probe = ticket(&mut breaker, 30_000.0);
        assert!(matches!(breaker.admit(30_001.0), Admission::OpenMs(_)));
        assert!(breaker.report(probe, Outcome::Failure, 31_000.0));
        assert_eq!(breaker.admit(31_000.0), Admission::OpenMs(30_000.0));
        let probe = ticket(&mut breaker, 61_000.0);
        assert!(breaker.report(probe, Outcome::Success, 61_500.0));
        assert_eq!(breaker.state(61_500.0), State::Closed);
    }

    #[test]
    fn an_abandoned_probe_lets_the_next_one_go() {
        let mut breaker = opened();
        let probe = ticket(&mut breaker, 30_000.0);
        assert!(!breaker.report(probe, Outcome::Abandoned, 30_010.0), "it is still half-open");
        assert_eq!(breaker.state(30_010.0), State::HalfOpen);
        assert!(!breaker.report(probe, Outcome::Success, 30_010.0), "it has had its say");
        let next = ticket(&mut breaker, 30_010.0);
        assert!(!breaker.report(probe, Outcome::Success, 30_020.0), "an old ticket says nothing");
        assert!(breaker.report(next, Outcome::Success, 30_020.0));
    }

    #[test]
    fn a_probe_that_never_reports_is_given_up() {
        let mut breaker = opened();
        ticket(&mut breaker, 30_000.0);
        assert!(matches!(breaker.admit(59_999.0), Admission::OpenMs(_)));
        ticket(&mut breaker, 60_000.0);
    }

    #[test]
    fn a_clock_that_runs_backwards_changes_nothing() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(-3_600_000.0), Admission::OpenMs(30_000.0));
        assert_eq!(breaker.state(-3_600_000.0), State::Open);
        for now_ms in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(breaker.admit(now_ms), Admission::OpenMs(30_000.0));
        }
        let probe = ticket(&mut breaker, 30_000.0);
        assert!(breaker.report(probe, Outcome::Failure, 5.0));
        assert_eq!(breaker.admit(59_999.5), Admission::OpenMs(1.0));
        ticket(&mut breaker, 60_000.0);
    }

    #[test]
    fn settings_change_and_the_state_stays() {
        for (failures, cooldown_ms) in [(0, 1.0), (1, -1.0), (1, f64::NAN), (1, f64::INFINITY)] {
            assert_eq!(Breaker::new(failures, cooldown_ms).err(), Some(BadSettings));
            assert_eq!(opened().set(failures, cooldown_ms), Err(BadSettings));
        }
        let mut breaker = opened();
        assert_eq!(breaker.set(1, 40_000.0), Ok(()));
        assert_eq!(breaker.admit(30_000.0), Admission::OpenMs(10_000.0));
        let mut breaker = Breaker::new(3, 0.0).unwrap();
        let old = ticket(&mut breaker, 0.0);
        assert!(!breaker.report(old, Outcome::Failure, 0.0));
        breaker.set(1, 0.0).unwrap();
        assert_eq!(breaker.state(0.0), State::Closed);
        assert!(breaker.report(old, Outcome::Failure, 0.0));
        assert_eq!(breaker.state(0.0), State::HalfOpen, "no cooldown at all");
    }

    proptest! {
        /// Whatever comes: refused while open, and never two probes within one cooldown.
        #[test]
        fn never_two_probes_at_once(steps in prop::collection::vec((0u32..400, 0u8..4), 1..300)) {
            let mut breaker = Breaker::new(3, 1_000.0).unwrap();
            let mut now_ms = 0.0;
            let mut in_a_row = 0;
            let mut probe_ms: Option<f64> = None;
            for (wait, what) in steps {
                now_ms += f64::from(wait);
                let before = breaker.state(now_ms);
                let Admission::Ticket(ticket) = breaker.admit(now_ms) else {
                    prop_assert_ne!(before, State::Closed);
                    continue;
                };
                prop_assert_ne!(before, State::Open);
                if before == State::HalfOpen {
                    prop_assert!(probe_ms.is_none_or(|at: f64| now_ms - at >= 1_000.0));
                    probe_ms = Some(now_ms);
                }
                let outcome = match what {
                    0 => Outcome::Success,
                    1 => Outcome::Abandoned,
                    2 => Outcome::Failure,
                    _ => continue,
                };
                breaker.report(ticket, outcome, now_ms);
                if outcome != Outcome::Failure || before == State::HalfOpen {
                    probe_ms = None;
                }
                in_a_row = match outcome {
                    Outcome::Failure => in_a_row + 1,
                    Outcome::Success => 0,
                    Outcome::Abandoned => in_a_row,
                };
                if before == State::Closed && outcome == Outcome::Failure {
                    prop_assert_eq!(breaker.state(now_ms) == State::Open, in_a_row >= 3);
                }
                if breaker.state(now_ms) == State::Open {
                    in_a_row = 0;
                }
            }
        }
    }
}
