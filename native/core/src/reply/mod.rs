//! Reads a provider's replies: whole ones, and event streams in passing.

mod anthropic;
mod any;
mod auxiliary;
pub mod choices;
mod cohere;
pub mod event;
pub mod facts;
pub mod fault;
mod gemini;
mod openai;
pub mod read;
pub mod reading;
pub mod registers;
pub mod sse;
pub mod twin;
