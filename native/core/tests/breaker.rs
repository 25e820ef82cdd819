//! The breaker against a slow one that looks through all that ever happened.

use proptest::collection::vec;
use proptest::prelude::*;
use sidegate_core::resilience::breaker::{Admission, Breaker, Hint, Outcome, Settings, State};

const SETTINGS: Settings = Settings {
    failures: 3,
    rate: 0.5,
    calls_min: 6,
    window_ms: 200.0,
    cooldown_ms: 100.0,
    cooldown_max_ms: 400.0,
    probe_max_ms: 150.0,
    sources_min: 1,
};
const SLICE_MS: u32 = 20;
const SLICES: u32 = 10;

/// What happened, in order. Each admitted call has the index of its admission as its name.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Admitted { probe: bool, at_ms: u32 },
    Reported { call: usize, outcome: Outcome, at_ms: u32 },
    Opened { at_ms: u32, cooldown_ms: u32 },
    Closed { at_ms: u32 },
}

#[derive(Default)]
struct Slow {
    log: Vec<Event>,
}

impl Slow {
    fn last_change(&self) -> Option<usize> {
        self.log.iter().rposition(|event| matches!(event, Event::Opened { .. } | Event::Closed { .. }))
    }

    /// The last opening, unless it was closed since: its place in the log, and when its cooldown is over.
    fn opened(&self) -> Option<(usize, u32)> {
        let place = self.last_change()?;
        match self.log[place] {
            Event::Opened { at_ms, cooldown_ms } => Some((place, at_ms + cooldown_ms)),
            _ => None,
        }
    }

    /// The last probe since the opening.
    fn probe(&self) -> Option<(usize, u32)> {
        let (opened, _) = self.opened()?;
        self.log.iter().enumerate().skip(opened).rev().find_map(|(place, event)| match *event {
            Event::Admitted { probe: true, at_ms } => Some((place, at_ms)),
            _ => None,
        })
    }

    fn reported(&self, call: usize) -> bool {
        self.log.iter().any(|event| matches!(*event, Event::Reported { call: of, .. } if of == call))
    }

    fn state(&self, now_ms: u32) -> State {
        match (self.opened(), self.probe()) {
            (None, _) => State::Closed,
            (Some(_), Some(_)) => State::HalfOpen,
            (Some((_, until_ms)), None) if now_ms >= until_ms => State::HalfOpen,
            _ => State::Open,
        }
    }

    fn admit(&mut self, now_ms: u32) -> Result<usize, u32> {
        let probe = self.opened().is_some();
        let free_at_ms = match (self.opened(), self.probe()) {
            (None, _) => now_ms,
            (_, Some((call, _))) if self.reported(call) => now_ms,
            (_, Some((_, at_ms))) => at_ms + SETTINGS.probe_max_ms as u32,
            (Some((_, until_ms)), None) => until_ms,
        };
        if free_at_ms > now_ms {
            return Err(free_at_ms - now_ms);
        }
        self.log.push(Event::Admitted { probe, at_ms: now_ms });
        Ok(self.log.len() - 1)
    }

    /// The cooldown of an opening: twice the one before, unless it was closed for as long as that.
    fn cooldown_ms(&self, now_ms: u32) -> u32 {
        let before = self.log.iter().rev().find_map(|event| match *event {
            Event::Opened { cooldown_ms, .. } => Some(cooldown_ms),
            _ => None,
        });
        let closed_ms = match self.last_change().map(|place| self.log[place]) {
            Some(Event::Closed { at_ms }) => now_ms - at_ms,
            _ => 0,
        };
        match before {
            Some(before_ms) if closed_ms < before_ms => (2 * before_ms).min(SETTINGS.cooldown_max_ms as u32),
            _ => SETTINGS.cooldown_ms as u32,
        }
    }

    /// Reports twice of the same call do not occur.
    fn report(&mut self, call: usize, outcome: Outcome, now_ms: u32) -> bool {
        let changed = self.last_change();
        let current = changed.is_none_or(|place| place < call);
        let probe = self.probe().is_none_or(|(place, _)| place == call);
        if !current || !probe {
            return false;
        }
        let half_open = self.opened().is_some();
        self.log.push(Event::Reported { call, outcome, at_ms: now_ms });
        let since = changed.map_or(0, |place| place + 1);
        let outcomes: Vec<(Outcome, u32)> = self.log[since..]
            .iter()
            .rev()
            .filter_map(|event| match *event {
                Event::Reported { outcome, at_ms, .. } if outcome != Outcome::Abandoned => {
                    Some((outcome, at_ms))
                }
                _ => None,
            })
            .collect();
        let in_a_row = outcomes.iter().take_while(|(outcome, _)| *outcome == Outcome::Failure).count();
        let recent = outcomes.iter().filter(|(_, at_ms)| at_ms / SLICE_MS + SLICES > now_ms / SLICE_MS);
        let (calls, failed) = recent.fold((0, 0), |(calls, failed), (outcome, _)| {
            (calls + 1, failed + u32::from(*outcome == Outcome::Failure))
        });
        let too_many = in_a_row >= SETTINGS.failures as usize
            || calls >= SETTINGS.calls_min && f64::from(failed) >= SETTINGS.rate * f64::from(calls);
        match outcome {
            Outcome::Success if half_open => self.log.push(Event::Closed { at_ms: now_ms }),
            Outcome::Failure if half_open || too_many => {
                let cooldown_ms = self.cooldown_ms(now_ms);
                self.log.push(Event::Opened { at_ms: now_ms, cooldown_ms });
            }
            _ => return false,
        }
        true
    }
}

