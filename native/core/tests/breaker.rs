//! The breaker against a slow one that looks through all that ever happened.

use proptest::collection::vec;
use proptest::prelude::*;
use sidegate_core::breaker::{Admission, Breaker, Outcome, State};

const FAILURES: usize = 3;
const COOLDOWN_MS: u32 = 100;

/// What happened, in order. Each admitted call has the index of its admission as its name.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Admitted { probe: bool, at_ms: u32 },
    Reported { call: usize, outcome: Outcome, at_ms: u32 },
    Opened { at_ms: u32 },
    Closed,
}

#[derive(Default)]
struct Slow {
    log: Vec<Event>,
}

impl Slow {
    /// The last opening, unless it was closed since: its place in the log, and its time.
    fn opened(&self) -> Option<(usize, u32)> {
        match self
            .log
            .iter()
            .enumerate()
            .rfind(|(_, event)| matches!(event, Event::Opened { .. } | Event::Closed))
        {
            Some((place, &Event::Opened { at_ms })) => Some((place, at_ms)),
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
            (Some((_, at_ms)), None) if now_ms >= at_ms + COOLDOWN_MS => State::HalfOpen,
            _ => State::Open,
        }
    }

    fn admit(&mut self, now_ms: u32) -> Result<usize, u32> {
        let probe = self.opened().is_some();
        let free_at_ms = match (self.opened(), self.probe()) {
            (None, _) => now_ms,
            (_, Some((call, _))) if self.reported(call) => now_ms,
            (_, Some((_, at_ms))) | (Some((_, at_ms)), None) => at_ms + COOLDOWN_MS,
        };
        if free_at_ms > now_ms {
            return Err(free_at_ms - now_ms);
        }
        self.log.push(Event::Admitted { probe, at_ms: now_ms });
        Ok(self.log.len() - 1)
    }

    /// Reports twice of the same call do not occur.
    fn report(&mut self, call: usize, outcome: Outcome, now_ms: u32) -> bool {
        let changed =
            self.log.iter().rposition(|event| matches!(event, Event::Opened { .. } | Event::Closed));
        let current = changed.is_none_or(|place| place < call);
        let probe = self.probe().is_none_or(|(place, _)| place == call);
        if !current || !probe {
            return false;
        }
        let half_open = self.opened().is_some();
        self.log.push(Event::Reported { call, outcome, at_ms: now_ms });
        let since = changed.map_or(0, |place| place + 1);
        let outcomes = self.log[since..].iter().rev().filter_map(|event| match *event {
            Event::Reported { outcome, .. } if outcome != Outcome::Abandoned => Some(outcome),
            _ => None,
        });
        let in_a_row = outcomes.take_while(|&outcome| outcome == Outcome::Failure).count();
        match outcome {
            Outcome::Success if half_open => self.log.push(Event::Closed),
            Outcome::Failure if half_open || in_a_row >= FAILURES => {
                self.log.push(Event::Opened { at_ms: now_ms })
            }
            _ => return false,
        }
        true
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn it_agrees_with_the_slow_one(steps in vec((0u32..60, 0u8..7, any::<prop::sample::Index>()), 1..120)) {
        let mut breaker = Breaker::new(FAILURES as u32, f64::from(COOLDOWN_MS)).unwrap();
        let mut slow = Slow::default();
        let mut calls: Vec<(u32, usize)> = Vec::new();
        let mut now_ms = 0;
        for (wait_ms, what, which) in steps {
            let now = f64::from(now_ms);
            if what < 3 {
                match (breaker.admit(now), slow.admit(now_ms)) {
                    (Admission::Ticket(ticket), Ok(call)) => calls.push((ticket, call)),
                    (admission, Err(left_ms)) => prop_assert_eq!(admission, Admission::OpenMs(f64::from(left_ms))),
                    (admission, Ok(_)) => prop_assert!(false, "{:?}", admission),
                }
            } else if !calls.is_empty() {
                let (ticket, call) = calls.swap_remove(which.index(calls.len()));
                let outcome = [Outcome::Success, Outcome::Failure, Outcome::Failure, Outcome::Abandoned][usize::from(what - 3)];
                prop_assert_eq!(breaker.report(ticket, outcome, now), slow.report(call, outcome, now_ms));
            }
            prop_assert_eq!(breaker.state(now), slow.state(now_ms));
            now_ms += wait_ms;
        }
    }
}
