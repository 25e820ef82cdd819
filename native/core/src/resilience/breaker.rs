//! A circuit breaker: closed, open, half-open with one probe.
//!
//! ```text
//! closed ── failures in a row, or too large a share ──▶ open ── cooldown ──▶ half-open ── the probe fails ──▶ open
//!    ▲                                                                           │        (twice the cooldown)
//!    └───────────────────────────── the probe succeeds ──────────────────────────┘
//! ```
//!
//! Peers may send hints about what they found. A hint lowers the evidence needed to open and spreads probes
//! over time; alone it opens and closes nothing.

use crate::resilience::outcomes::Outcomes;

/// The breaker's decision about a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Admission {
    /// The call may go; its report must carry this ticket, which is never 0.
    Ticket(u32),
    /// The call may go as the only one: its outcome decides. The ticket is as above.
    Probe(u32),
    /// Open for this many more ms, at least 1.
    OpenMs(f64),
}

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The target answered.
    Success,
    /// It failed.
    Failure,
    /// The outcome says nothing about the target, for example because the client left.
    Abandoned,
}

/// The states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Calls may go.
    Closed,
    /// Calls are refused until the cooldown is over.
    Open,
    /// The cooldown is over: one probe may go, and decides.
    HalfOpen,
}

/// What a peer reports about the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The peer's breaker opened.
    Down,
    /// The peer's probe succeeded.
    Up,
}

/// When the breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Consecutive failures that open it; at least 1.
    pub failures: u32,
    /// Failures as a share of the calls in the window that open it too; above 0, at most 1.
    pub rate: f64,
    /// With fewer calls in the window the share is ignored; 0: it is always ignored.
    pub calls_min: u32,
    /// Length of the window; above 0.
    pub window_ms: f64,
    /// How long it stays open at first, doubled each time it opens again.
    pub cooldown_ms: f64,
    /// Longest time it stays open; at least `cooldown_ms`.
    pub cooldown_max_ms: f64,
    /// A probe that has not reported after this time is given up.
    pub probe_max_ms: f64,
    /// Failures must come from this many sources that haven't succeeded since; 1 to 64.
    pub sources_min: u32,
}

/// A setting is outside the range documented at its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSettings;

impl Settings {
    fn check(self) -> Result<Self, BadSettings> {
        let time = |ms: f64| ms.is_finite() && ms >= 0.0;
        let good = self.failures > 0
            && self.rate > 0.0
            && self.rate <= 1.0
            && time(self.window_ms)
            && self.window_ms > 0.0
            && time(self.cooldown_ms)
            && time(self.cooldown_max_ms)
            && self.cooldown_max_ms >= self.cooldown_ms
            && time(self.probe_max_ms)
            && (1..=64).contains(&self.sources_min);
        if good { Ok(self) } else { Err(BadSettings) }
    }
}

#[derive(Clone, Copy, Debug)]
enum Inner {
    Closed {
        failures: u32,
        since_ms: f64,
    },
    /// `until_ms`: when a probe may go; `latest_ms`: the latest time hints may postpone it to.
    Open {
        until_ms: f64,
        latest_ms: f64,
    },
    /// `given_up_ms`: when the probe in flight is given up; `None` if there is none.
    HalfOpen {
        given_up_ms: Option<f64>,
    },
}

/// Opens and closes depending on the outcomes of calls. Times are monotonic ms.
#[derive(Clone, Copy, Debug)]
pub struct Breaker {
    settings: Settings,
    inner: Inner,
    /// Counts state changes and probes: a report from an earlier generation says nothing about the present.
    generation: u32,
    /// How often it opened without staying closed for a whole cooldown in between.
    reopened: u32,
    /// Bit for each source that has failed and not succeeded since.
    failing: u64,
    window: Outcomes,
    /// Until then one failure opens it, because a peer reported the target down.
    suspect_until_ms: f64,
    /// The latest time seen.
    now_ms: f64,
}

const SUCCESS: usize = 0;
const FAILURE: usize = 1;
/// After a peer's probe succeeded, the others follow within this share of a cooldown.
const FOLLOW: f64 = 0.1;

impl Breaker {
    /// A closed breaker.
    ///
    /// [`BadSettings`] if a setting is out of range.
    /// [`BadSettings`] if a setting is out of range.
    pub fn new(settings: Settings) -> Result<Self, BadSettings> {
        let settings = settings.check()?;
        Ok(Breaker {
            settings,
            inner: Inner::Closed { failures: 0, since_ms: f64::MIN },
            generation: 1,
            reopened: 0,
            failing: 0,
            window: Outcomes::new(settings.window_ms),
            suspect_until_ms: f64::MIN,
            now_ms: f64::MIN,
        })
    }

    /// Changes the settings; the state stays, and so does a running cooldown. Failures already counted can
    /// open it with the next one, not now.
    ///
    /// [`BadSettings`] if a setting is out of range.
    /// As for [`Breaker::new`].
    pub fn set(&mut self, settings: Settings) -> Result<(), BadSettings> {
        let settings = settings.check()?;
        if settings.window_ms != self.settings.window_ms {
            self.window = Outcomes::new(settings.window_ms);
        }
        self.settings = settings;
        Ok(())
    }

