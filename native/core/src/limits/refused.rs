//! What Redis refused a pod a moment ago, so that it is not asked for with each request.

/// Redis is not asked again for what it just refused, until it is free or for this long: others may give some back.
const PAUSE_MS: f64 = 1000.0;
/// The same where that only depends on when requests in flight end.
const IN_FLIGHT_PAUSE_MS: f64 = 100.0;

/// The last refusal.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Refused {
    until_ms: f64,
    cost: f64,
}

impl Refused {
    /// Notes what was refused. `frees_ms`: when more becomes free; 0: unknown.
    pub(crate) fn note(&mut self, cost: f64, frees_ms: f64, in_flight: bool, now_ms: f64) {
        let pause_ms = if in_flight { IN_FLIGHT_PAUSE_MS } else { PAUSE_MS };
        let frees_ms = if frees_ms > 0.0 { frees_ms } else { f64::INFINITY };
        *self = Refused { until_ms: frees_ms.min(now_ms + pause_ms), cost };
    }

    /// Whether asking for a cost is of no use: what is less may fit.
    pub(crate) fn covers(&self, cost: f64, now_ms: f64) -> bool {
        self.until_ms > now_ms && cost >= self.cost
    }
}
