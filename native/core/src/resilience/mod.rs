//! What keeps an outage small: circuit breakers and retry budgets.

pub mod breaker;
mod outcomes;
pub mod retry_budget;
