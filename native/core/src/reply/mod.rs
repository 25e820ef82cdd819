//! What a provider's reply says: a whole one, or an event stream as it passes.

mod anthropic;
mod any;
mod auxiliary;
mod cohere;
pub mod event;
pub mod facts;
mod gemini;
mod openai;
pub mod read;
pub mod reading;
pub mod registers;
pub mod sse;