const OUTCOMES: [Outcome; 4] = [Outcome::Success, Outcome::Failure, Outcome::Failure, Outcome::Abandoned];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn it_agrees_with_the_slow_one(steps in vec((0u32..60, 0u8..7, any::<prop::sample::Index>()), 1..160)) {
        let mut breaker = Breaker::new(SETTINGS).unwrap();
        let mut slow = Slow::default();
        let mut calls: Vec<(u32, usize)> = Vec::new();
        let mut now_ms = 0;
        for (wait_ms, what, which) in steps {
            let now = f64::from(now_ms);
            if what < 3 {
                let probes = slow.state(now_ms) != State::Closed;
                match (breaker.admit(now), slow.admit(now_ms)) {
                    (Admission::Ticket(ticket), Ok(call)) if !probes => calls.push((ticket, call)),
                    (Admission::Probe(ticket), Ok(call)) if probes => calls.push((ticket, call)),
                    (admission, Err(left_ms)) => prop_assert_eq!(admission, Admission::OpenMs(f64::from(left_ms))),
                    (admission, Ok(_)) => prop_assert!(false, "{:?}", admission),
                }
            } else if !calls.is_empty() {
                let (ticket, call) = calls.swap_remove(which.index(calls.len()));
                let outcome = OUTCOMES[usize::from(what - 3)];
                prop_assert_eq!(breaker.report(ticket, outcome, 0, now), slow.report(call, outcome, now_ms));
            }
            prop_assert_eq!(breaker.state(now), slow.state(now_ms));
            now_ms += wait_ms;
        }
    }

    /// Whatever calls and peers do: one probe at a time, no state by a hint alone, none by a late report, and never
    /// stuck.
    #[test]
    fn nothing_shakes_it(steps in vec((0u32..80, 0u8..12, any::<prop::sample::Index>(), 0u32..4), 1..200)) {
        let mut breaker = Breaker::new(Settings { sources_min: 2, ..SETTINGS }).unwrap();
        let mut calls: Vec<u32> = Vec::new();
        // The probe under way, and those calls that went before the last change of state.
        let mut probe: Option<(u32, f64)> = None;
        let mut late: Vec<u32> = Vec::new();
        let mut now_ms = 0.0;
        for (wait_ms, what, which, source) in steps {
            let before = breaker.state(now_ms);
            match what {
                0..4 => match breaker.admit(now_ms) {
                    Admission::Ticket(ticket) => {
                        prop_assert_eq!(before, State::Closed);
                        calls.push(ticket);
                    }
                    Admission::Probe(ticket) => {
                        prop_assert_eq!(before, State::HalfOpen);
                        prop_assert!(probe.is_none_or(|(_, at_ms)| now_ms - at_ms >= SETTINGS.probe_max_ms));
                        late.extend(probe.map(|(ticket, _)| ticket));
                        probe = Some((ticket, now_ms));
                    }
                    Admission::OpenMs(left_ms) => prop_assert!(left_ms >= 1.0),
                },
                4..8 => {
                    let outcome = OUTCOMES[usize::from(what - 4)];
                    if let Some((ticket, _)) = probe {
                        breaker.report(ticket, outcome, source, now_ms);
                        probe = None;
                    } else if !calls.is_empty() {
                        let ticket = calls.swap_remove(which.index(calls.len()));
                        breaker.report(ticket, outcome, source, now_ms);
                    }
                }
                8 | 9 if !late.is_empty() => {
                    let ticket = late.swap_remove(which.index(late.len()));
                    prop_assert!(!breaker.report(ticket, OUTCOMES[usize::from(what - 8)], source, now_ms));
                    prop_assert_eq!(breaker.state(now_ms), before);
                }
                10 | 11 => {
                    let hint = if what == 10 { Hint::Down } else { Hint::Up };
                    breaker.hint(hint, f64::from(source) / 3.0, now_ms);
                    let after = breaker.state(now_ms);
                    // A peer may bring a probe forward to now, or put it off: it stays open in either case.
                    prop_assert_eq!(after == State::Closed, before == State::Closed);
                }
                _ => {}
            }
            if before == State::Closed && breaker.state(now_ms) != State::Closed {
                late.append(&mut calls);
            }
            now_ms += f64::from(wait_ms);
        }
        // Left alone for as long as it may be put off and a probe may take, it lets one go, and closes by it.
        now_ms += 2.0 * SETTINGS.cooldown_max_ms + SETTINGS.probe_max_ms;
        match breaker.admit(now_ms) {
            Admission::Ticket(_) => {}
            Admission::Probe(ticket) => prop_assert!(breaker.report(ticket, Outcome::Success, 0, now_ms)),
            Admission::OpenMs(left_ms) => prop_assert!(false, "stuck for {left_ms} ms"),
        }
        prop_assert_eq!(breaker.state(now_ms), State::Closed);
    }
}
