//! The choices of a reply, and when it has ended.

use crate::reply::facts::{ReplyFacts, state};
use crate::reply::reading::{Finish, Reading};

/// The choices of a stream that was asked for several.
#[derive(Default)]
pub struct Choices {
    /// How many were asked for.
    asked: u32,
    /// A bit each, by their index.
    seen: u128,
    ended: u128,
    /// Why those ended that have.
    finish: Finish,
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

    /// The reply has not ended before so many choices have, or its last event is here.
    pub fn awaiting(choices: u32) -> Choices {
        Choices { asked: choices, ..Choices::default() }
    }

    /// Adds what an event says to the facts.
    pub fn add(&mut self, reading: &Reading, facts: &mut ReplyFacts) {
        facts.add(&if self.asked > 1 { self.held(reading) } else { *reading });
    }

    /// The last event is here.
    pub fn last(&self, facts: &mut ReplyFacts) {
        facts.state |= state::END;
        facts.finish_as(self.finish);
    }

    /// The bytes have ended. Not all providers have a last event, and they may give fewer choices than were asked for.
    pub fn end(&self, facts: &mut ReplyFacts) {
        if self.ended == self.seen {
            facts.finish_as(self.finish);
        }
    }
}
