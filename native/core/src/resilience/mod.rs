//! Circuit breakers and retry budgets, which keep an outage small.

pub mod breaker;
mod outcomes;
pub mod retry_budget;
