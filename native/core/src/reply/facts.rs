//! The facts known of a reply: a whole one, or a stream so far.

use crate::reply::reading::{Finish, Reading, Service, Usage};

/// Bits of [`ReplyFacts::state`].
pub mod state {
    /// Content for the client has been seen.
    pub const CONTENT: u32 = 1;
    /// A finish reason has been seen.
    pub const FINISH: u32 = 2;
    /// `[DONE]` or `message_stop` has been seen. Whatever follows is dropped.
    pub const END: u32 = 4;
    /// The provider sent an error. It is dropped, with everything after it.
    pub const ERROR: u32 = 8;
    /// Not an event stream, not UTF-8, or data that is not JSON. It is dropped, with everything after it.
    pub const MALFORMED: u32 = 16;
    /// An event exceeded the size limit. It is dropped, with everything after it.
    pub const OVERFLOW: u32 = 32;
    /// Usage has been seen.
    pub const USAGE: u32 = 64;
    /// A tool call has started.
    pub const TOOL: u32 = 128;
    /// The model refused.
    pub const REFUSAL: u32 = 256;
    /// The provider stated what it charges.
    pub const COST: u32 = 512;
    /// It was served in one country, at a surcharge.
    pub const RESIDENT: u32 = 1024;
}

/// The facts known of a reply: a whole one, or a stream so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplyFacts {
    /// Bits of [`state`].
    pub state: u32,
    /// The token counts stated.
    pub usage: Usage,
    /// The class of service stated last.
    pub service: Service,
    /// Of a whole reply: where the name of the model stands that it says answered.
    pub model: Option<(usize, usize)>,
    /// Why generation ended.
    pub finish: Finish,
    /// Bytes of reply text.
    pub text_bytes: u32,
    /// Billed searches, for models that are not billed by token (Cohere).
    pub searches: u32,
    /// Complete events, not counting faulty ones.
    pub events: u32,
    /// How many of them were removed.
    pub stripped: u32,
    /// The content block that has started and not ended (Anthropic).
    pub open_block: Option<u32>,
}

impl ReplyFacts {
    /// The facts of a whole reply; `None` stands for anything but a JSON object.
    pub fn of(reading: Option<&Reading>) -> ReplyFacts {
        let mut facts = ReplyFacts::default();
        match reading {
            Some(reading) => {
                facts.add(reading);
                facts.model = reading.model;
            }
            None => facts.state = state::MALFORMED,
        }
        facts
    }

    /// Adds the facts of one more event.
    pub fn add(&mut self, reading: &Reading) {
        let bits = [
            (reading.content, state::CONTENT),
            (reading.error, state::ERROR),
            (reading.end, state::END),
            (reading.usage_seen, state::USAGE),
            (reading.tool, state::TOOL),
            (reading.refusal, state::REFUSAL),
            (reading.usage.nano_usd.is_some(), state::COST),
            (reading.resident, state::RESIDENT),
        ];
        for (seen, bit) in bits {
            self.state |= if seen { bit } else { 0 };
        }
        match reading.block_open {
            Some(true) => self.open_block = Some(reading.index),
            Some(false) => self.open_block = None,
            None => {}
        }
        self.usage.update(reading.usage);
        self.service = reading.service.unwrap_or(self.service);
        self.finish_as(reading.finish);
        self.searches = reading.searches.unwrap_or(self.searches);
        self.text_bytes = self.text_bytes.saturating_add(reading.text_bytes);
        self.events = self.events.saturating_add(1);
    }

    /// Adds why generation ended.
    pub(crate) fn finish_as(&mut self, finish: Finish) {
        if finish != Finish::None {
            self.state |= state::FINISH;
            self.finish = self.finish.max(finish);
        }
    }
}
