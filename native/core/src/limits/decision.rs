//! What a meter decides on a request.

/// A meter's word on a cost. Saying it takes nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decision {
    /// It may go, after so many ms: 0 but for a leaky bucket.
    Go(f64),
    /// Not now; in so many ms, above 0, it could, if nobody else takes from the meter.
    Wait(f64),
    /// The cost is above what the meter can ever hold.
    Never,
}

/// A setting that has to be finite and above zero isn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRate;

/// Until something that is reserved is settled nobody knows when; a client asks again after so many ms.
pub const HELD_MS: f64 = 1000.0;

/// Rounding must not make a wait look over: at least a microsecond, at most a number.
pub(crate) fn wait(ms: f64) -> Decision {
    Decision::Wait(ms.clamp(0.001, f64::MAX))
}

pub(crate) fn good(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

/// What makes no sense as an amount used (not finite, below 0) is as if all that was reserved had been used.
pub(crate) fn sane(reserved: f64, used: f64) -> (f64, f64) {
    let amount = |value: f64| value.is_finite() && value >= 0.0;
    let reserved = if amount(reserved) { reserved } else { 0.0 };
    (reserved, if amount(used) { used } else { reserved })
}

/// A clock that stands, runs backwards or gives no number is no time.
pub(crate) fn later(before_ms: f64, now_ms: f64) -> f64 {
    if now_ms.is_finite() { before_ms.max(now_ms) } else { before_ms }
}
