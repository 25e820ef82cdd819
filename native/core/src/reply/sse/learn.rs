//! What a scanner learns of its events: the facts, and when the reply has ended.

use crate::reply::facts::state;
use crate::reply::read::Dialect;
use crate::reply::reading::{Finish, Reading};
use crate::reply::sse::{Fate, Scanner};

/// The choices of a stream that was asked for several.
#[derive(Default)]
pub(super) struct Choices {
    /// How many were asked for.
    asked: u32,
    /// A bit each, by their index.
    seen: u128,
    ended: u128,
    /// Why those ended that have.
    pub(super) finish: Finish,
}

impl Choices {
    /// What an event says, without an end as long as choices are missing.
    fn held(&mut self, reading: &Reading) -> Reading {
        self.seen |= reading.choices;
        self.ended |= reading.choices_ended;
        self.finish = self.finish.max(reading.finish);
        // A prompt that is blocked has no choices.
        let blocked = reading.finish != Finish::None && reading.choices_ended == 0;
        let over = blocked || self.ended.count_ones() >= self.asked.min(u128::BITS);
        Reading { finish: if over { self.finish } else { Finish::None }, ..*reading }
    }
}

impl Scanner {
    /// The reply has not ended before so many choices have, or its last event is here.
    pub fn awaiting(mut self, choices: u32) -> Self {
        self.choices.asked = choices;
        self
    }

    /// The bytes have ended. Gemini has no last event, and may give fewer candidates than were asked for.
    pub(super) fn end(&mut self) {
        self.finished = true;
        if self.dialect == Dialect::Gemini && self.choices.ended == self.choices.seen {
            self.facts.finish_as(self.choices.finish);
        }
    }

    /// Drops text that need not be counted because the provider has stated its tokens.
    pub(super) fn forget_counted(&mut self) {
        if self.facts.state & state::END != 0 && self.facts.usage.output.is_some_and(|tokens| tokens > 0) {
            self.text = Vec::new();
        }
    }

    pub(super) fn learn(&mut self, reading: &Reading) -> Fate {
        if self.choices.asked > 1 {
            self.facts.add(&self.choices.held(reading));
        } else {
            self.facts.add(reading);
        }
        self.forget_counted();
        let usage_only = self.dialect == Dialect::OpenAi && reading.choices_empty && reading.usage_seen;
        if self.strip_usage && usage_only {
            self.facts.stripped = self.facts.stripped.saturating_add(1);
            return Fate::Drop;
        }
        Fate::Forward
    }
}