    /// Asks whether a call may go.
    pub fn admit(&mut self, now_ms: f64) -> Admission {
        self.advance(now_ms);
        let free_ms = match self.inner {
            Inner::Closed { .. } => return Admission::Ticket(self.generation),
            Inner::Open { until_ms, .. } => until_ms,
            Inner::HalfOpen { given_up_ms } => given_up_ms.unwrap_or(f64::MIN),
        };
        if free_ms > self.now_ms {
            return Admission::OpenMs((free_ms - self.now_ms).max(1.0));
        }
        self.change(Inner::HalfOpen { given_up_ms: Some(self.now_ms + self.settings.probe_max_ms) });
        Admission::Probe(self.generation)
    }

    /// Records the outcome of an admitted call; true if the state changed. `source`: which of several sources
    /// it came from, modulo 64.
    pub fn report(&mut self, ticket: u32, outcome: Outcome, source: u32, now_ms: f64) -> bool {
        self.advance(now_ms);
        if ticket != self.generation {
            return false;
        }
        match (self.inner, outcome) {
            (Inner::Closed { since_ms, .. }, Outcome::Success) => {
                self.window.add(SUCCESS, self.now_ms);
                self.failing &= !(1 << (source % 64));
                self.inner = Inner::Closed { failures: 0, since_ms };
                false
            }
            (Inner::Closed { failures, since_ms }, Outcome::Failure) => {
                self.window.add(FAILURE, self.now_ms);
                self.failing |= 1 << (source % 64);
                let failures = failures.saturating_add(1);
                self.inner = Inner::Closed { failures, since_ms };
                if !self.enough(failures) {
                    return false;
                }
                let lately = self.now_ms - since_ms < self.cooldown_ms();
                self.reopened = if lately { self.reopened.saturating_add(1) } else { 0 };
                self.open()
            }
            (Inner::HalfOpen { .. }, Outcome::Success) => {
                self.window.clear();
                self.failing = 0;
                self.suspect_until_ms = f64::MIN;
                self.change(Inner::Closed { failures: 0, since_ms: self.now_ms })
            }
            (Inner::HalfOpen { .. }, Outcome::Failure) => {
                self.reopened = self.reopened.saturating_add(1);
                self.open()
            }
            // The probe said nothing about the target, so the next call may be one.
            (Inner::HalfOpen { .. }, Outcome::Abandoned) => {
                self.change(Inner::HalfOpen { given_up_ms: None });
                false
            }
            (Inner::Closed { .. }, Outcome::Abandoned) | (Inner::Open { .. }, _) => false,
        }
    }

    /// Records a peer's hint. `spread`, from 0 to 1: a random number, different for each peer, that spreads
    /// their probes over time.
    pub fn hint(&mut self, hint: Hint, spread: f64, now_ms: f64) {
        self.advance(now_ms);
        let spread = if spread.is_finite() { spread.clamp(0.0, 1.0) } else { 1.0 };
        let cooldown_ms = self.cooldown_ms();
        match (&mut self.inner, hint) {
            (Inner::Closed { .. }, Hint::Down) => self.suspect_until_ms = self.now_ms + cooldown_ms,
            (Inner::Closed { .. }, Hint::Up) => self.suspect_until_ms = f64::MIN,
            // The peer's failure is as recent as one of this breaker's probes would be, so its probe can
            // wait.
            (Inner::Open { until_ms, latest_ms }, Hint::Down) => {
                *until_ms = (self.now_ms + cooldown_ms * (1.0 + spread) / 2.0).min(*latest_ms);
            }
            // Later hints leave it there: the earliest of many random times would be now, for all peers
            // alike.
            (Inner::Open { until_ms, .. }, Hint::Up) if *until_ms > self.now_ms + cooldown_ms * FOLLOW => {
                *until_ms = self.now_ms + cooldown_ms * FOLLOW * spread;
            }
            (Inner::Open { .. } | Inner::HalfOpen { .. }, _) => {}
        }
    }

    /// The state now: half-open as soon as the cooldown is over.
    pub fn state(&mut self, now_ms: f64) -> State {
        self.advance(now_ms);
        match self.inner {
            Inner::Closed { .. } => State::Closed,
            Inner::Open { until_ms, .. } if until_ms > self.now_ms => State::Open,
            Inner::Open { .. } | Inner::HalfOpen { .. } => State::HalfOpen,
        }
    }

    /// Whether the failures so far open the breaker.
    fn enough(&mut self, failures: u32) -> bool {
        let Settings { failures: most, rate, calls_min, sources_min, .. } = self.settings;
        if self.failing.count_ones() < sources_min {
            return false;
        }
        if failures >= most || self.suspect_until_ms > self.now_ms {
            return true;
        }
        if calls_min == 0 {
            return false;
        }
        let [good, bad] = self.window.sums(self.now_ms);
        good + bad >= u64::from(calls_min) && bad as f64 >= rate * (good + bad) as f64
    }

    /// The cooldown, doubled each time it opened again, up to the maximum.
    fn cooldown_ms(&self) -> f64 {
        let Settings { cooldown_ms, cooldown_max_ms, .. } = self.settings;
        // 2^31 times anything above 0 exceeds every maximum that is set.
        (cooldown_ms * f64::from(1u32 << self.reopened.min(31))).min(cooldown_max_ms)
    }

    fn open(&mut self) -> bool {
        let until_ms = self.now_ms + self.cooldown_ms();
        // Whatever peers report, a probe goes after twice the longest cooldown.
        let latest_ms = self.now_ms + 2.0 * self.settings.cooldown_max_ms;
        self.change(Inner::Open { until_ms, latest_ms })
    }

    /// A clock that runs backwards or returns NaN is treated as standing still.
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
