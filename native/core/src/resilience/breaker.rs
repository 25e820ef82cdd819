//! A circuit breaker: closed, open, half-open with one probe.
//!
//! ```text
//! closed ── failures in a row, or too large a share ──▶ open ── cooldown ──▶ half-open ── the probe fails ──▶ open
//!    ▲                                                                           │        (twice the cooldown)
//!    └───────────────────────────── the probe succeeds ──────────────────────────┘
//! ```
//!
//! Peers may hint what they found. A hint shortens the wait for evidence and moves probes apart; it opens and
//! closes nothing by itself.

use crate::resilience::outcomes::Outcomes;

/// What the breaker says to a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Admission {
    /// Go; the ticket, which is never 0, belongs to the report.
    Ticket(u32),
    /// Go, alone: the outcome decides. The ticket is as above.
    Probe(u32),
    /// Open for so many ms more, at least 1.
    OpenMs(f64),
}

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The target answered.
    Success,
    /// It failed.
    Failure,
    /// It says nothing of the target: the client left, say.
    Abandoned,
}

/// The states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Calls go.
    Closed,
    /// Calls are refused until the cooldown is over.
    Open,
    /// The cooldown is over: one probe goes, and decides.
    HalfOpen,
}

/// What a peer found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Its breaker opened.
    Down,
    /// Its probe succeeded.
    Up,
}

/// When it opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// So many failures in a row open it; at least 1.
    pub failures: u32,
    /// So do failures of this share of the calls in the window; above 0, at most 1.
    pub rate: f64,
    /// Fewer calls in the window say nothing about their share; 0: the share is not looked at.
    pub calls_min: u32,
    /// Length of the window; above 0.
    pub window_ms: f64,
    /// How long it stays open at first; doubled each time it opens again.
    pub cooldown_ms: f64,
    /// How long at most; at least `cooldown_ms`.
    pub cooldown_max_ms: f64,
    /// A probe that has not reported for so long is given up.
    pub probe_max_ms: f64,
    /// Failures have to come from so many sources, since any of them last succeeded; 1 to 64.
    pub sources_min: u32,
}

/// The settings are not as their fields say.
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
    /// `until_ms`: when a probe may go; `latest_ms`: how far hints may put that off.
    Open {
        until_ms: f64,
        latest_ms: f64,
    },
    /// `given_up_ms`: when the probe under way is given up; none is under way without it.
    HalfOpen {
        given_up_ms: Option<f64>,
    },
}

/// Opens by what calls report. Times are monotonic ms.
#[derive(Clone, Copy, Debug)]
pub struct Breaker {
    settings: Settings,
    inner: Inner,
    /// Counts changes of state and probes: a report from before the last one says nothing of now.
    generation: u32,
    /// How often it opened without having been closed for a whole cooldown in between.
    reopened: u32,
    /// Bit of each source that failed and did not succeed since.
    failing: u64,
    window: Outcomes,
    /// Until then one failure is enough to open it: a peer's word.
    suspect_until_ms: f64,
    /// The latest time heard of.
    now_ms: f64,
}

const SUCCESS: usize = 0;
const FAILURE: usize = 1;
/// After a peer's probe succeeded the others follow within this part of a cooldown.
const FOLLOW: f64 = 0.1;

impl Breaker {
    /// A closed breaker.
    ///
    /// # Errors
    /// As [`BadSettings`] says.
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

    /// Changes the settings; the state stays, and a cooldown that runs. Failures already counted open it with
    /// the next one, not now.
    ///
    /// # Errors
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

    /// Takes the outcome of an admitted call; true when the state changed. `source`: which of several it came
    /// from, modulo 64.
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
            // The probe said nothing, so the next call may be one.
            (Inner::HalfOpen { .. }, Outcome::Abandoned) => {
                self.change(Inner::HalfOpen { given_up_ms: None });
                false
            }
            (Inner::Closed { .. }, Outcome::Abandoned) | (Inner::Open { .. }, _) => false,
        }
    }

    /// Takes a peer's word. `spread`, from 0 to 1: a random number, different for each peer, by which their
    /// probes are moved apart.
    pub fn hint(&mut self, hint: Hint, spread: f64, now_ms: f64) {
        self.advance(now_ms);
        let spread = if spread.is_finite() { spread.clamp(0.0, 1.0) } else { 1.0 };
        let cooldown_ms = self.cooldown_ms();
        match (&mut self.inner, hint) {
            (Inner::Closed { .. }, Hint::Down) => self.suspect_until_ms = self.now_ms + cooldown_ms,
            (Inner::Closed { .. }, Hint::Up) => self.suspect_until_ms = f64::MIN,
            // The peer's failure is as fresh as one of its own would be: it need not look itself so soon.
            (Inner::Open { until_ms, latest_ms }, Hint::Down) => {
                *until_ms = (self.now_ms + cooldown_ms * (1.0 + spread) / 2.0).min(*latest_ms);
            }
            // Later hints leave it there: the earliest of many random times would be now, for all peers alike.
            (Inner::Open { until_ms, .. }, Hint::Up) if *until_ms > self.now_ms + cooldown_ms * FOLLOW => {
                *until_ms = self.now_ms + cooldown_ms * FOLLOW * spread;
            }
            (Inner::Open { .. } | Inner::HalfOpen { .. }, _) => {}
        }
    }

    /// The state at a time: half-open as soon as the cooldown is over.
    pub fn state(&mut self, now_ms: f64) -> State {
        self.advance(now_ms);
        match self.inner {
            Inner::Closed { .. } => State::Closed,
            Inner::Open { until_ms, .. } if until_ms > self.now_ms => State::Open,
            Inner::Open { .. } | Inner::HalfOpen { .. } => State::HalfOpen,
        }
    }

    /// Whether the failures so far open it.
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

    /// Doubled each time it opened again, up to its bound.
    fn cooldown_ms(&self) -> f64 {
        let Settings { cooldown_ms, cooldown_max_ms, .. } = self.settings;
        // 2^31 times anything but 0 is beyond all bounds that are set.
        (cooldown_ms * f64::from(1u32 << self.reopened.min(31))).min(cooldown_max_ms)
    }

    fn open(&mut self) -> bool {
        let until_ms = self.now_ms + self.cooldown_ms();
        // Whatever peers say, it looks itself after twice the largest cooldown.
        let latest_ms = self.now_ms + 2.0 * self.settings.cooldown_max_ms;
        self.change(Inner::Open { until_ms, latest_ms })
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
